"""What a person sees while a network trains, and what the loggers are told of its speed."""

import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import psutil
import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

WARM_UP = 5  # steps that tell nothing of the speed of the others
MEASURED = 20  # steps after which the rest of a run is foretold
LEAST_BAR = 16  # columns of a bar and what surrounds it
PER_SECOND = 4  # times that the figures beside a bar change


class Pace:
    """How long the rest of a run takes, by the steps and validations of this process so far."""

    def __init__(self, warm_up: int = WARM_UP) -> None:
        self.steps = 0  # measured ones, and their seconds and clips
        self.seconds = 0.0
        self.clips = 0
        self.validations = 0
        self.validating = 0.0
        self.warming = warm_up
        self.since = time.perf_counter()

    def start(self) -> None:
        """What comes now is measured."""
        self.since = time.perf_counter()

    def step(self, clips: int) -> None:
        """A step with so many clips on all devices is done, and the next one begins."""
        now = time.perf_counter()
        if self.warming:
            self.warming -= 1
        else:
            self.steps, self.clips = self.steps + 1, self.clips + clips
            self.seconds += now - self.since
        self.since = now

    def validated(self) -> None:
        """A validation is done, and a step begins."""
        now = time.perf_counter()
        self.validations, self.validating = self.validations + 1, self.validating + now - self.since
        self.since = now

    @property
    def speed(self) -> float | None:
        """Clips per second of training."""
        return self.clips / self.seconds if self.steps else None

    def seconds_left(self, trainer: Trainer, validations: int) -> float | None:
        """Of the whole run, with so many validations to come; these count once one is measured."""
        if not self.steps:
            return None
        steps = int(trainer.num_training_batches) * (trainer.max_epochs or 0) - trainer.global_step
        left = steps * self.seconds / self.steps
        if self.validations:
            left += validations * self.validating / self.validations
        return left


class Speed(Callback):
    """Tells the loggers clips per second, share of time waiting for data, and memory.

    The wait is the time between two steps: fetching a batch and moving it to the device.
    """

    def __init__(self) -> None:
        self.begun = self.ended = time.perf_counter()
        self.waited = 0.0
        self.clips = 0
        self.process = psutil.Process()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Measure anew: validation came before."""
        self._begin()

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """The data has come."""
        self.waited += time.perf_counter() - self.ended

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Tell, as often as the loss is."""
        self.clips += len(batch.labels)
        self.ended = time.perf_counter()
        every: int = trainer.log_every_n_steps  # pyright: ignore[reportAttributeAccessIssue]
        if every and trainer.global_step % every == 0:
            seconds = self.ended - self.begun
            figures = {
                "train/clips_per_second": trainer.world_size * self.clips / seconds,
                "train/data_wait": self.waited / seconds,
                "memory/process_gb": self.process.memory_info().rss / 1e9,
            }
            if pl_module.device.type == "cuda":
                figures["memory/gpu_gb"] = torch.cuda.memory_allocated(pl_module.device) / 1e9
                figures["memory/gpu_most_gb"] = (
                    torch.cuda.max_memory_allocated(pl_module.device) / 1e9
                )
            for logger in trainer.loggers:
                # Lightning counts steps from 0
                logger.log_metrics(figures, trainer.global_step - 1)
            self._begin()

    def _begin(self) -> None:
        self.begun = self.ended = time.perf_counter()
        self.waited, self.clips = 0.0, 0


class EpochLines(Callback):
    """One line per epoch: loss, accuracies, speed, time left; one after the first steps."""

    def __init__(self) -> None:
        self.started = 0.0
        self.seconds = 0.0
        self.clips = 0
        self.loss: Any = 0.0  # summed over clips
        self.earlier = (0, 0.0)  # clips and loss of this epoch that an earlier process saw
        self.pace = Pace()

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
        self.pace.start()

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
        self.pace.step(trainer.world_size * len(batch.labels))
        if self.pace.steps == MEASURED and not self.pace.warming and trainer.is_global_zero:
            left = self.pace.seconds_left(trainer, 0) or 0.0
            end = datetime.now() + timedelta(seconds=left)
            print(
                f"{self.pace.speed:.0f} clips/s over {MEASURED} steps: {duration(left)} to go, "
                f"until {end:%H:%M}, and the validations",
                flush=True,
            )

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Count it."""
        self.pace.validated()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print the line."""
        if not trainer.is_global_zero:
            return
        speed = trainer.world_size * self.clips / self.seconds if self.clips else None
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
        epoch, epochs = trainer.current_epoch + 1, trainer.max_epochs or 0
        left = self.pace.seconds_left(trainer, epochs - epoch)
        if left is not None and epoch < epochs:
            told.append(f"{duration(left)} to go")
        print(f"epoch {epoch}/{epochs}: {', '.join(told)}", flush=True)


