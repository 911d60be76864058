"""What `tests/doors/test_reproduce_door.py` does not show: a reproduction by several ranks."""

import json

import forked
import pytest

SMALL = [
    "trainer=ddp_cpu",
    "benchmark.synthetic.train_samples=20",
    "benchmark.synthetic.val_samples=11",
    "model.base_channels=4",
    "data.clip_frames=8",
    "data.test_clips=2",
    "data.batch_size=8",
    "recipe.epochs=1",
    "recipe.train_passes_per_epoch=1",
    "trainer.log_every_n_steps=1",
    "hydra.run.dir=run",
]


@pytest.mark.slow
def test_ranks_reproduce_together(tmp_path):
    done = forked.run(tmp_path, "reproduce", *SMALL)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout.count("table: run/reproduction.md") == 1
    facts = json.loads((tmp_path / "run" / "reproduction.json").read_text())
    assert facts["samples"] == 11
    figures, others = (
        json.loads((tmp_path / "run" / ".hydra" / "ranks" / f"rank_{rank}.json").read_text())
        for rank in (0, 1)
    )
    assert figures["result"] == others["result"], "both ranks know the same"
