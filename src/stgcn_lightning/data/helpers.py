"""Processes that prepare portions of samples beside each other.

They are programs of their own and no children of `multiprocessing`, which would run a script
without ``if __name__ == "__main__"`` again, and may not be had by a process that is such a child
itself. They end when the process that started them ends, however it does.
"""

import json
import os
import pickle
import signal
import subprocess
import sys
import traceback
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from stgcn_lightning.data.portions import Portions, Prepared
from stgcn_lightning.data.spec import StoreSpec
from stgcn_lightning.errors import BadInput
from stgcn_lightning.sources.annotations import Sample

MOST = 16  # helpers: more would wait for the disk
ALONE = "free some memory, or allow one processor alone (taskset -c 0 COMMAND), which needs less"
# what a helper runs, which finds modules where this process does
PROGRAM = """
import json, sys
sys.path[:] = json.loads(sys.stdin.buffer.readline())
from stgcn_lightning.data.helpers import serve
serve()
"""
# One thread each; and glibc keeps what it has, which it would have to ask for again and again.
SURROUNDINGS = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "100000000000",
}


def cores() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Ended(BadInput):
    """A helper has ended, or cannot be started, whatever it was given."""


class Here:
    """Answers calls of `portions.Portions` in this process."""

    def __init__(self, portions: Portions) -> None:
        self.portions = portions
        self.calls: deque[tuple[str, tuple[Any, ...]]] = deque()

    def ask(self, name: str, *args: Any) -> None:
        """Call a method."""
        self.calls.append((name, args))

    def answer(self) -> Any:
        """What the first call that is not answered yet returns."""
        name, args = self.calls.popleft()
        return getattr(self.portions, name)(*args)

    def close(self) -> None:
        """Do nothing."""


class Helper:
    """Answers calls of `portions.Portions` in another process.

    Raises:
        Ended: the process cannot be started, or has ended.
    """

    def __init__(self, portions: Portions) -> None:
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-I", "-c", PROGRAM],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=os.environ | SURROUNDINGS,
                start_new_session=True,  # Ctrl-C is for this process alone
            )
        except OSError as error:
            raise Ended(
                f"a process that prepares samples cannot be started ({error.strerror}): {ALONE}"
            ) from error
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.calls, self.answers = self.process.stdin, self.process.stdout
        self._send(json.dumps(sys.path).encode() + b"\n" + pickle.dumps(portions))

    def ask(self, name: str, *args: Any) -> None:
        """Call a method."""
        self._send(pickle.dumps((name, args), pickle.HIGHEST_PROTOCOL))

    def answer(self) -> Any:
        """What the first call that is not answered yet returns.

        Raises:
            Ended: the process has ended.
            BadInput: the method refused what it was given.
            OSError: the method could not read or write a file.
            RuntimeError: the method failed otherwise; the message is its traceback.
        """
        try:
            answer: Any = pickle.load(self.answers)
        except (EOFError, OSError, pickle.UnpicklingError):
            raise self._ended() from None
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.communicate()

    def _send(self, content: bytes) -> None:
        try:
            self.calls.write(content)
            self.calls.flush()
        except OSError:
            raise self._ended() from None

    def _ended(self) -> Ended:
        status = self.process.wait()
        how = signal.Signals(-status).name if status < 0 else f"status {status}"
        return Ended(
            f"a process that prepared samples ended with {how}, as when memory runs out: {ALONE}"
        )


def serve() -> None:
    """Answer calls until no more come: what a helper does."""
    calls, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what is printed is no answer
    portions = pickle.load(calls)
    while True:
        try:
            name, args = pickle.load(calls)
        except (EOFError, pickle.UnpicklingError):  # whoever called has ended
            return
        try:
            answer = getattr(portions, name)(*args)
        except (BadInput, OSError) as error:
            answer = error
        except MemoryError:
            os._exit(1)
        except Exception:
            answer = RuntimeError(traceback.format_exc())
        try:
            pickle.dump(answer, answers, pickle.HIGHEST_PROTOCOL)
            answers.flush()
        except BrokenPipeError:
            os._exit(0)  # no one waits for it


class Crew:
    """Those who prepare portions in turn: helpers, or this process alone.

    Args:
        helpers: how many there are.
        spec: how samples are checked and normalised.
        frames: the file that frames are written to.
    """

    def __init__(self, helpers: int, spec: StoreSpec, frames: Path) -> None:
        portions = Portions(spec, frames)
        self.members: list[Here | Helper] = []
        try:
            for _ in range(helpers):
                self.members.append(Helper(portions))
            self.members = self.members or [Here(portions)]
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Crew":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the helpers."""
        for member in self.members:
            member.close()

    def faults(self, portions: Sequence[Sequence[Sample]]) -> Iterator[dict[str, str]]:
        """What is wrong with the samples of each portion, in order.

        Raises:
            BadInput: the structure of a sample is wrong, of several that of the first.
        """
        many = len(self.members)
        for number in range(len(portions) + many):
            member = self.members[number % many]
            if 0 <= number - many < len(portions):
                yield member.answer()
            if number < len(portions):
                member.ask("faults", portions[number])

    def store(self, portions: Sequence[Sequence[Sample]], empty: np.ndarray) -> Iterator[Prepared]:
        """Prepare each portion and write its frames behind those of the one before.

        Args:
            portions: good samples.
            empty: (V, C) a frame in the type that is stored; the first one in the file.

        Raises:
            BadInput: a sample is bad, cannot be normalised or not be stored.
            OSError: the file cannot be written.
        """
        many, rows, count = len(self.members), 1, sum(map(len, portions))
        firsts = np.cumsum([0, *map(len, portions)]).tolist()

        def prepare(number: int) -> None:
            if number < len(portions):
                member = self.members[number % many]
                member.ask("prepare", portions[number], firsts[number], count, empty.dtype)

        for number in range(many):
            prepare(number)
        for number in range(len(portions)):
            member = self.members[number % many]
            if number >= many:
                member.answer()  # the portion before is written
            prepared: Prepared = member.answer()
            member.ask("write", rows * empty.nbytes)
            prepare(number + many)
            rows += sum(persons * frames for persons, frames in prepared.shapes)
            yield prepared
        for member in self.members[: len(portions)]:
            member.answer()
