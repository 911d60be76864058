"""Pickles of annotations and scores: numbers, text and plain containers, nothing else.

What is harmless in other objects is taken (see `_PlainUnpickler`); those that are not read, but
which people have in such files, are named with what to save instead (`INSTEAD`).
"""

import io
import math
import pickle
import re
from collections.abc import Callable, Collection
from pathlib import PurePosixPath, PureWindowsPath
from typing import IO, Any, cast

import numpy as np
import torch

from stgcn_lightning.errors import BadInput
from stgcn_lightning.files.kinds import LEGACY, refuse_other_kind
from stgcn_lightning.files.placed import ArrayInFile, Run, without_runs
from stgcn_lightning.files.reading import AnyPath, opened
from stgcn_lightning.files.tensors import ReadStorage, TensorUnpickler, read_legacy, strided
from stgcn_lightning.files.unpickling import (
    COPIES,
    Built,
    NotPlain,
    PlainDict,
    load_pickle,
    not_collecting,
    shown,
)

# Subclasses of dict that libraries have for settings; they are read as dicts.
DICTS = (
    "addict.addict.Dict",
    "collections.Counter",
    "collections.defaultdict",
    "easydict.EasyDict",
    "lightning.fabric.utilities.data.AttributeDict",
    "mmcv.utils.config.ConfigDict",
    "mmengine.config.config.ConfigDict",
    "munch.Munch",
)
# Names that only ever are arguments: of what a defaultdict makes its values, an array's class.
ARGUMENTS = (
    *(f"builtins.{name}" for name in ("dict", "float", "int", "list", "str", "tuple")),
    "numpy.core.memmap.memmap",
    "numpy.ma.MaskedArray",
    "numpy.ma.core.MaskedArray",
    "numpy.matrix",
    "numpy.memmap",
    "numpy.ndarray",
)
# What else people have in such files: beginning of its name -> what to save instead.
INSTEAD = {
    "__main__.": "dict(...) or vars(...) of it",
    "collections.deque": "list(...)",
    "functools.partial": "dict(...)",
    "builtins.range": "list(...)",
    "types.SimpleNamespace": "vars(...)",
    "argparse.Namespace": "vars(...)",
    "datetime.": "str(...)",
    "decimal.": "float(...)",
    "fractions.": "float(...)",
    "uuid.": "str(...)",
    "enum.": "its .value",
    "pandas.": "frame.to_dict('records'), or frame.to_numpy() for numbers",
    "polars.": "frame.to_dicts(), or frame.to_numpy() for numbers",
    "pyarrow.": "table.to_pydict()",
    "xarray.": "array.to_numpy()",
    "scipy.sparse": "array.toarray()",
    **dict.fromkeys(
        ("torch._utils._rebuild", "torch._tensor", "torch.nn.", "torch.device"),
        "tensor.detach().cpu().numpy()",
    ),
    "tensorflow.": "tensor.numpy()",
    "jax": "np.array(...)",
    "cupy": "array.get()",
    "PIL.": "np.array(image)",
    "omegaconf.": "OmegaConf.to_container(...)",
    "easydict.": "dict(...)",
    "addict.": "dict(...)",
    "mmengine.": "numbers, text, lists and dicts alone",
    "mmcv.": "numbers, text, lists and dicts alone",
    "numpy.ma.": "np.nan, or array.filled(0)",
    "numpy.rec": "np.array(...) of numbers",
    "numpy.core.records": "np.array(...) of numbers",
    "numpy.random": "numbers",
    "joblib.": "pickle.dump(joblib.load(FILE), file)",
    "pathlib.": "str(path)",
}


