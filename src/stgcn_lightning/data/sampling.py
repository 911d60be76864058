"""Number of frames in, frame indices out: uniform sampling (PYSKL, Duan et al., arXiv:2205.09443).

Three cases, for a sample of T frames and a clip of L:

- T < L: a random start, then the frames in order, from the first again after the last;
- L <= T < 2 L: L frames in order, T - L random ones skipped;
- T >= 2 L: one random frame from each of L equal segments.

Training draws come from a counter-based generator: which frames a clip gets is a function of (seed,
epoch, pass, sample), and depends neither on the process nor on the other clips of a batch. Test
draws are the reference's, from numpy's legacy generator, seeded afresh for every sample.

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
_53_BITS = (1 << 53) - 1


def draw_keys(seed: int, draws: Tensor) -> Tensor:
    """One well-mixed 64-bit key for each draw of a run.

    Args:
        seed: of the run.
        draws: (B,) int64, different for each (epoch, pass, sample).

    Returns:
        (B,) int64, different for different draws.
    """
    run = _mix(torch.tensor(seed) + _GOLDEN)
    return _mix((run ^ draws) + _GOLDEN)


def train_indices(num_frames: Tensor, clip_frames: int, keys: Tensor) -> Tensor:
    """Random frame indices of one clip per sample, by the three cases of this module.

    Args:
        num_frames: (B,) int64, frames of each sample, at least 1.
        clip_frames: L.
        keys: (B,) int64 of `draw_keys`.

    Returns:
        (B, L) int64 in [0, num_frames).
    """
    L = clip_frames
    indices = keys.new_empty(len(keys), L)
    for draw, applies in (
        (_repeat, num_frames < L),
        (_skip_some, (num_frames >= L) & (num_frames < 2 * L)),
        (_one_per_segment, num_frames >= 2 * L),
    ):
        chosen = applies.nonzero().flatten()
        indices.index_copy_(0, chosen, draw(num_frames[chosen, None], L, keys[chosen]))
    return indices


def shuffle_frames(indices: Tensor, keys: Tensor) -> Tensor:
    """The frames of each clip in random order, which removes what depends on time.

    Args:
        indices: (B, N, L) int64.
        keys: (B,) int64; the order depends on key and clip alone.

    Returns:
        (B, N, L) int64, each clip a permutation of the clip given.
    """
    _, N, L = indices.shape
    order = torch.argsort(_random(_mix(keys + 1), N * L).view(-1, N, L))
    return indices.gather(-1, order)


def uniform_numbers(keys: Tensor, count: int) -> Tensor:
    """Random numbers that have nothing to do with which frames are drawn.

    Args:
        keys: (B,) int64 of `draw_keys`.
        count: how many for each.

    Returns:
        (B, count) float64 in [0, 1).
    """
    return ((_random(_mix(keys + 2), count) >> 11) & _53_BITS).double() / (1 << 53)


def evaluation_indices(
    num_frames: int, clip_frames: int, clips: int, law: str = "mmaction2"
) -> NDArray[np.int64]:
    """The frame indices that the reference tests with: they depend on the sample's length alone.

    Args:
        num_frames: T, at least 1.
        clip_frames: L.
        clips: N.
        law: one of `names.TEST_SAMPLINGS`. PYSKL draws a number before each clip and does not use
            it, so that its frames are others; for DG-STGCN and ProtoGCN it also draws where the
            clips of a short sample start.

    Returns:
        (N, L) int64 in [0, num_frames).

    Example:
        >>> evaluation_indices(num_frames=3, clip_frames=5, clips=2).tolist()
        [[0, 1, 2, 0, 1], [1, 2, 0, 1, 2]]

    Source:
        MMAction2 1.2.0, UniformSampleFrames in test mode (clips of a short sample start at i, or at
        i T // N where T >= N; only these are not drawn); PYSKL, UniformSampleFrames and
        UniformSampleDecode.
    """
    T, L, N = num_frames, clip_frames, clips
    rng = np.random.RandomState(TEST_SEED)
    bounds = np.arange(L + 1) * T // L
    indices = np.empty((N, L), np.int64)
    for i in range(N):
        if law != "mmaction2":
            rng.random_sample()
        if T < L:
            start = i if T < N else i * T // N
            start = rng.randint(T) if law == "dgstgcn" else start
            indices[i] = (start + np.arange(L)) % T
        elif T < 2 * L:
            skipped = np.zeros(L + 1, np.int64)
            skipped[rng.choice(L + 1, T - L, replace=False)] = 1
            indices[i] = np.arange(L) + skipped.cumsum()[:-1]
        else:
            indices[i] = bounds[:-1] + rng.randint(np.diff(bounds))
    return indices


def balanced_passes(
    labels: Tensor, total: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Passes and samples of `total` draws that fall on every class equally often.

    Each sample of a class is drawn equally often, too; chance decides who is drawn once more where
    numbers do not divide evenly.

    Args:
        labels: (S,) int64 classes of the samples.
        total: number of draws.
        generator: of that chance.

    Returns:
        (total,) int64 how often its sample was drawn before, and (total,) int64 samples; by class.

    Example:
        >>> generator = torch.Generator().manual_seed(0)
        >>> train_pass, sample = balanced_passes(torch.tensor([0, 0, 1]), 4, generator)
        >>> sorted(zip(train_pass.tolist(), sample.tolist()))
        [(0, 0), (0, 1), (0, 2), (1, 2)]
    """
    classes = labels.bincount().nonzero()[:, 0]
    classes = classes[torch.randperm(len(classes), generator=generator)]
    passes: list[Tensor] = []
    samples: list[Tensor] = []
    for i in range(len(classes)):
        members = labels.eq(classes[i]).nonzero()[:, 0]
        members = members[torch.randperm(len(members), generator=generator)]
        times = torch.arange(total // len(classes) + (i < total % len(classes)))
        passes.append(times // len(members))
        samples.append(members[times % len(members)])
    return torch.cat(passes), torch.cat(samples)


# The three cases: T (B, 1) frames, keys (B,) -> (B, L)


def _repeat(T: Tensor, L: int, keys: Tensor) -> Tensor:
    return (_below(_random(keys, 1), T) + torch.arange(L)) % T


def _skip_some(T: Tensor, L: int, keys: Tensor) -> Tensor:
    """The T - L smallest of L + 1 random numbers say before which frames one is skipped."""
    numbers = _random(keys, L + 1)
    skipped = numbers < numbers.sort(dim=1).values.gather(1, T - L)
    return torch.arange(L) + skipped.cumsum(dim=1)[:, :-1]


def _one_per_segment(T: Tensor, L: int, keys: Tensor) -> Tensor:
    bounds = torch.arange(L + 1) * T // L
    return bounds[:, :-1] + _below(_random(keys, L), bounds.diff())


def _below(bits: Tensor, bound: Tensor) -> Tensor:
    """Uniform integers in [0, bound): the high half of a product, its bias below bound / 2^31."""
    return ((bits & 0x7FFFFFFF) * bound) >> 31


def _random(keys: Tensor, count: int) -> Tensor:
    """(B, count) of 64 random bits: the numbers that generator `keys` gives at 1..count."""
    counter = torch.arange(1, count + 1) * _GOLDEN
    return _mix(keys[:, None] + counter)


def _mix(x: Tensor) -> Tensor:
    """The finaliser of SplitMix64; torch's >> keeps the sign, so the high bits are masked off."""
    x = (x ^ ((x >> 30) & 0x3FFFFFFFF)) * _MIX_1
    x = (x ^ ((x >> 27) & 0x1FFFFFFFFF)) * _MIX_2
    return x ^ ((x >> 31) & 0x1FFFFFFFF)
