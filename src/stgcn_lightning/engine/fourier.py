"""A convolution along time as products of frequencies: a quarter of the multiplications.

Tiles of n output frames and the L = n + k - 1 input frames that k taps need for them are brought to
the frequencies of a Fourier transform of L points, multiplied there, and brought back. The product
of two complex numbers takes three real ones: a c, b d and (a + b)(c + d). All three steps are
linear maps of real numbers, y = C ((B w) (A x)), with P = 3 (L - 1) / 2 + 1 points for n frames,
where a direct convolution takes k n products: 49 instead of 225 for n = 25 and k = 9. The maps are
small matrices, so that every step is a matrix product, and a gradient is one of their transposes. A
stride of two is a convolution of half as many taps over pairs of frames. In float32 the result
differs from the exact one by about 5e-7 of the largest output.

Source: the convolution theorem; Mathieu, Henaff and LeCun, "Fast Training of Convolutional Networks
through FFTs", ICLR 2014 (arXiv:1312.5851); three products for a complex one: Gauss, in Knuth, "The
Art of Computer Programming", volume 2, section 4.3.3.

Axes: R rows, T frames in, U frames out, V joints, C channels in, O out; S tiles, P points, k taps,
D frames that lie in one position (the stride).
"""

import functools
import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from stgcn_lightning.models.parts import channels_first, channels_last

WIDE = 64  # channels from which it is faster
MOST_TILES = 8
# a number that is brought to the frequencies or back, counted in multiplications of the products
TRANSFORM_COST = 0.4


class FourierConv(nn.Conv2d):
    """A convolution of nine taps along time, as products of frequencies where that pays."""

    plain_class = nn.Conv2d

    @staticmethod
    def suits(conv: nn.Conv2d) -> bool:
        """Whether a convolution is of the kind that this module knows."""
        shape: tuple[Any, ...] = (conv.kernel_size, conv.padding, conv.dilation, conv.padding_mode)
        known = shape == ((9, 1), (4, 0), (1, 1), "zeros") and conv.stride in ((1, 1), (2, 1))
        return known and conv.groups == 1 and conv.bias is not None

    def forward(self, input: Tensor) -> Tensor:
        """(R, C, T, V) -> (R, O, ceil(T / stride), V)."""
        if not pays(input, self.in_channels):
            return super().forward(input)
        assert self.bias is not None
        y = time_conv(channels_last(input), self.weight, self.bias, self.stride[0])
        return channels_first(y)


def pays(x: Tensor, channels: int) -> bool:
    """Whether fewer multiplications outweigh the transforms: measured on CPUs, in float32."""
    if x.is_cuda or torch.compiler.is_compiling() or torch.is_autocast_enabled("cpu"):
        return False
    return channels >= WIDE and x.dtype in (torch.float32, torch.float64)


def time_conv(x: Tensor, weight: Tensor, bias: Tensor, stride: int = 1) -> Tensor:
    """Convolve along frames, zeros around them: (R, T, V, C) -> (R, ceil(T / stride), V, O).

    Args:
        x: (R, T, V, C).
        weight: (O, C, k, 1), k odd.
        bias: (O,).
        stride: frames from one output to the next, 1 or 2.
    """
    return _FourierConv.apply(x, weight, bias, stride)  # pyright: ignore[reportReturnType]


