"""The private names of Lightning: each is there and still does what it is used for."""

import inspect
import signal
from datetime import timedelta

import lightning
import pytest
import torch
from lightning.pytorch.demos.boring_classes import BoringModel
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.loops.training_epoch_loop import _TrainingEpochLoop
from lightning.pytorch.strategies import DDPStrategy

from stgcn_lightning.callbacks import lightning_private as private


class Logging(BoringModel):
    """Logs a mean over the epoch: the number of the batch, of 3 clips each."""

    def training_step(self, batch, batch_idx):
        self.log("index", float(batch_idx), on_epoch=True, batch_size=3)
        return self.step(batch)


class Look(lightning.Callback):
    """Calls a function with the trainer after the second of four steps."""

    def __init__(self, look):
        self.look, self.seen = look, None

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if batch_idx == 1:
            self.seen = self.look(trainer)


def quiet_trainer(**settings):
    return lightning.Trainer(
        accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, barebones=False, **settings,
    )  # fmt: skip


def fit(look):
    """The trainer of a tiny run, and what `look` returned within it."""
    callback = Look(look)
    trainer = quiet_trainer(
        max_epochs=1, limit_train_batches=4, limit_val_batches=0, callbacks=[callback]
    )
    trainer.fit(Logging())
    return trainer, callback.seen


def test_the_means_of_an_epoch_are_sums_over_clips():
    def look(trainer):
        (result,) = private.epoch_sums(trainer).values()
        return float(result.value), int(result.cumulated_batch_size)

    assert fit(look)[1] == (0 * 3 + 1 * 3, 6)


def test_sums_that_are_changed_change_the_mean():
    def look(trainer):
        (result,) = private.epoch_sums(trainer).values()
        result.value += 10.0
        result.cumulated_batch_size += torch.tensor(3)

    trainer, _ = fit(look)
    # 0 + 1 + 2 + 3 of 3 clips each, and 10 of 3 clips more
    assert float(trainer.callback_metrics["index_epoch"]) == pytest.approx((18 + 10) / 15)


def test_the_handlers_before_lightnings_are_known_in_training():
    def mine(number, frame):
        raise AssertionError

    before = signal.signal(signal.SIGTERM, mine)
    try:
        _, seen = fit(lambda trainer: dict(private.handlers_before_lightning(trainer)))
    finally:
        signal.signal(signal.SIGTERM, before)
    assert seen[signal.SIGTERM] is mine
    assert {signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2} <= set(seen)


def test_lightnings_question_for_sigterm_is_asked_by_the_name_that_is_switched_off():
    assert "self._broadcast_sigterm_tensor()" in inspect.getsource(_TrainingEpochLoop.advance)
    loop = quiet_trainer().fit_loop.epoch_loop
    assert "broadcast" in loop._broadcast_sigterm_tensor.__code__.co_names
    private.ask_no_rank_for_sigterm(loop.trainer)
    assert loop._broadcast_sigterm_tensor() is None
    assert not loop._broadcast_sigterm_tensor.__code__.co_names


def test_the_timeout_of_ddp_is_known_and_other_strategies_have_none():
    strategy = DDPStrategy(timeout=timedelta(seconds=77), process_group_backend="gloo")
    assert private.group_timeout(quiet_trainer(devices=2, strategy=strategy).strategy) == timedelta(
        seconds=77
    )
    assert private.group_timeout(quiet_trainer().strategy) is None


def test_a_checkpoint_says_where_its_run_goes_on(tmp_path):
    def look(trainer):
        trainer.save_checkpoint(tmp_path / "within.ckpt")

    trainer, _ = fit(look)
    trainer.save_checkpoint(tmp_path / "end.ckpt")
    for name, place in (("within", (0, 2)), ("end", (1, 0))):
        checkpoint = torch.load(tmp_path / f"{name}.ckpt", weights_only=True)
        assert private.place_of(checkpoint) == place


def test_a_csv_logger_goes_on_with_the_columns_of_a_file(tmp_path):
    logger = CSVLogger(tmp_path, name="", version="")
    writer = logger.experiment
    (tmp_path / "metrics.csv").write_text("a,b,step\n1,2,0\n")
    private.continue_columns(writer, ["a", "b", "step"])
    logger.log_metrics({"a": 3.0}, step=1)
    logger.save()
    assert (tmp_path / "metrics.csv").read_text().splitlines() == ["a,b,step", "1,2,0", "3.0,,1"]


def test_a_name_that_vanished_is_one_readable_sentence():
    class Newer:
        fit_loop = epoch_loop = property(lambda self: self)

    for use in (
        private.ask_no_rank_for_sigterm,
        private.handlers_before_lightning,
        private.epoch_sums,
        lambda newer: private.continue_columns(newer, []),
    ):
        with pytest.raises(RuntimeError, match=r"Lightning \d.* has no Newer\.\w+ any more: "):
            use(Newer())
