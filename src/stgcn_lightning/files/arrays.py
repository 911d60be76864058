"""Arrays of numpy in pickles, rebuilt by our own code (see `unpickling`)."""

import math
import pickle
import re
from collections.abc import Callable
from typing import IO, Any, cast

import numpy as np

from stgcn_lightning.files.placed import ArrayInFile, Run
from stgcn_lightning.files.reading import AnyPath
from stgcn_lightning.files.unpickling import MOST_AXES, Built, NotPlain, is_text

INTEGERS = {int}


class Dtype(Built):
    """A numpy dtype of numbers or text.

    Of a state only the byte order is used: numpy's own `dtype.__setstate__` also accepts sizes and
    flags, with which a file could make numpy take numbers for pointers.

    Raises:
        NotPlain: it is of neither numbers, text nor objects, or of np.longdouble.
    """

    __slots__ = ("objects",)

    def __init__(self, code: str, align: bool = False, copy: bool = True) -> None:
        kind = code.lstrip("<>=|")
        self.objects = kind in ("O", "O4", "O8")
        if not self.objects and not re.fullmatch(r"b1|[iu][1248]|f[248]|c8|c16|[SU]\d{1,6}", kind):
            wide = kind in ("f12", "f16", "c24", "c32")
            named = "numbers of np.longdouble" if wide else repr(code[:20])
            raise NotPlain(
                f"an array of {named}, and only arrays of numbers or text are read: save it again "
                f"as {'array.astype(np.float64)' if wide else 'arrays of numbers'}, or with lists, "
                "array.tolist()"
            )
        super().__init__(np.dtype(code))

    def __setstate__(self, state: Any) -> None:
        if state[1] not in ("<", ">", "=", "|"):
            raise pickle.UnpicklingError("a dtype without byte order")
        self.value = self.value.newbyteorder(state[1])


class Array(Built):
    """A numpy array, empty until its state is set: what `multiarray._reconstruct` begins."""

    __slots__ = ("spend",)

    def __init__(self, spend: Callable[[int], None]) -> None:
        super().__init__(np.empty(0))
        self.spend = spend

    def __setstate__(self, state: Any) -> None:
        version, shape, dtype, fortran, data = state
        self.spend(len(data))  # numpy copies bytes of the other order
        if isinstance(dtype, Dtype) and dtype.objects:
            self.spend(len(data) * len(shape))  # a list for each entry of each axis
            self.value = _lists(shape, data)
            return
        data = bytes_of(data)
        check_array(shape, dtype, data)
        # Numpy's own way: it checks the length again, and takes the bytes without copying them.
        array: Any = self.value
        array.__setstate__((version, shape, dtype.value, fortran, data))


def _lists(shape: Any, data: Any) -> Any:
    """An array of Python objects, which becomes lists: what it holds is as plain as all else.

    Numpy writes objects row by row, also those of arrays that lie column by column.
    """
    if not isinstance(data, list) or not are_sides(shape):
        raise pickle.UnpicklingError("an array of objects that has none")
    entries = cast("list[Any]", data)
    if shape == () and len(entries) == 1 and isinstance(entries[0], dict | list):
        return entries[0]  # how numpy.savez packs a dict
    # an axis of length 0 could stand for any number of empty lists
    if math.prod(shape) != len(entries) or (not entries and shape != (0,)) or not shape:
        raise pickle.UnpicklingError("an array whose shape does not fit its objects")
    places = np.reshape(np.arange(len(entries)), shape).tolist()

    def listed(part: Any) -> Any:
        return [listed(one) for one in part] if isinstance(part, list) else entries[part]

    return listed(places)


class MaskedArray(Array):
    """A masked array, which becomes an array: what is masked is NaN, so that it is seen."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        *array, mask, _fill_value = state
        super().__setstate__(array)
        if isinstance(self.value, list):
            raise NotPlain("a masked array of Python objects: save array.filled(0)")
        values, masked = self.value, np.frombuffer(bytes_of(mask), bool)
        order = "F" if array[3] else "C"
        masked = masked.reshape(values.shape, order=order)
        if masked.any():
            if values.dtype.kind != "f":
                raise NotPlain(
                    f"a masked array of {values.dtype}, which has no value for what is masked: "
                    "save array.filled(0)"
                )
            self.value = np.where(masked, values.dtype.type(np.nan), values)


class ArrayInPlace(Array):
    """An array that stays in the file if it is one of real numbers."""

    __slots__ = ("file", "path")

    def __init__(self, spend: Callable[[int], None], file: IO[bytes], path: AnyPath) -> None:
        super().__init__(spend)
        self.file, self.path = file, path

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, fortran, data = state
        if not stays(dtype, data):
            super().__setstate__(state)
            return
        self.spend(len(data))
        check_array(shape, dtype, data)
        self.value = ArrayInFile(self.path, data, shape, dtype.value, "F" if fortran else "C")

    def taken(self) -> Any:
        """The array, read once."""
        if isinstance(self.value, ArrayInFile):
            self.value = self.value.read(self.file)
        return self.value

    def placed(self) -> Any:
        """The array, or where in the file it is."""
        return self.value


def stays(dtype: Any, data: Any) -> bool:
    """Whether numbers stay in the file; those in another machine's order of bytes do not."""
    numbers = isinstance(dtype, Dtype) and dtype.value.kind in "fiu" and dtype.value.isnative
    return numbers and isinstance(data, Run)


def bytes_of(data: Any) -> Any:
    """The bytes of an array; Python 2 wrote them as text."""
    data = data.taken() if isinstance(data, Run) else data
    return data.encode("latin-1") if isinstance(data, str) else data


def check_array(shape: Any, dtype: Any, data: Any) -> None:
    """Refuse an array whose shape, type and bytes do not fit each other.

    Raises:
        UnpicklingError: they do not, or its text has characters that do not exist.
    """
    made_of_bytes = isinstance(data, (bytes, bytearray, Run))
    if not isinstance(dtype, Dtype) or dtype.objects or not made_of_bytes:
        raise pickle.UnpicklingError("an array that is not made of bytes")
    if type(shape) is not tuple or not are_sides(shape):
        raise pickle.UnpicklingError("an array whose shape is no shape")
    entries, itemsize = math.prod(shape), dtype.value.itemsize
    if not itemsize and entries:  # any number of entries without a byte
        raise pickle.UnpicklingError("an array of text without letters")
    if not entries and math.prod(side or 1 for side in shape) * itemsize >= 1 << 63:
        raise pickle.UnpicklingError("an array whose shape is no shape")  # numpy: MemoryError
    size = entries * itemsize
    if size != len(data) and not (isinstance(data, Run) and data.may_be(size)):
        raise pickle.UnpicklingError("an array whose shape does not fit its bytes")
    if not isinstance(data, Run) and not is_text(data, dtype.value):
        raise pickle.UnpicklingError("text with characters that do not exist")


def are_sides(shape: Any) -> bool:
    """Whether values can be the lengths of the axes of an array; asked of every array of a file."""
    if len(shape) > MOST_AXES or not INTEGERS.issuperset(map(type, shape)):
        return False
    return not shape or (min(shape) >= 0 and max(shape) < 1 << 62)
