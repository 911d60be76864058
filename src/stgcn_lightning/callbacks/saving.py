"""When the state of a run is saved, and what is added to Lightning's checkpoint.

docs/interruptions.md describes what a user sees of it. The files are in `last_checkpoint.py`, the
signals in `stopping.py`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint, ModelCheckpoint
from torch import Tensor

from stgcn_lightning.callbacks.last_checkpoint import LAST, NEXT, make_last
from stgcn_lightning.callbacks.lightning_private import (
    epoch_sums,
    follow_best,
    group_timeout,
    place_of,
)
from stgcn_lightning.callbacks.stopping import StopSignals
from stgcn_lightning.distributed import gathered, group_on_cpus, running_statistics
from stgcn_lightning.errors import BadInput
from stgcn_lightning.terminal import say


class Checkpoints(Checkpoint):
    """Keeps the state of a run: every few steps, after every epoch, and when a signal ends it.

    The last step of an epoch, its validation and the epoch's end are one unit: the state is saved
    before and after the unit, never within. Nor is it between batches whose gradients make one
    step.

    Args:
        folder: for `last.ckpt` and, named by their steps, the checkpoints before it.
        every_n_steps: training steps between two checkpoints.
        keep: how many checkpoints remain, the last among them.

    Raises:
        BadInput: `every_n_steps` or `keep` is no whole number of at least 1.
    """

    def __init__(self, folder: str, every_n_steps: int, keep: int):
        for key, value in (("every_n_steps", every_n_steps), ("keep", keep)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise BadInput(f"callbacks.last.{key}={value} must be a whole number of at least 1")
        self.folder, self.every_n_steps, self.keep = Path(folder), every_n_steps, keep
        self.saved: int | None = None  # step of last.ckpt
        self.loaded: list[dict[str, Any]] = []  # per rank, of the checkpoint resumed from
        self.within = False  # that checkpoint lies within an epoch
        self.unsummed: Mapping[str, tuple[Tensor, Tensor]] = {}  # value and clips by metric
        self.group: Any = None  # process group on CPUs
        self.signals = StopSignals()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Restore the generators and statistics of this rank, and handle signals from now on."""
        if trainer.world_size > 1:
            # with the timeout of training: a lost rank is noticed here as soon as in a step
            self.group = group_on_cpus(group_timeout(trainer.strategy))
        if len(self.loaded) == trainer.world_size:
            self._restore(self.loaded[trainer.global_rank], pl_module)
        elif self.loaded:  # after an epoch: the weights are loaded with the ranks' mean statistics
            torch.manual_seed(torch.initial_seed() + trainer.global_step)
        if self.loaded and Path(str(trainer.ckpt_path)).name == LAST:
            self.saved = trainer.global_step
        self.loaded = []
        self.signals.listen(trainer, self.group)

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Save if it is due, and before the unit that ends the epoch; leave after a signal."""
        self._resume_sums(trainer)
        together = trainer.accumulate_grad_batches
        if (batch_idx + 1) % together:  # the step is not taken, or is the epoch's last
            return
        left = int(trainer.num_training_batches) - batch_idx - 1
        stop = self.signals.received_by_any(trainer)
        due = trainer.global_step % self.every_n_steps == 0
        if left and (stop or due or left <= together):
            self._save(trainer)
        if stop:
            self.signals.leave(trainer, stop, self.saved or 0)

    def on_validation_batch_end(self, trainer: Trainer, *_: Any, **__: Any) -> None:
        """Leave after a signal: the state before the epoch's last step is saved."""
        if stop := self.signals.received_by_any(trainer):
            self.signals.leave(trainer, stop, self.saved or 0)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save, after the best checkpoint, whose score is saved too; leave after a signal."""
        self._save(trainer)
        if stop := self.signals.received_by_any(trainer):
            self.signals.leave(trainer, stop, self.saved or 0)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Stop handling signals."""
        self.signals.stop_listening()

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Add `ranks`: of each rank the statistics, the generators and the sums of the epoch."""
        state: dict[str, Any] = {
            "buffers": {name: one.cpu() for name, one in running_statistics(pl_module).items()},
            "generator": torch.get_rng_state(),
            "sums": {
                name: (result.value.cpu(), torch.as_tensor(result.cumulated_batch_size).cpu())
                for name, result in epoch_sums(trainer).items()
            },
        }
        if pl_module.device.type == "cuda":
            state["gpu_generator"] = torch.cuda.get_rng_state(pl_module.device)
        checkpoint["ranks"] = gathered(state, self.group)

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Remember `ranks` until training starts, when everything else is restored.

        Raises:
            BadInput: other processes than these have begun the epoch that the run goes on in.
        """
        self.loaded, self.within = checkpoint.get("ranks", []), place_of(checkpoint)[1] > 0
        if len(self.loaded) not in (0, trainer.world_size) and self.within:
            raise BadInput(
                f"the epoch was begun by {len(self.loaded)} processes, not {trainer.world_size}: "
                f"go on with as many, trainer.devices={len(self.loaded)}, to its end"
            )
        for callback in trainer.checkpoint_callbacks:
            if isinstance(callback, ModelCheckpoint):
                stays = follow_best(callback, checkpoint)
                if stays and trainer.is_global_zero:
                    say(f"the best checkpoint is found anew: that of before stays {stays}")

    def _restore(self, state: dict[str, Any], pl_module: LightningModule) -> None:
        for name, buffer in running_statistics(pl_module).items():
            buffer.copy_(state["buffers"][name])
        torch.set_rng_state(state["generator"])
        if pl_module.device.type == "cuda" and "gpu_generator" in state:
            torch.cuda.set_rng_state(state["gpu_generator"], pl_module.device)
        if self.within:  # else these are the sums of an epoch that is done
            self.unsummed = state["sums"]

    def _resume_sums(self, trainer: Trainer) -> None:
        """Add the steps of this epoch that an earlier process took to the epoch's means."""
        for name, (value, clips) in self.unsummed.items():
            if (result := epoch_sums(trainer).get(name)) is not None:
                result.value += value.to(result.value.device)
                result.cumulated_batch_size += clips.to(result.value.device)
        self.unsummed = {}

    def _save(self, trainer: Trainer) -> None:
        for logger in trainer.loggers:  # rows from before the checkpoint are never lost
            logger.save()
        trainer.save_checkpoint(self.folder / NEXT)
        if trainer.is_global_zero:
            make_last(self.folder, trainer.global_step, self.saved, self.keep)
        self.saved = trainer.global_step
