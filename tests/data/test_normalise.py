import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stgcn_lightning.data.normalise import RIGHT, UP, normalise, rotation_onto
from stgcn_lightning.errors import BadInput
from stgcn_lightning.skeleton import Normalisation

PICTURE = (1080, 1920)
# Of four joints: a pelvis, the joint above it, left and right shoulder.
JOINTS = Normalisation(centre=1, body=(0, 1), shoulders=(2, 3))
SEEDS = st.integers(0, 2**32 - 1)


def bodies(seed: int, persons: int = 1, frames: int = 5) -> np.ndarray:
    """(M, T, 4, 3) float64, in a room."""
    return np.random.default_rng(seed).uniform(-2, 2, (persons, frames, 4, 3))


def upright(keypoint: np.ndarray) -> np.ndarray:
    return normalise(keypoint, None, mode="3d", img_shape=PICTURE, joints=JOINTS)


def absent(keypoint: np.ndarray, person: int, *frames: int) -> np.ndarray:
    """The key points without a person in some frames."""
    keypoint = keypoint.copy()
    keypoint[person, list(frames)] = 0
    return keypoint


def test_2d_puts_the_middle_of_the_picture_at_zero_and_its_corners_at_one():
    keypoint = np.array([[0, 0], [960, 540], [1920, 1080], [1920, 0]], np.float32)
    result = normalise(keypoint[None, None], None, mode="2d", img_shape=PICTURE)
    assert result[0, 0, :, :2].tolist() == [[-1, -1], [0, 0], [1, 1], [1, -1]]


def test_2d_rounds_every_step_to_the_stored_type():
    keypoint = np.full((1, 1, 1, 2), 1.1875, np.float16)
    result = normalise(keypoint, None, mode="2d", img_shape=PICTURE)
    assert result.dtype == np.float16
    assert result[0, 0, 0, 0] == np.float16(-959 / 960)  # not -958.8125 / 960, another float16


def test_scores_become_the_third_channel():
    keypoint = np.zeros((1, 2, 3, 2), np.float32)
    score = np.arange(6, dtype=np.float32).reshape(1, 2, 3)
    result = normalise(keypoint, score, mode="2d", img_shape=PICTURE)
    assert (result[..., 2] == score).all()


@pytest.mark.parametrize("mode", ["2d", "none"])
def test_key_points_without_scores_are_certain(mode):
    keypoint = np.zeros((1, 2, 3, 2), np.float16)
    result = normalise(keypoint, None, mode=mode, img_shape=PICTURE)
    assert result.dtype == np.float16
    assert (result[..., 2] == 1).all()


def centred(keypoint: np.ndarray) -> np.ndarray:
    return normalise(keypoint, None, mode="3d_centred", img_shape=PICTURE, joints=JOINTS)


def test_centring_alone_by_hand():
    keypoint = np.array([[[[1.0, 0, 0], [1, 2, 3], [0, 0, 0], [4, 4, 4]]]], np.float16)
    keypoint = np.concatenate([0 * keypoint, keypoint, keypoint + 1], axis=1)  # 1, 3, 4, 3
    result = centred(keypoint)
    assert result.dtype == np.float16, "nothing else is rounded"
    assert result[0, 0].tolist() == [[0, -2, -3], [0, 0, 0], [0, 0, 0], [3, 2, 1]]
    assert result[0, 1].tolist() == [[1, -1, -2], [1, 1, 1], [0, -1, -2], [4, 3, 2]]
    assert result.shape[1] == 2, "a frame in which nobody is goes"


@given(SEEDS)
def test_centring_alone_differs_from_3d_by_a_rotation(seed):
    rng = np.random.default_rng(seed)
    keypoint = bodies(seed, persons=2)
    keypoint[0, rng.random(5) < 0.5] = 0
    keypoint[1, rng.random(5) < 0.2] = 0
    one, other = centred(keypoint), upright(keypoint)
    assert one.shape == other.shape
    bend, *_ = np.linalg.lstsq(one.reshape(-1, 3), other.reshape(-1, 3), rcond=None)
    assert np.allclose(one @ bend, other, atol=1e-5)
    if keypoint.any():
        assert np.allclose(bend @ bend.T, np.eye(3), atol=1e-5)


def test_no_normalisation_changes_no_coordinate():
    keypoint = bodies(0)
    assert normalise(keypoint, None, mode="none", img_shape=PICTURE) is keypoint


@given(SEEDS, st.tuples(*[st.floats(-5, 5)] * 3))
def test_3d_ignores_translation(seed, shift):
    assert np.allclose(upright(bodies(seed) + shift), upright(bodies(seed)), atol=1e-5)


@given(SEEDS)
def test_3d_keeps_distances(seed):
    def distances(x):
        return np.linalg.norm(x[:, :, :, None] - x[:, :, None], axis=-1)

    keypoint = bodies(seed, persons=2)
    assert np.allclose(distances(upright(keypoint)), distances(keypoint), atol=1e-5)


