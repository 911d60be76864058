"""Tensors in pickles, rebuilt by our own code (see `unpickling`).

Torch writes storages in three places: as records of a zip file (`archives`), after the pickle
(before version 1.6), and, where a tensor was given to plain `pickle`, within it, as the bytes of a
file of that older format. The last two are read here. Torch is imported when a file holds a tensor:
most annotations and scores hold none.
"""

import pickle
from collections.abc import Callable
from typing import IO, TYPE_CHECKING, Any

from stgcn_lightning.files.reading import AnyPath
from stgcn_lightning.files.unpickling import MOST_AXES, Built, Unpickler

if TYPE_CHECKING:
    import torch
    from torch import Tensor

STORAGES = {  # name of a class of storages -> that of their type
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
    "ComplexDoubleStorage": "complex128",
    "ComplexFloatStorage": "complex64",
}
ReadStorage = Callable[[str, "torch.dtype", int], "Tensor"]  # key, dtype, numel -> flat tensor


class TensorUnpickler(Unpickler):
    """Rebuilds tensors from storages; a storage is a flat tensor in a holder.

    Args:
        file: where the pickle begins.
        path: of the file, for sentences.
        contents: what the pickle should be, for sentences.
        read_storage: what gives the storages that the pickle refers to.
        **options: of any unpickler.
    """

    def __init__(
        self,
        file: IO[bytes],
        path: AnyPath,
        contents: str,
        *,
        read_storage: ReadStorage | None = None,
        **options: Any,
    ) -> None:
        super().__init__(file, path, contents, **options)
        self.read_storage = read_storage
        self.storages: dict[str, Built] = {}
        self.admitted |= {
            "torch._utils._rebuild_tensor": self.tensor,
            "torch._utils._rebuild_tensor_v2": self.tensor,
            "torch._utils._rebuild_parameter": self.parameter,
        }

    def other(self, name: str) -> Any:
        """The type of the numbers of a storage; refuses the rest."""
        package, _, kind = name.partition(".")
        if package != "torch" or kind not in STORAGES:
            return super().other(name)
        import torch

        return getattr(torch, STORAGES[kind])

    def referred(self, pid: Any) -> Any:
        """The storage that a pickle refers to.

        Raises:
            UnpicklingError: it is not named as torch names one, or the pickle has none outside.
        """
        import torch

        if not isinstance(pid, tuple) or not 5 <= len(pid) <= 6:
            raise pickle.UnpicklingError("a storage of unknown kind")
        kind, dtype, key, _device, numel, *_view = pid
        known = kind == "storage" and isinstance(dtype, torch.dtype) and isinstance(key, str)
        if not known or type(numel) is not int or any(_view) or self.read_storage is None:
            raise pickle.UnpicklingError("a storage of unknown kind")
        if key not in self.storages:
            self.storages[key] = Built(self.read_storage(key, dtype, numel))
        return self.storages[key]

    def tensor(
        self, storage: Any, offset: Any, sizes: Any, strides: Any, _grad: object = False,
        _hooks: object = None, bits: Any = None,
    ) -> Built:  # fmt: skip
        """A view of a storage, as `torch._utils` names it; whether it has a gradient is ignored."""
        return self.view(storage.value, offset, sizes, strides, bits)

    def view(
        self, flat: "Tensor", offset: Any, sizes: Any, strides: Any, bits: Any = None
    ) -> Built:
        """A view of `flat` (numel,), counted as if it were copied, as others may do."""
        found = strided(flat, offset, sizes, strides)
        self.spend(found.numel() * found.dtype.itemsize)
        return Built(resolved(found, bits))

    def parameter(self, tensor: Built, *_gradient: object) -> Built:
        """A parameter is its tensor."""
        return tensor


def strided(flat: "Tensor", offset: Any, sizes: Any, strides: Any) -> "Tensor":
    """A view of `flat` (numel,), refused if it reaches beyond the end of `flat`.

    Raises:
        UnpicklingError: it does, or its sizes are no sizes.
    """
    if not isinstance(sizes, tuple) or not isinstance(strides, tuple) or len(sizes) > MOST_AXES:
        raise pickle.UnpicklingError("a tensor whose sizes are no sizes")
    given = (offset, *sizes, *strides)
    if {*map(type, given)} != {int} or min(given) < 0:
        raise pickle.UnpicklingError("a tensor whose sizes are no sizes")
    steps = [(size - 1) * stride for size, stride in zip(sizes, strides, strict=True)]
    most = flat.numel()
    if offset > most or (0 not in sizes and offset + sum(steps) >= most):
        raise pickle.UnpicklingError("a tensor that reaches beyond its storage")
    return flat.as_strided(tuple(sizes), tuple(strides), offset)


def resolved(tensor: "Tensor", bits: Any) -> "Tensor":
    """A tensor after what torch had put off when it saved it: to conjugate it, to negate it.

    Raises:
        UnpicklingError: its metadata are none.
    """
    if bits is None:
        return tensor
    if not isinstance(bits, dict):
        raise pickle.UnpicklingError("a tensor whose metadata are no dict")
    if bits.get("conj"):
        tensor = tensor.conj_physical()
    return tensor.neg() if bits.get("neg") else tensor


def flat_tensor(content: bytearray, dtype: "torch.dtype") -> "Tensor":
    """The numbers (numel,) in bytes, which it keeps."""
    import torch

    if not content:
        return torch.empty(0).to(dtype)  # frombuffer wants at least one element
    return torch.frombuffer(content, dtype=dtype)


def read_legacy(file: IO[bytes], make: Callable[[ReadStorage | None], TensorUnpickler]) -> Any:
    """The object in a file of torch's format of before version 1.6, its tensors in holders.

    Five pickles (a magic number, a version, a dict about the machine, the object, the keys of its
    storages), then each storage: its length, eight bytes, and its numbers. The object is read
    twice: without numbers, to find where they begin, and with them.

    Args:
        file: at its beginning.
        make: the unpickler of what comes next in `file`, from where its storages are read.

    Raises:
        UnpicklingError: a storage has no name, or another length than it should have.
    """
    import torch

    stated: dict[str, tuple[torch.dtype, int]] = {}

    def without_numbers(key: str, dtype: torch.dtype, numel: int) -> "Tensor":
        stated[key] = dtype, numel
        return torch.empty(numel, dtype=dtype, device="meta")

    for _ in ("magic number", "version", "machine"):
        make(None).load()
    start = file.tell()
    make(without_numbers).load()
    keys = make(None).load()
    begin, end = file.tell(), file.seek(0, 2)
    file.seek(begin)
    found: dict[str, Tensor] = {}
    for key in keys:
        if not isinstance(key, str):  # the hash of a tuple may take years
            raise pickle.UnpicklingError("a storage without a name")
        dtype, numel = stated[key]
        size = numel * dtype.itemsize
        same = int.from_bytes(file.read(8), "little") == numel
        if not same or size > end - file.tell():
            raise pickle.UnpicklingError("a storage of another length than it should have")
        found[key] = flat_tensor(bytearray(file.read(size)), dtype)
    file.seek(start)
    return make(lambda key, _dtype, _numel: found[key]).load()
