"""Large arrays in a pickle, which stay in the file until they are asked for.

`without_runs` walks over a pickle from instruction to instruction, of which it knows the lengths
alone. It executes nothing, and puts where a long run of bytes lies in the place of the run. What is
left is small and is read by the restricted unpickler, like any other pickle: the same closed table
decides what a file may ask for.

The bytes of arrays are such runs in pickles of protocol 3 and later, and in those of protocol 2,
which spells them as text. Older pickles hold them in lines, which are read.
"""

import math
import pickle
import re
import struct
from collections.abc import Callable
from pickletools import opcodes
from typing import IO, Any, Literal

import numpy as np

from stgcn_lightning.files.reading import AnyPath
from stgcn_lightning.files.unpickling import Built, guarded

LONG = 256  # bytes from which a run stays in the file
BLOCK = 1 << 14  # bytes that are looked at together
SHORT = 40  # bytes of a text that is stepped over without looking at it

STOP, FRAME, PERSISTENT = b".", b"\x95", b"Q"
BYTES, TEXTS = b"B\x8e\x96", b"X\x8d"  # instructions with runs, and with what may be one
LINES = "".join(one.code for one in opcodes if one.arg and one.arg.n == -1).encode()
# instruction -> the bytes that say how long its argument is, and whether they have a sign
COUNTED = {
    ord(one.code): {-2: (1, False), -3: (4, True), -4: (4, False), -5: (8, False)}[one.arg.n]
    for one in opcodes
    if one.arg and one.arg.n < -1
}
# what follows text that stands for bytes: encode(text, "latin1")
ENCODED = re.compile(rb"(q.|r.{4})?(X\x06\0{3}latin1(q.|r.{4})?|h.|j.{4})\x86", re.DOTALL)
END = (b"\x88\x87Q", b"\x89\x87Q")  # of a place: text or not, a tuple of three, an id


def _steps() -> re.Pattern[bytes]:
    """Instructions one after the other that are copied as they are."""
    fixed: dict[int, bytes] = {}
    parts: list[bytes] = []
    for one in opcodes:
        code, size = one.code.encode("latin-1"), one.arg.n if one.arg else 0
        if code in (STOP, FRAME, PERSISTENT):
            continue
        if size >= 0:
            fixed[size] = fixed.get(size, b"") + re.escape(code)
        elif size == -1:  # lines; a global name has two
            parts.append(re.escape(code) + rb"[^\n]*\n" * (2 if code in b"ci" else 1))
    parts = [b"[%s].{%d}" % (codes, size) for size, codes in fixed.items()] + parts
    for code, zeros in ((b"X", b"\0\0\0"), (b"\x8c", b""), (b"C", b"")):
        sizes = b"|".join(re.escape(bytes([n])) + zeros + b".{%d}" % n for n in range(SHORT))
        parts.append(code + b"(?:" + sizes + b")")
    return re.compile(b"(?:" + b"|".join(parts) + b")*", re.DOTALL)


STEPS = _steps()


def without_runs(file: IO[bytes], seen: Callable[[int], object] | None = None) -> tuple[bytes, int]:
    """A pickle with the places of its long runs instead of them, and where it ends in the file.

    A place is a persistent id, (start, size, whether it is text); what a pickle itself gives as one
    becomes a tuple of one, which is no place. A damaged pickle is copied as far as it is read, so
    that it is refused in the usual words.

    Args:
        file: which the pickle begins.
        seen: is told now and then how many bytes have been looked at.
    """
    size, short, block = file.seek(0, 2), bytearray(), _Block(file, seen)
    block.load(0)
    while True:
        start, block.at = block.at, STEPS.match(block.data, block.at).end()  # pyright: ignore
        short += block.data[start : block.at]
        here, head = block.begin + block.at, block.data[block.at : block.at + 9]
        complete = block.begin + len(block.data) >= size
        if len(head) < 9 and not complete:
            block.load(here)
        elif head[:1] == STOP:
            return bytes(short + STOP), here + 1
        elif head[:1] == PERSISTENT:
            short += b"\x85Q"
            block.at += 1
        elif head[:1] == FRAME and here + 9 + int.from_bytes(head[1:], "little") <= size:
            block.at += 9  # how far to read ahead, of which nothing else depends
        elif head and head[0] in COUNTED:
            width, signed = COUNTED[head[0]]
            length = int.from_bytes(head[1 : 1 + width], "little", signed=signed)
            first = here + 1 + width
            if not 0 <= length <= size - first:
                return bytes(short + block.data[block.at :]), size
            run = length >= LONG and head[0] in BYTES
            text = length >= LONG and head[0] in TEXTS
            block.jump(first + length)
            if run or (text and ENCODED.match(block.data, block.at)):
                short += struct.pack("<2sq2sq3s", b"\x8a\x08", first, b"\x8a\x08", length, END[run])
            else:
                file.seek(here)
                short += file.read(first + length - here)
        elif head and head[0] in LINES and not complete:
            block.load(here, 2 * len(block.data))
        else:  # no instruction, or one that the file's end cuts
            return bytes(short + block.data[block.at :]), size


