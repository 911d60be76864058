"""How a signal ends a run: after a step, on all ranks at the same one (docs/interruptions.md)."""

import os
import signal
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

import torch
from lightning import Trainer
from torch import Tensor, distributed

from stgcn_lightning.callbacks.lightning_private import (
    ask_no_rank_for_sigterm,
    handlers_before_lightning,
)
from stgcn_lightning.terminal import say

STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2)
ONE_PRESS = 1.0  # seconds: within them a second SIGINT is the same Ctrl-C, sent by a launcher


class StopSignals:
    """The signals that end a run, received by this rank or by another."""

    def __init__(self) -> None:
        self.received: signal.Signals | None = None  # by this rank
        self.pressed = 0.0  # when Ctrl-C was
        self.before: dict[signal.Signals, Any] = {}  # handlers to be put back
        self.group: Any = None  # process group on CPUs, through which the ranks ask each other
        self.question: tuple[Tensor, Any] | None = None  # the answer, and the work to wait for

    def listen(self, trainer: Trainer, group: Any) -> None:
        """Handle signals from now on; `group` is a process group on CPUs if there are ranks."""
        self.group = group
        if trainer.world_size > 1:
            ask_no_rank_for_sigterm(trainer)
        if trainer.received_sigterm:  # while Lightning's handlers were set, but not yet these
            self.received = signal.SIGTERM
        # not Lightning's handlers: they save within a step, or exit without saving
        handlers = handlers_before_lightning(trainer)
        self.before = {number: handlers[number] for number in STOPPING}
        for number in STOPPING:
            signal.signal(number, self._receive)

    def stop_listening(self) -> None:
        """Put the earlier handlers back."""
        for number, handler in self.before.items():
            signal.signal(number, handler)
        self.before = {}

    def received_by_any(self, trainer: Trainer) -> signal.Signals | None:
        """The signal that any rank received, at the same step on all of them.

        Each rank must call this at the same places. An answer is read at the next call, one step
        later, so that no rank waits for the slowest.
        """
        if trainer.world_size == 1:
            return self.received
        stop = None
        if self.question is not None:
            answer, work = self.question
            work.wait()
            stop = signal.Signals(number) if (number := int(answer)) else None
        answer = torch.tensor(self.received or 0)
        most = distributed.ReduceOp.MAX
        work = distributed.all_reduce(answer, most, group=self.group, async_op=True)
        self.question = answer, work
        return stop

    def leave(self, trainer: Trainer, received: signal.Signals, saved_step: int) -> None:
        """End the process, with the status that belongs to the signal.

        Raises:
            KeyboardInterrupt: after Ctrl-C.
            SystemExit: after another signal, with 128 plus its number.
        """
        if self.question is not None:
            self.question[1].wait()
            self.question = None
        if trainer.is_global_zero:
            say(
                f"{received.name}: the run is saved up to step {saved_step}; resume=auto goes "
                "on from there"
            )
        handler: Callable[..., Any] | int | None = self.before.get(received)
        if callable(handler) and received != signal.SIGINT:
            handler(received, None)  # e.g. submitit's, which queues the job again
        if received == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + received)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        """Remember the signal until the step is done; a second Ctrl-C ends at once."""
        now = time.monotonic()
        if number == signal.SIGINT:
            if self.pressed and now - self.pressed > ONE_PRESS:
                os._exit(130)  # no file is damaged: they are renamed when they are complete
            self.pressed = self.pressed or now
        self.received = self.received or signal.Signals(number)
