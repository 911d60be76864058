"""Compiled forms: few numbers of rows, one graph for each."""

import functools
from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

BUCKETS = 8  # numbers of rows that are compiled for, at most


class HasFeatures(Protocol):
    """A backbone, or a folded form."""

    def features(self, x: Tensor) -> Tensor:
        """(R, T, V, C) -> (R, F)."""
        ...


@functools.cache
def compiled(mode: str) -> Callable[..., Tensor]:
    """(model or folded form, x) -> its features, compiled once for every number of rows that comes.

    Args:
        mode: one of `modes.COMPILE_MODES`.
    """
    limit = 4 * (BUCKETS + 1)  # of graphs: four models of one process, and a row for the absent
    torch._dynamo.config.recompile_limit = max(limit, torch._dynamo.config.recompile_limit)
    return torch.compile(features_of, mode=mode, dynamic=False, fullgraph=True)


def features_of(form: HasFeatures, x: Tensor) -> Tensor:
    """Features (R, F) of persons (R, T, V, C)."""
    return form.features(x)


def bucket(rows: int) -> int:
    """What numbers of rows up to `rows` are rounded up to multiples of."""
    return -(-rows // BUCKETS)
