"""How fast a run goes, and how long the rest of it takes."""

import time

from lightning import Trainer

WARM_UP = 5  # steps that are slower than the others, and not measured


class Pace:
    """Speed and remaining time, by the steps and validations that this process has measured.

    Attributes:
        steps: number of batches measured, each of them a step unless they are accumulated.
        seconds: of these batches, in sum.
        clips: in these batches, on all devices.
        validations: number of validations measured.
        validating: seconds of these validations, in sum.
        warming: steps that are still to be left out.
    """

    def __init__(self, warm_up: int = WARM_UP) -> None:
        self.steps = 0
        self.seconds = 0.0
        self.clips = 0
        self.validations = 0
        self.validating = 0.0
        self.warming = warm_up
        self.since = time.perf_counter()

    def start(self) -> None:
        """A step begins now."""
        self.since = time.perf_counter()

    def step(self, clips: int) -> None:
        """A step is done, with this number of clips on all devices, and the next one begins."""
        now = time.perf_counter()
        if self.warming:
            self.warming -= 1
        else:
            self.steps, self.clips = self.steps + 1, self.clips + clips
            self.seconds += now - self.since
        self.since = now

    def validated(self) -> None:
        """A validation, which began when the last step was done, is done, and a step begins."""
        now = time.perf_counter()
        self.validations, self.validating = self.validations + 1, self.validating + now - self.since
        self.since = now

    @property
    def speed(self) -> float | None:
        """Clips per second of training; None before a step is measured."""
        return self.clips / self.seconds if self.steps else None

    def seconds_left(self, trainer: Trainer, validations: int) -> float | None:
        """Seconds to the end of the run; None before a step is measured.

        Args:
            trainer: knows how many steps are done and how many there are.
            validations: number still to come; they count once one is measured.
        """
        if not self.steps:
            return None
        batches = int(trainer.num_training_batches)
        of_epoch = -(-batches // trainer.accumulate_grad_batches)  # steps of the optimizer
        steps = of_epoch * (trainer.max_epochs or 0) - trainer.global_step
        left = steps * batches / of_epoch * self.seconds / self.steps
        if self.validations:
            left += validations * self.validating / self.validations
        return left
