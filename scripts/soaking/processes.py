"""What processes hold, as Linux says in /proc, and what they leave in folders.

Processes of a soak carry a mark in their environment, which their children inherit: a child that
outlives its parent is found as well.
"""

import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import astuple, dataclass
from pathlib import Path

MARK = "STGCN_SOAK"
PROC, SHARED_MEMORY = Path("/proc"), Path("/dev/shm")
GONE = (FileNotFoundError, ProcessLookupError, PermissionError)  # it ended meanwhile
# what is only in a folder while something is written there: checkpoints and stores that are begun
UNFINISHED = re.compile(r".*\.(tmp|building|old|part)|next\.ckpt")
# names in shared memory that torch and multiprocessing give, some with the number of the process
SHARED = re.compile(r"(?:torch|pym)[_-](\d+)[_-].*|psm_.*|sem\..*")


@dataclass(frozen=True)
class Held:
    """What some processes hold together.

    Attributes:
        memory: bytes, without pages of files, which the system keeps for others too; what processes
            share is counted once (`Pss_Anon` and `Pss_Shmem` of smaps_rollup).
        files: open file descriptors.
        threads: of all.
        processes: how many there are.
    """

    memory: int = 0
    files: int = 0
    threads: int = 0
    processes: int = 0

    def most(self, other: "Held") -> "Held":
        """The greater of each."""
        return Held(*map(max, astuple(self), astuple(other)))


def marked(mark: str) -> list[int]:
    """Processes whose mark begins so."""
    wanted = f"\0{MARK}={mark}".encode()
    found: list[int] = []
    for folder in PROC.iterdir():
        if folder.name.isdecimal():
            with suppress(*GONE):
                if wanted in b"\0" + (folder / "environ").read_bytes():
                    found.append(int(folder.name))
    return found


def held(pids: list[int]) -> Held:
    """What these processes hold; one that has ended holds nothing."""
    memory = files = threads = processes = 0
    for folder in (PROC / str(pid) for pid in pids):
        with suppress(*GONE):
            rollup = (folder / "smaps_rollup").read_text()
            status = (folder / "status").read_text()
            opened = len(os.listdir(folder / "fd"))
            memory += 1024 * (number(rollup, "Pss_Anon") + number(rollup, "Pss_Shmem"))
            threads += number(status, "Threads")
            files, processes = files + opened, processes + 1
    return Held(memory, files, threads, processes)


def number(text: str, name: str) -> int:
    """That of a line `name: number`; a process that is ending has none."""
    found = re.search(rf"^{name}:\s+(\d+)", text, re.M)
    return int(found[1]) if found else 0


def left_over(mark: str, patience: float) -> list[str]:
    """Commands of marked processes that are still there after so many seconds."""
    until = time.monotonic() + patience
    while (pids := marked(mark)) and time.monotonic() < until:
        time.sleep(0.1)
    return [f"{pid} ({command(pid)})" for pid in pids]


def command(pid: int) -> str:
    """The beginning of a process's command line."""
    with suppress(*GONE):
        return (PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode()[:80].strip()
    return "ended"


def end(mark: str, patience: float = 10) -> None:
    """Kill marked processes, and those that they begin meanwhile, until all are gone."""
    until = time.monotonic() + patience
    while (pids := marked(mark)) and time.monotonic() < until:
        for pid in pids:
            with suppress(*GONE):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.1)


def entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    """All files and folders below a folder; what vanishes meanwhile is left out."""
    with suppress(FileNotFoundError), os.scandir(folder) as found:
        for entry in found:
            yield entry
            if entry.is_dir(follow_symlinks=False):
                yield from entries(Path(entry.path))


def contents(folder: Path) -> tuple[int, int]:
    """Number of files and folders below a folder, and bytes of the files."""
    count = size = 0
    for entry in entries(folder):
        count += 1
        with suppress(FileNotFoundError):
            stat = entry.stat(follow_symlinks=False)
            size += stat.st_size if entry.is_file(follow_symlinks=False) else 0
    return count, size


def unfinished(folder: Path) -> list[str]:
    """Files and folders that a writer left: each should be gone when its run is resumed."""
    found = [Path(entry.path) for entry in entries(folder) if UNFINISHED.fullmatch(entry.name)]
    return sorted(str(path.relative_to(folder)) for path in found)


def shared_memory(since: float) -> int:
    """What torch and multiprocessing left in shared memory since then; the living's is not left."""
    count = 0
    for entry in entries(SHARED_MEMORY):
        name = SHARED.fullmatch(entry.name)
        if name is None or (name[1] and (PROC / name[1]).exists()):
            continue
        with suppress(FileNotFoundError):
            stat = entry.stat(follow_symlinks=False)
            count += stat.st_uid == os.getuid() and stat.st_mtime > since
    return count
