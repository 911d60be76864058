"""Persons from people without tracks: order, gaps, ghosts, and who is kept."""

from dataclasses import replace

import numpy as np
import pytest
from linking import SCENES, kept

from stgcn_lightning.errors import BadInput
from stgcn_lightning.sources import linking
from stgcn_lightning.sources.linking import linked, movement
from stgcn_lightning.sources.recordings import READING, Reading, Recording

SQUARE = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)  # of size sqrt(0.5)


def walk(start, step, frames=20, body=SQUARE):
    """(T, V, 2): a body that moves on by `step` in every frame."""
    return np.array(start) + np.arange(frames)[:, None, None] * np.array(step) + body


def people(*persons, order=None, **others):
    """A recording of people without tracks; `order` (M, T) says who comes where in each frame."""
    keypoint = np.stack(persons).astype(np.float32)
    if order is not None:
        keypoint = np.take_along_axis(keypoint, np.array(order)[..., None, None], 0)
    score = keypoint.any(-1).astype(np.float32)
    given = {"tracked": False, "settled": True} | others
    return Recording("r", keypoint, ("a", "b", "c", "d"), score, **given)


def flips(frames=20):
    """Two people who change places in every frame."""
    return [[t % 2 for t in range(frames)], [1 - t % 2 for t in range(frames)]]


@pytest.mark.parametrize("name", SCENES)
def test_identity_is_kept_in_at_least_99_percent_of_detections_when(name):
    assert kept(SCENES[name], 2) >= 0.99


def test_people_whose_order_flips_become_two_persons_who_cross():
    left, right = walk((10, 1), (0.4, 0)), walk((18, 1.5), (-0.3, 0))  # they cross in frame 11
    found = linked(people(left, right, order=flips()), READING)
    assert found.tracked
    assert found.persons == ("1", "2")
    assert np.array_equal(found.keypoint, np.stack([left, right]).astype(np.float32))
    assert (found.score == 1).all()
    assert "2 persons were linked, who may be away for 30 frames (reading.gap)" in found.remarks[-1]


@pytest.mark.parametrize(("away", "persons"), [(6, 1), (7, 2)])
def test_a_person_may_be_away_for_as_many_frames_as_the_gap(away, persons):
    body = walk((10, 1), (0.1, 0), 40)
    body[20 : 20 + away] = 0
    assert len(linked(people(body), Reading(gap=6)).keypoint) == persons


def test_frames_that_the_file_has_not_count_as_absence():
    body = walk((10, 1), (0, 0), 20)
    frames = np.arange(20) + 10 * (np.arange(20) >= 10)
    assert len(linked(people(body, frames=frames), Reading(gap=9)).keypoint) == 2
    assert len(linked(people(body, frames=frames), Reading(gap=10)).keypoint) == 1


def test_detections_of_a_few_frames_are_left_out_and_counted():
    body, ghost = walk((10, 1), (0.1, 0)), np.zeros((20, 4, 2))
    ghost[7:11] = SQUARE + 50
    found = linked(people(ghost, body), READING)
    assert np.array_equal(found.keypoint[0], body.astype(np.float32))
    assert len(found.keypoint) == 1
    assert "4 detections that last for less than 5 frames are left out" in found.remarks[-1]


def test_a_recording_of_a_few_frames_keeps_its_people():
    found = linked(people(walk((10, 1), (0, 0), 3), walk((40, 1), (0, 0), 3)), READING)
    assert len(found.keypoint) == 2


def test_the_persons_who_move_most_are_kept_and_come_first():
    still, slow, fast = walk((10, 1), (0, 0)), walk((20, 9), (0.1, 0)), walk((30, 20), (0.3, 0))
    found = linked(people(still, slow, fast), Reading(persons=2))
    assert np.array_equal(found.keypoint, np.stack([fast, slow]).astype(np.float32))
    assert found.persons == ("3", "2")
    assert "the 2 of 3 persons who move most are kept (reading.persons=2)" in found.remarks


def test_a_recording_with_tracks_is_left_as_it_is_but_for_persons_too_many():
    still, fast = walk((10, 1), (0, 0)), walk((30, 20), (0.3, 0))
    tracked = people(still, fast, tracked=True, persons=("id 4", "id 7"))
    assert linked(tracked, READING) is tracked
    assert linked(tracked, Reading(persons=2)) is tracked
    found = linked(tracked, Reading(persons=1))
    assert np.array_equal(found.keypoint[0], fast.astype(np.float32))
    assert found.persons == ("id 7",)
    assert len(found.remarks) == 1


def test_movement_is_in_body_sizes_and_by_how_long_somebody_was_seen():
    body = walk((0, 0), (1, 0), 2)  # one step: a standard deviation of 0.5 in x
    seen = np.ones(body.shape[:2], bool)
    assert movement(body, seen, 2) == pytest.approx(0.5 / np.sqrt(0.5))
    assert movement(body, seen, 4) == pytest.approx(0.25 / np.sqrt(0.5))
    assert movement(10 * body, seen, 2) == pytest.approx(0.5 / np.sqrt(0.5))
    assert movement(body[:1], seen[:1], 2) == 0


def test_what_was_not_found_is_marked_as_the_recording_marks_it():
    body = walk((10, 1), (0.1, 0))
    body[5:8] = np.nan
    body[10, 2] = np.nan
    found = linked(replace(people(body, settled=False), score=None), READING)
    assert np.array_equal(found.keypoint[0], body.astype(np.float32), equal_nan=True)
    assert found.score is None


def test_a_recording_without_people_has_one_absent_person():
    found = linked(people(np.zeros((4, 4, 2)), np.zeros((4, 4, 2))), READING)
    assert found.keypoint.shape == (1, 4, 4, 2)
    assert found.remarks == ("nobody was found in any frame",)


def test_more_persons_than_memory_holds_are_refused(monkeypatch):
    monkeypatch.setattr(linking, "most_values", lambda held: 300)
    with pytest.raises(BadInput, match=r"r: 2 persons come and go in 20 frames.*persons=2"):
        linked(people(walk((10, 1), (0, 0)), walk((30, 1), (0, 0))), READING)


def test_pieces_are_joined_across_blocks_as_within_one(monkeypatch):
    people_away = people(*(walk((0, 20 * n), (0.1, 0), 60) for n in range(3)))
    for person in range(3):
        people_away.keypoint[person, 20 + person : 32 + person] = 0
        people_away.score[person, 20 + person : 32 + person] = 0
    one = linked(people_away, READING)
    assert len(one.keypoint) == 3
    monkeypatch.setattr(linking, "JOIN_BLOCK", 1)
    assert np.array_equal(linked(people_away, READING).keypoint, one.keypoint)


def test_a_person_who_leaves_twice_comes_back_twice():
    body = walk((10, 1), (0.1, 0), 60)
    body[15:28] = 0
    body[40:52] = 0
    assert len(linked(people(body), READING).keypoint) == 1


def test_who_comes_back_is_told_by_the_size():
    middle = np.array([0.5, 0.5])
    large, small = (
        walk((10, 1), (0, 0), 40, 2 * (SQUARE - middle)),
        walk((10, 1), (0, 0), 40, SQUARE - middle),
    )
    large[12:25] = small[12:25] = 0  # and change places in the list
    order = [[0] * 20 + [1] * 20, [1] * 20 + [0] * 20]
    found = linked(people(large, small, order=order), READING)
    assert len(found.keypoint) == 2
    widths = np.ptp(found.keypoint[..., 0], axis=2)  # M, T
    assert [sorted(set(row[row > 0].tolist())) for row in widths] in ([[2], [1]], [[1], [2]])
