"""The folder of a run or a sweep: new, held by one process at a time, never overwritten."""

import errno
import fcntl
import os
import socket
from datetime import datetime
from io import TextIOWrapper
from itertools import count
from pathlib import Path

from stgcn_lightning.errors import BadInput
from stgcn_lightning.terminal import say, shown

LOCK = ".lock"
TAKEN = (errno.EACCES, errno.EAGAIN)  # POSIX allows either where another process has the lock
held: list[TextIOWrapper] = []  # locks of this process, which end with it


def new_folder(root: str, name: str | None = None, *, make: bool = True) -> str:
    """A folder under `root` that no other process has: `name`, or `name_2`, `name_3` and so on.

    Args:
        root: made if absent.
        name: of the folder; None is the time, to a second.
        make: make the folder, by which it is this process's own; else it is only named.
    """
    first = Path(root) / (name or f"{datetime.now():%Y-%m-%d_%H-%M-%S}")
    for number in count(1):
        folder = first if number == 1 else first.with_name(f"{first.name}_{number}")
        if make:
            try:
                folder.mkdir(parents=True)
            except FileExistsError:  # also of a process that started in the same second
                continue
        elif folder.exists():
            continue
        return str(folder)
    raise AssertionError("there is always another number")


def hold(folder: Path) -> None:
    """Keep other processes out of `folder` as long as this one lives, however it ends.

    The lock is one of POSIX: other machines respect it on a file system that they share, and loader
    processes do not inherit it, which outlive a process that was killed.

    Raises:
        BadInput: another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = (folder / LOCK).open("a+")
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.seek(0)
        holder = " ".join(file.read().split())
        file.close()
        if error.errno in TAKEN:
            raise BadInput(
                f"another process is at work in {shown(folder)}{holder and f' ({holder})'}: wait "
                "for it, or set hydra.run.dir=NEW (of a sweep: hydra.sweep.dir=NEW)"
            ) from None
        say(
            f"{shown(folder)} cannot be locked ({error.strerror}): take care that no other process "
            "works in it"
        )
        return
    file.truncate(0)
    file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
    file.flush()
    held.append(file)


def release() -> None:
    """Let other processes have the folders that this one holds."""
    while held:
        held.pop().close()


def refuse_overwriting(folder: Path) -> None:
    """Refuse a run directory with checkpoints that are not to be resumed.

    Raises:
        BadInput: it has some.
    """
    if any((folder / "checkpoints").glob("*.ckpt")):
        raise BadInput(
            f"{shown(folder)} already holds checkpoints: resume=auto goes on from them, "
            "hydra.run.dir=NEW (of a sweep: hydra.sweep.dir=NEW) starts anew"
        )
