"""Printed lines: how the epochs went, and how long the rest takes."""

import time
from datetime import datetime, timedelta
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from stgcn_lightning.callbacks.pace import Pace
from stgcn_lightning.terminal import duration, say

MEASURED = 20  # steps after which the remaining time is printed


class EpochLines(Callback):
    """Prints a line per epoch: loss, accuracies, speed, time left; and one after the first steps.

    Its state is stored in checkpoints under the name of the class: another name would lose it.
    """

    def __init__(self) -> None:
        self.started = 0.0
        self.seconds = 0.0
        self.clips = 0
        self.loss: Any = 0.0  # summed over the clips of this epoch
        self.earlier = (0, 0.0)  # clips and loss of this epoch in an earlier process
        self.validated = False  # in this epoch: Lightning remembers the figures of earlier ones
        self.pace = Pace()

    def state_dict(self) -> dict[str, Any]:
        """Clips of the epoch so far, and their summed loss."""
        clips, loss = self.earlier
        return {"clips": clips + self.clips, "loss": loss + float(self.loss)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with the epoch that an earlier process began."""
        self.earlier = (state_dict["clips"], state_dict["loss"])

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock: a run that is resumed within an epoch does not start that epoch."""
        self._start()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock of a whole epoch."""
        self.earlier, self.validated = (0, 0.0), False
        self._start()

    def _start(self) -> None:
        self.started, self.clips, self.loss = time.perf_counter(), 0, 0.0
        self.pace.start()

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Count, and read the clock: validation comes before the epoch's end."""
        self.clips += len(batch.labels)
        self.loss += outputs["batch_loss"] * len(batch.labels)
        self.seconds = time.perf_counter() - self.started
        self.pace.step(trainer.world_size * len(batch.labels))
        if self.pace.steps == MEASURED and not self.pace.warming and trainer.is_global_zero:
            left = self.pace.seconds_left(trainer, 0) or 0.0
            end = datetime.now() + timedelta(seconds=left)
            say(
                f"{self.pace.speed:.0f} clips/s over {MEASURED} steps: {duration(left)} to go, "
                f"until {end:%H:%M}, and the validations"
            )

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Measure the validation."""
        self.validated = True
        self.pace.validated()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print the line of the epoch."""
        figures = trainer.callback_metrics  # on every rank: their means are exchanged here
        if not trainer.is_global_zero:
            return
        speed = trainer.world_size * self.clips / self.seconds if self.clips else None
        clips, loss = self.earlier
        parts = [f"loss {(loss + self.loss) / (clips + self.clips):.4f}"]
        parts += [
            f"{split} top-1 {100 * figures[f'{split}/top1']:.2f} %"
            for split in ("train", "val", "holdout")[: 3 if self.validated else 1]
            if f"{split}/top1" in figures
        ]
        if speed is not None:
            parts.append(f"{speed:.0f} clips/s")
        epoch, epochs = trainer.current_epoch + 1, trainer.max_epochs or 0
        left = self.pace.seconds_left(trainer, epochs - epoch)
        if left is not None and epoch < epochs:
            parts.append(f"{duration(left)} to go")
        say(f"epoch {epoch}/{epochs}: {', '.join(parts)}")
