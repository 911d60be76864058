"""Large arrays in a pickle, which stay in the file until they are asked for.

`instructions.walked` puts where a long run of bytes lies in the place of the run. What is left is
small and is read by the restricted unpickler, like any other pickle: the same closed table decides
what a file may ask for.

The bytes of arrays are such runs in pickles of protocol 3 and later, and in those of protocol 2,
which spells them as text. Older pickles hold them in lines, which are read.
"""

import math
import pickle
from typing import IO, Any, Literal

import numpy as np

from stgcn_lightning.files.reading import AnyPath
from stgcn_lightning.files.taking import guarded
from stgcn_lightning.files.unpickling import Built


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
