"""Tensors in pickles, rebuilt by our own code (see `unpickling`)."""

import pickle
from typing import IO, Any

from torch import Tensor

from stgcn_lightning.files.reading import AnyPath
from stgcn_lightning.files.unpickling import Built, Unpickler


class TensorUnpickler(Unpickler):
    """Rebuilds tensors from storages; a storage is a flat tensor in a holder."""

    def __init__(self, file: IO[bytes], path: AnyPath) -> None:
        super().__init__(file, path)
        self.admitted |= {
            "torch._utils._rebuild_tensor": self.tensor,
            "torch._utils._rebuild_tensor_v2": self.tensor,
        }

    def tensor(
        self, storage: Any, offset: Any, sizes: Any, strides: Any, *_gradient: object
    ) -> Built:
        """A view of a storage, as `torch._utils` names it; whether it has a gradient is ignored."""
        return Built(strided(storage.value, offset, sizes, strides))


def strided(flat: Tensor, offset: Any, sizes: Any, strides: Any) -> Tensor:
    """A view of `flat` (numel,), refused if it reaches beyond the end of `flat`."""
    if any(type(n) is not int or n < 0 for n in (offset, *sizes, *strides)):
        raise pickle.UnpicklingError("a tensor whose sizes are no sizes")
    steps = [(size - 1) * stride for size, stride in zip(sizes, strides, strict=True)]
    if offset > len(flat) or (0 not in sizes and offset + sum(steps) >= len(flat)):
        raise pickle.UnpicklingError("a tensor that reaches beyond its storage")
    return flat.as_strided(tuple(sizes), tuple(strides), offset)
