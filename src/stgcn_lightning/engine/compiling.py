"""Compiled forms: few numbers of rows, one graph for each."""

import functools
from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor

from stgcn_lightning.engine.norms import CurrentRows
from stgcn_lightning.engine.persons import Rows
from stgcn_lightning.models.backbone import Backbone

BUCKETS = 8  # numbers of rows that are compiled for, at most


class HasFeatures(Protocol):
    """A backbone, or a folded form."""

    def features(self, x: Tensor) -> Tensor:
        """(R, T, V, C) -> (R, F)."""
        ...


def features_of(form: HasFeatures, x: Tensor) -> Tensor:
    """Features (R, F) of persons (R, T, V, C)."""
    return form.features(x)


def training_features_of(
    model: Backbone, current: CurrentRows, x: Tensor, group: Tensor, share: Tensor, persons: Tensor
) -> tuple[Tensor, Tensor | None]:
    """Those, and what else the training learns from.

    What the rows are comes as arguments. Tensors that a module holds are taken to lie in one place
    for ever, so that CUDA graphs would be recorded again for every batch.

    Args:
        model: whose modules read `current`.
        current: of the engine.
        x: (R, T, V, C).
        group: (R,), see `Rows`.
        share: (G, R), likewise.
        persons: (G,), likewise.
    """
    with current.described_by(Rows(group, share, persons, group, [])):
        return model.training_features(x)


@functools.cache
def compiled(mode: str, features: Callable[..., Any] = features_of) -> Callable[..., Any]:
    """(model or folded form, x) -> its features, compiled once for every number of rows that comes.

    Args:
        mode: one of `modes.COMPILE_MODES`.
        features: which of the functions above is compiled.
    """
    limit = 4 * (BUCKETS + 1)  # of graphs: four models of one process, and a row for the absent
    torch._dynamo.config.recompile_limit = max(limit, torch._dynamo.config.recompile_limit)
    return torch.compile(features, mode=mode, dynamic=False, fullgraph=True)


def bucket(rows: int) -> int:
    """What numbers of rows up to `rows` are rounded up to multiples of."""
    return -(-rows // BUCKETS)
