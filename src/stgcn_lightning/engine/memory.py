"""How many persons an evaluation computes together, which bounds its memory."""

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

# by `is_cuda`: memory of an evaluation's widest tensor, at most; on a CPU the fastest, on a GPU
# what keeps three times as many numbers countable in 31 bits
ROWS_BYTES = {False: 16 << 20, True: 2 << 30}
FREE_PART = 16  # of a GPU's free memory, for the widest tensor: there are up to eight such at once


def rows_at_once(row: int, clips: Tensor) -> int:
    """How many persons of `clips` are computed together.

    Args:
        row: bytes of the widest tensor of one person.
        clips: on the device that computes them.
    """
    size = ROWS_BYTES[clips.is_cuda]
    if clips.is_cuda:
        free, _ = torch.cuda.mem_get_info(clips.device)
        free += torch.cuda.memory_reserved(clips.device)
        free -= torch.cuda.memory_allocated(clips.device)
        size = min(size, free // FREE_PART)
    return max(1, size // row)


class Widest(TorchDispatchMode):
    """While it is active: the bytes of the largest tensor that an operation makes."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 1

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No: to skip the compiler, PyTorch imports it when the first operation comes (1.4 s)."""
        return False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        if not func.is_view:
            sizes = [
                x.numel() * x.element_size() for x in tree_leaves(made) if isinstance(x, Tensor)
            ]
            self.bytes = max(self.bytes, *sizes, 0)
        return made
