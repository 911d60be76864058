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

Axes: R rows, T frames in, U frames out, V joints, C channels in, O out, Q positions that a frame
has (joints of rows); S tiles, P points, k taps, D frames from one output to the next (the stride).
"""

import functools
import math
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stgcn_lightning.engine.choices import faster
from stgcn_lightning.engine.devices import left_plain
from stgcn_lightning.engine.orders import memory_order, undone

WIDE = 64  # channels from which it is faster
MOST_TILES = 8
PROBE = (50, 136)  # frames and positions of the convolutions that are compared
# a number that is brought to the frequencies or back, counted in multiplications of the products
TRANSFORM_COST = 0.4


class FourierConv(nn.Conv2d):
    """A convolution of nine taps along time, as products of frequencies where that pays.

    Its output lies in memory as its input does, with the frames first.
    """

    plain_class = nn.Conv2d

    @staticmethod
    def suits(conv: nn.Conv2d) -> bool:
        """Whether a convolution is of the kind that this module knows."""
        shape: tuple[Any, ...] = (conv.kernel_size, conv.padding, conv.dilation, conv.padding_mode)
        known = shape == ((9, 1), (4, 0), (1, 1), "zeros") and conv.stride in ((1, 1), (2, 1))
        return known and conv.groups == 1 and conv.bias is not None

    def forward(self, input: Tensor) -> Tensor:
        """(R, C, T, V) -> (R, O, ceil(T / stride), V)."""
        order = memory_order(input)
        if order is None or order[0] != 2 or left_plain(input):  # not with the frames first
            return super().forward(input)
        x = input.permute(order)
        y = x.flatten(1, 2)
        half = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else None
        if pays(x.dtype, half, *self.weight.shape[:2], self.stride[0]):
            y = time_conv(y, self.weight, self.bias, self.stride[0])
            y = y if half is None else y.to(half)
        else:
            y = direct(y, self.weight, self.bias, self.stride[0])
        return y.unflatten(1, x.shape[1:3]).permute(undone(order))


def direct(x: Tensor, weight: Tensor, bias: Tensor | None, stride: int) -> Tensor:
    """`time_conv` as an ordinary convolution: the frames are one image of T x Q pixels."""
    y = F.conv2d(x.permute(2, 0, 1)[None], weight, bias, (stride, 1), (weight.shape[2] // 2, 0))
    return y[0].permute(1, 2, 0).contiguous()


@functools.cache
def pays(
    dtype: torch.dtype, half: torch.dtype | None, out_channels: int, channels: int, stride: int
) -> bool:
    """Whether fewer multiplications outweigh the transforms on this machine.

    Args:
        dtype: of the input.
        half: in which a direct convolution would multiply, under autocast.
        out_channels: O.
        channels: C.
        stride: frames from one output to the next.
    """
    if min(channels, out_channels) < WIDE:
        return False
    if dtype == torch.float64 and half is None:
        return True
    T, Q = PROBE
    x = torch.ones(T, Q, channels, dtype=half or dtype)  # as the layer before it leaves it
    weight = torch.ones(out_channels, channels, 9, 1)

    def as_trained() -> Tensor:
        with torch.autocast("cpu", half, enabled=half is not None):
            return direct(x, weight, None, stride)

    name = "float32" if half is None else str(half).removeprefix("torch.")
    return not faster(
        f"{channels} -> {out_channels} channels along time, stride {stride}, by a direct "
        f"convolution in {name} instead of frequencies in float32",
        as_trained,
        lambda: time_conv(x, weight, None, stride).to(x.dtype),
    )


def time_conv(x: Tensor, weight: Tensor, bias: Tensor | None, stride: int = 1) -> Tensor:
    """Convolve along frames, zeros around them: (T, Q, C) -> (ceil(T / stride), Q, O).

    Args:
        x: (T, Q, C).
        weight: (O, C, k, 1), k odd, k // 2 a multiple of the stride.
        bias: (O,).
        stride: frames from one output to the next.
    """
    return _FourierConv.apply(x, weight, bias, stride)  # pyright: ignore[reportReturnType]


class _FourierConv(torch.autograd.Function):
    """Keeps the input alone for the backward pass and transforms it anew there."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor | None, stride: int) -> Tensor:
        """(T, Q, C), (O, C, k, 1), (O,) -> (U, Q, O)."""
        ctx.save_for_backward(x, weight)
        ctx.stride = stride
        tiling = Tiling.of(weight, len(x), stride)
        with torch.autocast("cpu", enabled=False):
            x = x.to(weight.dtype)
            return convolve(x, tiling.weight_at_points(weight), bias, tiling)

    @staticmethod
    def backward(ctx, *grad_outputs: Tensor):
        """Gradients of x, weight and bias."""
        x, weight = ctx.saved_tensors
        half = x.dtype
        g, x = grad_outputs[0].to(weight.dtype), x.to(weight.dtype)
        tiling = Tiling.of(weight, len(x), ctx.stride)
        flat = tiling.frames_back(g.flatten(1)).view(tiling.points, -1, len(weight))  # P, S Q, O
        grad_x = grad_weight = grad_bias = None
        if ctx.needs_input_grad[0]:
            grad_x = x.new_zeros(x.shape)
            for d, part in enumerate(tiling.weight_at_points(weight)):
                by_points = torch.bmm(flat, part.transpose(1, 2))  # P, S Q, C
                by_points = by_points.view(tiling.points, tiling.tiles, -1)
                tiling.analysed_back(by_points, grad_x.view(len(x), -1), d)
        if ctx.needs_input_grad[1]:
            products = [
                torch.bmm(part.view(tiling.points, -1, x.shape[2]).transpose(1, 2), flat)
                for part in tiling.analysed(x.flatten(1))
            ]
            grad_weight = tiling.weight_back(products, weight)
        if ctx.needs_input_grad[2]:
            grad_bias = flat[0].sum(0) * tiling.length
        if grad_x is not None:
            grad_x = grad_x.to(half)
        return grad_x, grad_weight, grad_bias, None