def read_pickle(
    path: AnyPath,
    contents: str = "annotations",
    *,
    in_place: Collection[str] = (),
    seen: Callable[[int], object] | None = None,
) -> object:
    """Read a pickle that holds nothing but numbers, text, arrays and plain containers.

    Arrays are writable; no name in the file is looked up in any module.

    Args:
        path: of the file.
        contents: what it should hold, one of `kinds.WANTED`.
        in_place: keys of dicts, under which floating-point arrays may stay in the file, as
            `placed.ArrayInFile`.
        seen: is then told now and then how many bytes of the file have been looked at.

    Raises:
        BadInput: no such file, not a pickle, truncated, or it asks for anything else,
            which is then not executed.
    """
    refuse_other_kind(path, contents)
    with opened(path) as file, not_collecting():
        if in_place:
            short, end = without_runs(file, seen)
            found = load_pickle(_InPlaceUnpickler(short, path, contents, file), in_place)
            file.seek(end)
        else:
            found = load_pickle(_PlainUnpickler(file, path, contents))
        if file.read(1):
            raise BadInput(
                f"{path} holds more than one pickle, of which the first alone would be read: write "
                "everything with one pickle.dump"
            )
    return found


def read_pickled(file: IO[bytes], path: AnyPath, contents: str = "annotations") -> object:
    """What a pickle within another file holds, such as an attribute of HDF5, read as `read_pickle`.

    Args:
        file: the bytes of the pickle alone; one that can seek.
        path: of the file that it is in, for sentences.
        contents: what it should hold, one of `kinds.WANTED`.

    Raises:
        BadInput: as `read_pickle`.
    """
    return load_pickle(_PlainUnpickler(file, path, contents))


class _Dtype(Built):
    """A numpy dtype of numbers or text.

    Of a state only the byte order is used: numpy's own `dtype.__setstate__` also accepts sizes and
    flags, with which a file could make numpy take numbers for pointers.
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


class _Array(Built):
    """A numpy array, empty until its state is set: what `multiarray._reconstruct` begins."""

    __slots__ = ("spend",)

    def __init__(self, spend: Callable[[int], None]) -> None:
        super().__init__(np.empty(0))
        self.spend = spend

    def __setstate__(self, state: Any) -> None:
        version, shape, dtype, fortran, data = state
        self.spend(len(data))  # numpy copies bytes of the other order
        if isinstance(dtype, _Dtype) and dtype.objects:
            self.spend(len(data) * len(shape))  # a list for each entry of each axis
            self.value = _lists(shape, data)
            return
        data = _bytes_of(data)
        _check_array(shape, dtype, data)
        # Numpy's own way: it checks the length again, and takes the bytes without copying them.
        array: Any = self.value
        array.__setstate__((version, shape, dtype.value, fortran, data))


def _lists(shape: Any, data: Any) -> Any:
    """An array of Python objects, which becomes lists: what it holds is as plain as all else.

    Numpy writes objects row by row, also those of arrays that lie column by column.
    """
    if not isinstance(data, list) or any(type(n) is not int or n < 0 for n in shape):
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


class _MaskedArray(_Array):
    """A masked array, which becomes an array: what is masked is NaN, so that it is seen."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        *array, mask, _fill_value = state
        super().__setstate__(array)
        if isinstance(self.value, list):
            raise NotPlain("a masked array of Python objects: save array.filled(0)")
        values, masked = self.value, np.frombuffer(_bytes_of(mask), bool)
        order = "F" if array[3] else "C"
        masked = masked.reshape(values.shape, order=order)
        if masked.any():
            if values.dtype.kind != "f":
                raise NotPlain(
                    f"a masked array of {values.dtype}, which has no value for what is masked: "
                    "save array.filled(0)"
                )
            self.value = np.where(masked, values.dtype.type(np.nan), values)


class _ArrayInPlace(_Array):
    """An array that stays in the file if it is one of floating-point numbers."""

    __slots__ = ("file", "path")

    def __init__(self, spend: Callable[[int], None], file: IO[bytes], path: AnyPath) -> None:
        super().__init__(spend)
        self.file, self.path = file, path

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, fortran, data = state
        if not _stays(dtype, data):
            super().__setstate__(state)
            return
        self.spend(len(data))
        _check_array(shape, dtype, data)
        self.value = ArrayInFile(self.path, data, shape, dtype.value, "F" if fortran else "C")

    def taken(self) -> Any:
        return self.value.read(self.file) if isinstance(self.value, ArrayInFile) else self.value

    def placed(self) -> Any:
        return self.value


