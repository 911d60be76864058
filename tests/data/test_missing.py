"""Joints that were not found: what marks them, and what becomes of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stgcn_lightning.data.missing import check_missing, missing_joints, without_missing
from stgcn_lightning.errors import BadInput
from stgcn_lightning.sources.annotations import Sample


def sample(missing, mark=np.nan, dtype=np.float32, scored=True, C=2):
    """Joints that move evenly, from 100 on, but for those that are missing."""
    M, T, V = missing.shape
    m, t, v, c = np.ogrid[:M, :T, :V, :C]
    keypoint = (100 + 2 * t + 10 * v + 100 * c + 200 * m).astype(dtype)
    keypoint[missing] = mark
    return Sample("S", 0, keypoint, np.full((M, T, V), 0.5, dtype) if scored else None)


MISSING = st.integers(0, 2**32 - 1).map(
    lambda seed: np.random.default_rng(seed).random((2, 9, 4)) < 0.4
)
MARKS = st.sampled_from([np.nan, 0, -1])
DTYPES = st.sampled_from([np.float16, np.float32, np.float64])


@given(MISSING, MARKS, DTYPES)
def test_zero_puts_missing_joints_at_the_origin_with_score_zero(missing, mark, dtype):
    found = without_missing(sample(missing, mark, dtype), "zero")
    assert (found.keypoint[missing] == 0).all()
    assert (found.score[missing] == 0).all()
    assert (found.score[~missing] == 0.5).all()
    assert (found.keypoint[~missing] >= 100).all()
    assert found.keypoint.dtype == found.score.dtype == dtype


@given(MISSING, MARKS, DTYPES, st.sampled_from([2, 3]))
def test_interpolation_is_linear_between_the_frames_in_which_a_joint_is_found(
    missing, mark, dtype, C
):
    found = without_missing(sample(missing, mark, dtype, C=C), "interpolate")
    whole = sample(np.zeros_like(missing), dtype=dtype, C=C)
    person = ~missing.all(-1)
    for m, v in np.ndindex(2, 4):
        seen = np.flatnonzero(~missing[m, :, v])
        for t in range(9):
            if missing[m, t, v] and (not len(seen) or not person[m, t]):
                expected = np.zeros(C)  # never found, or an absent person
            else:  # where the movement is even, the line is the movement itself
                at = np.clip(t, seen[0], seen[-1])
                expected = whole.keypoint[m, at, v]
            np.testing.assert_allclose(found.keypoint[m, t, v], expected, rtol=1e-3)
    assert (found.score[missing] == 0).all()
    assert found.keypoint.dtype == dtype


def test_error_and_complete_samples_are_left_as_they_are():
    some, none = sample(np.eye(4, dtype=bool)[None]), sample(np.zeros((1, 4, 4), bool))
    assert without_missing(some, "error") is some
    assert without_missing(none, "interpolate") is none


def test_2d_key_points_without_scores_get_some_where_joints_are_missing():
    missing = np.eye(4, dtype=bool)[None]
    found = without_missing(sample(missing, scored=False), "interpolate")
    np.testing.assert_array_equal(found.score, ~missing)
    assert without_missing(sample(missing, scored=False, C=3), "zero").score is None


def test_a_score_of_nan_means_a_missing_joint():
    one = sample(np.zeros((1, 4, 4), bool))
    one.score[0, 1, 2] = np.nan
    assert np.argwhere(missing_joints(one)).tolist() == [[0, 1, 2]]


def test_one_coordinate_of_zero_or_minus_one_is_no_mark():
    one = sample(np.zeros((1, 4, 4), bool))
    one.keypoint[0, 0, :, 0], one.keypoint[0, 1, :, 1] = 0, -1
    assert not missing_joints(one).any()


def test_other_ways_are_refused():
    with pytest.raises(BadInput, match=r"data\.missing='drop' is none of error, zero, interpolate"):
        check_missing("drop")