class _FourierConv(torch.autograd.Function):
    """Keeps the input alone for the backward pass and transforms it anew there."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor, stride: int) -> Tensor:
        """(R, T, V, C), (O, C, k, 1), (O,) -> (R, U, V, O)."""
        ctx.save_for_backward(x, weight)
        ctx.stride = stride
        return convolve(x, at_points(weight, x.shape[1], stride), bias, weight.shape[2], stride)

    @staticmethod
    def backward(ctx, *grad_outputs: Tensor):
        """Gradients of x, weight and bias."""
        (g,) = grad_outputs
        x, weight = ctx.saved_tensors
        (R, T, V, C), U = x.shape, g.shape[1]
        tiling = Tiling.of(weight, U, ctx.stride)
        g = tiling.frames_back(in_time(g, 1)).unflatten(2, (R * V, -1))
        grad_x = grad_weight = grad_bias = None
        flat = g.flatten(1, 2)  # P, S R V, O
        if ctx.needs_input_grad[0]:
            by_points = torch.bmm(flat, at_points(weight, T, ctx.stride).transpose(1, 2))
            by_points = by_points.view(*g.shape[:2], -1)
            grad_x = rows_of(tiling.points_back(by_points, U), R, T, V, ctx.stride)
        if ctx.needs_input_grad[1]:
            points = tiling.points(in_time(x, ctx.stride)).view(*g.shape[:3], -1).flatten(1, 2)
            products = torch.bmm(points.transpose(1, 2), flat)  # P, D C, O
            grad_weight = weight_of(tiling.taps.t() @ products.flatten(1), weight, ctx.stride)
        if ctx.needs_input_grad[2]:
            grad_bias = flat[0].sum(0) * tiling.analyse.shape[1]
        return grad_x, grad_weight, grad_bias, None


def convolve(x: Tensor, weight: Tensor, bias: Tensor, taps: int, stride: int) -> Tensor:
    """`time_conv` with a weight (P, D C, O) that `at_points` has made for these frames.

    Args:
        x: (R, T, V, C).
        weight: (P, D C, O).
        bias: (O,).
        taps: k.
        stride: 1 or 2.
    """
    R, T, V, _ = x.shape
    U = -(-T // stride)
    tiling = Tiling.of_shape(U, taps, stride, weight.shape[1], weight.shape[2], x.dtype)
    points = tiling.points(in_time(x, stride)).view(len(weight), -1, weight.shape[1])
    products = torch.bmm(points, weight)  # P, S R V, O
    products[0] += bias * tiling.analyse.shape[1]  # the mean of a tile's frames, L times
    y = tiling.frames(products.view(len(weight), tiling.tiles, -1), U)
    return rows_of(y, R, U, V, 1)


def at_points(weight: Tensor, frames: int, stride: int) -> Tensor:
    """(O, C, k, 1) -> (P, D C, O), for an input of so many frames."""
    tiling = Tiling.of(weight, -(-frames // stride), stride)
    by_taps = weight[..., 0].permute(2, 1, 0)  # k, C, O
    if stride == 2:
        by_taps = torch.cat([by_taps, by_taps.new_zeros(1, *by_taps.shape[1:])])
    flat = by_taps.reshape(tiling.taps.shape[1], -1)
    return (tiling.taps @ flat).view(len(tiling.taps), -1, len(weight))


def weight_of(by_taps: Tensor, weight: Tensor, stride: int) -> Tensor:
    """The transpose of the order that `at_points` makes: (k / D, D C O) -> (O, C, k, 1)."""
    by_taps = by_taps.view(-1, weight.shape[1], len(weight))[: weight.shape[2]]
    return by_taps.permute(2, 1, 0)[..., None]


def in_time(x: Tensor, stride: int) -> Tensor:
    """(R, T, V, C) -> (U, R V D C): the frames first, `stride` of them in one position."""
    x = x.transpose(0, 1)
    if stride == 1:
        return x.reshape(len(x), -1)
    pairs = x.new_empty(-(-len(x) // 2), *x.shape[1:3], 2, x.shape[3])
    pairs[:, :, :, 0] = x[::2]
    if len(x) % 2:
        pairs[-1, :, :, 1] = 0
    pairs[: len(x) // 2, :, :, 1] = x[1::2]
    return pairs.flatten(1)


def rows_of(x: Tensor, R: int, T: int, V: int, stride: int) -> Tensor:
    """`in_time` undone."""
    if stride == 1:
        return x.view(T, R, V, -1).transpose(0, 1).contiguous()
    x = x.view(len(x), R, V, 2, -1)  # U, R, V, D, C
    rows = x.new_empty(R, T, V, x.shape[-1])
    rows[:, ::2] = x[:, :, :, 0].transpose(0, 1)
    rows[:, 1::2] = x[: T // 2, :, :, 1].transpose(0, 1)
    return rows


class Tiling(NamedTuple):
    """How U output frames are divided into tiles, and the maps of a tile.

    Attributes:
        tiles: S.
        before: frames that lie before the first output frame.
        analyse: A, (P, L).
        taps: B, (P, k).
        synthesise: C, (n, P).
    """

    tiles: int
    before: int
    analyse: Tensor
    taps: Tensor
    synthesise: Tensor

    @classmethod
    def of(cls, weight: Tensor, frames: int, stride: int) -> "Tiling":
        """For a weight (O, C, k, 1) and so many output frames."""
        O, C, k, _ = weight.shape  # noqa: E741
        return cls.of_shape(frames, k, stride, stride * C, O, weight.dtype)

    @classmethod
    @functools.lru_cache(maxsize=64)
    def of_shape(
        cls, frames: int, k: int, stride: int, channels: int, out_channels: int, dtype: torch.dtype
    ) -> "Tiling":
        """The tiling that costs least."""
        k = -(-k // stride)

        def cost(tiles: int) -> float:
            n = -(-frames // tiles)
            points = tiles * (3 * (n + k - 2) / 2 + 1)
            numbers = channels * (n + k - 1) + out_channels * n
            return points * (channels * out_channels + TRANSFORM_COST * numbers)

        tiles = min(range(1, min(frames, MOST_TILES) + 1), key=cost)
        n = -(-frames // tiles)
        return cls(-(-frames // n), k // 2, *(part.to(dtype) for part in maps(n, k)))

    def points(self, x: Tensor) -> Tensor:
        """A: (U, columns) -> (P, S, columns)."""
        made = x.new_empty(len(self.analyse), self.tiles, x.shape[1])
        for s, (outside, inside) in enumerate(self._read(len(x))):
            torch.mm(self.analyse[:, outside], x[inside], out=made[:, s])
        return made

    def points_back(self, g: Tensor, frames: int) -> Tensor:
        """The transpose of `points`: (P, S, columns) -> (U, columns)."""
        made = g.new_zeros(frames, g.shape[2])
        for s, (outside, inside) in enumerate(self._read(frames)):
            made[inside].addmm_(self.analyse[:, outside].t(), g[:, s])
        return made

    def frames(self, products: Tensor, frames: int) -> Tensor:
        """C: (P, S, columns) -> (U, columns)."""
        made = products.new_empty(frames, products.shape[2])
        n = len(self.synthesise)
        for s, part in enumerate(made.split(n)):
            torch.mm(self.synthesise[: len(part)], products[:, s], out=part)
        return made

    def frames_back(self, g: Tensor) -> Tensor:
        """The transpose of `frames`: (U, columns) -> (P, S, columns)."""
        made = g.new_empty(len(self.analyse), self.tiles, g.shape[1])
        for s, part in enumerate(g.split(len(self.synthesise))):
            torch.mm(self.synthesise[: len(part)].t(), part, out=made[:, s])
        return made

    def _read(self, frames: int) -> list[tuple[slice, slice]]:
        """Of each tile: which of its L frames there are, and where they lie among all."""
        n, L = len(self.synthesise), self.analyse.shape[1]
        found = []
        for s in range(self.tiles):
            start = s * n - self.before
            inside = slice(max(0, start), min(frames, start + L))
            found.append((slice(inside.start - start, inside.stop - start), inside))
        return found


def maps(n: int, k: int) -> tuple[Tensor, Tensor, Tensor]:
    """A (P, L), B (P, k) and C (n, P) of a tile in float64: y[t] = sum_b w[b] x[t + b].

    Raises:
        ValueError: n or k is below 1.
    """
    if n < 1 or k < 1:
        raise ValueError(f"a tile of {n} frames and {k} taps: both are at least 1")
    L = n + k - 1
    t = torch.arange(L, dtype=torch.float64)
    ones, signs = torch.ones_like(t), 1 - 2 * (t % 2)
    real = [ones] if L % 2 else [ones, signs]  # frequencies 0 and L / 2 have no imaginary part
    A, B = list(real), [one[:k] for one in real]
    C = [one[:n] / L for one in real]
    for f in range(1, (L + 1) // 2):
        angle = 2 * math.pi * f / L * t
        cos, sin = angle.cos(), angle.sin()
        # x turns one way and w, which is correlated, the other: (a + bi)(c + di)
        A += [cos, -sin, cos - sin]
        B += [cos[:k], sin[:k], (cos + sin)[:k]]
        # the real part is 1st - 2nd, the imaginary one 3rd - 1st - 2nd
        C += [2 / L * (cos + sin)[:n], 2 / L * (sin - cos)[:n], -2 / L * sin[:n]]
    return torch.stack(A), torch.stack(B), torch.stack(C, 1)
