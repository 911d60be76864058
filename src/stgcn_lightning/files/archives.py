"""Torch's files (.pth, .pt, .ckpt), read without executing anything in them.

How that is done is described in `unpickling`.
"""

import io
import os
import pickle
import re
import sys
import zipfile
import zlib
from typing import IO, Any, BinaryIO

import torch
from torch import Tensor

from stgcn_lightning.errors import BadInput
from stgcn_lightning.files.kinds import LEGACY, refuse_other_kind, refuse_pickle, refuse_text
from stgcn_lightning.files.reading import AnyPath, opened
from stgcn_lightning.files.taking import guarded
from stgcn_lightning.files.tensors import (
    STORAGES,
    ReadStorage,
    TensorUnpickler,
    flat_tensor,
    read_legacy,
)
from stgcn_lightning.files.unpickling import (
    MOST_AXES,
    Budget,
    Built,
    not_collecting,
    refuse_many,
    shown,
)

# Those with arithmetic: torch crashes on numbers of a few bits and on quantised ones.
DTYPES = {
    name: getattr(torch, name)
    for name in (
        "bfloat16", "bool", "complex32", "complex64", "complex128", "float16", "float32", "float64",
        "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu",
        "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
    )
    if hasattr(torch, name)
}  # fmt: skip

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


CHECKPOINTS = "checkpoints"
DEVICES = ("cpu", "cuda", "mps", "xla", "hpu", "npu", "xpu", "meta")
LOCAL_MARK, LOCAL_HEADER = b"PK\x03\x04", 30  # how a record of a zip file begins, in bytes
NOT_PLAIN = 0x2061  # flags of a record that is encrypted, or a patch of another
MODEL_WITHIN = 1 << 20  # bytes of a pickle in which the names of a module's attributes occur


def read_checkpoint(path: AnyPath) -> dict[str, Any]:
    """Read a torch checkpoint (.pth, .pt, .ckpt) without executing anything in it.

    Returns:
        The dictionary that was saved. Tensors are on the CPU, parameters are plain tensors, and
        objects of foreign libraries are `Inert`.

    Raises:
        BadInput: no such file, no torch file, damaged, or it asks for a name that no checkpoint
            holds.
    """
    with opened(path) as file, not_collecting():
        start = file.read(len(LEGACY))
        file.seek(0)
        if not start.startswith(b"PK"):  # the names in a zip are not read twice
            refuse_other_kind(path, CHECKPOINTS)
        read = _read_old_file if start == LEGACY else _read_zip
        checkpoint = read(file, path)
    if checkpoint is Inert:
        raise BadInput(whole_model(path))
    if not isinstance(checkpoint, dict):
        kind = type(checkpoint).__name__
        raise BadInput(f"{path} holds one {kind}, where a checkpoint is a dictionary")
    return checkpoint


def whole_model(path: AnyPath, name: str = "") -> str:
    """The sentence about a file that holds a model itself, and not its weights."""
    named = f" ({shown(name)})" if name else ""
    return (
        f"{path} holds a whole model{named}, which only the program that wrote it can open: save "
        "its weights there, torch.save(model.state_dict(), FILE)"
    )


class _InertType(type):
    def __repr__(cls) -> str:  # in sentences
        return "an object of another library"

    def __setitem__(cls, key: object, value: object) -> None: ...


class Inert(metaclass=_InertType):
    """Takes the place of every foreign object in a checkpoint, and ignores all that is done to it.

    The class itself is that value (`value is Inert`), since a pickle constructs, calls, fills and
    restores what it names: a class accepts all four, and each gives the class back.
    """

    def __new__(cls, *args: object, **kwargs: object) -> "type[Inert]":  # noqa: D102
        refuse_many(args)
        return cls

    @staticmethod
    def _ignore(*args: object) -> None: ...

    __setstate__ = append = extend = add = _ignore


class _CheckpointUnpickler(TensorUnpickler):
    def __init__(self, file: IO[bytes], path: AnyPath, **options: Any) -> None:
        super().__init__(file, path, CHECKPOINTS, **options)
        self.admitted |= {
            "torch._utils._rebuild_tensor_v3": self.tensor_of_dtype,
            "torch._utils._rebuild_parameter_with_state": self.parameter,
            "torch.Size": self.size,
            "torch.device": self.device,
            "torch.storage.UntypedStorage": torch.uint8,
            **{f"torch.{name}": dtype for name, dtype in DTYPES.items()},
            **{f"torch.{name}": DTYPES[kind] for name, kind in STORAGES.items()},
        }

    def other(self, name: str) -> Any:
        top = name.split(".")[0]
        if top in FOREIGN or name in DESCRIPTIVE:
            return Inert
        if top not in sys.stdlib_module_names | {"builtins"} and self.holds_a_module():
            raise BadInput(whole_model(self.path, name))
        return super().other(name)

    def referred(self, pid: Any) -> Any:
        # before version 1.6 the class of a module was written with its source text
        return Inert if pid[0] == "module" else super().referred(pid)

    def size(self, sides: Any) -> torch.Size:
        if not isinstance(sides, tuple) or len(sides) > MOST_AXES:
            raise pickle.UnpicklingError("a torch.Size that is none")
        return torch.Size(sides)

    def device(self, kind: Any, *index: Any) -> torch.device:
        few = len(index) < 2 and all(type(one) is int and 0 <= one < 64 for one in index)
        if not few or not isinstance(kind, str) or kind not in DEVICES:
            raise pickle.UnpicklingError("a torch.device that is none")
        return torch.device(kind, *index)

    def holds_a_module(self) -> bool:
        """Whether the attributes of a torch module are in the pickle, of whatever class it is."""
        here = self.file.tell()
        self.file.seek(0)
        begins = self.file.read(MODEL_WITHIN)
        self.file.seek(here)
        return all(name in begins for name in (b"_parameters", b"_buffers", b"_modules"))

    def tensor_of_dtype(
        self, storage: Any, offset: Any, sizes: Any, strides: Any, _grad: object, _hooks: object,
        dtype: Any, bits: Any = None,
    ) -> Built:  # fmt: skip
        """A tensor of the dtypes that have no storage class: its storage counts bytes."""
        return self.view(storage.value.view(dtype), offset, sizes, strides, bits)