def convolve(
    x: Tensor,
    weights: list[Tensor],
    bias: Tensor | None,
    tiling: "Tiling",
    onto: Tensor | None = None,
) -> Tensor:
    """`time_conv` with weights that `Tiling.weight_at_points` has made.

    Args:
        x: (T, Q, C).
        weights: D of (P, C, O).
        bias: (O,).
        tiling: for T frames.
        onto: (U, Q, O), to which the output is added in place.
    """
    _, Q, C = x.shape
    products: Tensor | None = None  # P, S Q, O
    for part, weight in zip(tiling.analysed(x.flatten(1)), weights, strict=True):
        part = part.view(tiling.points, -1, C)
        if products is None:
            products = torch.bmm(part, weight)
        else:
            products.baddbmm_(part, weight)
    assert products is not None
    if bias is not None:  # the point 0 is the mean of a tile's frames, L times
        products[0] += bias * tiling.length
    y = tiling.synthesised(
        products.view(tiling.points, tiling.tiles, -1), None if onto is None else onto.flatten(1)
    )
    return y.view(len(y), Q, -1)


class Tiling(NamedTuple):
    """How T frames in and U frames out are divided into tiles, and the maps of a tile.

    Attributes:
        frames: U.
        stride: D.
        tiles: S.
        length: L.
        A: of every of D phases and tile: which of its frames are read, and (P, these frames).
        B: of every phase (P, its taps).
        C: of every tile (its output frames, P).
    """

    frames: int
    stride: int
    tiles: int
    length: int
    A: list[list[tuple[slice, Tensor]]]
    B: list[Tensor]
    C: list[Tensor]

    @classmethod
    def of(cls, weight: Tensor, frames: int, stride: int) -> "Tiling":
        """For a weight (O, C, k, 1) and T frames."""
        O, C, k, _ = weight.shape  # noqa: E741
        return _tiling(frames, k, stride, C, O, weight.dtype)

    @property
    def points(self) -> int:
        """P."""
        return self.C[0].shape[1]

    def weight_at_points(self, weight: Tensor) -> list[Tensor]:
        """(O, C, k, 1) -> for every of D phases (P, C, O)."""
        by_taps = weight[..., 0].permute(2, 1, 0)  # k, C, O
        parts = [by_taps[d :: self.stride] for d in range(self.stride)]
        return [
            (B @ part.flatten(1)).view(-1, *part.shape[1:])
            for B, part in zip(self.B, parts, strict=True)
        ]

    def weight_back(self, g: list[Tensor], weight: Tensor) -> Tensor:
        """The transpose of `weight_at_points`: a gradient of (O, C, k, 1)."""
        made = torch.empty_like(weight)
        by_taps = made[..., 0].permute(2, 1, 0)  # k, C, O
        for d, part in enumerate(g):
            here = by_taps[d :: self.stride]
            here.copy_((self.B[d].t() @ part.flatten(1)).view(here.shape))
        return made

    def analysed(self, x: Tensor) -> list[Tensor]:
        """A: (T, columns) -> for every of D phases (P, S, columns)."""
        found = []
        for d, tiles in enumerate(self.A):
            phase = x[d :: self.stride] if self.stride > 1 else x
            made = x.new_empty(self.points, self.tiles, x.shape[1])
            for (read, A), part in zip(tiles, made.unbind(1), strict=True):
                torch.mm(A, phase[read], out=part)
            found.append(made)
        return found

    def analysed_back(self, g: Tensor, onto: Tensor, d: int) -> None:
        """The transpose of `analysed` for phase d: (P, S, columns) is added to (T, columns)."""
        phase = onto[d :: self.stride] if self.stride > 1 else onto
        for (read, A), part in zip(self.A[d], g.unbind(1), strict=True):
            phase[read].addmm_(A.t(), part)

    def synthesised(self, products: Tensor, onto: Tensor | None = None) -> Tensor:
        """C: (P, S, columns) -> (U, columns), or added to it in place."""
        made = products.new_empty(self.frames, products.shape[2]) if onto is None else onto
        tiles = zip(self.C, made.split(len(self.C[0])), products.unbind(1), strict=True)
        for C, part, product in tiles:
            if onto is None:
                torch.mm(C, product, out=part)
            else:
                part.addmm_(C, product)
        return made

    def frames_back(self, g: Tensor) -> Tensor:
        """The transpose of `synthesised`: (U, columns) -> (P, S, columns)."""
        made = g.new_empty(self.points, self.tiles, g.shape[1])
        tiles = zip(self.C, g.split(len(self.C[0])), made.unbind(1), strict=True)
        for C, part, product in tiles:
            torch.mm(C.t(), part, out=product)
        return made


