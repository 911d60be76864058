"""Runs with accumulated steps, balanced draws, AdamW and early stopping resume bit for bit, too."""

import re
import signal

import pytest
import torch
from interrupted_run import Run

pytestmark = pytest.mark.slow
RECIPE = [
    "recipe.optimizer=adamw", "recipe.accumulate=2", "recipe.sampling=balanced",
    "recipe.class_weights=balanced", "trainer.gradient_clip_val=0.5",
    "callbacks=[default,early_stopping]", "callbacks.early_stopping.patience=2",
    "callbacks.last.every_n_steps=1",
]  # fmt: skip
BODIES = [
    "benchmark=synthetic_3d", "recipe=strong", "recipe.flip=0.5", "recipe.drop_limb=0.5",
    "stream=k_bone_motion", "recipe.epochs=3",
]  # fmt: skip


def test_two_processes_accumulate_what_one_does(tmp_path):
    """24 samples: a whole group of 4 batches, and one of 2 that ends the epoch."""
    more = ["recipe.accumulate=4", "recipe.dropout=0", "recipe.epochs=1"]
    one = Run(tmp_path / "one", 1, None, [*more, "model.norm_group=2"])
    two = Run(tmp_path / "two", 2, None, more)
    assert set(one.end() + two.end()) == {0}, two.text()
    ours, expected = two.state(), one.state()
    assert ours["global_step"] == expected["global_step"] == 2
    for name, value in expected["state_dict"].items():
        torch.testing.assert_close(ours["state_dict"][name], value, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("ranks", "changed"),
    [(1, []), (2, []), (1, BODIES)],
    ids=["1 process", "2 processes", "bodies changed at random"],
)
def test_they_end_with_the_weights_of_the_undisturbed_run(ranks, changed, tmp_path):
    """6 batches of an epoch make 3 steps; signals arrive between the batches of a step, too."""
    more = [*RECIPE, *changed, *(["data.batch_size=2"] if ranks == 2 else [])]
    whole = Run(tmp_path / "whole", ranks, None, more)
    assert set(whole.end()) == {0}, whole.text()
    for passed, number, status in ((2, signal.SIGTERM, 143), (3, signal.SIGKILL, -9)):
        run = Run(tmp_path / "cut", ranks, ("step", passed, number), more)
        assert status in run.end(), run.text()
        saved = run.state()
        assert saved["loops"]["fit_loop"]["epoch_loop.batch_progress"]["current"]["ready"] % 2 == 0
    run = Run(tmp_path / "cut", ranks, None, more)
    assert set(run.end()) == {0}, run.text()
    ours, expected = run.state(), whole.state()
    assert ours["global_step"] == expected["global_step"]
    for name, value in expected["state_dict"].items():
        assert torch.equal(ours["state_dict"][name], value), name
    for number, state in expected["optimizer_states"][0]["state"].items():
        for name, value in state.items():
            assert torch.equal(ours["optimizer_states"][0]["state"][number][name], value), name
    (counted,) = (s for key, s in ours["callbacks"].items() if key.startswith("EarlyStopping"))
    (before,) = (s for key, s in expected["callbacks"].items() if key.startswith("EarlyStopping"))
    assert counted == before
    lines = [re.findall(r"loss [\d.]+", text) for text in (run.text(), whole.text())]
    assert lines[0][-1] == lines[1][-1]
