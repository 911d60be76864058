"""What is kept of a run, and when; how a signal ends it (docs/interruptions.md)."""

import io
import os
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch.callbacks import Checkpoint
from torch import Tensor, distributed

from stgcn_lightning.distributed import gathered, running_statistics
from stgcn_lightning.errors import BadInput
from stgcn_lightning.files.writing import sync_folder, write_atomically

LAST = "last.ckpt"
NEXT = "next.ckpt"  # whole, and about to become the last
EARLIER = "step_*.ckpt"  # what was the last once
STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2)
ONE_PRESS = 1.0  # seconds: a Ctrl-C that comes twice, from the terminal and from a launcher


class CheckpointFiles(TorchCheckpointIO):
    """Checkpoints that are only ever seen complete.

    Lightning's own way writes to a temporary folder, maybe on another disk, and copies.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: Any = None
    ) -> None:
        """Write aside, in the same folder, then rename.

        Raises:
            BadInput: the disk is full, or the folder cannot be written to.
        """
        # in memory first: torch's own writer hides why a disk refuses
        content = io.BytesIO()
        torch.save(checkpoint, content)
        path = Path(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadInput(
                f"cannot write {path}: {error.strerror}; choose another folder, hydra.run.dir=NEW"
            ) from error
        with write_atomically(path) as file:
            file.write(content.getbuffer())


class Checkpoints(Checkpoint):
    """Keeps the state of a run: every few steps, after every epoch, and when a signal ends it.

    The last step of an epoch, its validation and the epoch's end are one unit: the state is kept
    before and after it, never within.

    Args:
        folder: for `last.ckpt` and, named by their steps, the checkpoints before it.
        every_n_steps: of training, between two checkpoints.
        keep: how many, the last among them.
    """

    def __init__(self, folder: str, every_n_steps: int, keep: int):
        for key, value in (("every_n_steps", every_n_steps), ("keep", keep)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise BadInput(f"callbacks.last.{key}={value} must be a whole number of at least 1")
        self.folder, self.every_n_steps, self.keep = Path(folder), every_n_steps, keep
        self.saved: int | None = None  # step of last.ckpt
        self.loaded: list[dict[str, Any]] = []  # what each rank had, of the checkpoint resumed from
        self.unsummed: Mapping[str, tuple[Tensor, Tensor]] = {}
        self.received: signal.Signals | None = None
        self.pressed = 0.0
        self.before: dict[signal.Signals, Any] = {}
        self.ranks: Any = None  # a process group of CPUs
        self.asked: tuple[Tensor, Any] | None = None  # the ranks, whether one got a signal

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take up the generators and statistics of this rank, and listen to signals."""
        if trainer.world_size > 1:
            # one that is cut off is noticed here as soon as in a step
            timeout = getattr(trainer.strategy, "_timeout", None)
            self.ranks = distributed.new_group(backend="gloo", timeout=timeout)
            # Ours asks the ranks without making the GPU wait, and never within a signal handler.
            trainer.fit_loop.epoch_loop._broadcast_sigterm_tensor = lambda: None
        if self.loaded:
            self._restore(self.loaded[trainer.global_rank], pl_module)
            self.loaded = []
            if Path(str(trainer.ckpt_path)).name == LAST:
                self.saved = trainer.global_step
        if trainer.received_sigterm:  # between Lightning's handlers and ours
            self.received = signal.SIGTERM
        self._listen(trainer)

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Save now and then, and before the unit that ends the epoch; leave after a signal."""
        self._resume_sums(trainer)
        left = int(trainer.num_training_batches) - batch_idx - 1
        stop = self._told_to_stop(trainer)
        due = trainer.global_step % self.every_n_steps == 0
        if left and (stop or due or left == 1):
            self._save(trainer)
        if stop:
            self._leave(trainer, stop)

    def on_validation_batch_end(self, trainer: Trainer, *_: Any, **__: Any) -> None:
        """Leave after a signal: the state of before the epoch's last step is saved."""
        if stop := self._told_to_stop(trainer):
            self._leave(trainer, stop)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save, after the best checkpoint was, whose score belongs to the state; leave if told."""
        self._save(trainer)
        if stop := self._told_to_stop(trainer):
            self._leave(trainer, stop)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Listen no more."""
        for number, handler in self.before.items():
            signal.signal(number, handler)
        self.before = {}

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Add what differs between ranks, and what Lightning forgets."""
        ours: dict[str, Any] = {
            "buffers": {name: one.cpu() for name, one in running_statistics(pl_module).items()},
            "generator": torch.get_rng_state(),
            "sums": {
                name: (result.value.cpu(), torch.as_tensor(result.cumulated_batch_size).cpu())
                for name, result in sums(trainer).items()
            },
        }
        if pl_module.device.type == "cuda":
            ours["gpu_generator"] = torch.cuda.get_rng_state(pl_module.device)
        checkpoint["ranks"] = gathered(ours, self.ranks)

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Keep it until everything else is in place."""
        self.loaded = checkpoint.get("ranks", [])
        if self.loaded and len(self.loaded) != trainer.world_size:
            raise BadInput(
                f"the run was trained by {len(self.loaded)} processes, not {trainer.world_size}: "
                f"a run that is resumed keeps them, trainer.devices={len(self.loaded)}"
            )

    def _restore(self, ours: dict[str, Any], pl_module: LightningModule) -> None:
        for name, buffer in running_statistics(pl_module).items():
            buffer.copy_(ours["buffers"][name])
        torch.set_rng_state(ours["generator"])
        if pl_module.device.type == "cuda" and "gpu_generator" in ours:
            torch.cuda.set_rng_state(ours["gpu_generator"], pl_module.device)
        self.unsummed = ours["sums"]

    def _resume_sums(self, trainer: Trainer) -> None:
        """Add the steps of this epoch that an earlier process took to its means."""
        for name, (value, clips) in self.unsummed.items():
            if (result := sums(trainer).get(name)) is not None:
                result.value += value.to(result.value.device)
                result.cumulated_batch_size += clips.to(result.value.device)
        self.unsummed = {}

    def _save(self, trainer: Trainer) -> None:
        for logger in trainer.loggers:  # rows of before the checkpoint are never lost
            logger.save()
        last, coming = self.folder / LAST, self.folder / NEXT
        trainer.save_checkpoint(coming)
        if trainer.is_global_zero:
            if self.saved is not None and last.exists() and self.keep > 1:
                last.replace(self.folder / EARLIER.replace("*", f"{self.saved:09}"))
            coming.replace(last)
            sync_folder(self.folder)
            now = self.folder / EARLIER.replace("*", f"{trainer.global_step:09}")
            earlier = sorted(self.folder.glob(EARLIER))
            # those of an earlier run that went further, too: resume=FILE goes back
            kept = (
                [path for path in earlier if path < now][-self.keep + 1 :] if self.keep > 1 else []
            )
            for old in earlier:
                if old not in kept:
                    old.unlink()
        self.saved = trainer.global_step

    def _listen(self, trainer: Trainer) -> None:
        # what was there before Lightning: its handlers save within a step, or exit without saving
        theirs: dict[Any, Any] = trainer._signal_connector._original_handlers
        self.before = {number: theirs[number] for number in STOPPING}
        for number in STOPPING:
            signal.signal(number, self._hear)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        """Remember the signal until the step is done; a second Ctrl-C ends at once."""
        now = time.monotonic()
        if number == signal.SIGINT:
            if self.pressed and now - self.pressed > ONE_PRESS:
                os._exit(130)  # files are written aside: none is harmed
            self.pressed = self.pressed or now
        self.received = self.received or signal.Signals(number)

    def _told_to_stop(self, trainer: Trainer) -> signal.Signals | None:
        """The signal that any rank got, at the same step on all of them.

        The answer to a question is awaited one step later, so that nobody waits for the slowest.
        """
        if trainer.world_size == 1:
            return self.received
        stop = None
        if self.asked is not None:
            flag, answer = self.asked
            answer.wait()
            stop = signal.Signals(number) if (number := int(flag)) else None
        flag = torch.tensor(self.received or 0)
        most = distributed.ReduceOp.MAX
        answer = distributed.all_reduce(flag, most, group=self.ranks, async_op=True)
        self.asked = flag, answer
        return stop

    def _leave(self, trainer: Trainer, received: signal.Signals) -> None:
        if self.asked is not None:
            self.asked[1].wait()
            self.asked = None
        if trainer.is_global_zero:
            print(
                f"{received.name}: the run is saved up to step {self.saved or 0}; resume=auto goes "
                "on from there",
                flush=True,
            )
        handler: Callable[..., Any] | int | None = self.before.get(received)
        if callable(handler) and received != signal.SIGINT:
            handler(received, None)  # e.g. submitit's, which queues the job again
        if received == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + received)


def sums(trainer: Trainer) -> dict[str, Any]:
    """What Lightning averages over the epoch, and does not save."""
    results = trainer.fit_loop.epoch_loop._results
    return {name: one for name, one in results.items() if one.meta.on_epoch and one.is_tensor}
