"""One step of a continual network as an ONNX file, and the proof that onnxruntime agrees.

The packages `onnx`, `onnxscript` and `onnxruntime` are optional and imported where they are used.

Axes: R persons, V joints, C channels, T frames kept.
"""

from typing import Any

import torch

from stgcn_lightning.checkpoints.onnx import OUTPUT, onnx_bytes
from stgcn_lightning.engine.continual import Continual
from stgcn_lightning.engine.continual_step import ContinualStep
from stgcn_lightning.models.backbone import Backbone, plain_copy

FRAME, AGE = "frame", "age"
PARITY_PERSONS = (1, 3)
MORE_FRAMES = 12  # than the delay: each but the first makes a mean of several features


def continual_step(model: Backbone, card: dict[str, Any]) -> ContinualStep:
    """The step of a checkpoint's model, whose answers are about as many frames as a clip."""
    frames = card["clip_frames"]
    plain = plain_copy(model).float().cpu().eval()
    return ContinualStep(plain, frames, card["persons"], frames).eval().requires_grad_(False)


def state_names(step: ContinualStep) -> tuple[list[str], list[str]]:
    """Names of the parts of the state, as inputs and as outputs."""
    count = len(step.initial(1))
    return [f"state_{i}" for i in range(count)], [f"new_state_{i}" for i in range(count)]


def step_to_onnx(step: ContinualStep) -> bytes:
    """The ONNX file: frame (R, V, C), age (R,) and state in, logits (R, classes) and state out."""
    R, (before, after) = torch.export.Dim("R"), state_names(step)
    state = step.initial(3)  # 0 and 1 would be constants
    return onnx_bytes(
        step,
        (torch.zeros(3, *step.shape), torch.full((3,), step.delay), state),
        names=([FRAME, AGE, *before], [OUTPUT, *after]),
        dynamic_shapes={"frame": {0: R}, "age": {0: R}, "state": [{0: R} for _ in state]},
    )


def step_parity(model: Backbone, step: ContinualStep, content: bytes) -> list[dict[str, float]]:
    """How far onnxruntime is from the continual form of the engine, step by step.

    Persons are noise. The second comes three frames after the first, and so on.

    Returns:
        One dict per number of `persons`: `frames`, the largest `difference` of a logit, and the
        `largest` absolute logit.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    model = plain_copy(model).float().cpu().eval()
    before, _ = state_names(step)
    generator, cases = torch.Generator().manual_seed(0), list[dict[str, float]]()
    for persons in PARITY_PERSONS:
        network = Continual(model, step.window)
        state = [part.numpy() for part in step.initial(persons)]
        born = 3 * torch.arange(persons)
        frames = step.delay + MORE_FRAMES + int(born[-1])
        worst = largest = 0.0
        for time in range(frames):
            if time in born:
                network.arrive()
            frame = torch.randn(persons, *step.shape, generator=generator)
            means = network.step(frame[: len(network.born)])
            assert means is not None
            inputs = dict(zip(before, state, strict=True))
            inputs |= {FRAME: frame.numpy(), AGE: (time - born).clamp(min=0).numpy()}
            answer, *state = session.run(None, inputs)
            for part in map(torch.as_tensor, state):  # who is not there yet has no past
                part[time < born] = 0
            if not all(network.ready) or len(network.born) < persons:
                continue
            absent = step.absent.expand(persons, -1, -1)
            with torch.inference_mode():
                ours = step.classify(torch.cat([means[:, None], absent], 1))
            worst = max(worst, (torch.from_numpy(answer) - ours).abs().max().item())
            largest = max(largest, ours.abs().max().item())
        cases.append(
            {"persons": persons, "frames": frames, "difference": worst, "largest": largest}
        )
    return cases
