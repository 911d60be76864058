"""Processes that read many inputs each, under limits of memory and time, and are replaced."""

import faulthandler
import math
import mmap
import multiprocessing
import os
import resource
import shutil
import signal
import struct
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from readers import Reader, input_of
from seeds import Seed
from watched import CLEAN, OTHER, SENTENCE, Auditor, no_warnings, outcome, tracing

MEMORY = 1 << 30  # bytes of address space besides those of the imports
SECONDS = 10.0  # of a processor for one input, since others may be at work
WAITING = 6  # so many times as long it may wait
POLL = 0.2
SPELL = 30.0  # seconds after which a process is replaced, and what it read is kept
TRACED = 100  # of so many inputs one is traced, which makes it slow
LARGEST_FILE = 1 << 28  # bytes that may be written to a file
HANGS = "hangs:"
SHOWN = 400  # letters of what was said
KEPT = 30  # files of one kind of fault
# number, when it began, clean, sentences, other, slowest, peak, seconds of a processor
BOARD = struct.Struct("<qdqqqdqd")


class SeedRefused(Exception):  # noqa: N818 - it says what happened
    """No file is taken that a reader should take as it is: the campaign would try nothing."""


@dataclass
class Tally:
    """What became of the inputs of one reader.

    Attributes:
        reader: its name.
        seed: of the generator.
        next: number of the first input that was not read yet.
        clean, sentences, other: how many ended so.
        slowest: seconds of a processor that the slowest input took.
        peak: bytes by which the memory grew at most.
        seconds: of a processor, all inputs together with their making.
        lines: module -> lines that were reached.
        findings: of other outcomes, what was said and which input it was.
    """

    reader: str
    seed: int
    next: int = 0
    clean: int = 0
    sentences: int = 0
    other: int = 0
    slowest: float = 0.0
    peak: int = 0
    seconds: float = 0.0
    lines: dict[str, set[int]] = field(default_factory=dict)
    findings: list[dict[str, Any]] = field(default_factory=list)

    @property
    def inputs(self) -> int:
        """How many were read."""
        return self.clean + self.sentences + self.other


class Board:
    """Numbers that a worker writes and its parent reads, also of a worker that is dead."""

    def __init__(self) -> None:
        self.memory = mmap.mmap(-1, BOARD.size)

    def write(self, *values: float) -> None:
        """Put them all there."""
        self.memory[:] = BOARD.pack(*values)  # `pack_into` writes zeros first, which may be read

    def read(self) -> tuple[Any, ...]:
        """All of them."""
        return BOARD.unpack_from(self.memory)


def campaign(
    name: str,
    reader: Reader,
    tally: Tally,
    *,
    inputs: int | None = None,
    seconds: float | None = None,
    out: Path | None = None,
    per_input: float = SECONDS,
    say: Callable[[str], object] = print,
    keep: Callable[[Tally], object] = lambda tally: None,
) -> Tally:
    """Read inputs until there are so many, or so many seconds are over; `tally` is added to.

    Args:
        name: of the reader.
        reader: that reads them.
        tally: of what was read before; its seed makes the inputs.
        inputs: how many there are in the end.
        seconds: how long it takes at most.
        out: folder that gets the inputs of other outcomes.
        per_input: seconds of a processor after which an input counts as hanging.
        say: is told of each kind of other outcome once.
        keep: gets the tally whenever a process has ended, so that a campaign may be interrupted.

    Raises:
        SeedRefused: no seed is a clean result, or one ends otherwise.
    """
    seeds = reader.seeds()
    known: dict[str, int] = {}
    scratch = Path(tempfile.mkdtemp(dir="/dev/shm" if os.path.isdir("/dev/shm") else None))

    def note(number: int, said: str) -> None:
        kind = kind_of(said)
        known[kind] = known.get(kind, 0) + 1
        if known[kind] == 1:
            say(f"{name} {number}: {said[:SHOWN]}")
        if known[kind] <= KEPT:
            tally.findings.append({"number": number, "said": said[:SHOWN]})
        if out is not None and known[kind] <= 3:
            kept, there = out / f"{name}-{tally.seed}-{number}", scratch / str(number)
            if there.exists():  # left by a process that was ended
                shutil.copytree(there, kept, dirs_exist_ok=True)
            elif not said.startswith(HANGS):
                save(input_of(seeds, name, tally.seed, number), kept)

    last, left = inputs or 2**62, seconds or math.inf
    try:
        while tally.next < last and left > 0:
            spell = min(left, SPELL)
            left -= _one_worker(name, reader, seeds, tally, last, spell, scratch, per_input, note)
            keep(tally)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return tally


def kind_of(said: str) -> str:
    """What two other outcomes of one cause have in common."""
    where = said.rpartition("(")[2] if said.endswith(")") else ""
    return said.partition(":")[0] + where


