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
        self.earlier = (0, 0.0)  # clips and loss of this epoch that an earlier process saw

    def state_dict(self) -> dict[str, Any]:
        """Clips and summed loss of the epoch so far."""
        clips, loss = self.earlier
        return {"clips": clips + self.clips, "loss": loss + float(self.loss)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with an epoch that an earlier process began."""
        self.earlier = (state_dict["clips"], state_dict["loss"])

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock: a run that is resumed within an epoch does not start that epoch."""
        self._start()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock of a whole epoch."""
        self.earlier = (0, 0.0)
        self._start()

    def _start(self) -> None:
        self.started, self.clips, self.loss = time.perf_counter(), 0, 0.0

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
            clips, loss = self.earlier
            told = [f"loss {(loss + self.loss) / (clips + self.clips):.4f}"]
            told += [
                f"{part} top-1 {100 * figures[f'{part}/top1']:.2f} %"
                for part in ("train", "val", "holdout")
                if f"{part}/top1" in figures
            ]
            if speed is not None:
                told.append(f"{speed:.0f} clips/s")
            print(
                f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}: {', '.join(told)}",
                flush=True,
            )
