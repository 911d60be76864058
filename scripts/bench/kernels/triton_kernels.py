"""The Triton kernels of `fused_kernels`, which imports this file when a kernel runs.

A program computes a tile of consecutive positions of one row (frames x joints) by a block of output
channels, so that a tile's moments belong to one row. Sizes that are no powers of two are masked.
Products accumulate in float32; float32 operands are rounded to TF32 before, unless
`torch.set_float32_matmul_precision` says "highest" (PyTorch's default), or are bf16 already.

Axes: R rows, T frames (S of them come out), V joints, K subsets, C channels in, O out, P positions.
"""

# Triton's decorators and constants carry no types
# pyright: reportArgumentType=false, reportCallIssue=false, reportReturnType=false

import torch
import triton
import triton.language as tl
from torch import Tensor

POSITIONS = 64  # of a tile: as many whole frames as fit, three of 17 joints, two of 25
CONVOLVED = 128  # positions of a tile of the temporal convolution, which needs no whole frames
CHANNELS_IN, CHANNELS_OUT = 32, 128  # of a product, at most
SMALLEST = 16  # side that a product can have
WARPS = 8  # with four, sums of 128 by 128 leave the registers


@triton.jit
def _store_tile(acc, y, means, squares, position, valid, o, row, tile, tiles, P, O):
    """Write a tile, and its moments as they are after rounding: mean, sum of squared deviations."""
    inside = valid[:, None] & (o < O)[None, :]
    rounded = acc.to(y.dtype.element_ty)
    tl.store(y + (row * P + position)[:, None] * O + o[None, :], rounded, inside)
    seen = tl.where(inside, rounded.to(tl.float32), 0.0)
    mean = tl.sum(seen, 0) / tl.sum(valid.to(tl.float32), 0)
    off = tl.where(inside, seen - mean[None, :], 0.0)
    at = (row * tiles + tile) * O + o
    tl.store(means + at, mean, o < O)
    tl.store(squares + at, tl.sum(off * off, 0), o < O)


@triton.jit
def _merge(means, squares, mean_out, var_out, tiles, size, P, O, BO: tl.constexpr):
    """A row's moments from those of its tiles of `size` positions, one after the other (Chan)."""
    row = tl.program_id(0).to(tl.int64)
    o = tl.program_id(1) * BO + tl.arange(0, BO)
    mean = tl.zeros((BO,), tl.float32)
    square = tl.zeros((BO,), tl.float32)
    for tile in range(tiles):
        at = (row * tiles + tile) * O + o
        before = (tile * size).to(tl.float32)
        count = tl.minimum(size, P - tile * size).to(tl.float32)
        apart = tl.load(means + at, o < O, 0.0) - mean
        part = count / (before + count)
        mean += apart * part
        square += tl.load(squares + at, o < O, 0.0) + apart * apart * before * part
    tl.store(mean_out + row * O + o, mean, o < O)
    tl.store(var_out + row * O + o, square / P, o < O)


