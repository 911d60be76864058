"""Doors in processes of their own, forked from a server that has imported everything.

A process that `python -m` starts imports PyTorch and Lightning for seconds; these start in a tenth
of one. Where the start itself is tested, tests start real ones.
"""

import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import NamedTuple

import torch

import stgcn_lightning.jobs.exporting
import stgcn_lightning.jobs.fusing
import stgcn_lightning.jobs.reproducing
import stgcn_lightning.jobs.testing
import stgcn_lightning.jobs.training  # noqa: F401 - the fork server has imported them
from stgcn_lightning.jobs.folders import hold
from stgcn_lightning.launching.doors import open_door

# Python 3.11's fork server does not take over `sys.path`, and would silently import nothing
HERE = str(Path(__file__).parent)
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [HERE, os.environ.get("PYTHONPATH")]))
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["forked"])


class Ended(NamedTuple):
    """How a door ended."""

    returncode: int | None
    stdout: str
    stderr: str


def run(folder: Path, door: str, *arguments: object, kill_after: float | None = None) -> Ended:
    """Open a door in `folder`, and kill it after so many seconds if it is still at work."""
    texts = [folder / f"{door}.{stream}" for stream in ("stdout", "stderr")]
    process = CONTEXT.Process(target=_open, args=(folder, door, list(map(str, arguments)), texts))
    process.start()
    process.join(kill_after)
    if process.is_alive():
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
    out, err = (text.read_text() if text.exists() else "" for text in texts)
    return Ended(process.exitcode, out, err)


def succeed(folder: Path, door: str, *arguments: object) -> str:
    """Open a door in `folder`; what it printed, once it has ended well."""
    ended = run(folder, door, *arguments)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def write_to(*texts: Path | str) -> None:
    """From now on, write standard output and standard error of this process to files."""
    for stream, text in zip((1, 2), texts, strict=True):
        os.dup2(os.open(text, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND), stream)
    sys.stdout, sys.stderr = open(1, "w", buffering=1), open(2, "w", buffering=1)  # noqa: SIM115


def behave_as_started() -> None:
    """As a process that a user starts, but for one thread."""
    torch.set_num_threads(1)
    # loader processes as a user has them, which notice that this process is gone
    multiprocessing.set_start_method("fork", force=True)


@contextmanager
def held_by_another(folder: Path) -> Iterator[BaseProcess]:
    """Another process works in `folder`."""
    ours, theirs = CONTEXT.Pipe()
    process = CONTEXT.Process(target=_hold, args=(folder, theirs))
    process.start()
    assert ours.recv() == "held"
    assert process.pid is not None
    try:
        yield process
    finally:
        process.kill()
        process.join()


def _hold(folder: Path, connection: Connection) -> None:
    hold(folder)
    connection.send("held")
    connection.recv()


def _open(folder: Path, door: str, arguments: list[str], texts: list[Path]) -> None:
    os.chdir(folder)
    write_to(*texts)
    behave_as_started()
    sys.argv = [f"{door}.py", *arguments]
    sys.path.insert(0, os.getcwd())  # as `python -m` does: a user's modules lie there
    open_door(door)
    sys.exit(0)
