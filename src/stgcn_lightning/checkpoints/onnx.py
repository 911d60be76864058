"""A model as an ONNX file, and the proof that onnxruntime computes what PyTorch does.

The packages `onnx`, `onnxscript` and `onnxruntime` are optional and imported where they are used.

Axes: N clips, M persons, T frames, V joints, C channels; R = N x M; K subsets, O output channels.
"""

import logging
import warnings
from itertools import product
from typing import Any

import torch
from torch import nn

from stgcn_lightning.engine.folded import folded_form
from stgcn_lightning.models.backbone import Backbone, plain_copy

OPSET = 20
INPUT, OUTPUT = "clips", "logits"
PARITY_FRAMES = (20, 37, 100, 300)
PARITY_CLIPS = (1, 3, 16)
TOLERANCE = 1e-4  # of a logit, or of the largest one where that is above 1

# torch warns that torchvision, whose operators are not used here, is absent; the optimiser reports
# every step
logging.getLogger("torch.onnx._internal.exporter._registration").setLevel(logging.ERROR)
for name in ("onnx_ir", "onnxscript"):
    logging.getLogger(name).setLevel(logging.WARNING)


def to_onnx(model: Backbone) -> bytes:
    """The ONNX file of `model`: clips (N, M, T, V, C) in, logits (N, classes) out.

    N and T are free, and M where the family does not tell places apart; no node says on which
    machine it was made. The folded form is exported, in which no node normalises; of a family
    without one, the model itself.
    """
    plain = plain_copy(model).eval()
    folded = folded_form(plain)
    N, M = (torch.export.Dim(name) for name in "NM")
    T = torch.export.Dim("T", min=5)  # two are left after strides of 4: 1 would be a constant
    M = M if model.persons is None else torch.export.Dim.STATIC
    persons = model.persons or 2
    clips = torch.zeros(3, persons, 37, model.joints, model.channels)  # 0 and 1 would be constants
    return onnx_bytes(
        plain if folded is None else folded,
        (clips,),
        names=([INPUT], [OUTPUT]),
        dynamic_shapes={"clips": {0: N, 1: M, 2: T}},
    )


def onnx_bytes(
    module: nn.Module,
    example: tuple[Any, ...],
    *,
    names: tuple[list[str], list[str]],
    dynamic_shapes: dict[str, Any],
) -> bytes:
    """The ONNX file of any module, of which no node says on which machine it was made.

    Args:
        module: in evaluation mode.
        example: what it is called with.
        names: of the inputs, and of the outputs.
        dynamic_shapes: which axes are free, as in `torch.onnx.export`.
    """
    with warnings.catch_warnings():  # torch 2.13 calls what it has renamed
        warnings.filterwarnings("ignore", "`isinstance.treespec, LeafSpec.` is deprecated")
        warnings.filterwarnings("ignore", "# The axis name: . will not be used")  # of many inputs
        program = torch.onnx.export(
            module,
            example,
            dynamo=True,
            input_names=names[0],
            output_names=names[1],
            dynamic_shapes=dynamic_shapes,
            opset_version=OPSET,
            verbose=False,
        )
    assert program is not None
    proto = program.model_proto
    graph = proto.graph
    for part in (*graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        part.ClearField("metadata_props")  # lines of code, with their folders
    return proto.SerializeToString()


def parity(model: Backbone, content: bytes, persons: int) -> list[dict[str, float]]:
    """How far onnxruntime is from PyTorch, for every number of frames and clips in `PARITY_*`.

    PyTorch computes the plain model. The clips are noise, with the mean and variance of each
    channel that the model was trained on where its input is normalised by a `data_norm`; in every
    third clip only the first person is present.

    Returns:
        One dict per case: `frames`, `clips`, the largest `difference` of a logit, and the
        `largest` absolute logit.
    """
    import onnxruntime

    model = plain_copy(model).float().cpu().eval()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    generator = torch.Generator().manual_seed(0)
    shape = (model.joints, model.channels)
    places = (1 if model.persons is None else persons, 1, *shape)
    mean, deviation = torch.zeros(places), torch.ones(places)
    norm = getattr(model, "data_norm", None)
    if isinstance(norm, nn.BatchNorm1d) and norm.num_features == mean.numel():
        assert norm.running_mean is not None
        assert norm.running_var is not None
        mean, deviation = norm.running_mean.view(places), norm.running_var.sqrt().view(places)
    cases: list[dict[str, float]] = []
    for T, N in product(PARITY_FRAMES, PARITY_CLIPS):
        clips = mean + deviation * torch.randn(N, persons, T, *shape, generator=generator)
        clips[2::3, 1:] = 0
        with torch.inference_mode():
            ours = model(clips)
        (answer,) = session.run([OUTPUT], {INPUT: clips.numpy()})
        difference = (torch.from_numpy(answer) - ours).abs().max().item()
        largest = ours.abs().max().item()
        cases.append({"frames": T, "clips": N, "difference": difference, "largest": largest})
    return cases


def agrees(case: dict[str, float]) -> bool:
    """Whether a case of `parity` is within `TOLERANCE`; NaN is not."""
    return case["difference"] <= TOLERANCE * max(1.0, case["largest"])