def _read_old_file(file: IO[bytes], path: AnyPath) -> Any:
    """The object in a file of torch's format of before version 1.6."""

    def load() -> Any:
        def make(storages: ReadStorage | None) -> TensorUnpickler:
            return _CheckpointUnpickler(file, path, read_storage=storages)

        return read_legacy(file, make)

    return guarded(load, path, CHECKPOINTS)


def _read_zip(file: BinaryIO, path: AnyPath) -> Any:
    """The object in a torch zip file: ROOT/data.pkl, its storages in ROOT/data/KEY."""
    try:
        archive = zipfile.ZipFile(file)
    except Exception:  # of a damaged file, zipfile lets more than BadZipFile through
        file.seek(0)
        if file.read(4) == LOCAL_MARK:
            raise BadInput(f"{path} is truncated or damaged; copy it again") from None
        refuse_pickle(path)
        refuse_text(path, CHECKPOINTS)
        raise BadInput(f"{path} is not a torch checkpoint: it is no zip file") from None
    with archive:
        return _read_archive(archive, file, path)


def _stored(file: BinaryIO, record: zipfile.ZipInfo) -> bytearray:
    """The bytes of a record that is not compressed, read into the memory in which they stay."""
    file.seek(record.header_offset)
    header = file.read(LOCAL_HEADER)
    if not header.startswith(LOCAL_MARK):
        raise pickle.UnpicklingError(f"{shown(record.filename)} is not where it should be")
    named, more = header[26:28], header[28:30]  # lengths of its name and of what follows that
    file.seek(int.from_bytes(named, "little") + int.from_bytes(more, "little"), os.SEEK_CUR)
    content = bytearray(record.file_size)
    if file.readinto(content) < len(content):  # type: ignore[attr-defined]
        raise pickle.UnpicklingError(f"{shown(record.filename)} reaches beyond its end")
    if zlib.crc32(content) != record.CRC:
        raise pickle.UnpicklingError(f"{shown(record.filename)} has another checksum")
    return content


def _read_archive(archive: zipfile.ZipFile, file: BinaryIO, path: AnyPath) -> Any:
    records = {record.filename: record for record in archive.infolist()}
    index = next((name for name in records if re.fullmatch(r"[^/]+/data\.pkl", name)), None)
    if index is None:
        refuse_other_kind(path, CHECKPOINTS)
        raise BadInput(f"{path} is a zip file but no torch checkpoint: it has no data.pkl")
    root = index.removesuffix("data.pkl")
    if f"{root}constants.pkl" in records:
        raise BadInput(f"{path} is a TorchScript module; give the checkpoint it was made from")

    left = os.path.getsize(path)  # bytes that no record has taken yet
    budget = Budget(left)

    def read(name: str, size: int | None = None) -> bytearray:
        nonlocal left
        record = records.get(root + name)
        if record is None:
            raise pickle.UnpicklingError(f"it lacks {shown(name)}")
        # Torch stores without compression; a compressed record could unpack to any size.
        stored = (
            record.compress_type == zipfile.ZIP_STORED
            and record.compress_size == record.file_size
            and not record.flag_bits & NOT_PLAIN
        )
        if not stored or size not in (None, record.file_size):
            raise pickle.UnpicklingError(f"{shown(name)} is not as torch writes it")
        left -= record.file_size
        if left < 0:
            raise pickle.UnpicklingError("its records would take more bytes than it has")
        return _stored(file, record)

    def read_storage(key: str, dtype: torch.dtype, numel: int) -> Tensor:
        return flat_tensor(read(f"data/{key}", numel * dtype.itemsize), dtype)

    def load() -> Any:
        # Files written before torch 2.1 do not name their byte order, which is little-endian.
        order = read("byteorder").decode() if f"{root}byteorder" in records else "little"
        if order not in ("little", "big"):
            raise pickle.UnpicklingError("a byte order that there is not")
        if order != sys.byteorder:
            raise BadInput(
                f"{path} was written on a {order}-endian machine; load and save it again on one "
                f"that is {sys.byteorder}-endian"
            )
        content = io.BytesIO(read("data.pkl"))
        reader = _CheckpointUnpickler(content, path, read_storage=read_storage, budget=budget)
        return reader.load()

    return guarded(load, path, CHECKPOINTS)
