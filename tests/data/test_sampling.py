"""naive.py is the reference implementation of sampling: its training draws are MMAction2's.

The package draws from another generator, so its draws are compared with the distribution of those.
"""

from itertools import combinations, product

import naive
import numpy as np
import pytest
import torch
from helpers import GOLDEN
from hypothesis import given
from hypothesis import strategies as st

from stgcn_lightning.data.names import TEST_SAMPLINGS
from stgcn_lightning.data.sampling import (
    draw_keys,
    evaluation_indices,
    shuffle_frames,
    train_indices,
)

golden = np.load(GOLDEN / "sampling.npz")


def keys(count: int, seed: int = 0) -> torch.Tensor:
    return draw_keys(seed, torch.arange(count))


def draws(T: int, L: int, count: int) -> np.ndarray:
    """Indices (count, L) of the package for a sample of T frames."""
    return train_indices(torch.full((count,), T), L, keys(count)).numpy()


def naive_draws(T: int, L: int, count: int) -> np.ndarray:
    rng = np.random.RandomState(0)
    return np.stack([naive.train_indices(T, L, rng) for _ in range(count)])


def outcomes(T: int, L: int) -> set[tuple[int, ...]]:
    """Everything that may be drawn; each is as likely as any other."""
    if T < L:
        return {tuple((start + i) % T for i in range(L)) for start in range(T)}
    if T < 2 * L:
        skipped = combinations(range(L + 1), T - L)
        return {tuple(i + sum(s <= i for s in skip) for i in range(L)) for skip in skipped}
    bounds = [i * T // L for i in range(L + 1)]
    return set(product(*(range(*bounds[i : i + 2]) for i in range(L))))


def is_uniform(counts: np.ndarray) -> bool:
    """Chi-square test of (tests, cells): the draws are fixed, and were it true one in 1e6 fails."""
    expected = counts.sum(-1, keepdims=True) / counts.shape[-1]
    chi2 = ((counts - expected) ** 2 / expected).sum()
    free = counts.size - counts.size // counts.shape[-1]
    # Wilson and Hilferty: the cube root of chi2 / free is nearly normal
    variance = 2 / (9 * free) if free else 1
    return chi2 == 0 or abs((chi2 / free) ** (1 / 3) - 1 + variance) < 4.9 * variance**0.5


@pytest.mark.parametrize("indices", [evaluation_indices, naive.test_indices])
@pytest.mark.parametrize(("clips", "name"), [(10, "test10"), (1, "val1")])
def test_evaluation_takes_the_frames_that_the_reference_takes(indices, clips, name):
    for T, expected in zip(golden["T"], golden[name], strict=True):
        assert indices(int(T), 100, clips).flatten().tolist() == expected.tolist(), T


def test_the_naive_draws_for_training_what_the_reference_draws():
    for T, expected in zip(golden["train_T"], golden["train"], strict=True):
        for i, indices in enumerate(expected):
            rng = np.random.RandomState(int(golden["train_seed0"]) + i)
            assert naive.train_indices(int(T), 100, rng).tolist() == indices.tolist(), (T, i)


@pytest.mark.parametrize(("draw", "count"), [(draws, 40_000), (naive_draws, 4_000)])
@pytest.mark.parametrize("T", range(1, 13))
def test_every_outcome_for_a_short_clip_is_drawn_equally_often(draw, count, T):
    possible = sorted(outcomes(T, 4))
    drawn, counts = np.unique(draw(T, 4, count), axis=0, return_counts=True)
    assert [tuple(row) for row in drawn.tolist()] == possible
    assert is_uniform(counts[None])


@pytest.mark.parametrize("draw", [draws, naive_draws])
def test_a_long_clip_of_a_short_sample_starts_anywhere(draw):
    drawn = draw(37, 100, 10_000)
    assert (drawn == (drawn[:, :1] + np.arange(100)) % 37).all()
    assert is_uniform(np.bincount(drawn[:, 0], minlength=37)[None])


@pytest.mark.parametrize("draw", [draws, naive_draws])
@pytest.mark.parametrize("T", [101, 150, 199])
def test_a_long_clip_of_a_longer_sample_skips_any_subset(draw, T):
    count, cells = 10_000, 101
    steps = np.diff(draw(T, 100, count), prepend=-1, append=T)
    skipped = steps - 1  # before each of the 100 frames, and after the last
    assert ((skipped == 0) | (skipped == 1)).all()
    assert (skipped.sum(1) == T - 100).all()
    # each cell, and each pair of cells, is in a uniform subset with these probabilities
    one = (T - 100) / cells
    two = one * (T - 101) / (cells - 1)
    together = skipped.T.astype(float) @ skipped.astype(float) / count
    apart = ~np.eye(cells, dtype=bool)
    assert np.abs(together[~apart] - one).max() < 5 * (one / count) ** 0.5
    assert np.abs(together[apart] - two).max() < 6 * (max(two, 1 / count) / count) ** 0.5


@pytest.mark.parametrize("draw", [draws, naive_draws])
@pytest.mark.parametrize("T", [200, 257, 1000])
def test_a_long_clip_of_a_long_sample_takes_one_frame_of_each_segment(draw, T):
    drawn = draw(T, 100, 10_000)
    bounds = np.arange(101) * T // 100
    width = np.diff(bounds)
    offset = drawn - bounds[:-1]
    assert ((offset >= 0) & (offset < width)).all()
    for w in set(width.tolist()):
        segments = offset[:, width == w].T
        assert is_uniform(np.stack([np.bincount(s, minlength=w) for s in segments]))
    neighbours = np.corrcoef(offset.T)[np.triu_indices(100, 1)]
    assert np.abs(neighbours).max() < 6 / len(drawn) ** 0.5


@given(st.integers(1, 400), st.integers(1, 120), st.integers(0, 2**32))
def test_training_indices_are_frames_in_order(T, L, seed):
    indices = train_indices(torch.full((3,), T), L, keys(3, seed)).numpy()
    assert ((indices >= 0) & (indices < T)).all()
    steps = np.diff(indices)
    assert (steps % T == 1 % T).all() if T < L else (steps > 0).all()


@given(st.integers(1, 400), st.integers(1, 120), st.integers(1, 12))
def test_evaluation_indices_are_those_of_the_naive_implementation(T, L, clips):
    assert np.array_equal(evaluation_indices(T, L, clips), naive.test_indices(T, L, clips))


def pyskl_indices(T: int, L: int, N: int, decoding: bool) -> np.ndarray:
    """PYSKL's samplers in test mode as they are written: p_interval is (1, 1), so offsets are 0."""
    rng = np.random.RandomState(255)
    clips = []
    for i in range(N):
        num_frames = int((rng.rand() * (1 - 1) + 1) * T)
        offset = rng.randint(T - num_frames + 1)
        if num_frames < L:
            start = i if num_frames < N else i * num_frames // N
            if decoding:
                start = rng.randint(0, num_frames)
            indices = np.arange(start, start + L) % num_frames
        elif num_frames < 2 * L:
            chosen = rng.choice(L + 1, num_frames - L, replace=False)
            skip = np.zeros(L + 1, dtype=np.int64)
            skip[chosen] = 1
            indices = np.arange(L) + np.cumsum(skip)[:-1]
        else:
            bounds = np.array([i * num_frames // L for i in range(L + 1)])
            indices = bounds[:L] + rng.randint(np.diff(bounds))
        clips.append(indices + offset)
    return np.stack(clips)


@given(st.integers(1, 400), st.integers(1, 120), st.integers(1, 12))
def test_evaluation_can_follow_pyskl_s_samplers(T, L, clips):
    laws = {law: evaluation_indices(T, L, clips, law) for law in TEST_SAMPLINGS}
    assert np.array_equal(laws["pyskl"], pyskl_indices(T, L, clips, False))
    assert np.array_equal(laws["dgstgcn"], pyskl_indices(T, L, clips, True))
    if T < L:
        assert np.array_equal(laws["pyskl"], laws["mmaction2"])
    else:
        assert np.array_equal(laws["pyskl"], laws["dgstgcn"])


def test_pyskl_s_clips_of_long_samples_are_others():
    for T in (150, 300):
        assert (evaluation_indices(T, 100, 10) != evaluation_indices(T, 100, 10, "pyskl")).any()
    starts = evaluation_indices(60, 100, 10, "dgstgcn")[:, 0]
    assert len(set(starts.tolist())) > 5


def test_what_a_sample_draws_does_not_depend_on_its_company():
    T, own = torch.randint(1, 400, (64,)), keys(64)
    together = train_indices(T, 100, own)
    alone = [train_indices(T[i : i + 1], 100, own[i : i + 1]) for i in range(64)]
    assert torch.equal(together, torch.cat(alone))


def test_every_seed_and_draw_has_a_key_of_its_own():
    draws = torch.cat(
        [torch.arange(10_000) + (high << shift) for high in (0, 1, 2) for shift in (32, 48)]
    )
    every = torch.cat([draw_keys(seed, draws.unique()) for seed in (0, 1, 2**32 - 1)])
    assert len(every.unique()) == 3 * 5 * 10_000


def test_every_bit_of_a_key_is_as_often_set_as_not():
    bits = keys(20_000)[:, None] >> torch.arange(64) & 1
    assert (bits.double().mean(0) - 0.5).abs().max() < 5 * 0.5 / 20_000**0.5


def test_shuffling_puts_the_frames_of_each_clip_in_any_order():
    clips = torch.tensor([[7, 8, 9], [1, 1, 2]]).expand(12_000, 2, 3)
    shuffled = shuffle_frames(clips, keys(12_000))
    assert torch.equal(shuffled.sort(-1).values, clips)
    _, counts = shuffled[:, 0].unique(dim=0, return_counts=True)
    assert len(counts) == 6
    assert is_uniform(counts.numpy()[None])
    same = (shuffled[:, 0].argsort() == torch.tensor([0, 1, 2])).all(1)
    assert is_uniform(
        (shuffled[same, 1] == 2).sum(0).numpy()[None]
    )  # clips have orders of their own


def test_shuffling_depends_on_the_key_alone():
    clips = torch.arange(100).expand(8, 2, 100)
    shuffled = shuffle_frames(clips, keys(8))
    assert torch.equal(shuffled[5:6], shuffle_frames(clips[:1], keys(8)[5:6]))
    assert len(shuffled.flatten(0, 1).unique(dim=0)) == 16
