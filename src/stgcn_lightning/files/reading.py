"""Opening a file that somebody named, and the digest that tells one file from another."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from stgcn_lightning.errors import BadInput

AnyPath = str | os.PathLike[str]


@contextmanager
def opened(path: AnyPath) -> Iterator[BinaryIO]:
    """Open a file for reading, or raise BadInput that says why it cannot be read."""
    try:
        file = open(path, "rb")  # noqa: SIM115 - closed below; only opening it may fail here
    except FileNotFoundError:
        raise BadInput(f"there is no file {path}; check the path") from None
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}; check the path") from None
    with file:
        yield file


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
