"""Persons of people without tracks, while they come."""

import numpy as np
import pytest

from stgcn_lightning.sources.following import Following

SQUARE = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)


def walk(start, step, frames=20):
    """(T, V, 2): a body that moves on by `step` in every frame."""
    return np.array(start) + np.arange(frames)[:, None, None] * np.array(step) + SQUARE


def names(following, *persons):
    """The names that (T, V, 2) persons get in each frame."""
    return [following(np.stack(frame).astype(np.float32)) for frame in zip(*persons, strict=True)]


def test_people_whose_order_flips_keep_their_names_where_they_cross():
    left, right = walk((10, 1), (0.4, 0)), walk((18, 1.5), (-0.3, 0))  # they cross in frame 11
    following = Following(gap=30)
    for t, (one, other) in enumerate(zip(left, right, strict=True)):
        pair = [one, other] if t % 2 else [other, one]
        found = following(np.stack(pair).astype(np.float32))
        assert found == (["2", "1"] if t % 2 else ["1", "2"])


@pytest.mark.parametrize(("away", "name"), [(6, "1"), (7, "2"), (20, "2")])
def test_a_person_may_be_away_for_as_many_frames_as_the_gap(away, name):
    body = walk((10, 1), (0.01, 0), 60)
    body[20 : 20 + away] = 0
    found = names(Following(gap=6), body)
    assert found[19] == ["1"]
    assert found[20] == [None]
    assert found[-1] == [name]


def test_who_comes_back_after_a_long_absence_is_the_same_near_the_place_of_leaving():
    body = walk((10, 1), (0.02, 0), 60)
    body[20:45] = 0
    assert names(Following(gap=30), body)[-1] == ["1"]
    body[45:] += 50
    assert names(Following(gap=30), body)[-1] == ["2"]


def test_a_ghost_of_the_detector_is_nobody_and_a_second_person_is_somebody_after_five_frames():
    body = walk((10, 1), (0.1, 0))
    ghost, second = np.zeros_like(body), np.zeros_like(body)
    ghost[8:10] = SQUARE + 50
    second[5:] = SQUARE + 90
    found = names(Following(gap=30), body, ghost, second)
    assert all(name is None for _, name, _ in found)
    assert [name for _, _, name in found] == [None] * 9 + ["2"] * 11
    assert all(name == "1" for name, _, _ in found)


def test_of_too_many_persons_those_stay_who_came_first():
    crowd = [walk((10 * i, 1), (0, 0)) for i in range(4)]
    assert names(Following(gap=30, most=2), *crowd)[-1] == ["1", "2", None, None]
