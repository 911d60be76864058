"""Balanced draws: equally many of every class, no clip twice, and the same when resumed."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stgcn_lightning.data.draws import BalancedDraws, Draws, sample_of
from stgcn_lightning.errors import BadInput

LABELS = torch.tensor([0] * 8 + [2] * 3 + [5])


def drawn(epoch=0, **more):
    draws = BalancedDraws(LABELS, 4, **{"passes": 2, "seed": 7} | more)
    draws.set_epoch(epoch)
    return [draw for some in draws for draw in some]


def test_every_class_is_drawn_equally_often_and_no_clip_twice():
    draws = drawn()
    assert len(draws) == len(set(draws)) == 24
    samples = sample_of(torch.tensor(draws))
    assert LABELS[samples].bincount()[[0, 2, 5]].tolist() == [8, 8, 8]
    assert samples.bincount().tolist() == [1] * 8 + sorted(samples.bincount()[8:11].tolist()) + [8]
    assert set(samples.bincount()[8:11].tolist()) == {2, 3}


def test_who_is_drawn_once_more_differs_from_epoch_to_epoch():
    often = {tuple(sample_of(torch.tensor(drawn(epoch))).bincount()[8:11]) for epoch in range(9)}
    assert len(often) > 1
    assert drawn(3) == drawn(3)
    assert drawn(3, seed=8) != drawn(3)


@given(st.integers(0, 5), st.sampled_from([1, 2, 3]))
def test_a_run_that_is_resumed_and_several_ranks_make_the_same_clips(batch, ranks):
    size = 6 // ranks
    whole = list(BalancedDraws(LABELS, 6, passes=2, seed=1))
    parts = [
        list(BalancedDraws(LABELS, size, passes=2, seed=1, rank=r, ranks=ranks, begin=(0, batch)))
        for r in range(ranks)
    ]
    again = [[draw for share in shares for draw in share] for shares in zip(*parts, strict=True)]
    assert again == whole[batch:]


def test_balanced_classes_are_drawn_as_often_as_without_balance():
    labels = torch.arange(12) % 3
    plain = sorted(draw for some in Draws(12, 5, passes=2, seed=0) for draw in some)
    balanced = sorted(draw for some in BalancedDraws(labels, 5, passes=2, seed=0) for draw in some)
    assert balanced == plain


def test_a_class_too_rare_to_be_balanced_is_refused():
    labels = torch.cat([torch.zeros(1000, dtype=torch.int64), torch.ones(1, dtype=torch.int64)])
    with pytest.raises(BadInput, match="each of the 1 samples of the rarest class more than 65535"):
        BalancedDraws(labels, 4, passes=1000, seed=0)
