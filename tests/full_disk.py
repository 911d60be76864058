"""Doors in processes of their own, whose disk refuses everything from a moment on.

No mount and no rights are needed: what Python opens for writing below a folder, and the calls that
rename, flush and make folders there, are counted, and fail from the n-th on. What numpy and Pillow
write through C alone is not counted.
"""

import builtins
import errno
import io
import os
import sys
from pathlib import Path
from typing import NamedTuple

from forked import CONTEXT, behave_as_started, write_to

from stgcn_lightning.launching.doors import open_door

CALLS = ("replace", "fsync", "mkdir")  # of `os`
never = 10**9


class Ended(NamedTuple):
    """How a door ended, and how often it wrote."""

    status: int
    writes: int
    out: str
    err: str


class Disk:
    """The disk below a folder.

    Args:
        folder: what lies elsewhere is never refused.
        fails_from: number of the first write that is refused.
        code: of the error.
    """

    def __init__(self, folder, fails_from, code=errno.ENOSPC):
        self.folder, self.fails_from, self.code = os.path.realpath(folder), fails_from, code
        self.writes = 0

    def written(self, path=None):
        """Count a write, and refuse it if it is time; `path` is what the error names."""
        self.writes += 1
        if self.writes >= self.fails_from:
            named = [] if path is None else [os.fspath(path)]
            raise OSError(self.code, os.strerror(self.code), *named)

    def here(self, path):
        return isinstance(path, int) or os.path.realpath(path).startswith(self.folder)

    def install(self):
        disk, opened = self, io.open

        class Raw(io.FileIO):
            def write(self, content):
                disk.written()
                return super().write(content)

        def open_(file, mode="r", buffering=-1, encoding=None, errors=None, newline=None, *rest,
                  **more):  # fmt: skip
            if isinstance(file, int) or not {*mode} & {*"wax+"} or not disk.here(file):
                return opened(file, mode, buffering, encoding, errors, newline, *rest, **more)
            disk.written(file)
            raw = Raw(file, mode.replace("b", "").replace("t", ""))
            kind = io.BufferedRandom if "+" in mode else io.BufferedWriter
            binary = kind(raw)
            return binary if "b" in mode else io.TextIOWrapper(binary, encoding, errors, newline)

        builtins.open = io.open = open_
        for name in CALLS:
            setattr(os, name, self.counted(name, getattr(os, name)))

    def counted(self, name, call):
        def counting(path, *rest, **more):
            # as Linux does: a descriptor has no name, and a folder that is there needs no room
            if self.here(path) and not (name == "mkdir" and os.path.exists(path)):
                self.written(None if isinstance(path, int) else path)
            return call(path, *rest, **more)

        return counting


def run(folder, door, *arguments, fails_from=never, code=errno.ENOSPC):
    """Open a door in `folder` with a disk that refuses writes from the n-th on."""
    folder.mkdir(exist_ok=True)
    texts = [folder.with_name(f"{folder.name}.{name}") for name in ("out", "err")]
    ours, theirs = CONTEXT.Pipe(duplex=False)
    process = CONTEXT.Process(
        target=_open, args=(folder, door, [*map(str, arguments)], texts, fails_from, code, theirs)
    )
    process.start()
    theirs.close()
    try:
        writes = ours.recv()
    except EOFError:
        writes = -1
    process.join()
    return Ended(process.exitcode, writes, *(Path(text).read_text() for text in texts))


def _open(folder, door, arguments, texts, fails_from, code, connection):
    os.chdir(folder)
    write_to(*texts)
    behave_as_started()
    disk = Disk(folder, fails_from, code)
    disk.install()
    sys.argv = [f"{door}.py", *arguments]
    try:
        open_door(door)
    finally:
        connection.send(disk.writes)
    sys.exit(0)
