"""What is refused, or said, before a training that could not end as its settings promise."""

import pytest
from helpers import three_stages

from stgcn_lightning.errors import BadInput
from stgcn_lightning.jobs.training import refuse_nothing_to_test, train
from stgcn_lightning.launching.composing import composed
from stgcn_lightning.settings.compose import settings_of


def settings(folder, *overrides):
    return settings_of("train", composed("train", f"run_dir={folder}/run", *overrides))


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["callbacks.best=null", "callbacks.last=null"], "no checkpoint to test"),
        (["callbacks=[]"], "no checkpoint to test"),
        (["callbacks.best.filename='{epoch}'"], "tests best.ckpt, not callbacks.best.filename="),
    ],
)
def test_a_test_that_would_find_no_checkpoint_is_refused_before_the_training(
    tmp_path, overrides, said
):
    with pytest.raises(BadInput, match=said):
        refuse_nothing_to_test(settings(tmp_path, "test_after=true", *overrides))
    refuse_nothing_to_test(settings(tmp_path, *overrides))
    refuse_nothing_to_test(settings(tmp_path, "test_after=true", "callbacks.best=null"))


@pytest.mark.parametrize("key", ["callbacks.best.dirpath", "callbacks.last.folder"])
def test_checkpoints_lie_in_the_folder_of_their_run(tmp_path, key):
    with pytest.raises(BadInput, match=rf"{key}={tmp_path} .*: hydra\.run\.dir=FOLDER"):
        settings(tmp_path, f"{key}={tmp_path}")
    settings(tmp_path, f"{key}={tmp_path}/run/others")


def test_a_batch_that_an_epoch_does_not_fill_is_said(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tiny = [
        "trainer=cpu", "benchmark.synthetic.train_samples=12", "benchmark.synthetic.val_samples=4",
        "model.base_channels=4", "data.clip_frames=8", "recipe.epochs=1",
        "recipe.train_passes_per_epoch=1",
    ]  # fmt: skip
    said = "at most the 12 clips of an epoch, and lr is meant for 100: data.batch_size=12 fits"
    with three_stages():
        train(settings(tmp_path, *tiny, "data.batch_size=100"))
        assert said in capsys.readouterr().out
        train(settings(tmp_path / "full", *tiny, "data.batch_size=12"))
        assert "a step has at most" not in capsys.readouterr().out
