"""Evaluation that goes on where memory is spent: with half as many clips at a time.

In evaluation no clip depends on another, so that parts answer as the whole does.
"""

import warnings
from collections.abc import Callable

import torch
from torch import Tensor

from stgcn_lightning.errors import out_of_memory


class Halving:
    """Computes logits of clips, of as many at a time as memory allows.

    Args:
        compute: logits (N, classes) of clips (N, M, T, V, C) and of who is present (N, M), or None.

    Attributes:
        most: clips at a time; None: no limit was met.
        say: is told when clips are divided.
    """

    def __init__(self, compute: Callable[[Tensor, Tensor | None], Tensor]):
        self.compute = compute
        self.most: int | None = None
        self.say: Callable[[str], object] = warnings.warn

    def __call__(self, clips: Tensor, present: Tensor | None = None) -> Tensor:
        """Logits (N, classes).

        Raises:
            RuntimeError: the memory does not suffice for one clip; or MemoryError.
        """
        parts: list[Tensor] = []
        done = 0
        while not parts or done < len(clips):
            end = done + (self.most or len(clips))
            some = self._tried(clips[done:end], None if present is None else present[done:end])
            if some is not None:
                parts.append(some)
                done = end
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _tried(self, clips: Tensor, present: Tensor | None) -> Tensor | None:
        """Logits; None where the memory did not suffice and fewer clips are to be tried."""
        try:
            return self.compute(clips, present)
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error) or len(clips) < 2:
                raise
        # the error is gone, and with it what it held
        self.most = len(clips) // 2
        if clips.is_cuda:
            torch.cuda.empty_cache()
        self.say(
            f"the memory does not suffice for {len(clips)} clips at once: from now on they are "
            f"evaluated {self.most} at a time"
        )
        return None
