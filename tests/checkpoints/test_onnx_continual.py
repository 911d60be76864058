"""A continual step in onnxruntime, which keeps its state outside, against the engine's."""

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from helpers import three_stages
from small_streams import PICTURE, checkpoint_of, people

from stgcn_lightning.checkpoints.onnx import agrees
from stgcn_lightning.checkpoints.onnx_continual import (
    continual_step,
    state_names,
    step_parity,
    step_to_onnx,
)
from stgcn_lightning.engine.continual import Continual
from stgcn_lightning.errors import BadInput
from stgcn_lightning.jobs.exporting import export
from stgcn_lightning.launching.composing import composed
from stgcn_lightning.models import registry
from stgcn_lightning.predictor import load
from stgcn_lightning.settings.compose import settings_of

CARD = {"clip_frames": 10, "persons": 2}
SCALED = "(x - w/2) / (w/2) and (y - h/2) / (h/2), picture of w x h pixels; the score as it is"
WORDS = {  # what the plain program below does
    "joint": {
        "0 not found": "joints that were not found are no input of this model; a person who is not "
        "seen in a frame: 0 for everything; all this before 1. Key points without scores: 1 for "
        "the score of what was found",
        "1 normalise": SCALED,
        "2 stream": "the joints",
    },
    "bone_motion": {
        "0 not found": "joints that were not found: the coordinates at which they were found last, "
        "0 if never, and 0 for the score; a person who is not seen in a frame: 0 for everything; "
        "all this before 1. Key points without scores: 1 for the score of what was found",
        "1 normalise": SCALED,
        "2 stream": "each joint minus its bone parent (skeleton.bone_parents), and of these the "
        "next frame minus this one; the score is the mean of the two. So nothing is given with a "
        "person's first frame, and with each later one the motion from the frame before; age "
        "counts what was given",
    },
}


def small(family):
    torch.manual_seed(0)
    with three_stages():
        model = registry.build(family, torch.rand(3, 5, 5) / 5, 3, base_channels=8)
    with torch.no_grad():
        model(torch.randn(4, 2, 20, 5, 3))
        model.classify.weight.normal_()
    return model.eval()


@pytest.mark.parametrize("family", ["stgcn", "stgcnpp"])
def test_a_step_is_that_of_the_engine_for_people_of_all_ages(family):
    model = small(family)
    step = continual_step(model, CARD)
    frames, network = torch.randn(30, 3, 5, 3), Continual(model, 10)
    state, born = step.initial(3), torch.tensor([0, 4, 9])
    for time in range(30):
        for _ in range(int((born == time).sum())):
            network.arrive()
        means = network.step(frames[time, : len(network.born)])
        before = (time - born).clamp(min=0)
        logits, state = step(frames[time], before, state)
        there = (time >= born).float()
        state = [part * there.view(-1, *[1] * (part.ndim - 1)) for part in state]
        for row, ready in enumerate(network.ready):
            if ready:
                clip = torch.cat([means[row][None, None], step.absent], 1)
                torch.testing.assert_close(logits[row], model.classify(clip)[0], rtol=0, atol=1e-5)
    assert all(network.ready)


@pytest.mark.slow
def test_onnxruntime_agrees_and_another_weight_is_noticed():
    model = small("stgcnpp")
    step = continual_step(model, CARD)
    content = step_to_onnx(step)
    assert b".py" not in content
    cases = step_parity(model, step, content)
    assert [case["persons"] for case in cases] == [1, 3]
    assert all(case["difference"] <= 1e-5 for case in cases)
    assert all(case["largest"] > 0.01 for case in cases)
    with torch.no_grad():
        model.stages[2].residual.project.bias += 0.1
    assert not any(agrees(case) for case in step_parity(model, step, content))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stream", "missing"), [("joint", "error"), ("bone_motion", "interpolate")]
)
def test_a_plain_program_gets_our_scores_by_doing_what_the_sidecar_says(
    stream, missing, tmp_path, monkeypatch, shallow
):
    monkeypatch.chdir(tmp_path)
    own = {"benchmark": "mine", "held_out_subjects": None, "missing": missing}
    file = checkpoint_of(tmp_path, stream, **own)
    overrides = [f"checkpoint={file}", "format=onnx_continual", "out=step.onnx", "run_dir=run"]
    export(settings_of("export", composed("export", *overrides)))
    about = json.loads(Path("step.json").read_text())
    assert all(agrees(case) for case in about["parity"]["cases"])
    assert "below 12" in about["warm_up"]
    session = onnxruntime.InferenceSession("step.onnx", providers=["CPUExecutionProvider"])
    state = [np.zeros([1, *shape[1:]], np.float32) for shape in about["state"]["shapes"]]
    predictor, (body,) = load(file), people()
    live = predictor.stream(continual=True, img_shape=PICTURE)
    assert about["prepare"] == WORDS[stream]
    if missing == "interpolate":
        body[20:25, 3], body[8:11, 7, :2], body[:2, 9] = np.nan, -1, 0
    body[30:32] = 0  # not seen
    half = np.array([PICTURE[1] / 2, PICTURE[0] / 2], np.float32)
    age, before, found = 0, None, np.zeros((17, 2), np.float32)
    for frame in body:
        live.push(frame)
        prepared = frame.copy()
        for joint, (x, y, _) in enumerate(frame):
            if missing == "interpolate" and frame.any():  # 0 not found
                if np.isnan(x) or (x, y) in ((0, 0), (-1, -1)):
                    prepared[joint] = [*found[joint], 0]
                found[joint] = prepared[joint, :2]
        prepared[:, :2] = (prepared[:, :2] - half) / half  # 1 normalise
        if stream == "bone_motion":  # 2 stream
            parents = about["skeleton"]["bone_parents"]
            bones = prepared - prepared[parents]
            bones[:, 2] = (prepared[:, 2] + prepared[parents, 2]) / 2
            if before is None:
                before = bones
                continue
            prepared = bones - before
            prepared[:, 2] = (before[:, 2] + bones[:, 2]) / 2
            before = bones
        given = dict(zip(about["state"]["inputs"], state, strict=True))
        given |= {"frame": prepared[None].astype(np.float32), "age": np.array([age])}
        logits, *state = session.run(None, given)
        age += 1
    scores = np.exp(logits[0]) / np.exp(logits[0]).sum()
    np.testing.assert_allclose(live.answers[0].scores, scores, atol=1e-5)


def test_a_family_without_a_continual_form_is_not_exported():
    class Mine(type(small("stgcn"))):
        pass

    mine = Mine(torch.ones(1, 5, 5), 4, base_channels=4).eval()
    with pytest.raises(BadInput, match=r"Mine has no continual form.*export .* format=onnx$"):
        continual_step(mine, CARD)
    assert state_names(continual_step(small("stgcn"), CARD))[0][0] == "state_0"
