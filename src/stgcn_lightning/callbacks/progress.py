"""What a person sees while a network trains."""

import time
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback


class EpochLines(Callback):
    """One line per epoch: loss, accuracies, speed."""

    def __init__(self) -> None:
        self.started = 0.0
        self.seconds = 0.0
        self.clips = 0
        self.loss: Any = 0.0  # summed over clips
        self.whole = True  # this epoch was not begun by an earlier run

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock: a run that is resumed within an epoch does not start that epoch."""
        self.on_train_epoch_start(trainer, pl_module)
        self.whole = False

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        self.started, self.clips, self.loss = time.perf_counter(), 0, 0.0
        self.whole = True

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Count, and read the clock here: validation comes before the epoch's end."""
        self.clips += len(batch.labels)
        self.loss += outputs["loss"].detach() * len(batch.labels)
        self.seconds = time.perf_counter() - self.started

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the speed, and print the line."""
        speed = trainer.world_size * self.clips / self.seconds if self.clips else None
        if speed is not None:
            pl_module.log("train/clips_per_second", speed, sync_dist=True)
        if trainer.is_global_zero:
            figures = trainer.callback_metrics
            told = [] if speed is None else [f"loss {self.loss / self.clips:.4f}"]
            told += [
                f"{part} top-1 {100 * figures[f'{part}/top1']:.2f} %"
                for part in ("train", "val", "holdout")
                if f"{part}/top1" in figures
            ]
            if speed is not None:
                told.append(f"{speed:.0f} clips/s")
            rest = "" if self.whole else f" (its last {self.clips} clips)"
            print(
                f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}{rest}: {', '.join(told)}",
                flush=True,
            )
