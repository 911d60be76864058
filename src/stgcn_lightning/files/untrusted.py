"""Untrusted pickles and checkpoints, atomic writes: the only doors to the disk that need care.

A pickle is a program: loading one calls whatever it names. The readers below hand it a closed list
of names, and every name leads to code of this file, never to the library that it speaks of:

- `read_pickle` (annotations): numpy arrays and scalars of plain numbers and text, plain containers.
- `read_test_dump` (MMAction2's ``--dump``): tensors, rebuilt here and returned as numpy arrays.
- `read_checkpoint` (torch zip files of anybody): tensors, rebuilt here; objects of the libraries
  that write checkpoints become `Inert`; no name is ever looked up in a module.

Safetensors files (`read_safetensors`) are no pickles: the package of that name reads them.

A pickle can also restore the state of what it was given, which numpy's and torch's own classes obey
too readily. Arrays and tensors therefore wait in a holder (`_Built`) until `_plain` takes them out.
"""

import errno
import hashlib
import io
import json
import math
import os
import pickle
import re
import secrets
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MethodType
from typing import IO, Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

from stgcn_lightning.errors import BadInput

AnyPath = str | os.PathLike[str]

CARD = "stgcn_lightning"  # where the metadata of a safetensors file hold our card

DTYPES = {name: value for name, value in vars(torch).items() if isinstance(value, torch.dtype)}

STORAGES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
    "ComplexDoubleStorage": torch.complex128,
    "ComplexFloatStorage": torch.complex64,
}

# fmt: off
# Libraries whose objects are found in checkpoints of honest origin.
FOREIGN = frozenset({
    "addict", "argparse", "datetime", "hydra", "lightning", "lightning_fabric",
    "lightning_utilities", "mmaction", "mmcls", "mmcv", "mmdet", "mmengine", "mmpose", "numpy",
    "omegaconf", "pathlib", "pyskl", "pytorch_lightning", "stgcn_lightning", "torch",
    "torchmetrics", "torchvision", "typing", "yapf",
})

# What the standard library describes such objects with. Above all `getattr`, which MMEngine's
# checkpoints ask for and which opens every door where it is obeyed.
DESCRIPTIVE = frozenset({
    "builtins.bool", "builtins.bytearray", "builtins.bytes", "builtins.dict", "builtins.float",
    "builtins.getattr", "builtins.int", "builtins.list", "builtins.object", "builtins.range",
    "builtins.slice", "builtins.str", "builtins.tuple", "builtins.type", "collections.Counter",
    "collections.defaultdict", "collections.deque", "copyreg._reconstructor", "functools.partial",
})
# fmt: on


def read_pickle(path: AnyPath) -> object:
    """Read a pickle that holds nothing but numpy data and plain containers.

    Raises:
        BadInput: no such file, not a pickle, truncated, or it asks for anything else (and is then
            not executed).
    """
    with _opened(path) as file:
        return _load(_AnnotationUnpickler(file, path))


def read_test_dump(path: AnyPath) -> list[dict[str, Any]]:
    """Read what MMAction2's test wrote with ``--dump``: one dict per sample, in test order.

    Returns:
        The dicts as they are, tensors as numpy arrays: `pred_score` (classes,), `gt_label` (1,).

    Raises:
        BadInput: as `read_pickle`; also if the file is not a list of dicts.
    """
    with _opened(path) as file:
        dump = _load(_TestDumpUnpickler(file, path))
    if not isinstance(dump, list) or not all(isinstance(record, dict) for record in dump):
        raise BadInput(f"{path} is not a test dump of MMAction2, which is a list of dicts")
    return dump


