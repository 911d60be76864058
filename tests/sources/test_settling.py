from dataclasses import replace

import numpy as np
import pytest

from stgcn_lightning.data.normalise import upright
from stgcn_lightning.errors import BadInput
from stgcn_lightning.skeleton import Normalisation
from stgcn_lightning.sources.recordings import Reading, Recording
from stgcn_lightning.sources.settling import settled


def recording(points, **fields):
    """One person, one frame, a joint for each of the points."""
    keypoint = np.array(points, np.float32)[None, None]
    joints = tuple(f"j{v}" for v in range(keypoint.shape[2]))
    return Recording("x", keypoint, joints, **fields)


def settle(points, reading=None, **fields):
    return settled(recording(points, **fields), reading or Reading())


def said(found, words):
    return any(words in remark for remark in found.remarks)


def test_pixels_stay_and_the_size_of_the_picture_is_assumed():
    found = settle([[10, 20], [900, 700]], fps=25.0)
    assert found.keypoint[0, 0].tolist() == [[10, 20], [900, 700]]
    assert (found.img_shape, found.img_shape_assumed, found.score) == ((1080, 1920), True, None)
    assert said(found, "are taken for pixels")
    assert said(found, "taken to be 1080 x 1920: if it is not, set reading.img_shape")
    assert not said(found, "frames per second")


def test_a_size_that_the_reader_assumes_stays_one():
    given = {"img_shape": (480, 640), "img_shape_assumed": True}
    assert settle([[10, 20]], **given).img_shape_assumed
    assert not settle([[10, 20]], Reading(img_shape=(480, 640)), **given).img_shape_assumed


def test_pixels_beyond_the_assumed_picture_are_refused():
    with pytest.raises(BadInput, match=r"x has pixels of up to 1000 in x and 1500 in y, beyond"):
        settle([[1000, 1500], [1000, 1500]])
    found = settle([[1000, 1500]], Reading(img_shape=(1920, 1080)))
    assert (found.img_shape, found.img_shape_assumed) == ((1920, 1080), False)


@pytest.mark.parametrize(
    ("points", "unit", "pixels"),
    [
        ([[0.25, 0.5], [1.2, 1]], "picture", [[480, 540], [2304, 1080]]),
        ([[-0.5, 0.5], [1, -1]], "signed", [[480, 810], [1920, 0]]),
    ],
)
def test_parts_of_the_picture_are_told_from_pixels(points, unit, pixels):
    for found in (settle(points), settle(points, Reading(unit=unit)), settle(points, unit=unit)):
        assert found.keypoint[0, 0] == pytest.approx(np.array(pixels))
        assert said(found, "which does not matter to a model")
    assert said(settle(points), "are taken for")


def test_a_size_that_is_assumed_for_parts_of_the_picture_does_not_matter():
    points = [[0.25, 0.5], [0.75, 0.1]]
    scaled = []
    for shape in ((1080, 1920), (333, 777)):
        found = settle(points, Reading(img_shape=shape))
        half = np.array(shape[::-1]) / 2
        scaled.append((found.keypoint[0, 0] - half) / half)  # as benchmark.normalise=2d does
    np.testing.assert_allclose(scaled[0], scaled[1], atol=1e-6)


def test_what_the_user_says_counts_more_than_the_file():
    found = settle(
        [[0.5, 0.5]], Reading(unit="picture", img_shape=(10, 20), fps=5), unit="pixels",
        img_shape=(100, 100), fps=25.0,
    )  # fmt: skip
    assert (found.keypoint[0, 0].tolist(), found.img_shape, found.fps) == ([[10, 5]], (10, 20), 5)
    assert said(found, "picture as reading.unit says, not pixels")
    assert said(found, "10 x 20 as reading.img_shape says")