class Bars(Callback):
    """Bars on a terminal, which go when they are done: of the epoch, of a validation, of a test."""

    def __init__(self, console: Console) -> None:
        self.progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[told]}", markup=False),
            console=console,
            auto_refresh=False,  # no thread beside those of the training
            expand=True,
            transient=True,
        )
        self.tasks: dict[str, TaskID] = {}
        self.pace = Pace()
        self.told = 0.0  # when the figures were last changed
        self.right: Any = 0.0  # clips of this epoch answered rightly, of `clips`
        self.clips = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show the bars: a run that is resumed within an epoch does not start that epoch."""
        self.progress.start()
        self.on_train_epoch_start(trainer, pl_module)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin anew."""
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
        """One further."""
        self.pace.step(trainer.world_size * len(batch.labels))
        self.right += outputs["top1"] * len(batch.labels)
        self.clips += len(batch.labels)
        task = self.tasks["train"]
        self.progress.update(task, completed=batch_idx + 1)
        if time.perf_counter() - self.told < 1 / PER_SECOND:
            return  # figures now and then: on a GPU reading them waits for the step
        figures = trainer.progress_bar_metrics
        told = {"steps": f"{batch_idx + 1}/{trainer.num_training_batches}"}
        told["loss"] = f"loss {float(outputs['loss']):.3f}"
        told["train"] = f"top-1 {100 * float(self.right) / self.clips:.1f} %"
        told |= {
            part: f"{part} {100 * float(figures[f'{part}/top1']):.1f} %"
            for part in ("val", "holdout")
            if f"{part}/top1" in figures
        }
        if (speed := self.pace.speed) is not None:
            told["speed"] = f"{speed:.0f} clips/s"
        validations = (trainer.max_epochs or 0) - trainer.current_epoch
        if (left := self.pace.seconds_left(trainer, validations)) is not None:
            told["left"] = f"{duration(left)} left"
        self._tell(task, told)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """A second bar."""
        self._begin("validation", "validating", sum(trainer.num_val_batches))

    def on_validation_batch_end(self, *_: Any, **__: Any) -> None:
        """One further."""
        self.progress.advance(self.tasks["validation"])
        if time.perf_counter() - self.told > 1 / PER_SECOND:
            self._tell(self.tasks["validation"], {})

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The bar goes."""
        self.progress.remove_task(self.tasks.pop("validation"))
        self.progress.refresh()
        self.pace.validated()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The bars go."""
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
        """One further."""
        clips: int = trainer.datamodule.test_clips  # pyright: ignore[reportAttributeAccessIssue]
        self.pace.step(trainer.world_size * clips * len(batch.labels))
        self.progress.update(self.tasks["test"], completed=batch_idx + 1)
        if self.pace.steps and time.perf_counter() - self.told > 1 / PER_SECOND:
            batches = sum(trainer.num_test_batches)
            left = (batches - batch_idx - 1) * self.pace.seconds / self.pace.steps
            told = {
                "steps": f"{batch_idx + 1}/{batches}",
                "speed": f"{self.pace.speed:.0f} clips/s",
            }
            self._tell(self.tasks["test"], told | {"left": f"{duration(left)} left"})

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The bar goes."""
        self.progress.stop()

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Leave the terminal as it was."""
        self.progress.stop()

    def _begin(self, name: str, title: str, total: float) -> None:
        if name in self.tasks:
            told = self.progress.tasks[0].fields["told"]
            self.progress.reset(self.tasks[name], description=title, total=total, told=told)
        else:
            self.tasks[name] = self.progress.add_task(title, total=total, told="")
        self.progress.refresh()

    def _tell(self, task: TaskID, told: Mapping[str, str]) -> None:
        self.told = time.perf_counter()
        title = next(one.description for one in self.progress.tasks if one.id == task)
        room = self.progress.console.width - len(title) - LEAST_BAR
        self.progress.update(task, told=fitting(told, room), refresh=True)


def fitting(told: Mapping[str, str], room: int) -> str:
    """As many of the figures as have room beside a bar, those dropped first that matter least."""
    shown = dict(told)
    for name in ("steps", "loss", "holdout", "speed", "val", "train", "left"):
        if len("  ".join(shown.values())) > room:
            shown.pop(name, None)
    return "  ".join(shown.values())


def duration(seconds: float) -> str:
    """E.g. 40 s, 3 min 20 s, 2 h 05 min, 1 d 3 h."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
