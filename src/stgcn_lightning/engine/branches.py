"""Branches along time that begin together: narrow ones leave vector instructions half empty.

Axes: R rows, T frames (S of them come out), V joints, C channels in, b of a branch.
"""

from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stgcn_lightning.engine.norms import norm_together
from stgcn_lightning.models.parts import (
    DilatedBranch,
    LargestBranch,
    channels_first,
    channels_last,
    largest,
)

OfSeveralFrames = DilatedBranch | LargestBranch


def of_several_frames(branches: Iterable[nn.Module]) -> list[OfSeveralFrames]:
    """The branches that see more than a frame."""
    return [one for one in branches if isinstance(one, OfSeveralFrames)]


def begun(
    branches: list[OfSeveralFrames], x: Tensor, project: Callable[[Tensor, Tensor, Tensor], Tensor]
) -> list[Tensor]:
    """What goes into each branch's convolution or maximum, (R, b, ...) of (R, C, ...).

    Args:
        branches: any.
        x: their input.
        project: a product of x with a weight (O, C), a bias (O,) added.
    """
    weight, bias = (
        torch.cat([getattr(branch.project, name) for branch in branches])
        for name in ("weight", "bias")
    )
    y = norm_together([branch.norm for branch in branches], project(x, weight, bias)).relu_()
    return list(y.split([branch.project.out_features for branch in branches], 1))


def along_time(branches: list[OfSeveralFrames], x: Tensor) -> list[Tensor]:
    """Each branch but for the norm behind it: (R, C, T, V) -> (R, b, S, V)."""
    return [
        branch.conv(part) if isinstance(branch, DilatedBranch) else largest(part, branch.stride)
        for branch, part in zip(branches, begun(branches, x, project_last), strict=True)
    ]


def project_last(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """(R, C, T, V), (O, C), (O,) -> (R, O, T, V), which lie in memory as (R, T, V, C)."""
    return channels_first(F.linear(channels_last(x), weight, bias))


def last_norms(branches: list[OfSeveralFrames]) -> list[nn.BatchNorm2d]:
    """The norms behind branches."""
    return [branch.last_norm for branch in branches if branch.last_norm is not None]
