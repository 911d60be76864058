from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stgcn_lightning.errors import BadInput
from stgcn_lightning.jobs.prediction.pieces import Asked, pieces_of, starts
from stgcn_lightning.sources.annotations import Sample


def recording(keypoint, **more):
    return Asked(Sample("walk", None, np.asarray(keypoint, np.float32), None, (480, 640)), **more)


@given(frames=st.integers(1, 300), window=st.integers(1, 320), stride=st.integers(1, 320))
def test_windows_cover_what_their_stride_lets_them_and_the_end(frames, window, stride):
    found = starts(frames, window, stride)
    assert found == sorted(set(found))
    assert found[0] == 0
    assert found[-1] + window >= frames
    if frames >= window:
        assert found[-1] + window == frames
    assert all(b - a <= stride for a, b in pairwise(found))


def test_a_recording_is_one_piece_unless_windows_are_asked_for():
    walk = recording(np.ones((1, 12, 5, 2)))
    for window in (None, 12, 50):
        (whole,) = pieces_of(walk, window=window, stride=None, per_person=False)
        assert (whole.start, whole.stop, whole.person) == (0, 12, None)
        assert whole.sample is walk.sample
    parts = pieces_of(walk, window=8, stride=None, per_person=False)
    assert [(part.start, part.stop) for part in parts] == [(0, 8), (2, 10), (4, 12)]


def test_a_person_is_judged_from_its_first_to_its_last_frame():
    joints = np.zeros((3, 10, 5, 2))
    joints[0, 2:9] = 1
    joints[0, 4] = 0  # away for a frame
    joints[2, 9] = 1
    parts = pieces_of(recording(joints), window=None, stride=None, per_person=True)
    assert [(part.person, part.start, part.stop) for part in parts] == [(0, 2, 9), (2, 9, 10)]
    assert parts[0].sample.keypoint.shape == (1, 7, 5, 2)
    parts = pieces_of(recording(joints), window=4, stride=2, per_person=True)
    assert [(part.person, part.start) for part in parts] == [(0, 2), (0, 4), (0, 5), (2, 9)]


def test_scores_and_joints_are_cut_alike():
    sample = Sample(
        "a", 3, np.random.default_rng(0).random((2, 9, 5, 2)), np.ones((2, 9, 5)), (4, 4)
    )
    for part in pieces_of(Asked(sample), window=4, stride=3, per_person=True):
        assert part.sample.score.shape == part.sample.keypoint.shape[:3] == (1, 4, 5)
        np.testing.assert_array_equal(
            part.sample.keypoint[0], sample.keypoint[part.person, part.start : part.stop]
        )


@pytest.mark.parametrize("empty", [0, np.nan])
def test_a_recording_of_nobody_is_refused(empty):
    nobody = recording(np.full((1, 4, 5, 2), empty))
    with pytest.raises(BadInput, match="walk is empty: no frame of it holds a joint"):
        pieces_of(nobody, window=None, stride=None, per_person=False)


def test_persons_are_called_by_their_names_or_numbers_from_one():
    assert recording(np.ones((2, 1, 5, 2))).name_of(1) == "2"
    assert recording(np.ones((2, 1, 5, 2)), persons=("Ada", "Bo")).name_of(1) == "Bo"