def write_test_dump(path: AnyPath, scores: np.ndarray, labels: np.ndarray) -> None:
    """Write scores as MMAction2's test does with ``--dump``, for its own tools to read.

    Args:
        path: the pickle to write, atomically.
        scores: (B, classes) float, after softmax.
        labels: (B,) int.
    """
    records = [
        {
            # `torch.tensor` copies: a view would take the whole table into every record.
            "pred_score": torch.tensor(score, dtype=torch.float32),  # classes
            "pred_label": torch.tensor([int(score.argmax())]),
            "gt_label": torch.tensor([int(label)]),
            "num_classes": len(score),
        }
        for score, label in zip(scores, labels, strict=True)
    ]
    with write_atomically(path) as file:
        pickle.dump(records, file, protocol=2)  # the protocol that MMEngine writes


def read_checkpoint(path: AnyPath) -> dict[str, Any]:
    """Read a torch checkpoint (.pth, .pt, .ckpt) without executing anything in it.

    Returns:
        The dictionary that was saved. Tensors are on the CPU, parameters are plain tensors, and
        objects of foreign libraries are `Inert`.

    Raises:
        BadInput: no such file, no torch zip file, damaged, or it asks for what no checkpoint holds.
    """
    with _opened(path) as file:
        start = file.read(4)
        if start == b"\x80\x02\x8a\n":  # torch's magic number, pickled
            raise BadInput(
                f"{path} is a checkpoint in torch's format of before version 1.6, a bare pickle; "
                "convert it on a machine that trusts it with "
                "torch.save(torch.load(OLD, weights_only=False), NEW)"
            )
        try:
            archive = zipfile.ZipFile(file)
        except Exception:  # of a damaged file, zipfile lets more than BadZipFile through
            if start == b"PK\x03\x04":
                raise BadInput(f"{path} is truncated or damaged; copy it again") from None
            raise BadInput(f"{path} is not a torch checkpoint: it is no zip file") from None
        with archive:
            checkpoint = _read_archive(archive, path)
    if not isinstance(checkpoint, dict):
        kind = type(checkpoint).__name__
        raise BadInput(f"{path} holds one {kind}, where a checkpoint is a dictionary")
    return checkpoint


def read_safetensors(path: AnyPath) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read a file in Hugging Face's safetensors format, which holds no code.

    Returns:
        The tensors by name, and the card; a file that is not ours has an empty one.

    Raises:
        BadInput: the package safetensors is missing, there is no such file, or it is damaged.
    """
    try:
        import safetensors
    except ImportError:
        raise BadInput(
            f"reading {path} needs safetensors: pip install 'stgcn_lightning[export]'"
        ) from None
    with _opened(path):  # says what is wrong with the path
        pass
    try:
        with safetensors.safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            card = json.loads((file.metadata() or {}).get(CARD, "{}"))
    except (safetensors.SafetensorError, ValueError) as error:
        raise BadInput(
            f"{path} is truncated or no safetensors file ({error}); copy it again"
        ) from None
    return tensors, card


def safetensors_bytes(tensors: Mapping[str, Tensor], card: Mapping[str, Any]) -> bytes:
    """A safetensors file; the card, plain values, is its metadata, as JSON.

    It is one text, since the package writes several in an order that changes from run to run.
    """
    import safetensors.torch

    tensors = {name: value.contiguous() for name, value in tensors.items()}
    return safetensors.torch.save(tensors, {CARD: json.dumps(card)})


@contextmanager
def write_atomically(path: AnyPath) -> Iterator[BinaryIO]:
    """Open `path` for writing such that it is only ever seen complete.

    The bytes go to a temporary file beside it, which takes its name when the block ends. If the
    block raises, the temporary file is removed and a file that was there before stays as it was.

    Raises:
        BadInput: the disk is full, or the file cannot be created.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        sync_folder(path.parent)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise BadInput(
                f"no space left in {path.parent.absolute()} to write {path.name}; "
                "free some, or choose a folder on another disk"
            ) from error
        if error.filename == str(temporary):
            raise BadInput(
                f"cannot write {path}: {error.strerror}; choose another folder or name"
            ) from error
        raise
    finally:
        with suppress(OSError):
            temporary.unlink()


def sync_folder(folder: AnyPath) -> None:
    """Make the names in a folder outlast a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256(path: AnyPath) -> str:
    """SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with _opened(path) as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


