"""Recordings are divided by whole groups, about a share of each class."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stgcn_lightning.data.dividing import divide


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), min_size=2, max_size=60),
    st.floats(0.05, 0.95),
    st.integers(0, 3),
)
def test_a_group_is_on_one_side_and_a_class_on_both_where_it_can_be(drawn, share, seed):
    labels = np.array([label for label, _ in drawn])
    groups = [f"g{group}" for _, group in drawn]
    chosen = divide(labels, groups, share, seed)
    sides = {group: set(chosen[[g == group for g in groups]]) for group in groups}
    assert all(len(both) == 1 for both in sides.values())
    if len(sides) > 1:
        assert chosen.any()


def test_of_single_recordings_every_class_gives_its_share():
    labels = np.repeat([0, 1, 2], [40, 20, 4])
    chosen = divide(labels, [str(i) for i in range(64)], 0.25, seed=1)
    assert np.bincount(labels[chosen]).tolist() == [10, 5, 1]


def test_a_class_of_two_recordings_is_on_both_sides():
    chosen = divide(np.array([0, 0, 1, 1]), list("abcd"), 0.1, seed=0)
    assert [chosen[:2].sum(), chosen[2:].sum()] == [1, 1]


def test_subjects_are_chosen_so_that_no_class_is_missing():
    labels = np.array([0, 0, 1, 1, 0, 1])  # only c and d do both
    groups = ["a", "a", "b", "b", "c", "c"]
    chosen = divide(labels, groups, 0.3, seed=0)
    assert [g for g, one in zip(groups, chosen, strict=True) if one] == ["c", "c"]


def test_another_seed_is_another_choice_and_the_same_one_the_same():
    labels, groups = np.zeros(40, np.int64), [str(i) for i in range(40)]
    first, again, other = (divide(labels, groups, 0.25, seed) for seed in (0, 0, 1))
    assert (first == again).all()
    assert (first != other).any()


@pytest.mark.parametrize("share", [0.01, 0.99])
def test_an_extreme_share_leaves_something_on_both_sides(share):
    chosen = divide(np.zeros(3, np.int64), list("abc"), share, seed=0)
    assert 0 < chosen.sum() < 3