def _stays(dtype: Any, data: Any) -> bool:
    """Whether numbers stay in the file; those in another machine's order of bytes do not."""
    numbers = isinstance(dtype, _Dtype) and dtype.value.kind == "f" and dtype.value.isnative
    return numbers and isinstance(data, Run)


def _bytes_of(data: Any) -> Any:
    """The bytes of an array; Python 2 wrote them as text."""
    data = data.taken() if isinstance(data, Run) else data
    return data.encode("latin-1") if isinstance(data, str) else data


def _check_array(shape: Any, dtype: Any, data: Any) -> None:
    made_of_bytes = isinstance(data, (bytes, bytearray, Run))
    if not isinstance(dtype, _Dtype) or dtype.objects or not made_of_bytes:
        raise pickle.UnpicklingError("an array that is not made of bytes")
    if any(type(n) is not int or n < 0 for n in shape):
        raise pickle.UnpicklingError("an array whose shape is no shape")
    size = math.prod(shape) * dtype.value.itemsize
    if size != len(data) and not (isinstance(data, Run) and data.may_be(size)):
        raise pickle.UnpicklingError("an array whose shape does not fit its bytes")


class _PlainUnpickler(TensorUnpickler):
    """Numbers, text, containers and arrays, and what is harmless and becomes one of these.

    Kinds of dicts become dicts, paths text, and tensors (wherever they were) and masked or mapped
    arrays arrays.
    """

    def __init__(
        self,
        file: IO[bytes],
        path: AnyPath,
        contents: str,
        read_storage: ReadStorage | None = None,
    ) -> None:
        super().__init__(file, path, contents, read_storage)
        self.admitted |= {
            "builtins.set": set,
            "builtins.frozenset": frozenset,
            "builtins.complex": complex,
            "builtins.bytes": self.no_bytes,
            "builtins.bytearray": self.byte_array,
            "copyreg._reconstructor": self.dict_of_protocol_0,
            "numpy.dtype": _Dtype,
            "numpy.ma.core._mareconstruct": self.begin_masked_array,
            "torch.Size": self.size,
            "torch.storage._load_from_bytes": self.storage,
        }
        self.admitted |= dict.fromkeys(DICTS, PlainDict) | dict.fromkeys(ARGUMENTS)
        for core in ("numpy.core", "numpy._core"):  # numpy 1.x and 2.x
            self.admitted |= {
                f"{core}.multiarray._reconstruct": self.begin_array,
                f"{core}.multiarray.scalar": self.scalar,
                f"{core}.numeric._frombuffer": self.array,
            }
        for module in ("pathlib", "pathlib._local"):  # until Python 3.12, and 3.13
            for kind in ("Path", "PosixPath", "PurePath", "PurePosixPath"):
                self.admitted[f"{module}.{kind}"] = self.posix_path
            for kind in ("WindowsPath", "PureWindowsPath"):
                self.admitted[f"{module}.{kind}"] = self.windows_path

    def other(self, name: str) -> Any:
        """Names what people have in such files with what to save instead; refuses the rest."""
        for beginning, instead in INSTEAD.items():
            if name.startswith(beginning):
                raise NotPlain(f"{shown(name)}, which is not read: save {instead} in its place")
        return super().other(name)

    def no_bytes(self) -> bytes:
        """Empty bytes, as protocols 0 to 2 spell them."""
        return b""

    def byte_array(self, content: Any = b"", encoding: str = "latin-1") -> bytearray:
        # bytearray(10 ** 12) would allocate that much.
        self.spend(len(content))
        content = content.taken() if isinstance(content, Run) else content
        return bytearray(self.encode(content, encoding) if isinstance(content, str) else content[:])

    def dict_of_protocol_0(self, kind: Any, _base: object, state: Any) -> PlainDict:
        if kind is not PlainDict:
            raise pickle.UnpicklingError("an object that is no dict")
        return PlainDict(state)

    def size(self, sides: Any) -> tuple[Any, ...]:
        if not isinstance(sides, tuple):
            raise pickle.UnpicklingError("a torch.Size that is none")
        return cast("tuple[Any, ...]", sides)

    def posix_path(self, *parts: str) -> str:
        self.spend(sum(len(part) + 1 for part in parts))
        return str(PurePosixPath(*parts))

    def windows_path(self, *parts: str) -> str:
        self.spend(sum(len(part) + 1 for part in parts))
        return str(PureWindowsPath(*parts))

    def begin_array(self, *args: object) -> _Array:
        return _Array(self.spend)

    def begin_masked_array(self, *args: object) -> _MaskedArray:
        return _MaskedArray(self.spend)

    def array(self, data: Any, dtype: Any, shape: Any, order: Any) -> Built:
        _check_array(shape, dtype, data)
        return Built(np.ndarray(shape, dtype.value, data, order=order))

    def scalar(self, dtype: Any, data: Any = None) -> Any:
        if not data:  # how numpy spells an empty text
            return dtype.value.type()
        data = _bytes_of(data)
        _check_array((), dtype, data)
        return np.ndarray((), dtype.value, data)[()]

    def storage(self, content: Any) -> Built:
        """The storage in a file of torch's old format, which torch's own function would execute."""
        content = content.taken() if isinstance(content, Run) else content
        if not isinstance(content, bytes) or not content.startswith(LEGACY):
            raise pickle.UnpicklingError("a storage that is none")
        self.spend(len(content))
        file = io.BytesIO(content)
        found = read_legacy(
            file, lambda storages: TensorUnpickler(file, self.path, self.contents, storages)
        )
        if not isinstance(found, Built) or found.value.ndim != 1:
            raise pickle.UnpicklingError("a storage that is none")
        return found

    def tensor(
        self, storage: Any, offset: Any, sizes: Any, strides: Any, *_gradient: object
    ) -> Built:
        """A tensor as an array; it may not repeat the numbers of its storage."""
        tensor = strided(storage.value, offset, sizes, strides)
        if tensor.numel() > len(storage.value):
            raise NotPlain(
                f"a tensor of {tensor.numel()} numbers made of {len(storage.value)}, as by expand: "
                "save tensor.contiguous().numpy()"
            )
        self.spend(tensor.numel() * tensor.dtype.itemsize)
        # numpy has no bfloat16
        return Built((tensor.float() if tensor.dtype == torch.bfloat16 else tensor.clone()).numpy())