@functools.lru_cache(maxsize=64)
def _tiling(
    frames: int, k: int, stride: int, channels: int, out_channels: int, dtype: torch.dtype
) -> Tiling:
    """The tiling of T frames that costs least."""
    taps, read = -(-k // stride), frames
    frames = -(-frames // stride)

    def cost(tiles: int) -> float:
        n = -(-frames // tiles)
        points = tiles * (3 * (n + taps - 2) / 2 + 1)
        numbers = stride * channels * (n + taps - 1) + out_channels * n
        return points * (stride * channels * out_channels + TRANSFORM_COST * numbers)

    tiles = min(range(1, min(frames, MOST_TILES) + 1), key=cost)
    n = -(-frames // tiles)
    with torch.inference_mode(False):  # they serve training as well
        A, B, C = (part.to(dtype) for part in maps(n, taps))
        starts = range(0, frames, n)
        phases = []
        for d in range(stride):
            there = len(range(d, read, stride))
            parts = []
            for start in (start - k // 2 // stride for start in starts):
                here = slice(max(0, start), max(0, min(there, start + A.shape[1])))
                parts.append((here, A[:, here.start - start : here.stop - start].contiguous()))
            phases.append(parts)
        by_phase = [B[:, : len(range(d, k, stride))].contiguous() for d in range(stride)]
        return Tiling(
            frames, stride, len(starts), A.shape[1], phases, by_phase,
            [C[: min(n, frames - start)].contiguous() for start in starts],
        )  # fmt: skip


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