@pytest.mark.parametrize(
    ("size", "unit", "metres"),
    [(1.7, "metres", 1.7), (170, "centimetres", 1.7), (1700, "millimetres", 1.7)],
)
def test_bodies_in_3d_become_metres(size, unit, metres):
    found = settle([[0, 0, 3 * size], [0, size, 3 * size]], y="up")
    assert found.keypoint[0, 0, 1] == pytest.approx([0, metres, 3 * metres], rel=1e-6)
    assert (found.unit, found.y, found.img_shape) == ("metres", "up", None)
    assert said(found, f"a body of {size:.3g} is taken to be in {unit}")


def test_y_that_grows_downwards_in_3d_is_turned_and_not_mirrored():
    # seen from the camera: right shoulder at the left, x to the right, y down, z away
    left, right, head = [0.2, 0, 3], [-0.2, 0, 3], [0, -0.5, 2.9]
    found = settle([left, right, head], y="down", unit="metres")
    assert found.keypoint[0, 0] == pytest.approx(
        np.array([[-0.2, 0, 3], [0.2, 0, 3], [0, 0.5, 2.9]])
    )
    before = np.linalg.det(np.array([left, right, head]))
    assert np.linalg.det(found.keypoint[0, 0]) == pytest.approx(before, rel=1e-5)
    assert said(found, "turned upright about z, which keeps left and right")


def test_y_that_grows_upwards_in_2d_is_turned_down():
    found = settle([[10, 30], [0, 0]], Reading(img_shape=(100, 200)), y="up")
    assert found.keypoint[0, 0].tolist() == [[10, 70], [0, 0]]  # what was not found stays zero
    found = settle([[0.25, 0.75]], Reading(y="up", img_shape=(100, 200)), unit="picture")
    assert found.keypoint[0, 0].tolist() == [[50, 25]]
    assert said(found, "y grows upwards and is turned down")


def test_nan_zero_and_scores_of_zero_are_all_not_found():
    points = [[10, 20], [np.nan, 5], [0, 0], [7, 8], [3, 3]]
    score = np.array([[[0.5, 0.9, 0.9, 0, np.nan]]], np.float32)
    for given in (score, None):
        found = settle(points, score=given)
        empty = [[0, 0]] * 2
        assert found.keypoint[0, 0, 1:3].tolist() == empty
        assert np.isfinite(found.keypoint).all()
    assert found.score[0, 0].tolist() == [1, 0, 0, 1, 1]  # without scores: found or not
    found = settle(points, score=score)
    assert found.keypoint[0, 0, 1:].tolist() == [[0, 0]] * 4
    assert found.score[0, 0].tolist() == [0.5, 0, 0, 0, 0]
    assert said(found, "80.0% of the joints of persons who are there were not found")


def test_joints_below_the_least_score_are_not_found():
    score = np.array([[[0.5, 0.3]]], np.float32)
    found = settle([[10, 20], [30, 40]], Reading(least_score=0.4), score=score)
    assert found.keypoint[0, 0].tolist() == [[10, 20], [0, 0]]
    assert found.score[0, 0].tolist() == [0.5, 0]


@pytest.mark.parametrize(
    ("scores", "settled_scores", "words"),
    [
        ([0.5, 1.0], [0.5, 1], ""),
        ([0.5, 6.0], [0.5, 1], "scores of up to 6 are cut to 1"),
        ([50, 99], [0.5, 0.99], "are taken for percent"),
        ([0.5, 4000], [1, 1], "are no confidence"),
    ],
)
def test_scores_above_1(scores, settled_scores, words):
    found = settle([[10, 20], [30, 40]], score=np.array([[scores]], np.float32))
    assert found.score[0, 0] == pytest.approx(settled_scores)
    assert not words or said(found, words)


def frames(numbers, **fields):
    T = len(numbers)
    keypoint = np.arange(1, T + 1, dtype=np.float32)[None, :, None, None].repeat(2, -1) * 10
    return Recording("x", keypoint, ("j",), frames=np.array(numbers, np.int64), **fields)


