"""Opening a file that the user named, and its digest."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote

from stgcn_lightning.errors import BadInput

AnyPath = str | os.PathLike[str]


@contextmanager
def opened(path: AnyPath) -> Iterator[BinaryIO]:
    """Open a file for reading.

    Raises:
        BadInput: there is no such file, or it cannot be read.
    """
    if os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path):
        raise BadInput(f"{path} is a pipe or a device: save what it gives in a file, and name that")
    try:
        file = open(path, "rb")  # noqa: SIM115 - closed below; only opening it may fail here
    except FileNotFoundError:
        meant = unquote(os.fspath(path))  # copied from a browser
        remedy = "check the path" if not os.path.exists(meant) else f"did you mean {meant}?"
        raise BadInput(f"there is no file {path}; {remedy}") from None
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}; check the path") from None
    with file:
        yield file


def bytes_of(path: AnyPath, most: int, remedy: str) -> bytes:
    """All bytes of a file.

    Raises:
        BadInput: the file cannot be read, or has more than `most` bytes, of which `remedy` is said.
    """
    with opened(path) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise BadInput(f"{path} has more than {most:,} bytes; {remedy}")
    return content


def size_below(path: AnyPath) -> int:
    """Bytes of a file, or of all files in a folder and the folders in it."""
    if not os.path.isdir(path):
        return os.stat(path).st_size
    names = (Path(folder, name) for folder, _, files in os.walk(path) for name in files)
    return sum(os.stat(name).st_size for name in names if name.exists())


def sha256(path: AnyPath) -> str:
    """SHA-256 of a file, in hexadecimal.

    Raises:
        BadInput: the file cannot be read.
    """
    digest = hashlib.sha256()
    with opened(path) as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
