"""Key points whose axes are in another order."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stgcn_lightning.data.axes import check_persons, other_order
from stgcn_lightning.errors import BadInput
from stgcn_lightning.sources.annotations import Sample


@given(
    st.permutations(range(4)),
    st.integers(1, 5),
    st.integers(30, 300),
    st.sampled_from([2, 3]),
)
def test_the_transpose_that_is_named_mends_any_order(order, M, T, C):
    right = np.empty((M, T, 17, C))
    given_ = right.transpose(order)
    if given_.shape == right.shape:
        return
    named = other_order(given_.shape, 17, C)
    mended = eval(named.split("give ")[1], {"keypoint": given_})  # what a user would type
    assert mended.shape[2:] == (17, C)
    assert sorted(mended.shape[:2]) == sorted((M, T))


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 0, 1, 2), (3, 1, 2, 0)])
def test_a_score_among_the_coordinates_is_named(order):
    given_ = np.empty((1, 30, 17, 3)).transpose(order)
    named = other_order(given_.shape, 17, 2)
    keypoint, score = named.split("give ")[1].split(" as keypoint and ")
    scores = eval(score.removesuffix(" as keypoint_score"), {"keypoint": given_})
    assert eval(keypoint, {"keypoint": given_}).shape == (1, 30, 17, 2)
    assert scores.shape == (1, 30, 17)


def test_other_joints_are_no_other_order():
    for order in permutations(range(4)):
        assert other_order(np.empty((2, 40, 25, 3)).transpose(order).shape, 17, 3) == ""


def of_shape(M, T):
    return Sample(f"S{M}", 0, np.ones((M, T, 5, 2)))


def test_frames_given_as_persons_are_recognised():
    with pytest.raises(BadInput, match=r"all 2 samples .* \(sample 'S30' of 30\).*\(1, 0, 2, 3\)"):
        check_persons([of_shape(30, 1), of_shape(90, 1)])


@pytest.mark.parametrize("other", [(2, 1), (30, 30), (1, 1)])
def test_crowds_and_short_recordings_are_not_accused(other):
    check_persons([of_shape(30, 1), of_shape(*other)])