@contextmanager
def _opened(path: AnyPath) -> Iterator[BinaryIO]:
    try:
        file = open(path, "rb")  # noqa: SIM115 - closed below; only opening it may fail here
    except FileNotFoundError:
        raise BadInput(f"there is no file {path}; check the path") from None
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}; check the path") from None
    with file:
        yield file


class _InertType(type):
    def __setitem__(cls, key: object, value: object) -> None: ...


class Inert(metaclass=_InertType):
    """Stands for every foreign object in a checkpoint: whatever is done to it gives it back.

    It is the class itself that stands in a checkpoint (`value is Inert`): a pickle wants to
    construct, call, fill and restore what it names, and a class can suffer all of it.
    """

    def __new__(cls, *args: object, **kwargs: object) -> "type[Inert]":  # noqa: D102
        return cls

    @staticmethod
    def _ignore(*args: object) -> None: ...

    __setstate__ = append = extend = add = _ignore


class _Built:
    """A value made for a pickle, out of the pickle's reach until `_plain` takes it out."""

    __slots__ = ("value",)
    __hash__ = None  # type: ignore[assignment] - a key would not be taken out

    def __init__(self, value: Any) -> None:
        self.value = value

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("a finished value is given a state")


class _NotPlain(Exception):  # noqa: N818 - becomes a BadInput as soon as the file has a name
    """A value that is neither number nor text, described."""


class _Dtype(_Built):
    """A numpy dtype of numbers or text.

    A state may give nothing but its byte order: numpy's own `dtype.__setstate__` believes sizes and
    flags, with which a file could have numbers taken for pointers.
    """

    __slots__ = ()

    def __init__(self, code: str, align: bool = False, copy: bool = True) -> None:
        if not re.fullmatch(r"[<>=|]?(b1|[iu][1248]|f[248]|c8|c16|[SU]\d{1,6})", code):
            kind = "Python objects" if code.lstrip("<>=|").startswith("O") else repr(code[:20])
            raise _NotPlain(f"an array of {kind}")
        super().__init__(np.dtype(code))

    def __setstate__(self, state: Any) -> None:
        if state[1] not in ("<", ">", "=", "|"):
            raise pickle.UnpicklingError("a dtype without byte order")
        self.value = self.value.newbyteorder(state[1])


class _Array(_Built):
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


class _Call(_Built):
    """A method that a pickle may call and do nothing else to."""

    __slots__ = ()

    def __call__(self, *args: Any) -> Any:
        return self.value(*args)


class _Dict(dict):
    """A dict that a pickle may give attributes, as torch does with a state dict's `_metadata`."""

    def __setstate__(self, state: object) -> None: ...


def _plain(value: Any, done: dict[int, Any]) -> Any:
    """`value` with every holder replaced by what it holds; `done` has the containers met so far."""
    if isinstance(value, _Built):
        return value.value
    if type(value) not in (list, tuple, dict, _Dict):
        return value
    if id(value) in done:
        return done[id(value)]
    if isinstance(value, list):
        done[id(value)] = items = []
        items.extend(_plain(item, done) for item in value)
    elif isinstance(value, dict):
        done[id(value)] = table = {}
        table.update((key, _plain(item, done)) for key, item in value.items())
    else:
        done[id(value)] = tuple(_plain(item, done) for item in value)
    return done[id(value)]


