"""Files and folders that one process at a time makes; whoever waits is told for whom."""

import os
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout


@contextmanager
def alone(path: Path, say: Callable[[str], object]) -> Generator[None]:
    """Keep other processes from making `path` meanwhile.

    Args:
        path: file or folder, in a folder that is there.
        say: is told for whom this process waits, if it must.

    Raises:
        OSError: there can be no lock beside it.
    """
    lock: Any = FileLock(path.with_name(f".{path.name}.lock"))
    maker = path.with_name(f".{path.name}.maker")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        whom = "another process"
        with suppress(OSError):
            whom = maker.read_text().strip() or whom
        say(f"waiting for {whom}, which makes {path}")
        lock.acquire()
    try:
        since = datetime.now().strftime("%H:%M:%S")
        maker.write_text(f"process {os.getpid()} on {os.uname().nodename} (since {since})")
        yield
    finally:
        maker.unlink(missing_ok=True)
        lock.release()
