"""Files of numpy (.npy, .npz), read without numpy's own reader.

That one evaluates the text of a header as Python, reads arrays whose numbers take no bytes without
end, and unpacks whatever an archive holds. Here a header is matched, and nothing is unpacked before
its size is known and bounded.
"""

import io
import math
import re
import zipfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
from numpy.typing import NDArray

from stgcn_lightning.errors import BadInput
from stgcn_lightning.files.unpickling import MOST_AXES, is_text, said_by

MAGIC = b"\x93NUMPY"
LONGEST_HEADER = 10_000
MOST_MEMBERS = 10_000
# bytes that an archive may unpack to, however small it is, and so many times its own size: zeros
# for who is absent, and NaN, make key points smaller, but not by hundreds
MOST_FREE, MOST_UNPACKED = 1 << 24, 64
NUMBERS = r"[<>|=]?(?:b1|[iu][1248]|f[248]|c8|c16|[SU][1-9]\d{0,5})"
HEADER_OF = (
    r"\s*\{\s*'descr':\s*(%s),\s*'fortran_order':\s*(True|False),"
    # with a comma between any two sides, so that digits can be divided in one way only
    r"\s*'shape':\s*\(((?:\d{1,18}L?(?:,\s*\d{1,18}L?)*(?:,\s*)?)?)\),?\s*\}\s*"
)
HEADER = re.compile(HEADER_OF % rf"'(?:{NUMBERS}|\|?O)'")
PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


@dataclass(frozen=True)
class Header:
    """What an array is, before it is read.

    Attributes:
        dtype: of its entries; of Python objects it is the object type.
        shape: of the array.
        order: ``C`` or ``F``.
    """

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    order: Literal["C", "F"]

    @property
    def nbytes(self) -> int:
        """Bytes of the entries."""
        return math.prod(self.shape) * self.dtype.itemsize


class Archive:
    """An open .npz; `opened_npz` makes one sentence of whatever its methods raise.

    Args:
        file: the archive.

    Raises:
        ValueError: it holds too many arrays, or one of them twice.
    """

    def __init__(self, file: zipfile.ZipFile) -> None:
        self._file = file
        members = [one for one in file.infolist() if one.filename.endswith(".npy")]
        if len(members) > MOST_MEMBERS:
            raise ValueError(f"it holds {len(members):,} arrays, too many to be read")
        self._members = {one.filename.removesuffix(".npy"): one for one in members}
        if len(self._members) < len(members):
            raise ValueError("it holds an array twice")

    @property
    def names(self) -> list[str]:
        """Of the arrays, in their order."""
        return list(self._members)

    def header(self, name: str) -> Header:
        """What an array is.

        Raises:
            ValueError: there is no such array, or it is none of numbers or text.
        """
        with self._opened(name) as member:
            return read_header(member)

    def read(self, name: str, most: int) -> np.ndarray:
        """An array of numbers or text, of at most so many bytes.

        Raises:
            ValueError: there is none, it is damaged, or larger.
        """
        with self._opened(name) as member:
            header = read_header(member)
            if header.dtype.hasobject:
                raise ValueError(f"{name} holds Python objects")
            if header.nbytes > most:
                raise ValueError(f"{name} takes {header.nbytes:,} bytes, more than it can need")
            content = bytearray(member.read(header.nbytes))
            if len(content) < header.nbytes or member.read(1):
                raise ValueError(f"{name} has not the length that it says")
        if not is_text(content, header.dtype):
            raise ValueError(f"{name} is text with characters that do not exist")
        return np.ndarray(header.shape, header.dtype, content, order=header.order)

    def pickled(self, name: str, most: int) -> bytes:
        """The pickle that an array of Python objects is, of at most so many bytes.

        Raises:
            ValueError: there is none, it is one of numbers, or larger.
        """
        with self._opened(name) as member:
            if not read_header(member).dtype.hasobject:
                raise ValueError(f"{name} is an array of numbers or text")
            content = member.read(most + 1)
            if len(content) > most:
                raise ValueError(f"{name} unpacks to more than {most:,} bytes")
        return content

    def _opened(self, name: str) -> IO[bytes]:
        if name not in self._members:
            raise ValueError(f"it has no {name}")
        member = self._members[name]
        if member.compress_type not in PACKINGS:
            raise ValueError(f"{name} is packed in another way than numpy's")
        return self._file.open(member)


