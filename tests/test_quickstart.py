"""The embedded data set is learned from motion, on people who were never seen in training."""

import numpy as np
import pytest
from forked import succeed

EXPERIMENT = ["experiment=quickstart", "trainer=cpu"]


def top1(path):
    with np.load(path) as file:
        return (file["scores"].argmax(1) == file["labels"]).mean()


@pytest.mark.slow
def test_quickstart_learns_motion(tmp_path):
    for stream in ("joint", "bone"):
        succeed(tmp_path, "train", *EXPERIMENT, f"stream={stream}", "test_after=true",
            f"hydra.run.dir={stream}")  # fmt: skip
    succeed(tmp_path, "fuse", "streams={joint: joint/scores.npz, bone: bone/scores.npz}",
        "preset=two_stream", "scores=fused.npz")  # fmt: skip
    assert top1(tmp_path / "fused.npz") >= 0.9

    succeed(tmp_path, "test", *EXPERIMENT, "checkpoint=joint/checkpoints/best.ckpt",
        "data.frame_order=shuffled", "scores=shuffled.npz")  # fmt: skip
    assert top1(tmp_path / "shuffled.npz") <= 0.6


@pytest.mark.slow
def test_single_frames_do_not_tell_the_actions_apart(tmp_path):
    succeed(tmp_path, "train", *EXPERIMENT, "data.frame_order=single", "test_after=true",
        "hydra.run.dir=single")  # fmt: skip
    assert top1(tmp_path / "single" / "scores.npz") <= 0.5
