"""Torch's zip files (.pth, .pt, .ckpt), read without executing anything in them.

How that is done is described in `unpickling`.
"""

import io
import pickle
import re
import sys
import zipfile
from collections.abc import Callable
from typing import IO, Any

import torch

from stgcn_lightning.errors import BadInput
from stgcn_lightning.files.reading import AnyPath, opened
from stgcn_lightning.files.tensors import TensorUnpickler, strided
from stgcn_lightning.files.unpickling import Built, guarded

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
# Libraries whose objects occur in checkpoints that are not hostile.
FOREIGN = frozenset({
    "addict", "argparse", "datetime", "hydra", "lightning", "lightning_fabric",
    "lightning_utilities", "mmaction", "mmcls", "mmcv", "mmdet", "mmengine", "mmpose", "numpy",
    "omegaconf", "pathlib", "pyskl", "pytorch_lightning", "stgcn_lightning", "torch",
    "torchmetrics", "torchvision", "typing", "yapf",
})

# Names of the standard library that describe such objects. Above all `getattr`, which MMEngine's
# checkpoints ask for, and with which a file could call anything if it were executed.
DESCRIPTIVE = frozenset({
    "builtins.bool", "builtins.bytearray", "builtins.bytes", "builtins.dict", "builtins.float",
    "builtins.getattr", "builtins.int", "builtins.list", "builtins.object", "builtins.range",
    "builtins.slice", "builtins.str", "builtins.tuple", "builtins.type", "collections.Counter",
    "collections.defaultdict", "collections.deque", "copyreg._reconstructor", "functools.partial",
})
# fmt: on


def read_checkpoint(path: AnyPath) -> dict[str, Any]:
    """Read a torch checkpoint (.pth, .pt, .ckpt) without executing anything in it.

    Returns:
        The dictionary that was saved. Tensors are on the CPU, parameters are plain tensors, and
        objects of foreign libraries are `Inert`.

    Raises:
        BadInput: no such file, no torch zip file, damaged, or it asks for a name
            that no checkpoint holds.
    """
    with opened(path) as file:
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


class _InertType(type):
    def __setitem__(cls, key: object, value: object) -> None: ...


class Inert(metaclass=_InertType):
    """Takes the place of every foreign object in a checkpoint, and ignores all that is done to it.

    The class itself is that value (`value is Inert`), since a pickle constructs, calls, fills and
    restores what it names: a class accepts all four, and each gives the class back.
    """

    def __new__(cls, *args: object, **kwargs: object) -> "type[Inert]":  # noqa: D102
        return cls

    @staticmethod
    def _ignore(*args: object) -> None: ...

    __setstate__ = append = extend = add = _ignore


class _CheckpointUnpickler(TensorUnpickler):
    contents = "checkpoints"

    def __init__(
        self, file: IO[bytes], path: AnyPath, read_storage: Callable[[str, int], bytes]
    ) -> None:
        super().__init__(file, path)
        self.read_storage = read_storage
        self.storages: dict[str, Built] = {}
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

    def persistent_load(self, pid: Any) -> Built:
        kind, dtype, key, _device, numel = pid
        if kind != "storage" or not isinstance(dtype, torch.dtype) or type(numel) is not int:
            raise pickle.UnpicklingError("a storage of unknown kind")
        if key not in self.storages:
            content = bytearray(self.read_storage(key, numel * dtype.itemsize))
            # frombuffer wants at least one element
            flat = torch.frombuffer(content, dtype=dtype) if content else torch.empty(0).to(dtype)
            self.storages[key] = Built(flat)
        return self.storages[key]

    def tensor_of_dtype(
        self, storage: Any, offset: Any, sizes: Any, strides: Any, _grad: object, _hooks: object,
        dtype: Any, *_metadata: object,
    ) -> Built:  # fmt: skip
        """A tensor of the dtypes that have no storage class: its storage counts bytes."""
        return Built(strided(storage.value.view(dtype), offset, sizes, strides))

    def parameter(self, tensor: Built, *_gradient: object) -> Built:
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
        # Torch stores without compression; a compressed record could unpack to any size.
        if record.compress_type != zipfile.ZIP_STORED or size not in (None, record.file_size):
            raise pickle.UnpicklingError(f"{name} is not as torch writes it")
        return archive.read(record)

    def load() -> Any:
        # Files written before torch 2.1 do not name their byte order, which is little-endian.
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

    return guarded(load, path)