class _Block:
    """Some bytes of a file.

    Attributes:
        data: the bytes.
        begin: where in the file they begin.
        at: where within them the next instruction is.
    """

    def __init__(self, file: IO[bytes], seen: Callable[[int], object] | None) -> None:
        self.file, self.seen = file, seen
        self.data, self.begin, self.at = b"", 0, 0

    def load(self, begin: int, size: int = BLOCK) -> None:
        """Read on from `begin`."""
        self.file.seek(begin)
        self.data, self.begin, self.at = self.file.read(size), begin, 0
        if self.seen:
            self.seen(begin)

    def jump(self, to: int) -> None:
        """Go on at `to`, of which at least the next instructions are there."""
        self.at = to - self.begin
        if self.at + SHORT > len(self.data):
            self.load(to)


class Run(Built):
    """A long run of bytes, or a long text that stands for one, that is still in the file.

    Attributes:
        file: which is open.
        start: where it begins.
        size: how many bytes it has in the file.
        text: it is text.
        stands: it stands for bytes, one a character.
    """

    __slots__ = ("file", "size", "stands", "start", "text")

    def __init__(
        self, file: IO[bytes], start: int, size: int, text: bool, stands: bool = False
    ) -> None:
        super().__init__(None)
        self.file, self.start, self.size = file, start, size
        self.text, self.stands = text, stands

    def __len__(self) -> int:
        return self.size

    def may_be(self, size: int) -> bool:
        """Whether it may be text that stands for so many bytes: a character takes one or two."""
        return self.text and size <= self.size <= 2 * size

    def taken(self) -> Any:
        """What it is, read once: a pickle may name it any number of times."""
        if self.value is None:
            found = _bytes_at(self.file, self.start, self.size)
            if self.text:
                found = found.decode("utf-8", "surrogatepass")
                found = found.encode("latin-1") if self.stands else found
            self.value = found
        return self.value


class Placed:
    """An array that is made of what lies in a file, whenever it is asked for.

    Args:
        path: of the file.
        shape: of the array.
        dtype: of the array.
        nbytes: how many bytes it takes in the file, or in memory where it is made of others.
    """

    __slots__ = ("dtype", "nbytes", "path", "shape")

    def __init__(
        self, path: AnyPath, shape: tuple[int, ...], dtype: np.dtype[Any], nbytes: int
    ) -> None:
        self.path, self.shape, self.dtype, self.nbytes = path, shape, dtype, nbytes

    @property
    def ndim(self) -> int:
        """How many axes it has."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """How many numbers it has."""
        return math.prod(self.shape)

    def read(self, file: IO[bytes]) -> np.ndarray:
        """The array, writable, from its file, which is open."""
        raise NotImplementedError


class ArrayInFile(Placed):
    """An array whose bytes lie in a file.

    Attributes:
        path: of the file.
        start: where the bytes begin.
        nbytes: how many there are; text may have more than the array.
        text: they are spelled as text.
        shape: of the array.
        dtype: of numbers, in the machine's order of bytes.
        order: ``C`` or ``F``.
    """

    __slots__ = ("order", "start", "text")

    def __init__(
        self,
        path: AnyPath,
        run: Run,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        order: Literal["C", "F"],
    ) -> None:
        super().__init__(path, shape, dtype, run.size)
        self.start, self.text = run.start, run.text
        self.order: Literal["C", "F"] = order

    def read(self, file: IO[bytes]) -> np.ndarray:
        """The array, writable, from its file, which is open.

        Raises:
            BadInput: the file is damaged, or has changed.
        """
        return guarded(lambda: self._read(file), self.path, "annotations")

    def _read(self, file: IO[bytes]) -> np.ndarray:
        found = _bytes_at(file, self.start, self.nbytes)
        if self.text:
            found = found.decode("utf-8", "surrogatepass").encode("latin-1")
        if len(found) != self.size * self.dtype.itemsize:
            raise pickle.UnpicklingError("an array whose shape does not fit its bytes")
        return np.ndarray(self.shape, self.dtype, bytearray(found), order=self.order)


def _bytes_at(file: IO[bytes], start: int, size: int) -> bytes:
    file.seek(start)
    found = file.read(size)
    if len(found) < size:
        raise pickle.UnpicklingError("pickle data was truncated")
    return found
