"""A convolution of nine taps along time with five ninths of the multiplications.

Three frames of output, three taps and five frames of input make one tile of the Toom-Cook algorithm
F(3, 3): both sides are combined linearly at the points 0, 1, -1, 2 and infinity and multiplied
point by point, 5 products instead of 9. Nine taps are three such groups, each three frames, that is
one tile, later than the one before: so every point is an ordinary convolution of three taps along
the tiles, and the combinations are made once for all groups. Rounding doubles (1e-6 of the largest
output in float32).

Source: Winograd, "Arithmetic Complexity of Computations", SIAM 1980; Lavin and Gray, "Fast
Algorithms for Convolutional Neural Networks", CVPR 2016 (arXiv:1509.09308).

Axes: R rows, T frames, V joints, C channels in, O out; a tile is three frames, P = 5 points.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WIDE = 128  # channels from which it is faster
TILE = 3
# what three taps become at each point; rows 2 and 3 carry the factors 1/2 and 1/6 that `points`
# leaves away
TAPS = [[1, 0, 0], [1, 1, 1], [1 / 2, -1 / 2, 1 / 2], [1 / 6, 2 / 6, 4 / 6], [0, 0, 1]]


class NineTapsConv(nn.Conv2d):
    """A convolution of nine taps along time, with fewer multiplications where that pays."""

    plain_class = nn.Conv2d

    @staticmethod
    def suits(conv: nn.Conv2d) -> bool:
        """Whether a convolution is of the one kind that this module knows."""
        shape: tuple[Any, ...] = (conv.kernel_size, conv.stride, conv.padding, conv.dilation)
        same = shape == ((9, 1), (1, 1), (4, 0), (1, 1)) and conv.padding_mode == "zeros"
        return same and conv.groups == 1 and conv.bias is not None

    def forward(self, input: Tensor) -> Tensor:
        """(R, C, T, V) -> (R, O, T, V)."""
        if not pays(input, self.in_channels):
            return super().forward(input)
        assert self.bias is not None
        return _image(nine_taps(_rows(input), self.weight, self.bias))


def nine_taps(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Convolve along frames, zeros around them: (R, T, V, C) -> (R, T, V, O).

    Args:
        x: (R, T, V, C).
        weight: (O, C, 9, 1).
        bias: (O,).
    """
    return _NineTaps.apply(x, weight, bias)  # pyright: ignore[reportReturnType]


def pays(x: Tensor, channels: int) -> bool:
    """Whether fewer multiplications outweigh the combinations: measured on CPUs, in float32."""
    if x.is_cuda or torch.compiler.is_compiling() or torch.is_autocast_enabled("cpu"):
        return False
    return channels >= WIDE and x.dtype in (torch.float32, torch.float64)


def convolve(x: Tensor, taps: Sequence[Tensor], bias: Tensor) -> Tensor:
    """`nine_taps` with weights that were brought to the points before."""
    biases = [None, bias, None, None, None]  # every frame takes the second point once
    products = [F.conv2d(_image(p), w, b) for p, w, b in zip(points(x), taps, biases, strict=True)]
    return frames([_rows(p) for p in products], x.shape[1])


