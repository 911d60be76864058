"""Matrix products of many rows: by MKL, or by oneDNN's 1x1 convolutions where these are faster.

Axes: Q rows, C columns in, O out.
"""

import functools

import torch
import torch.nn.functional as F
from torch import Tensor

from stgcn_lightning.engine.choices import faster

WIDE = 32  # columns from which there is a choice
PROBE_ROWS = 4096  # of the products that are compared


def project(x: Tensor, weight: Tensor, out: Tensor) -> None:
    """Write x weight^T to `out`.

    Args:
        x: (Q, C).
        weight: (O, C).
        out: (Q, O), overwritten.
    """
    if by_convolution(x, weight):
        out.copy_(convolved(x, weight))
    else:
        torch.mm(x, weight.t(), out=out)


def project_back(g: Tensor, weight: Tensor, out: Tensor, *, add: bool) -> None:
    """Write g weight to `out`, or add it.

    Args:
        g: (Q, O).
        weight: (O, C).
        out: (Q, C).
        add: to what `out` holds.
    """
    if by_convolution(g, weight.t()):
        made = convolved(g, weight.t())
        out.add_(made) if add else out.copy_(made)
    elif add:
        out.addmm_(g, weight)
    else:
        torch.mm(g, weight, out=out)


def weight_back(g: Tensor, x: Tensor, weight: Tensor) -> Tensor:
    """g^T x, the gradient of `weight`.

    Args:
        g: (Q, O).
        x: (Q, C).
        weight: (O, C).
    """
    if not by_convolution(x, weight):
        return torch.mm(g.t(), x)
    made = torch.ops.aten.convolution_backward(
        _image(g), _image(x), weight[:, :, None, None], None, [1, 1], [0, 0], [1, 1], False, [0, 0],
        1, [False, True, False],
    )  # fmt: skip
    return made[1][:, :, 0, 0]


def convolved(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """X weight^T + bias as a 1x1 convolution over one image of Q rows."""
    kernel = weight[:, :, None, None].contiguous(memory_format=torch.channels_last)
    return F.conv2d(_image(x), kernel, bias)[0, :, :, 0].t()


def by_convolution(x: Tensor, weight: Tensor) -> bool:
    """Whether a convolution is faster for products of this size on this machine."""
    if x.dtype != torch.float32 or min(weight.shape) < WIDE:
        return False
    return _by_convolution(*weight.shape)


@functools.cache
def _by_convolution(O: int, C: int) -> bool:  # noqa: E741
    x, weight = torch.ones(PROBE_ROWS, C), torch.ones(O, C)
    out = torch.empty(PROBE_ROWS, O)
    return faster(
        f"a product {C} -> {O} by oneDNN's convolution instead of MKL",
        lambda: out.copy_(convolved(x, weight)),
        lambda: torch.mm(x, weight.t(), out=out),
    )


def _image(x: Tensor) -> Tensor:
    """(Q, C) as one image of C channels, which lie innermost in memory."""
    return x.t()[None, :, :, None]
