"""Pickles of annotations and scores: numbers, text and plain containers, nothing else.

What is harmless in other objects is taken (see `_PlainUnpickler`); those that are not read, but
which people have in such files, are named with what to save instead (`INSTEAD`).
"""

import io
import pickle
from collections.abc import Callable, Collection
from pathlib import PurePosixPath, PureWindowsPath
from typing import IO, Any, cast

import numpy as np

from stgcn_lightning.errors import BadInput
from stgcn_lightning.files.arrays import (
    Array,
    ArrayInPlace,
    Dtype,
    MaskedArray,
    bytes_of,
    check_array,
    stays,
)
from stgcn_lightning.files.kinds import LEGACY, refuse_other_kind
from stgcn_lightning.files.placed import Run
from stgcn_lightning.files.reading import AnyPath, opened
from stgcn_lightning.files.taking import guarded
from stgcn_lightning.files.tensors import (
    ReadStorage,
    TensorUnpickler,
    read_legacy,
    resolved,
    strided,
)
from stgcn_lightning.files.unpickling import (
    Built,
    NotPlain,
    PlainDict,
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
        in_place: keys of dicts, under which arrays of real numbers may stay in the file, as
            `placed.ArrayInFile`.
        seen: is then told now and then how many bytes of the file have been looked at.

    Raises:
        BadInput: no such file, not a pickle, truncated, or it asks for anything else,
            which is then not executed.
    """
    refuse_other_kind(path, contents)
    with opened(path) as file, not_collecting():
        kind = _InPlaceUnpickler if in_place else _PlainUnpickler
        end = 0

        def load() -> object:
            nonlocal end
            unpickler = kind(file, path, contents, in_place=bool(in_place), seen=seen)
            end = file.tell()
            return unpickler.load()

        found = guarded(load, path, contents, in_place)
        file.seek(end)  # after what was read of it in between
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
    here = file.tell()
    size = file.seek(0, 2) - here
    file.seek(here)
    return guarded(lambda: _PlainUnpickler(file, path, contents).load(), path, contents, size=size)


class _PlainUnpickler(TensorUnpickler):
    """Numbers, text, containers and arrays, and what is harmless and becomes one of these.

    Kinds of dicts become dicts, paths text, and tensors (wherever they were) and masked or mapped
    arrays arrays.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.admitted |= {
            "builtins.bytes": self.no_bytes,
            "builtins.bytearray": self.byte_array,
            "copyreg._reconstructor": self.dict_of_protocol_0,
            "numpy.dtype": Dtype,
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

    def begin_array(self, *args: object) -> Array:
        return Array(self.spend)

    def begin_masked_array(self, *args: object) -> MaskedArray:
        return MaskedArray(self.spend)

    def array(self, data: Any, dtype: Any, shape: Any, order: Any) -> Built:
        data = bytes_of(data)
        self.spend(len(data))  # text is looked at, and bytes are copied
        check_array(shape, dtype, data)
        if isinstance(data, bytes):  # which are not writable
            data = bytearray(data)
        return Built(np.ndarray(shape, dtype.value, data, order=order))

    def scalar(self, dtype: Any, data: Any = None) -> Any:
        if not data:  # how numpy spells an empty text
            return dtype.value.type()
        self.spend(len(data))
        data = bytes_of(data)
        check_array((), dtype, data)
        return np.ndarray((), dtype.value, data)[()]

    def storage(self, content: Any) -> Built:
        """The storage in a file of torch's old format, which torch's own function would execute."""
        content = content.taken() if isinstance(content, Run) else content
        if not isinstance(content, bytes) or not content.startswith(LEGACY):
            raise pickle.UnpicklingError("a storage that is none")
        self.spend(len(content))
        file = io.BytesIO(content)

        def make(storages: ReadStorage | None) -> TensorUnpickler:
            shared = {"read_storage": storages, "budget": self.budget}
            return TensorUnpickler(file, self.path, self.contents, **shared)

        found = read_legacy(file, make)
        if not isinstance(found, Built) or found.value.ndim != 1:
            raise pickle.UnpicklingError("a storage that is none")
        return found

    def tensor(
        self, storage: Any, offset: Any, sizes: Any, strides: Any, _grad: object = False,
        _hooks: object = None, bits: Any = None,
    ) -> Built:  # fmt: skip
        """A tensor as an array; it may not repeat the numbers of its storage."""
        tensor = strided(storage.value, offset, sizes, strides)
        if tensor.numel() > len(storage.value):
            raise NotPlain(
                f"a tensor of {tensor.numel()} numbers made of {len(storage.value)}, as by expand: "
                "save tensor.contiguous().numpy()"
            )
        self.spend(tensor.numel() * tensor.dtype.itemsize)
        import torch

        tensor = resolved(tensor, bits)
        # numpy has no bfloat16
        return Built((tensor.float() if tensor.dtype == torch.bfloat16 else tensor.clone()).numpy())


class _InPlaceUnpickler(_PlainUnpickler):
    """Reads a pickle of which long runs of bytes stay in the file."""

    def persistent_load(self, pid: Any) -> Any:
        """The run at a place, and what there is without places."""
        placed = type(pid) is tuple and len(pid) == 3  # pyright: ignore[reportUnknownArgumentType]
        return Run(self.file, *pid) if placed else super().persistent_load(pid)

    def encode(self, text: Any, encoding: str) -> Any:
        if not isinstance(text, Run):
            return super().encode(text, encoding)
        super().encode("", encoding)  # refuses encodings
        self.spend(len(text))
        return Run(text.file, text.start, text.size, text.text, stands=True)

    def begin_array(self, *args: object) -> Array:
        return ArrayInPlace(self.spend, self.file, self.path)

    def array(self, data: Any, dtype: Any, shape: Any, order: Any) -> Built:
        if not stays(dtype, data):
            return super().array(data, dtype, shape, order)
        holder = self.begin_array()
        holder.__setstate__((1, shape, dtype, order == "F", data))
        return holder