class _NineTaps(torch.autograd.Function):
    """Keeps the input alone for the backward pass and combines it anew there."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """(R, T, V, C), (O, C, 9, 1), (O,) -> (R, T, V, O)."""
        ctx.save_for_backward(x, weight)
        return convolve(x, at_points(weight), bias)

    @staticmethod
    def backward(ctx, *grad_outputs: Tensor):
        """Gradients of x, weight and bias."""
        (g,) = grad_outputs
        x, weight = ctx.saved_tensors
        found = [
            torch.ops.aten.convolution_backward(
                _image(gp), _image(p), w, None, [1, 1], [0, 0], [1, 1], False, [0, 0], 1,
                [ctx.needs_input_grad[0], ctx.needs_input_grad[1], False],
            )
            for gp, p, w in zip(frames_back(g), points(x), at_points(weight), strict=True)
        ]  # fmt: skip
        by_points, by_taps, _ = zip(*found, strict=True)
        grad_x = grad_weight = None
        if ctx.needs_input_grad[0]:
            grad_x = points_back([_rows(gp) for gp in by_points], x.shape[1])
        if ctx.needs_input_grad[1]:
            taps = torch.tensor(TAPS, dtype=weight.dtype)
            stacked = torch.stack([gw[..., 0] for gw in by_taps])  # P, O, C, groups
            grad_weight = torch.einsum("pb,pocq->ocqb", taps, stacked).reshape(weight.shape)
        return grad_x, grad_weight, g.sum((0, 1, 2)) if ctx.needs_input_grad[2] else None


def at_points(weight: Tensor) -> list[Tensor]:
    """(O, C, 9, 1) -> per point (O, C, 3, 1): one tap for each group of three."""
    taps = torch.tensor(TAPS, dtype=weight.dtype)
    split = torch.einsum("pb,ocqb->pocq", taps, weight.reshape(*weight.shape[:2], -1, TILE))
    return [part[..., None].contiguous(memory_format=torch.channels_last) for part in split]


def points(x: Tensor) -> list[Tensor]:
    """(R, T, V, C) -> per point (R, tiles, V, C); two tiles more than the output has."""
    T = x.shape[1]
    tiles = -(-T // TILE) + 2
    x = F.pad(x, (0, 0, 0, 0, 4, TILE * tiles + 2 - 4 - T))
    d0, d1, d2, d3, d4 = (x[:, s : s + TILE * tiles - 2 : TILE] for s in range(5))
    p3 = d3 - d1
    return [
        (d0 - d2).add_(p3, alpha=0.5),
        torch.add(d1, d2 - d3, alpha=0.5),
        torch.sub(d2, d1, alpha=2 / 3).sub_(d3, alpha=1 / 3),
        p3,
        (d4 - d2).sub_(p3, alpha=2),
    ]


def points_back(g: list[Tensor], T: int) -> Tensor:
    """The transpose of `points`: per point (R, tiles, V, C) -> (R, T, V, C)."""
    g0, g1, g2, g3, g4 = g
    R, tiles, V, C = g0.shape
    p3 = torch.add(g3, g0, alpha=0.5).sub_(g4, alpha=2)  # of d3 - d1
    half = torch.mul(g1, 0.5)
    out = g0.new_empty(R, tiles + 1, TILE, V, C)
    out[:, -1] = 0
    out[:, :-1, 0] = g0
    torch.sub(g1, p3, out=out[:, :-1, 1]).sub_(g2, alpha=2 / 3)
    torch.sub(half, g0, out=out[:, :-1, 2]).add_(g2).sub_(g4)
    out[:, 1:, 0].add_(p3).sub_(half).sub_(g2, alpha=1 / 3)
    out[:, 1:, 1].add_(g4)
    return out.flatten(1, 2)[:, 4 : 4 + T]


def frames(y: list[Tensor], T: int) -> Tensor:
    """Per point (R, tiles, V, O) -> (R, T, V, O)."""
    y0, y1, y2, y3, y4 = y
    R, tiles, V, O = y0.shape  # noqa: E741
    out = y0.new_empty(R, tiles, TILE, V, O)
    even = y1 + y2
    torch.add(even, y0, out=out[:, :, 0]).add_(y3)
    torch.sub(y1, y2, out=out[:, :, 1]).add_(y3, alpha=2)
    torch.add(even, y4, out=out[:, :, 2]).add_(y3, alpha=4)
    return out.flatten(1, 2)[:, :T]


def frames_back(g: Tensor) -> list[Tensor]:
    """The transpose of `frames`: (R, T, V, O) -> per point (R, tiles, V, O)."""
    tiles = -(-g.shape[1] // TILE)
    g = F.pad(g, (0, 0, 0, 0, 0, TILE * tiles - g.shape[1]))
    first, second, third = (g[:, a::TILE] for a in range(TILE))
    even = first + third
    return [
        first.contiguous(),
        even + second,
        even - second,
        torch.add(first, second, alpha=2).add_(third, alpha=4),
        third.contiguous(),
    ]


def _image(x: Tensor) -> Tensor:
    """(R, tiles, V, C) as an image, channels last in memory."""
    return x.permute(0, 3, 1, 2)


def _rows(x: Tensor) -> Tensor:
    """`_image` undone."""
    return x.permute(0, 2, 3, 1)