def save(seed: Seed, folder: Path) -> None:
    """Write the files of an input."""
    for name, content in seed.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def _one_worker(
    name: str, reader: Reader, seeds: list[Seed], tally: Tally, last: int, seconds: float,
    scratch: Path, per_input: float, note: Callable[[int, str], object],
) -> float:  # fmt: skip
    """Let a process read inputs until it is done, or one of them ends it; the seconds it read."""
    context = multiprocessing.get_context("fork")  # what was imported is there at once
    ours, theirs = context.Pipe(duplex=False)
    board = Board()
    board.write(tally.next, 0.0, 0, 0, 0, 0.0, 0, 0.0)
    work = (name, reader, seeds, tally.seed, tally.next, last, seconds, scratch, board, theirs)
    process = context.Process(target=_work, args=work, daemon=True)
    process.start()
    theirs.close()
    hung, seed_refused, begun = False, "", time.monotonic()
    number, waited, spent = -1, 0.0, 0.0
    try:
        while True:
            messages = ours.poll(POLL)
            before, (number, since, *_, busy) = number, board.read()
            waited = waited + POLL if number == before and _waits(process.pid) else 0.0
            if messages:
                try:
                    kind, *rest = ours.recv()
                except EOFError:
                    break
                if kind == "other":
                    note(*rest)
                elif kind == "lines":
                    for module, lines in rest[0].items():
                        tally.lines.setdefault(module, set()).update(lines)
                elif kind == "begins":
                    begun, (spent,) = time.monotonic(), rest
                else:
                    seed_refused = rest[0]
            elif since and (
                _busy(process.pid) - spent - busy > per_input or waited > WAITING * per_input
            ):
                hung = True
                process.kill()
        process.join()
    finally:
        if process.is_alive():
            process.kill()
            process.join()
        ours.close()
    if seed_refused:
        raise SeedRefused(f"{name}: {seed_refused}")
    number, since, clean, sentences, other, slowest, peak, busy = board.read()
    tally.seconds += busy
    tally.clean, tally.sentences, tally.other = (
        tally.clean + clean, tally.sentences + sentences, tally.other + other,
    )  # fmt: skip
    tally.slowest, tally.peak, tally.next = (
        max(tally.slowest, slowest),
        max(tally.peak, peak),
        number,
    )
    if process.exitcode:
        tally.other, tally.next = tally.other + 1, number + 1
        if hung:
            tally.slowest = max(tally.slowest, per_input)
        ended = signal.Signals(-process.exitcode).name if process.exitcode < 0 else process.exitcode
        note(number, f"{HANGS} {per_input:g} s" if hung else f"ends the process: {ended}")
    return time.monotonic() - begun


def _stat(pid: int | None) -> list[str]:
    """What the system says of a process, from its state on; nothing of one that has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _waits(pid: int | None) -> bool:
    """Whether a process waits for something else than a processor."""
    return _stat(pid)[:1] in (["S"], ["D"])


def _busy(pid: int | None) -> float:
    """Seconds of a processor that a process has had."""
    ticks = map(int, _stat(pid)[11:13])  # of the user, and of the system
    return sum(ticks) / os.sysconf("SC_CLK_TCK")


def _work(
    name: str, reader: Reader, seeds: list[Seed], seed: int, first: int, last: int, seconds: float,
    scratch: Path, board: Board, pipe: Connection,
) -> None:  # fmt: skip
    """What a worker does; it ends with status 0 when it is done."""
    faulthandler.disable()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libraries in C write there
    os.chdir(scratch)
    auditor = Auditor(scratch)
    reached: dict[str, set[int]] = {}
    with no_warnings():
        ways, said = set[str](), ""
        for number, begun in enumerate(seeds):  # also imports what is imported when it is needed
            with tracing(reader.modules, reached):
                ended, said = _read(reader, begun, scratch / f"seed{number}", auditor)
            ways.add(ended)
            if ended == OTHER:
                pipe.send(("seed", f"seed {number}: {said}"))
                os._exit(0)
        if CLEAN not in ways:
            pipe.send(("seed", f"not one of {len(seeds)} seeds is taken: {said}"))
            os._exit(0)
        pipe.send(("lines", reached))
        spent = time.process_time()
        pipe.send(("begins", spent))
        until = time.monotonic() + seconds
        auditor.install()
        _limit()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        counts = {CLEAN: 0, SENTENCE: 0, OTHER: 0}
        slowest, new, number = 0.0, dict[str, set[int]](), first

        def tell(since: float) -> None:
            busy = time.process_time() - spent
            board.write(number, since, *counts.values(), slowest, _grown(before), busy)

        told = time.monotonic()
        while number < last and time.monotonic() < until:
            tell(time.monotonic())  # also making an input must end
            made = input_of(seeds, name, seed, number)
            start = time.process_time()
            if number % TRACED == 0:
                with tracing(reader.modules, new):
                    ended, said = _read(reader, made, scratch / str(number), auditor)
            else:
                ended, said = _read(reader, made, scratch / str(number), auditor)
                slowest = max(slowest, time.process_time() - start)
            counts[ended] += 1
            number += 1
            tell(0.0)
            if ended == OTHER:
                pipe.send(("other", number - 1, said))
            if time.monotonic() - told > 2:
                pipe.send(("lines", new))
                new, told = {}, time.monotonic()
        pipe.send(("lines", new))
    os._exit(0)


def _read(reader: Reader, made: Seed, folder: Path, auditor: Auditor) -> tuple[str, str]:
    """How an input ended, which is in a folder of its own: readers keep the last file of a name."""
    folder.mkdir()
    try:
        save(made, folder)
    except (OSError, ValueError):  # no name that a file may have
        shutil.rmtree(folder, ignore_errors=True)
        return CLEAN, ""
    try:
        return outcome(reader.read, folder / made.opened, auditor)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _grown(before: int) -> int:
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10


def _limit() -> None:
    """Let this process have little more memory than it has, and write no large files."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE, LARGEST_FILE))
