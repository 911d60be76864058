"""Lightning's trainers, with the callbacks of the settings."""

import os
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager

import lightning
from lightning.pytorch.callbacks import Callback, Checkpoint, LearningRateMonitor
from lightning.pytorch.loggers import Logger

import stgcn_lightning.jobs.announcements  # noqa: F401 - it takes effect when it is imported
from stgcn_lightning import ranks
from stgcn_lightning.callbacks.bars import Bars
from stgcn_lightning.callbacks.checkpoint_files import CheckpointFiles
from stgcn_lightning.callbacks.ddp import DDP
from stgcn_lightning.callbacks.speed import Speed
from stgcn_lightning.errors import BadInput
from stgcn_lightning.jobs.description import epochs_of
from stgcn_lightning.settings.doors import Common, TrainSettings
from stgcn_lightning.settings.objects import Object
from stgcn_lightning.settings.trainer import Trainer
from stgcn_lightning.terminal import console

FAST = {"limit_train_batches": 2, "limit_val_batches": 2, "limit_test_batches": 2}


def build_trainer(
    settings: TrainSettings, batches: int, loggers: Sequence[Logger] = ()
) -> lightning.Trainer:
    """The trainer for epochs of so many batches of a rank, with the callbacks of the settings."""
    fast, together = settings.debug == "fast", settings.recipe.accumulate
    every = 1 if fast else settings.trainer.log_every_n_steps
    limits = FAST if fast else {}
    if nothing_held_back(settings):
        limits = limits | {"limit_val_batches": 0}  # no loader at all is warned of
    callbacks = [one.make() for one in callbacks_of(settings).values()]
    if not loggers:  # these two write to loggers alone
        callbacks = [c for c in callbacks if not isinstance(c, LearningRateMonitor | Speed)]
    trainer = settings.trainer.make(
        **devices_of_ranks(settings.trainer),
        max_epochs=epochs_of(settings),
        accumulate_grad_batches=together,
        log_every_n_steps=min(-(-batches // together), every),
        default_root_dir=str(settings.run_dir),
        logger=list(loggers),
        callbacks=callbacks + bars(),
        plugins=[CheckpointFiles()],
        enable_progress_bar=False,  # Lightning's own
        # which would add one of its own where the settings have none
        enable_checkpointing=any(isinstance(one, Checkpoint) for one in callbacks),
        **limits,
    )
    refuse_listening(trainer)
    return trainer


def steps_of_optimiser(trainer: lightning.Trainer, batches: int) -> int:
    """Steps that the optimiser takes in an epoch of so many batches of a rank."""
    limit = trainer.limit_train_batches
    taken = int(batches * limit) if isinstance(limit, float) else min(batches, limit)
    return -(-taken // trainer.accumulate_grad_batches)


def build_tester(settings: Common) -> lightning.Trainer:
    """A trainer that logs and saves nothing."""
    trainer = settings.trainer.make(
        **devices_of_ranks(settings.trainer),
        logger=False,
        enable_checkpointing=False,
        callbacks=bars(),
        enable_progress_bar=False,  # Lightning's own
        default_root_dir=str(settings.run_dir),
        **(FAST if settings.debug == "fast" else {}),
    )
    refuse_listening(trainer)
    return trainer


def devices_of_ranks(trainer: Trainer) -> dict[str, int]:
    """The trainer's arguments for the number of ranks, if there are several.

    Raises:
        BadInput: it has no strategy for several.
    """
    if ranks.world_size() == 1:
        return {}
    if not trainer.for_several:
        raise BadInput(
            f"{ranks.world_size()} devices train together with trainer=ddp, ddp_cpu or slurm, not "
            "with this trainer"
        )
    local = ranks.local_world_size()
    return {"devices": local, "num_nodes": ranks.world_size() // local}


def refuse_listening(trainer: lightning.Trainer) -> None:
    """Refuse a strategy whose ranks would meet at a port of this machine.

    Raises:
        BadInput: with what it can be instead.
    """
    kind = type(trainer.strategy)
    if ranks.MEETING in os.environ and not issubclass(kind, DDP):
        raise BadInput(
            f"trainer.strategy is a {kind.__name__}, whose ranks would meet where any process can "
            "join them: derive it from stgcn_lightning.callbacks.ddp.DDP, or start with torchrun"
        )


def callbacks_of(settings: TrainSettings) -> dict[str, Object]:
    """The configured callbacks; with subjects held out, these select the best checkpoint.

    None is selected where no epoch is validated.

    What the validation split would have selected is kept beside it, to show the difference.

    Raises:
        BadInput: one goes by figures that are not logged.
    """
    callbacks = dict(settings.callbacks or {})
    for name, one in callbacks.items():
        monitor = str(one.get("monitor"))
        if monitor.startswith("holdout/") and not two_validations(settings):
            raise BadInput(
                f"callbacks.{name}.monitor={monitor} is logged by nothing without both "
                "data.holdout_subjects and benchmark.val_split: set "
                f"callbacks.{name}.monitor={monitor.replace('holdout/', 'val/')}"
            )
    if stop := stopping_of(settings):
        callbacks["early_stopping"] = stop
    if "best" not in callbacks:
        return callbacks
    best = callbacks["best"]
    if unvalidated(settings) and str(best.get("monitor")).startswith("val/"):
        del callbacks["best"]
    elif two_validations(settings):
        # before `last`, which saves their scores with the state
        callbacks = {"best_on_val": best.but(filename="best_on_val"), **callbacks}
        callbacks["best"] = best.but(monitor="holdout/top1")
    return callbacks


def stopping_of(settings: TrainSettings) -> Object | None:
    """What ends a run early, if anything does; with subjects held out, by these.

    Raises:
        BadInput: no epoch is validated.
    """
    stop = (settings.callbacks or {}).get("early_stopping")
    monitor = str(stop and stop.get("monitor"))
    if stop is None or not monitor.startswith(("val/", "holdout/")):
        return stop
    if why := unvalidated(settings):
        raise BadInput(
            f"callbacks.early_stopping has no {monitor} to go by, since no epoch is validated "
            f"({why}): leave it out, or hold samples out, data.holdout_subjects=0.1"
        )
    if two_validations(settings):
        return stop.but(monitor=monitor.replace("val/", "holdout/"))
    return stop


def two_validations(settings: TrainSettings) -> bool:
    """Whether subjects held out and the validation split are both validated on, apart."""
    return settings.data.holdout_subjects is not None and settings.benchmark.val_split is not None


def nothing_held_back(settings: TrainSettings) -> bool:
    """Whether all samples that a training knows of are trained on."""
    return settings.benchmark.val_split is None and settings.data.holdout_subjects is None


def unvalidated(settings: TrainSettings) -> str:
    """The setting because of which no epoch is validated; empty where some are."""
    trainer, epochs = settings.trainer, epochs_of(settings)
    if nothing_held_back(settings):
        return "benchmark.val_split=null"
    every = trainer.get("check_val_every_n_epoch", 1)
    if isinstance(every, int) and every > epochs:
        return f"trainer.check_val_every_n_epoch={every}, recipe.epochs={epochs}"
    return ""


def bars() -> list[Callback]:
    """Progress bars, on a terminal."""
    return [Bars(console)] if sys.stdout.isatty() and not console.quiet else []


@contextmanager
def passing_on_ctrl_c(trainer: lightning.Trainer) -> Generator[None]:
    """Lightning ends the process with status 1 after Ctrl-C; the doors have their own.

    Raises:
        KeyboardInterrupt: Ctrl-C has ended what was done within.
    """
    try:
        yield
    except SystemExit as end:
        if trainer.interrupted and end.code == 1:
            raise KeyboardInterrupt from None
        raise