@triton.jit
def _graph(
    x, edges, weight, bias, y, means, squares, tiles, P, C, O,
    V: tl.constexpr, K: tl.constexpr, SIZE: tl.constexpr, BP: tl.constexpr, BC: tl.constexpr,
    BO: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Gather and project the whole frames of a tile, SIZE positions of BP.

    Gathering is one product too: all frames of the tile by a matrix that has the subset's edges
    where two positions share a frame.
    """
    tile, chunk = tl.program_id(0), tl.program_id(2)
    row = tl.program_id(1).to(tl.int64)
    i = tl.arange(0, BP)
    position = tile * SIZE + i
    valid = (i < SIZE) & (position < P)
    frame, joint = i // V, i % V
    linked = (frame[:, None] == frame[None, :]) & valid[:, None] & valid[None, :]
    o = chunk * BO + tl.arange(0, BO)
    acc = tl.zeros((BP, BO), tl.float32)
    for k in range(K):
        to_from = (k * V + joint[None, :]) * V + joint[:, None]
        gather = tl.load(edges + to_from, linked, 0.0)
        for start in range(0, C, BC):
            c = start + tl.arange(0, BC)
            inside = valid[:, None] & (c < C)[None, :]
            tile_x = tl.load(x + (row * P + position)[:, None] * C + c[None, :], inside, 0.0)
            gathered = tl.dot(gather, tile_x, input_precision=PRECISION).to(tile_x.dtype)
            both = (c < C)[:, None] & (o < O)[None, :]
            mix = tl.load(weight + (k * C + c)[:, None] * O + o[None, :], both, 0.0)
            acc = tl.dot(gathered, mix, acc, input_precision=PRECISION)
    acc += tl.load(
        bias + joint[:, None] * O + o[None, :], valid[:, None] & (o < O)[None, :], 0.0
    ).to(tl.float32)
    _store_tile(acc, y, means, squares, position, valid, o, row, tile, tiles, P, O)


@triton.jit
def _temporal(
    z, scale, shift, weight, bias, y, means, squares, tiles, T, P, C, O,
    V: tl.constexpr, TAPS: tl.constexpr, STRIDE: tl.constexpr, BP: tl.constexpr, BC: tl.constexpr,
    BO: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Normalise, ReLU and convolve: every tap is a product with the frames that it reads."""
    tile, chunk = tl.program_id(0), tl.program_id(2)
    row = tl.program_id(1).to(tl.int64)
    position = tile * BP + tl.arange(0, BP)
    valid = position < P
    frame, joint = position // V * STRIDE - TAPS // 2, position % V
    o = chunk * BO + tl.arange(0, BO)
    acc = tl.zeros((BP, BO), tl.float32)
    for start in range(0, C, BC):
        c = start + tl.arange(0, BC)
        factor = tl.load(scale + row * C + c, c < C, 0.0)
        offset = tl.load(shift + row * C + c, c < C, 0.0)
        for tap in range(TAPS):
            seen = frame + tap
            exists = valid & (seen >= 0) & (seen < T)
            inside = exists[:, None] & (c < C)[None, :]
            at = (row * T * V + seen * V + joint)[:, None] * C + c[None, :]
            tile_z = tl.load(z + at, inside, 0.0)
            h = tl.maximum(tile_z.to(tl.float32) * factor[None, :] + offset[None, :], 0.0)
            h = tl.where(inside, h, 0.0).to(tile_z.dtype)  # zeros around what is normalised
            both = (c < C)[:, None] & (o < O)[None, :]
            mix = tl.load(weight + (tap * C + c)[:, None] * O + o[None, :], both, 0.0)
            acc = tl.dot(h, mix, acc, input_precision=PRECISION)
    acc += tl.load(bias + o, o < O, 0.0).to(tl.float32)[None, :]
    _store_tile(acc, y, means, squares, position, valid, o, row, tile, tiles, P, O)


def graph(x: Tensor, edges: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """See `fused_kernels.graph`."""
    R, T, V, C = x.shape
    K, O, _ = weight.shape
    block = max(POSITIONS, triton.next_power_of_2(V))
    size = block // V * V
    tiles = triton.cdiv(T * V, size)
    y = x.new_empty(R, T, V, O)
    means, squares = x.new_empty(2, R, tiles, O, dtype=torch.float32)
    inner, outer = _blocks(C, O)
    _graph[(tiles, R, triton.cdiv(O, outer))](
        x.contiguous(), edges.contiguous(), weight.transpose(1, 2).contiguous(), bias.contiguous(),
        y, means, squares, tiles, T * V, C, O,
        V=V, K=K, SIZE=size, BP=block, BC=inner, BO=outer,
        PRECISION=_precision(), num_warps=WARPS,
    )  # fmt: skip
    return y, *_merged(means, squares, size, T * V)


def temporal(
    z: Tensor, scale: Tensor, shift: Tensor, weight: Tensor, bias: Tensor, stride: int
) -> tuple[Tensor, Tensor, Tensor]:
    """See `fused_kernels.temporal`."""
    R, T, V, C = z.shape
    O, _, taps, _ = weight.shape
    S = -(-T // stride)
    tiles = triton.cdiv(S * V, CONVOLVED)
    y = z.new_empty(R, S, V, O)
    means, squares = z.new_empty(2, R, tiles, O, dtype=torch.float32)
    inner, outer = _blocks(C, O)
    _temporal[(tiles, R, triton.cdiv(O, outer))](
        z.contiguous(), scale.contiguous(), shift.contiguous(),
        weight[..., 0].permute(2, 1, 0).contiguous(), bias.contiguous(),
        y, means, squares, tiles, T, S * V, C, O,
        V=V, TAPS=taps, STRIDE=stride, BP=CONVOLVED, BC=inner, BO=outer,
        PRECISION=_precision(), num_warps=WARPS,
    )  # fmt: skip
    return y, *_merged(means, squares, CONVOLVED, S * V)


def _blocks(channels: int, out_channels: int) -> tuple[int, int]:
    """Channels of a product, in and out."""
    inner, outer = (
        max(SMALLEST, min(most, triton.next_power_of_2(count)))
        for most, count in ((CHANNELS_IN, channels), (CHANNELS_OUT, out_channels))
    )
    return inner, outer


def _merged(means: Tensor, squares: Tensor, size: int, positions: int) -> tuple[Tensor, Tensor]:
    R, tiles, O = means.shape
    mean, var = means.new_empty(R, O), means.new_empty(R, O)
    block = min(CHANNELS_OUT, triton.next_power_of_2(O))
    _merge[(R, triton.cdiv(O, block))](
        means, squares, mean, var, tiles, size, positions, O, BO=block
    )
    return mean, var


def _precision() -> str:
    return "ieee" if torch.get_float32_matmul_precision() == "highest" else "tf32"
