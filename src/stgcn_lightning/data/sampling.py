"""Number of frames in, frame indices out: uniform sampling (PYSKL, Duan et al., arXiv:2205.09443).

Three laws, for a sample of T frames and a clip of L:

- T < L: a random start, then the sample round and round;
- L <= T < 2 L: L frames in order, T - L random ones skipped;
- T >= 2 L: one random frame from each of L equal segments.

Training draws come from a counter-based generator: which frames a clip gets is a function of (seed,
epoch, pass, sample), whoever computes it and in whatever company. Test draws are the reference's,
from numpy's legacy generator, seeded afresh for every sample.

Axes: B samples, N clips, L frames of a clip.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

TEST_SEED = 255  # UniformSampleFrames' default; it is part of what "tested with 10 clips" means

# SplitMix64 (Steele, Lea, Flood, OOPSLA 2014), as the signed integers that torch multiplies
_GOLDEN = 0x9E3779B97F4A7C15 - (1 << 64)
_MIX_1 = 0xBF58476D1CE4E5B9 - (1 << 64)
_MIX_2 = 0x94D049BB133111EB - (1 << 64)


def draw_keys(seed: int, epoch: Tensor, train_pass: Tensor, sample: Tensor) -> Tensor:
    """One 64-bit key for each (seed, epoch, pass, sample).

    Args:
        seed: of the run.
        epoch, train_pass, sample: (B,) int64.

    Returns:
        (B,) int64, well mixed.
    """
    key = _mix(torch.full_like(sample, seed) + _GOLDEN)
    for part in (epoch, train_pass, sample):
        key = _mix((key ^ part) + _GOLDEN)
    return key


def train_indices(num_frames: Tensor, clip_frames: int, keys: Tensor) -> Tensor:
    """Random frame indices of one clip per sample, by the three laws of this module.

    Args:
        num_frames: (B,) int64, frames of each sample, at least 1.
        clip_frames: L.
        keys: (B,) int64 of `draw_keys`.

    Returns:
        (B, L) int64 in [0, num_frames).
    """
    T, L = num_frames[:, None], clip_frames
    step = torch.arange(L, device=keys.device)  # L
    segment = step * T // L
    width = (step + 1) * T // L - segment
    spread = segment + _below(_random(keys, L), width)  # T >= 2 L
    turn = (_below(_random(keys, 1), T) + step) % T  # T < L
    indices = torch.where(T < L, turn, spread)
    between = ((num_frames >= L) & (num_frames < 2 * L)).nonzero().flatten()
    if len(between):
        indices[between] = _skip_some(num_frames[between], L, keys[between])
    return indices


def shuffle_frames(indices: Tensor, keys: Tensor) -> Tensor:
    """The frames of each clip in random order: what is left when time is taken away.

    Args:
        indices: (B, N, L) int64.
        keys: (B,) int64; the order depends on key and clip alone.

    Returns:
        (B, N, L) int64, each clip a permutation of the clip given.
    """
    _, N, L = indices.shape
    order = _random(_mix(keys + 1), N * L).unflatten(1, (N, L)).argsort(dim=-1)
    return indices.gather(-1, order)


def evaluation_indices(num_frames: int, clip_frames: int, clips: int) -> NDArray[np.int64]:
    """The frame indices that the reference tests with: they depend on the sample's length alone.

    Args:
        num_frames: T, at least 1.
        clip_frames: L.
        clips: N.

    Returns:
        (N, L) int64 in [0, num_frames).

    Source:
        MMAction2 1.2.0, UniformSampleFrames in test mode (clips of a short sample start at i, or at
        i T // N where T >= N; they are the only ones that are not drawn).
    """
    T, L, N = num_frames, clip_frames, clips
    if T < L:
        start = np.arange(N) if T < N else np.arange(N) * T // N
        return (start[:, None] + np.arange(L)) % T
    rng = np.random.RandomState(TEST_SEED)  # noqa: NPY002 - the published figures rest on it
    if T < 2 * L:
        skipped = np.zeros((N, L + 1), np.int64)
        for row in skipped:
            row[rng.choice(L + 1, T - L, replace=False)] = 1
        return np.arange(L) + skipped.cumsum(axis=1)[:, :-1]
    bounds = np.arange(L + 1) * T // L
    return np.stack([bounds[:-1] + rng.randint(np.diff(bounds)) for _ in range(N)])


def _skip_some(num_frames: Tensor, L: int, keys: Tensor) -> Tensor:
    """Frames in order with T - L of the L + 1 gaps skipping one, every choice of gaps equally likely."""
    rank = _random(keys, L + 1).argsort(dim=1).argsort(dim=1)
    skipped = (rank < (num_frames - L)[:, None]).long()
    return torch.arange(L, device=keys.device) + skipped.cumsum(dim=1)[:, :-1]


def _below(bits: Tensor, bound: Tensor) -> Tensor:
    """Uniform integers in [0, bound): the high half of a product, biased by less than bound / 2^31."""
    return ((bits & 0x7FFFFFFF) * bound) >> 31


def _random(keys: Tensor, count: int) -> Tensor:
    """(B, count) of 64 random bits: the numbers that generator `keys` gives at 1..count."""
    counter = torch.arange(1, count + 1, device=keys.device) * _GOLDEN
    return _mix(keys[:, None] + counter)


def _mix(x: Tensor) -> Tensor:
    """The finaliser of SplitMix64; torch's >> keeps the sign, so the high bits are masked off."""
    x = (x ^ ((x >> 30) & 0x3FFFFFFFF)) * _MIX_1
    x = (x ^ ((x >> 27) & 0x1FFFFFFFFF)) * _MIX_2
    return x ^ ((x >> 31) & 0x1FFFFFFFF)
