"""Runs of a few samples, and what a refused one looks like."""

TINY = [
    "trainer=cpu",
    "benchmark.synthetic.train_samples=40",
    "benchmark.synthetic.val_samples=20",
    "model.base_channels=4",
    "data.clip_frames=12",
    "data.test_clips=2",
    "recipe.epochs=2",
    "recipe.train_passes_per_epoch=1",
]


def refused(result, *parts):
    """The door ended with status 2 and one sentence that holds all `parts`."""
    status, _, err = result
    assert status == 2, err
    assert len(err.strip().splitlines()) == 1, err
    for part in parts:
        assert part in err


RAW = ["benchmark=ntu60_xsub_3d", "raw=raw"]