@given(SEEDS)
def test_3d_centres_and_turns_the_shoulders_of_the_first_frame_to_the_right(seed):
    first = upright(bodies(seed, persons=2))[0, 0]
    assert np.abs(first[1]).max() < 1e-6
    line = first[3] - first[2]
    assert line[0] > 0
    assert np.abs(line[1:]).max() < 1e-5


def test_3d_leaves_a_body_that_already_stands_as_wanted_where_it_is():
    body = np.array([[0, 0, -1], [0, 0, 0], [-1, 0, 1], [1, 0, 1]], np.float64)
    assert upright(body[None, None]).tolist() == body[None, None].tolist()


def test_3d_turns_the_body_axis_up_first():
    """A body on its back: head to +y, right shoulder to +x; a quarter turn makes it stand."""
    body = np.array([[0, -1, 0], [0, 0, 0], [-1, 1, 0], [1, 1, 0]], np.float64)
    standing = [[0, 0, -1], [0, 0, 0], [-1, 0, 1], [1, 0, 1]]
    assert np.allclose(upright(body[None, None])[0, 0], standing, atol=1e-7)


def test_3d_drops_frames_without_the_first_person_even_if_the_second_is_there():
    second_short = absent(bodies(0, persons=2), 1, 3)
    result = upright(absent(second_short, 0, 1))
    assert np.array_equal(result, upright(second_short)[:, [0, 2, 3, 4]])


def test_3d_puts_the_person_who_is_seen_longer_first():
    keypoint = absent(bodies(0, persons=2), 0, 1, 3)
    result = upright(keypoint)
    assert np.array_equal(result, upright(keypoint[::-1]))
    assert result.shape == (2, 5, 4, 3)  # frames are dropped by who is first afterwards


def test_3d_keeps_the_order_of_two_persons_who_are_seen_equally_long():
    keypoint = absent(absent(bodies(0, persons=2), 0, 1), 1, 2)
    assert upright(keypoint).shape == (2, 4, 4, 3)
    assert np.abs(upright(keypoint)[0, 0, 1]).max() < 1e-6
    assert not np.array_equal(upright(keypoint), upright(keypoint[::-1]))


def test_3d_keeps_two_persons():
    keypoint = bodies(0, persons=4)
    assert np.array_equal(upright(keypoint), upright(keypoint[:2]))


def test_3d_leaves_joints_and_samples_that_were_not_seen_at_zero():
    keypoint = bodies(0)
    keypoint[0, 2, 3] = 0
    result = upright(keypoint)
    assert (result[0, 2, 3] == 0).all()
    assert np.abs(result[0, 1, 3]).min() > 0
    assert (upright(np.zeros_like(keypoint)) == np.zeros_like(keypoint)).all()


@pytest.mark.parametrize("sign", [1, -1, 0])
def test_a_vector_along_the_target_or_without_length_is_not_turned(sign):
    assert (rotation_onto(sign * 3 * UP, UP) == np.eye(3)).all()


@given(st.tuples(*[st.floats(-2, 2)] * 3).filter(lambda v: np.linalg.norm(np.cross(v, UP)) > 0.1))
def test_a_rotation_turns_a_vector_onto_the_target(vector):
    rotation = rotation_onto(np.array(vector), UP)
    assert np.allclose(rotation @ rotation.T, np.eye(3))
    assert np.allclose(np.array(vector) @ rotation, np.linalg.norm(vector) * UP)


def test_a_rotation_of_a_stored_vector_goes_by_its_rounded_direction():
    vector = np.array([0.3, -0.4, 0.7], np.float16)
    stored, exact = rotation_onto(vector, RIGHT), rotation_onto(vector.astype(np.float64), RIGHT)
    assert 1e-6 < np.abs(stored - exact).max() < 2e-3


def test_an_unknown_normalisation_is_refused():
    with pytest.raises(
        BadInput, match=r"benchmark.normalise='4d' is none of 2d, 3d, 3d_centred, none"
    ):
        normalise(bodies(0), None, mode="4d", img_shape=PICTURE)


@pytest.mark.parametrize(("mode", "coordinates"), [("2d", 3), ("3d", 2), ("3d_centred", 2)])
def test_the_normalisation_of_another_dimension_is_refused(mode, coordinates):
    keypoint = bodies(0)[..., :coordinates]
    with pytest.raises(BadInput, match=f"normalise={mode} cannot be done to {coordinates}d key"):
        normalise(keypoint, None, mode=mode, img_shape=PICTURE, joints=JOINTS)


def test_3d_needs_a_skeleton_that_says_how():
    with pytest.raises(BadInput, match=r"benchmark.normalise=3d needs the skeleton's `normalise`"):
        normalise(bodies(0), None, mode="3d", img_shape=PICTURE)
