"""What building a store takes, said before it begins, and how it goes, on a terminal."""

import sys
import time
from pathlib import Path
from types import TracebackType

from stgcn_lightning.data.building import Plan, Watch
from stgcn_lightning.terminal import console, counted, duration, figures_bar, shown, size

PER_SECOND = 4  # how often the figures beside the bar change
NOTABLE = 1 << 26  # bytes to read or to write from which more than a moment passes


class StoreProgress(Watch):
    """Says and shows it; the bar is removed when it is done.

    Args:
        annotations: which the store is built of.
        always: say it of small stores as well.
    """

    def __init__(self, annotations: Path, *, always: bool) -> None:
        self.annotations, self.always, self.said = annotations, always, False
        self.bar = figures_bar(console, disable=not sys.stdout.isatty() or console.quiet)
        self.task = self.bar.add_task("reading", total=None, figures="")
        self.done, self.total, self.since, self.changed = 0, 0, 0.0, 0.0

    def __enter__(self) -> "StoreProgress":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.bar.stop()

    def remark(self, line: str) -> None:
        """Print a line."""
        console.print(line)

    def seen(self, done: int, total: int) -> None:
        """Show how many bytes of the annotations have been looked at."""
        if not self.total:
            self._start("reading", total)
        self.done = done
        speed = self.done / 1e6 / max(time.perf_counter() - self.since, 1e-9)
        self._show(f"{done / 1e6:,.0f}/{total / 1e6:,.0f} MB", f"{speed:,.0f} MB/s")

    def begin(self, plan: Plan) -> None:
        """Say what it takes, once."""
        notable = self.always or max(plan.read, plan.stored) >= NOTABLE
        if notable and not self.said:
            console.print(
                f"building the store of {shown(self.annotations)}: "
                f"{counted(plan.samples, 'sample', 'samples')}, {size(plan.read)} to read, at most "
                f"{size(plan.stored)} to write, about {size(plan.memory)} of memory in "
                f"{counted(plan.processes, 'process', 'processes')}"
            )
        self.said = True
        self._start("storing", plan.samples)

    def stored(self, samples: int) -> None:
        """Show how many samples are stored."""
        self.done += samples
        speed = self.done / max(time.perf_counter() - self.since, 1e-9)
        self._show(f"{self.done:,}/{self.total:,}", f"{speed:,.0f} samples/s")

    def _start(self, title: str, total: int) -> None:
        self.done, self.total, self.since = 0, total, time.perf_counter()
        self.bar.start()
        self.bar.reset(self.task, description=title, total=total, figures="")

    def _show(self, *figures: str) -> None:
        now = time.perf_counter()
        if now - self.changed < 1 / PER_SECOND:
            return
        self.changed = now
        left = (now - self.since) * (self.total - self.done) / max(self.done, 1)
        texts = [*figures, f"{duration(left)} left"]
        self.bar.update(self.task, completed=self.done, figures="  ".join(texts), refresh=True)