@contextmanager
def opened_npz(path: Path, remedy: str) -> Generator[Archive]:
    """An .npz file, open for reading; whatever is wrong with it becomes one sentence.

    Args:
        path: of the file.
        remedy: what to do about a damaged one: the end of a sentence.

    Raises:
        BadInput: it cannot be read, or holds something else than it should.
    """
    try:
        with zipfile.ZipFile(path) as file:
            yield Archive(file)
    except BadInput:
        raise
    except Exception as error:  # zipfile and zlib raise nearly anything
        what = error.strerror if isinstance(error, OSError) else None
        what = what or said_by(error)
        raise BadInput(f"{path} cannot be read as .npz ({what}): {remedy}") from None


def most_unpacked(path: Path) -> int:
    """Bytes that the arrays of an archive may take together."""
    return MOST_FREE + MOST_UNPACKED * path.stat().st_size


def read_header(file: IO[bytes], records: np.dtype[Any] | None = None) -> Header:
    """What the array is that begins in `file`, which is then at its entries.

    Args:
        file: at its beginning.
        records: the only type that is taken; None: any of numbers or text.

    Raises:
        ValueError: it is no array of numpy's format, or one of records.
    """
    head = file.read(8)
    if len(head) < 8 or not head.startswith(MAGIC) or head[6] not in (1, 2, 3):
        raise ValueError("an array without numpy's mark")
    length = int.from_bytes(file.read(2 if head[6] == 1 else 4), "little")
    if length > LONGEST_HEADER:
        raise ValueError("an array with a header that is too long")
    text = file.read(length).decode("latin-1")
    pattern = HEADER if records is None else re.compile(HEADER_OF % re.escape(str(records.descr)))
    found = pattern.fullmatch(text)
    if found is None:
        raise ValueError("an array that is none of plain numbers or text")
    shape = tuple(int(side) for side in re.findall(r"\d+", found[3]))
    if len(shape) > MOST_AXES:
        raise ValueError(f"an array of {len(shape)} axes")
    dtype = np.dtype(found[1][1:-1]) if records is None else records
    return Header(dtype, shape, "F" if found[2] == "True" else "C")


def npy_header(path: Path) -> Header:
    """What the array in an .npy file is.

    Raises:
        ValueError: it is none.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return read_header(file)


def array_in(content: NDArray[np.uint8], records: np.dtype[Any] | None = None) -> np.ndarray:
    """The array that the bytes of an .npy file are, which it shares.

    Args:
        content: (bytes,) of the whole file.
        records: the only type that is taken; None: any of numbers or text.

    Raises:
        ValueError: it is none, or has another length.
    """
    file = io.BytesIO(content[: LONGEST_HEADER + 12].tobytes())
    header = read_header(file, records)
    entries = content[file.tell() :]
    if header.dtype.hasobject or header.nbytes != len(entries):
        raise ValueError("an array that has not the length that it says")
    return entries.view(header.dtype).reshape(header.shape, order=header.order)


def mapped(path: Path) -> np.ndarray:
    """The array in an .npy file, read when it is touched, and not writable.

    Raises:
        ValueError: it is none of numbers or text, or the file ends before it does.
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        header = read_header(file)
        if header.dtype.hasobject:
            raise ValueError("an array of Python objects")
        start, end = file.tell(), file.seek(0, 2)
        if header.nbytes > end - start:
            raise ValueError("an array that is cut off")
        if not header.nbytes:
            return np.empty(header.shape, header.dtype)
        return np.memmap(file, header.dtype, "r", start, header.shape, header.order)
