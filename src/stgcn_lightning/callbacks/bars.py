"""Progress bars on a terminal."""

import time
from collections.abc import Mapping
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from rich.console import Console
from rich.progress import TaskID

from stgcn_lightning.callbacks.pace import Pace
from stgcn_lightning.terminal import duration, figures_bar

LEAST_BAR = 16  # columns of a terminal that remain for a bar and the space around it
PER_SECOND = 4  # how often the figures beside a bar change


class Bars(Callback):
    """Bars of the epoch, of a validation and of a test; each is removed when it is done."""

    def __init__(self, console: Console) -> None:
        self.progress = figures_bar(console)
        self.tasks: dict[str, TaskID] = {}
        self.pace = Pace()
        self.changed = 0.0  # when the figures beside a bar were
        self.right: Any = 0.0  # clips of this epoch that were answered correctly
        self.clips = 0  # of this epoch

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show the bars; Lightning does not call the next hook if it resumes within an epoch."""
        self.progress.start()
        self.on_train_epoch_start(trainer, pl_module)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin the bar of the epoch."""
        epoch = f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}"
        self._begin("train", epoch, trainer.num_training_batches)
        self.right, self.clips = 0.0, 0
        self.pace.start()

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Advance the bar, and change the figures if it is time."""
        self.pace.step(trainer.world_size * len(batch.labels))
        self.right += outputs["top1"] * len(batch.labels)
        self.clips += len(batch.labels)
        task = self.tasks["train"]
        self.progress.update(task, completed=batch_idx + 1)
        if time.perf_counter() - self.changed < 1 / PER_SECOND:
            return  # not each time: reading a figure of a GPU waits for the step
        metrics = trainer.progress_bar_metrics
        figures = {"steps": f"{batch_idx + 1}/{trainer.num_training_batches}"}
        figures["loss"] = f"loss {float(outputs['batch_loss']):.3f}"
        figures["train"] = f"top-1 {100 * float(self.right) / self.clips:.1f} %"
        figures |= {
            part: f"{part} {100 * float(metrics[f'{part}/top1']):.1f} %"
            for part in ("val", "holdout")
            if f"{part}/top1" in metrics
        }
        if (speed := self.pace.speed) is not None:
            figures["speed"] = f"{speed:.0f} clips/s"
        validations = (trainer.max_epochs or 0) - trainer.current_epoch
        if (left := self.pace.seconds_left(trainer, validations)) is not None:
            figures["left"] = f"{duration(left)} left"
        self._show(task, figures)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin a second bar."""
        self._begin("validation", "validating", sum(trainer.num_val_batches))

    def on_validation_batch_end(self, *_: Any, **__: Any) -> None:
        """Advance the bar, and change the figures if it is time."""
        self.progress.advance(self.tasks["validation"])
        if time.perf_counter() - self.changed > 1 / PER_SECOND:
            self._show(self.tasks["validation"], {})

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Remove the bar."""
        self.progress.remove_task(self.tasks.pop("validation"))
        self.progress.refresh()
        self.pace.validated()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Remove the bars."""
        self.progress.stop()

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show a bar."""
        self.progress.start()
        self._begin("test", "testing", sum(trainer.num_test_batches))
        self.pace = Pace(warm_up=1)

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Advance the bar, and change the figures if it is time."""
        clips: int = trainer.datamodule.test_clips  # pyright: ignore[reportAttributeAccessIssue]
        self.pace.step(trainer.world_size * clips * len(batch.labels))
        self.progress.update(self.tasks["test"], completed=batch_idx + 1)
        if self.pace.steps and time.perf_counter() - self.changed > 1 / PER_SECOND:
            batches = sum(trainer.num_test_batches)
            left = (batches - batch_idx - 1) * self.pace.seconds / self.pace.steps
            figures = {
                "steps": f"{batch_idx + 1}/{batches}",
                "speed": f"{self.pace.speed:.0f} clips/s",
                "left": f"{duration(left)} left",
            }
            self._show(self.tasks["test"], figures)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Remove the bar."""
        self.progress.stop()

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Leave the terminal as it was."""
        self.progress.stop()

    def _begin(self, name: str, title: str, total: float) -> None:
        if name in self.tasks:
            figures = self.progress.tasks[0].fields["figures"]
            self.progress.reset(self.tasks[name], description=title, total=total, figures=figures)
        else:
            self.tasks[name] = self.progress.add_task(title, total=total, figures="")
        self.progress.refresh()

    def _show(self, task: TaskID, figures: Mapping[str, str]) -> None:
        self.changed = time.perf_counter()
        title = next(one.description for one in self.progress.tasks if one.id == task)
        room = self.progress.console.width - len(title) - LEAST_BAR
        self.progress.update(task, figures=fitting(figures, room), refresh=True)


def fitting(figures: Mapping[str, str], room: int) -> str:
    """The figures that have room beside a bar; those that matter least are left out first.

    Args:
        figures: name -> text.
        room: columns of the terminal.
    """
    shown = dict(figures)
    for name in ("steps", "loss", "holdout", "speed", "val", "train", "left"):
        if len("  ".join(shown.values())) > room:
            shown.pop(name, None)
    return "  ".join(shown.values())
