"""Compiled forms: few numbers of rows, one graph for each."""

import functools
from collections.abc import Callable

import torch
from torch import Tensor

BUCKETS = 8  # numbers of rows that are compiled for, at most


@functools.cache
def compiled(features: Callable[..., Tensor], mode: str) -> Callable[..., Tensor]:
    """A function of a model and rows, compiled once for every number of rows that comes.

    Args:
        features: the function.
        mode: one of `modes.COMPILE_MODES`.
    """
    limit = 4 * (BUCKETS + 1)  # of graphs: four models of one process, and a row for the absent
    torch._dynamo.config.recompile_limit = max(limit, torch._dynamo.config.recompile_limit)
    return torch.compile(features, mode=mode, dynamic=False, fullgraph=True)


def bucket(rows: int) -> int:
    """What numbers of rows up to `rows` are rounded up to multiples of."""
    return -(-rows // BUCKETS)
