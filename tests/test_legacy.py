"""Checkpoints that version 0.1.0 wrote (tests/legacy) are still tested, resumed and exported."""

from pathlib import Path

import numpy as np
import pytest
import torch
from forked import succeed

from stgcn_lightning.evaluation.scores import read_scores
from stgcn_lightning.files.archives import read_checkpoint

LEGACY = Path(__file__).parent / "legacy"
FINISHED = LEGACY / "version_0_1_0_finished.ckpt"
SETTINGS = [
    "experiment=quickstart",
    "trainer=cpu",
    "model.base_channels=2",
    "benchmark.synthetic.train_samples=24",
    "benchmark.synthetic.val_samples=12",
    "data.clip_frames=24",
    "data.batch_size=8",
    "data.test_clips=3",
]

pytestmark = pytest.mark.slow


def test_they_are_tested_with_the_same_scores(tmp_path):
    succeed(tmp_path, "test", *SETTINGS, f"checkpoint={FINISHED}", "scores=scores.npz")
    ours, before = (
        read_scores(path) for path in (tmp_path / "scores.npz", LEGACY / "version_0_1_0_scores.npz")
    )
    assert ours.ids is not None
    assert before.ids is not None
    assert ours.ids.tolist() == before.ids.tolist()
    np.testing.assert_array_equal(ours.labels, before.labels)
    np.testing.assert_allclose(ours.scores, before.scores, atol=1e-6)  # another order of sums


def test_a_run_that_was_stopped_within_an_epoch_goes_on(tmp_path):
    out = succeed(
        tmp_path, "train", *SETTINGS, "recipe.epochs=2", "recipe.train_passes_per_epoch=1",
        f"resume={LEGACY / 'version_0_1_0_within_epoch.ckpt'}", "hydra.run.dir=run",
    )  # fmt: skip
    assert "resuming from" in out
    ours = read_checkpoint(tmp_path / "run" / "checkpoints" / "last.ckpt")
    before = read_checkpoint(FINISHED)
    assert ours["global_step"] == before["global_step"] == 6
    state = {name: value for name, value in before["state_dict"].items() if name[:5] == "model"}
    assert state.keys() == {name for name in ours["state_dict"] if name[:5] == "model"}
    for name, value in state.items():
        torch.testing.assert_close(ours["state_dict"][name], value, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["onnx", "safetensors", "mmaction2"])
def test_they_are_exported(tmp_path, name):
    out = succeed(tmp_path, "export", f"checkpoint={FINISHED}", f"format={name}")
    assert name in out