class _Unpickler(pickle.Unpickler):
    """Resolves the names in `admitted` and refuses all others.

    `admitted` holds methods of the unpickler, and classes whose attributes a pickle cannot set, so
    that nothing of a file outlives its reading.
    """

    contents = "annotations"

    def __init__(self, file: IO[bytes], path: AnyPath) -> None:
        super().__init__(file)
        self.path = path
        self.admitted: dict[str, Any] = {
            "collections.OrderedDict": _Dict,
            "_codecs.encode": self.encode,
        }

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        # The names of Python 2, which protocols 0 to 2 still write.
        module = {"__builtin__": "builtins", "copy_reg": "copyreg"}.get(module_name, module_name)
        name = f"{module}.{global_name}"
        found = self.admitted[name] if name in self.admitted else self.other(name)
        return _Call(found) if isinstance(found, MethodType) else found

    def other(self, name: str) -> Any:
        shown = repr(name[:100])[1:-1]
        raise BadInput(
            f"{self.path} asks for {shown}, which {self.contents} never contain: "
            "the file was refused and nothing in it was executed; get it from a source you trust"
        )

    def encode(self, text: str, encoding: str) -> bytes:
        """Bytes, as protocols 0 to 2 spell them."""
        if encoding not in ("latin1", "latin-1"):
            raise pickle.UnpicklingError(f"bytes in the encoding {encoding!r}")
        return text.encode("latin-1")


class _AnnotationUnpickler(_Unpickler):
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

    def array(self, data: Any, dtype: Any, shape: Any, order: Any) -> _Built:
        _check_array(shape, dtype, data)
        return _Built(np.ndarray(shape, dtype.value, data, order=order))

    def scalar(self, dtype: Any, data: bytes | None = None) -> Any:
        if not data:  # how numpy spells an empty text
            return dtype.value.type()
        _check_array((), dtype, data)
        return np.ndarray((), dtype.value, data)[()]


class _TensorUnpickler(_Unpickler):
    """Rebuilds tensors from storages; a storage is a flat tensor in a holder."""

    def __init__(self, file: IO[bytes], path: AnyPath) -> None:
        super().__init__(file, path)
        self.admitted |= {
            "torch._utils._rebuild_tensor": self.tensor,
            "torch._utils._rebuild_tensor_v2": self.tensor,
        }

    def tensor(
        self, storage: Any, offset: Any, sizes: Any, strides: Any, *_gradient: object
    ) -> _Built:
        return _Built(_strided(storage.value, offset, sizes, strides))


def _strided(flat: Tensor, offset: Any, sizes: Any, strides: Any) -> Tensor:
    """View of `flat` (numel,) that must not reach beyond it."""
    if any(type(n) is not int or n < 0 for n in (offset, *sizes, *strides)):
        raise pickle.UnpicklingError("a tensor whose sizes are no sizes")
    steps = [(size - 1) * stride for size, stride in zip(sizes, strides, strict=True)]
    if offset > len(flat) or (0 not in sizes and offset + sum(steps) >= len(flat)):
        raise pickle.UnpicklingError("a tensor that reaches beyond its storage")
    return flat.as_strided(tuple(sizes), tuple(strides), offset)


