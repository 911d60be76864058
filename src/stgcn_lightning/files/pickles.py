"""Pickles of annotations: numpy data and plain containers, nothing else (see `unpickling`)."""

import math
import pickle
import re
from typing import IO, Any

import numpy as np

from stgcn_lightning.files.reading import AnyPath, opened
from stgcn_lightning.files.unpickling import Built, NotPlain, Unpickler, load_pickle


def read_pickle(path: AnyPath) -> object:
    """Read a pickle that holds nothing but numpy data and plain containers.

    Arrays are writable; no name in the file is looked up in any module.

    Raises:
        BadInput: no such file, not a pickle, truncated, or it asks for anything else,
            which is then not executed.
    """
    with opened(path) as file:
        return load_pickle(_AnnotationUnpickler(file, path))


class _Dtype(Built):
    """A numpy dtype of numbers or text.

    Of a state only the byte order is used: numpy's own `dtype.__setstate__` also accepts sizes and
    flags, with which a file could make numpy take numbers for pointers.
    """

    __slots__ = ()

    def __init__(self, code: str, align: bool = False, copy: bool = True) -> None:
        if not re.fullmatch(r"[<>=|]?(b1|[iu][1248]|f[248]|c8|c16|[SU]\d{1,6})", code):
            kind = "Python objects" if code.lstrip("<>=|").startswith("O") else repr(code[:20])
            raise NotPlain(f"an array of {kind}")
        super().__init__(np.dtype(code))

    def __setstate__(self, state: Any) -> None:
        if state[1] not in ("<", ">", "=", "|"):
            raise pickle.UnpicklingError("a dtype without byte order")
        self.value = self.value.newbyteorder(state[1])


class _Array(Built):
    """A numpy array, empty until its state is set: what `multiarray._reconstruct` begins."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(np.empty(0))

    def __setstate__(self, state: Any) -> None:
        version, shape, dtype, fortran, data = state
        _check_array(shape, dtype, data)
        # Numpy's own way: it checks the length again, and takes the bytes without copying them.
        self.value.__setstate__((version, shape, dtype.value, fortran, data))


def _check_array(shape: Any, dtype: Any, data: Any) -> None:
    if not isinstance(dtype, _Dtype) or not isinstance(data, (bytes, bytearray)):
        raise pickle.UnpicklingError("an array that is not made of bytes")
    if any(type(n) is not int or n < 0 for n in shape):
        raise pickle.UnpicklingError("an array whose shape is no shape")
    if math.prod(shape) * dtype.value.itemsize != len(data):
        raise pickle.UnpicklingError("an array whose shape does not fit its bytes")


class _AnnotationUnpickler(Unpickler):
    def __init__(self, file: IO[bytes], path: AnyPath) -> None:
        super().__init__(file, path)
        self.admitted |= {
            "builtins.set": set,
            "builtins.frozenset": frozenset,
            "builtins.complex": complex,
            "builtins.bytes": self.no_bytes,
            "builtins.bytearray": self.byte_array,
            "numpy.ndarray": None,  # only ever an argument of `begin_array`
            "numpy.dtype": _Dtype,
        }
        for core in ("numpy.core", "numpy._core"):  # numpy 1.x and 2.x
            self.admitted |= {
                f"{core}.multiarray._reconstruct": self.begin_array,
                f"{core}.multiarray.scalar": self.scalar,
                f"{core}.numeric._frombuffer": self.array,
            }

    def no_bytes(self) -> bytes:
        """Empty bytes, as protocols 0 to 2 spell them."""
        return b""

    def byte_array(self, content: Any = b"", encoding: str = "latin-1") -> bytearray:
        # bytearray(10 ** 12) would allocate that much.
        return bytearray(self.encode(content, encoding) if isinstance(content, str) else content[:])

    def begin_array(self, *args: object) -> _Array:
        return _Array()

    def array(self, data: Any, dtype: Any, shape: Any, order: Any) -> Built:
        _check_array(shape, dtype, data)
        return Built(np.ndarray(shape, dtype.value, data, order=order))

    def scalar(self, dtype: Any, data: bytes | None = None) -> Any:
        if not data:  # how numpy spells an empty text
            return dtype.value.type()
        _check_array((), dtype, data)
        return np.ndarray((), dtype.value, data)[()]
