"""Files of other projects at the front doors."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from small_runs import TINY, refused

from stgcn_lightning.checkpoints.names import to_reference
from stgcn_lightning.evaluation.scores import Scores, read_scores, write_scores
from stgcn_lightning.models.stgcn import STGCN

IDS = np.array(["a", "b", "c"])
VALUES = np.array([[0.75, 0.25], [0.375, 0.625], [0.125, 0.875]], np.float32)


@pytest.fixture
def ours(door):
    """`ours.npz` in the working folder."""
    meta = {"benchmark": "toy", "split": "val"}
    write_scores("ours.npz", Scores(IDS, np.array([0, 1, 1]), VALUES, np.array(["x", "y"]), meta))


def write(name, content):
    Path(name).write_bytes(pickle.dumps(content))


def test_scores_of_other_projects_are_fused_with_ours(door, ours):
    write("pyskl.pkl", list(VALUES[:, ::-1]))
    write("ctrgcn.pkl", {IDS[i]: VALUES[i] for i in (2, 0, 1)})
    streams = "streams={p: pyskl.pkl, c: ctrgcn.pkl, o: ours.npz}"
    status, out, err = door("fuse", streams, "weights={p: 1, c: 2, o: 1}", "scores=fused.npz")
    assert status == 0, err
    assert "p: pyskl.pkl has no names and labels of samples: taken from o, by their order" in out
    assert "c: ctrgcn.pkl has no labels: taken from o, by id" in out
    fused = read_scores("fused.npz")
    assert fused.ids.tolist() == IDS.tolist()
    np.testing.assert_allclose(fused.scores, (3 * VALUES + VALUES[:, ::-1]) / 4)
    assert fused.hits.all()


def test_scores_replace_nothing_but_scores(door, ours):
    write("ann.pkl", {"split": {}, "annotations": []})
    write("theirs.pkl", {IDS[i]: VALUES[i] for i in range(3)})
    np.savez("points.npz", a=VALUES)
    for name in ("ann.pkl", "theirs.pkl", "points.npz"):
        before = Path(name).read_bytes()
        said = f"scores={name} exists and holds something else than scores: choose another name"
        refused(door("fuse", "streams={o: ours.npz}", f"scores={name}"), said)
        assert Path(name).read_bytes() == before
    for name in ("f.npz", "f.npz", "f.pkl", "f.pkl"):  # the second time over the first
        status, _, err = door("fuse", "streams={o: ours.npz}", f"scores={name}")
        assert status == 0, err


def test_scores_without_labels_alone_say_what_to_add(door, ours):
    write("a.pkl", list(VALUES))
    write("b.pkl", list(VALUES))
    streams = "streams={a: a.pkl, b: b.pkl}"
    refused(
        door("fuse", streams),
        "none of a.pkl, b.pkl says the true classes: add annotations=FILE split=NAME, or a file",
    )
    points = np.zeros((1, 2, 17, 2), np.float32)
    records = [
        {"frame_dir": name, "label": label, "keypoint": points}
        for name, label in zip(["z", *IDS], [1, 0, 1, 1], strict=True)
    ]
    write("ann.pkl", {"split": {"train": ["z"], "val": IDS.tolist()}, "annotations": records})
    refused(door("fuse", streams, "split=val"), "split=val is one of annotations: add annotations")
    refused(door("fuse", streams, "annotations=ann.pkl"), "split was tested: split=train, val")
    refused(door("fuse", streams, "annotations=ann.pkl", "split=vall"), "did you mean val?")
    refused(door("fuse", streams, "annotations=ann.pkl", "split=train"), "give scores of one split")
    status, out, err = door("fuse", streams, "annotations=ann.pkl", "split=val", "scores=f.npz")
    assert status == 0, err
    assert "a: a.pkl has no names and labels of samples: taken from the annotations, by" in out
    assert read_scores("f.npz").hits.all()
    assert read_scores("f.npz").ids.tolist() == IDS.tolist()


def test_a_checkpoint_in_half_precision_or_of_a_run_is_tested(door):
    run = ["recipe.epochs=1", "hydra.run.dir=run"]
    status, _, err = door("train", *TINY, *run)
    assert status == 0, err
    status, out, err = door("test", *TINY, "checkpoint=run", "scores=whole.npz")
    assert status == 0, err
    assert "run is a folder: its best.ckpt is taken" in out
    content = torch.load("run/checkpoints/best.ckpt", weights_only=True)["state_dict"]
    ours = {name.removeprefix("model."): value for name, value in content.items()}
    half = {name: value.half() for name, value in to_reference(STGCN, ours).items()}
    torch.save({"model": half}, "half.pth")
    status, out, err = door("test", *TINY, "checkpoint=half.pth", "scores=half.npz")
    assert status == 0, err
    assert "half.pth holds weights in float16: they are computed in float32" in out
    whole, rounded = read_scores("whole.npz"), read_scores("half.npz")
    np.testing.assert_allclose(rounded.scores, whole.scores, atol=5e-3)
    status, out, err = door(
        "train", *TINY, "checkpoint=run", "recipe.epochs=1", "hydra.run.dir=next"
    )
    assert status == 0, err
    assert "run: 181 tensors loaded, skipped: none" in out
    assert "was trained with" not in out
    other = ["checkpoint=run", "recipe.epochs=1", "hydra.run.dir=bone", "stream=bone"]
    status, out, err = door("train", *TINY, *other)
    assert status == 0, err
    assert "run was trained with stream joint, this run has bone" in out
    sidecar = ["format=mmaction2", "out=mm.pth", "hydra.run.dir=e"]
    status, _, err = door("export", "checkpoint=run", *sidecar)
    assert status == 0, err
    refused(
        door("test", *TINY, "checkpoint=mm.pth", "stream=bone"),
        "mm.pth was trained with stream joint, not bone: set stream=joint",
    )
    Path("mm.json").unlink()
    status, out, err = door("test", *TINY, "checkpoint=mm.pth", "stream=bone")
    assert status == 0, err
    assert "mm.pth does not say what it was trained on: taken are stream bone, 2d key" in out