class _TestDumpUnpickler(_TensorUnpickler):
    contents = "test dumps"

    def __init__(self, file: IO[bytes], path: AnyPath) -> None:
        super().__init__(file, path)
        self.admitted["torch.storage._load_from_bytes"] = self.storage

    def storage(self, content: bytes) -> _Built:
        # Torch's own function of this name unpickles anything.
        storage = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        if not isinstance(storage, torch.storage.TypedStorage):
            raise pickle.UnpicklingError("a storage that is none")
        return _Built(torch.empty(0, dtype=storage.dtype).set_(storage))  # type: ignore[arg-type]

    def tensor(
        self, storage: Any, offset: Any, sizes: Any, strides: Any, *_gradient: object
    ) -> _Built:
        tensor = _strided(storage.value, offset, sizes, strides)
        # numpy has no bfloat16
        return _Built((tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy())


class _CheckpointUnpickler(_TensorUnpickler):
    contents = "checkpoints"

    def __init__(
        self, file: IO[bytes], path: AnyPath, read_storage: Callable[[str, int], bytes]
    ) -> None:
        super().__init__(file, path)
        self.read_storage = read_storage
        self.storages: dict[str, _Built] = {}
        self.admitted |= {
            "builtins.set": set,
            "builtins.frozenset": frozenset,
            "builtins.complex": complex,
            "torch._utils._rebuild_tensor_v3": self.tensor_of_dtype,
            "torch._utils._rebuild_parameter": self.parameter,
            "torch._utils._rebuild_parameter_with_state": self.parameter,
            "torch.Size": torch.Size,
            "torch.device": torch.device,
            "torch.storage.UntypedStorage": torch.uint8,
            **{f"torch.{name}": dtype for name, dtype in (DTYPES | STORAGES).items()},
        }

    def other(self, name: str) -> Any:
        inert = name.split(".")[0] in FOREIGN or name in DESCRIPTIVE
        return Inert if inert else super().other(name)

    def persistent_load(self, pid: Any) -> _Built:
        kind, dtype, key, _device, numel = pid
        if kind != "storage" or not isinstance(dtype, torch.dtype) or type(numel) is not int:
            raise pickle.UnpicklingError("a storage of unknown kind")
        if key not in self.storages:
            content = bytearray(self.read_storage(key, numel * dtype.itemsize))
            # frombuffer wants at least one element
            flat = torch.frombuffer(content, dtype=dtype) if content else torch.empty(0).to(dtype)
            self.storages[key] = _Built(flat)
        return self.storages[key]

    def tensor_of_dtype(
        self, storage: Any, offset: Any, sizes: Any, strides: Any, _grad: object, _hooks: object,
        dtype: Any, *_metadata: object,
    ) -> _Built:  # fmt: skip
        """A tensor of the dtypes that have no storage class: its storage counts bytes."""
        return _Built(_strided(storage.value.view(dtype), offset, sizes, strides))

    def parameter(self, tensor: _Built, *_gradient: object) -> _Built:
        return tensor


def _read_archive(archive: zipfile.ZipFile, path: AnyPath) -> Any:
    """The object in a torch zip file: ROOT/data.pkl, its storages in ROOT/data/KEY."""
    records = {record.filename: record for record in archive.infolist()}
    index = next((name for name in records if re.fullmatch(r"[^/]+/data\.pkl", name)), None)
    if index is None:
        raise BadInput(f"{path} is a zip file but no torch checkpoint: it has no data.pkl")
    root = index.removesuffix("data.pkl")
    if f"{root}constants.pkl" in records:
        raise BadInput(f"{path} is a TorchScript module; give the checkpoint it was made from")

    def read(name: str, size: int | None = None) -> bytes:
        record = records[root + name]
        # Torch stores without compression; what unpacks could be any size.
        if record.compress_type != zipfile.ZIP_STORED or size not in (None, record.file_size):
            raise pickle.UnpicklingError(f"{name} is not as torch writes it")
        return archive.read(record)

    def load() -> Any:
        # Files of before torch 2.1 do not say, and are little-endian.
        order = read("byteorder").decode() if f"{root}byteorder" in records else "little"
        if order != sys.byteorder:
            raise BadInput(
                f"{path} was written on a {order}-endian machine; load and save it again on one "
                f"that is {sys.byteorder}-endian"
            )
        content = io.BytesIO(read("data.pkl"))
        return _CheckpointUnpickler(
            content, path, lambda key, size: read(f"data/{key}", size)
        ).load()

    return _guarded(load, path)


def _load(unpickler: _Unpickler) -> Any:
    return _guarded(unpickler.load, unpickler.path)


def _guarded(load: Callable[[], Any], path: AnyPath) -> Any:
    """What `load` gives, in plain containers; whatever goes wrong is the file's fault."""
    try:
        return _plain(load(), {})
    except BadInput:
        raise
    except _NotPlain as error:
        raise BadInput(
            f"{path} holds {error}, and only arrays of numbers or text are read: the file was "
            "refused and nothing in it was executed; save it again with arrays of numbers"
        ) from error
    except Exception as error:  # damaged bytes can make the unpickler raise almost anything
        detail = " ".join(str(error).split())[:200] or type(error).__name__
        raise BadInput(
            f"{path} is truncated or not a pickle of the expected kind ({detail}); copy it again"
        ) from error
