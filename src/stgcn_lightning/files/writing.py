"""Atomic writes: a file is written under a temporary name and renamed when it is complete.

What cannot be written is explained in one sentence.
"""

import errno
import os
import re
import secrets
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from stgcn_lightning.errors import BadInput
from stgcn_lightning.files.reading import AnyPath

# no space, also of a quota or of a file's largest size; a disk that takes nothing, or fails
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
FAILING = (errno.EROFS, errno.EIO)
# these, and no permission, folder or locks: errors that end when another folder is given or space
# is freed
MENDABLE = (
    *FULL, *FAILING, errno.EACCES, errno.EPERM, errno.EEXIST, errno.ENOTDIR, errno.ENOENT,
    errno.ENAMETOOLONG, errno.ENOLCK, errno.EISDIR,
)  # fmt: skip

LETTERS_OF_NAMES = 60  # which take up to 240 bytes; file systems allow 255


def file_name(text: str, otherwise: str = "unnamed") -> str:
    """A file's name made of a text of anybody, which may hold folders or have any length.

    Examples:
        >>> file_name("../../home/ntu60 xsub")
        'home_ntu60_xsub'
    """
    return (
        re.sub(r"[^\w.-]+", "_", text).strip("._-")[-LETTERS_OF_NAMES:].lstrip("._-") or otherwise
    )


@contextmanager
def write_atomically(path: AnyPath) -> Iterator[BinaryIO]:
    """Open `path` for writing such that it is only ever seen complete.

    The bytes go to a temporary file beside `path`, which is renamed to `path` when the block ends.
    If the block raises, the temporary file is removed, and a file that was at `path` before stays
    as it was.

    Raises:
        BadInput: the disk is full, or the file cannot be created or brought to the disk.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    ours = False  # an error of the block may be of another file
    try:
        with open(temporary, "xb") as file:
            yield file
            ours = True
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        sync_folder(path.parent)
    except OSError as error:
        if ours or refuses(error) or error.filename == str(temporary):
            raise BadInput(unwritten(error, path)) from error
        raise
    finally:
        with suppress(OSError):
            temporary.unlink()


def refuses(error: OSError) -> bool:
    """Whether a disk is full or can no longer be written to.

    numpy and Pillow write through C, and say no number then.
    """
    return error.errno is None or error.errno in (*FULL, errno.EROFS)


def unwritten(error: OSError, path: Path) -> str:
    """Why a file cannot be written, and the remedy."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"no space left in {path.parent.absolute()} to write {path.name}; free some, or choose "
            "a folder on another disk"
        )
    if error.errno is None:
        reason = str(error).split("\n", 1)[0]
        return f"cannot write {path} ({reason}); free some space, or choose another folder"
    disk = " on another disk" if error.errno in (*FULL, *FAILING) else " or name"
    return f"cannot write {path}: {error.strerror}; choose another folder{disk}"


def sync_folder(folder: AnyPath) -> None:
    """Flush a folder to the disk, so that renamed files keep their names after a power failure."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        error.filename = os.fspath(folder)  # which a descriptor does not say
        raise
    finally:
        os.close(descriptor)


@contextmanager
def explaining_where(root: Path) -> Generator[None]:
    """Turn an error of writing to the store directory that the user can correct into a sentence.

    Raises:
        BadInput: there was such an error; others pass as they are.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in (*MENDABLE, None):
            raise
        remedy = "free some space or set" if error.errno in (*FULL, None) else "set"
        raise BadInput(
            f"the store cannot be written under {root}: {error.strerror or error}; "
            f"{remedy} data.store_dir to another folder"
        ) from error