@pytest.mark.parametrize(
    ("numbers", "filled", "x"),
    [
        ([0, 1, 2], [0, 1, 2], [10, 20, 30]),
        ([5, 6, 9], [5, 6, 7, 8, 9], [10, 20, 0, 0, 30]),
        ([0, 2, 4, 8], [0, 2, 4, 6, 8], [10, 20, 30, 0, 40]),  # every second frame
        ([0, 1, 2, 10**12], [0, 1, 2, 10**12], [10, 20, 30, 40]),
    ],
)
def test_frames_that_are_left_out_are_empty(numbers, filled, x):
    found = settled(frames(numbers), Reading())
    assert found.frames.tolist() == filled
    assert found.keypoint[0, :, 0, 0].tolist() == x
    assert said(found, "are left out") == (len(x) > len(numbers) or 10**12 in numbers)


def test_scores_follow_the_frames():
    score = np.array([[[0.25], [0.5], [0.75]]], np.float32)
    found = settled(frames([0, 1, 3], score=score), Reading())
    assert found.score[0, :, 0].tolist() == [0.25, 0.5, 0, 0.75]


def test_frames_that_do_not_increase_are_refused():
    with pytest.raises(BadInput, match="numbers of frames do not increase"):
        settled(frames([0, 2, 1]), Reading())


def test_z_in_a_picture_is_dropped():
    found = settle([[0.5, 0.5, -0.2]], unit="picture")
    assert found.keypoint.shape == (1, 1, 1, 2)
    assert said(found, "z is dropped")


def test_what_cannot_be_settled_is_refused():
    with pytest.raises(BadInput, match="joint j1 of person 0 in frame 0 is at inf"):
        settle([[1, 2], [np.inf, 3]])
    with pytest.raises(BadInput, match="x has no joint of any person in any frame"):
        settle([[0, 0], [np.nan, 1]])
    with pytest.raises(BadInput, match="2 coordinates, which cannot be in metres"):
        settle([[1, 2]], unit="metres")


def test_what_is_settled_is_not_settled_again():
    found = settle([[0.5, 0.5]])
    assert settled(found, Reading(unit="signed")) is found
    again = settled(replace(found, settled=False, remarks=()), Reading())
    np.testing.assert_array_equal(again.keypoint, found.keypoint)


@pytest.mark.parametrize(
    ("left", "score", "doubted"), [(10, 0.9, True), (90, 0.9, False), (10, 0.2, False)]
)
def test_sides_that_look_as_the_viewer_s_are_said(left, score, doubted):
    names = ("nose", "left_eye", "right_eye", "left_shoulder", "right_shoulder")
    points = [[50, 20], [55, 15], [45, 15], [left, 60], [50, 60]]
    given = np.full((1, 1, 5), score, np.float32)
    one = replace(recording(points, score=given), joints=names)
    found = settled(one, Reading())
    assert said(found, "left and right may be the viewer's") == doubted
    assert found.keypoint[0, 0].tolist() == points


def test_a_body_whose_y_grows_downwards_is_normalised_as_if_it_grew_upwards():
    body = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    body[:4] = [[0, 0.5, 3], [0.1, 0, 3], [0.2, 0.02, 3.1], [-0.2, -0.06, 3.1]]
    assert (body[1] - body[0]) @ (body[3] - body[2]) == pytest.approx(0, abs=1e-6)  # square
    joints = Normalisation(centre=0, body=(0, 1), shoulders=(2, 3))
    turned = body * np.array([-1, -1, 1], np.float32)
    down = settle(body, y="down", unit="metres").keypoint
    up = settle(turned, y="up", unit="metres").keypoint
    anyhow = settle(body, y="up", unit="metres").keypoint  # turned by half a turn
    for one in (up, anyhow):
        np.testing.assert_allclose(upright(one, joints), upright(down, joints), atol=1e-5)


def test_lengths_in_space_are_not_taken_for_pixels():
    body = np.random.default_rng(0).normal(0, 400, (1, 9, 17, 2)).astype(np.float32)
    space = Recording("mocap", body, tuple(f"joint{v}" for v in range(17)))
    with pytest.raises(BadInput, match=r"mocap: [45]\d% of the coordinates are below zero"):
        settled(space, Reading())
    assert settled(space, Reading(unit="pixels")).unit == "pixels"