class _InPlaceUnpickler(_PlainUnpickler):
    """Reads a pickle without its long runs of bytes (`placed.without_runs`).

    Args:
        short: the pickle.
        path: of the file, for sentences.
        contents: what the pickle should be, for sentences.
        file: where its runs are.
    """

    def __init__(self, short: bytes, path: AnyPath, contents: str, file: IO[bytes]) -> None:
        super().__init__(io.BytesIO(short), path, contents)
        self.file = file
        self.left += COPIES * (file.seek(0, 2) - len(short))

    def persistent_load(self, pid: Any) -> Run:
        """The run of a place; a pickle's own persistent ids have none."""
        if pid is None:
            raise pickle.UnpicklingError(
                "A load persistent id instruction was encountered, "
                "but no persistent_load function was specified."
            )
        return Run(self.file, *pid)

    def encode(self, text: Any, encoding: str) -> Any:
        if not isinstance(text, Run):
            return super().encode(text, encoding)
        self.spend(len(text))
        return text  # `_bytes_of` makes the bytes

    def begin_array(self, *args: object) -> _Array:
        return _ArrayInPlace(self.spend, self.file, self.path)

    def array(self, data: Any, dtype: Any, shape: Any, order: Any) -> Built:
        if not _stays(dtype, data):
            return super().array(_bytes_of(data), dtype, shape, order)
        holder = self.begin_array()
        holder.__setstate__((1, shape, dtype, order == "F", data))
        return holder
