"""The embedded data set: what its bodies, cameras and actions promise."""

import re
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf

from stgcn_lightning.data.checks import check_annotations
from stgcn_lightning.errors import BadInput
from stgcn_lightning.skeleton import Skeleton
from stgcn_lightning.sources.mmaction2 import read_annotations, write_annotations
from stgcn_lightning.sources.synthetic import synthetic_annotations
from stgcn_lightning.sources.synthetic_actions import ACTIONS, PAIRS
from stgcn_lightning.sources.synthetic_bodies import COCO17, make_bodies
from stgcn_lightning.sources.synthetic_scenes import FOCAL, PIXELS_PER_METRE, draw_scene, render

CONF = Path(__file__).parents[2] / "conf" / "skeleton"
ROUNDING = 0.005  # metres; float16 is 2 mm apart at 4 m, and two ends of a limb are rounded


def act(action, dimension="3d", noise=0.0, seed=0):
    """Key points and scores of one sample of this action; all else depends on the seed alone."""
    rng = np.random.default_rng(seed)
    scene = draw_scene(rng, ACTIONS.index(action), range(6), 30, 300)
    [(keypoint, score)] = render([scene], [rng], make_bodies(0, 6), dimension, noise)
    return keypoint.astype(np.float64), score.astype(np.float64)


def skeleton(name):
    return Skeleton.from_dict(OmegaConf.to_container(OmegaConf.load(CONF / f"{name}.yaml")))


# --- actions ---


@pytest.mark.parametrize("dimension", ["2d", "3d"])
@pytest.mark.parametrize(("action", "reversal"), PAIRS[:-1])
@pytest.mark.parametrize("seed", range(3))
def test_the_second_action_of_a_pair_is_the_first_one_backwards(action, reversal, dimension, seed):
    there, back = act(action, dimension, seed=seed)[0], act(reversal, dimension, seed=seed)[0]
    assert not np.array_equal(there, back)
    np.testing.assert_array_equal(there[:, ::-1], back)


@pytest.mark.parametrize("seed", range(3))
def test_only_the_second_person_tells_the_last_pair_apart(seed):
    accepted, refused = (act(action, seed=seed)[0] for action in PAIRS[-1])
    np.testing.assert_array_equal(accepted[0], refused[0])
    np.testing.assert_array_equal(accepted[1, ::-1], refused[1])
    gap_first, gap_last = np.linalg.norm(accepted[0, [0, -1], 0] - accepted[1, [0, -1], 0], axis=-1)
    assert gap_first > gap_last + 0.7  # who accepts, walks up


def test_offering_a_hand_is_as_probable_as_its_reversal():
    moments = np.linspace(0, 1, 9)
    heights = []  # of the higher hand against the hips, in time
    for seed in range(300):
        person = act("offer_refused", seed=seed)[0][0]
        height = (person[:, [7, 11], 1] - person[:, :1, 1]).max(1)
        heights.append(np.interp(moments, np.linspace(0, 1, len(height)), height))
    mean, error = np.mean(heights, 0), np.std(heights, 0) / np.sqrt(len(heights))
    assert mean[4] > mean[0] + 0.2
    assert (abs(mean - mean[::-1]) < 4 * error).all()


@pytest.mark.parametrize("seed", range(5))
def test_walking_goes_where_the_body_looks(seed):
    walker = act("walk_forwards", seed=seed)[0][0]
    right = (walker[:, 16] - walker[:, 12]).mean(0)
    forward = np.cross([0, 1, 0], right)
    travelled = walker[-1, 0] - walker[0, 0]
    assert travelled @ forward / np.linalg.norm(forward) > 0.8
    toes = (walker[:, 15] - walker[:, 14]).mean(0)
    assert toes @ forward > 0


def test_poses_are_those_that_the_names_say():
    standing, sitting = act("sit_down")[0][0][[0, -1]]
    assert standing[0, 1] - standing[13, 1] > 0.3  # the hips are a thigh above the knees
    assert abs(sitting[0, 1] - sitting[13, 1]) < 0.2
    assert np.linalg.norm(sitting[0] - sitting[14]) > 0.4  # the heel is not under the hips,
    assert sitting[13, 1] - sitting[14, 1] > 0.3  # but under the knee
    lifted = act("raise_arms")[0][0][-1]
    assert min(lifted[7, 1], lifted[11, 1]) > lifted[3, 1]  # hands above the head
    stooped = act("pick_up")[0][0]
    assert stooped[:, 7, 1].min() < stooped[0, 13, 1] + 0.1  # a hand down at the knees


# --- bodies ---


@pytest.mark.parametrize("action", ACTIONS)
def test_limbs_keep_their_length(action):
    keypoint, _ = act(action)
    child, parent = np.array(skeleton("ntu25").edges).T
    lengths = np.linalg.norm(keypoint[:, :, child] - keypoint[:, :, parent], axis=-1)
    assert np.ptp(lengths, axis=1).max() < 2 * ROUNDING
    assert (lengths > 0.01).all()


def test_subjects_differ_in_their_limbs_and_keep_them():
    few, more = make_bodies(7, 3), make_bodies(7, 20)
    np.testing.assert_array_equal(few.lengths, more.lengths[:3])
    assert (np.std(more.lengths, axis=0) > 0.02 * np.mean(more.lengths, axis=0)).all()
    assert not np.array_equal(few.lengths, make_bodies(8, 3).lengths)


@pytest.mark.parametrize("action", ["sit_down", "walk_forwards", "pick_up"])
def test_the_lower_foot_stays_on_the_ground(action):
    person = act(action)[0][0]
    assert np.ptp(person[:, [15, 19], 1].min(1)) < ROUNDING


# --- cameras ---


@pytest.mark.parametrize("action", ["sit_down", "offer_accepted"])
def test_pictures_are_projections_of_the_body(action):
    body, picture = act(action, "3d")[0], act(action, "2d")[0]
    tracked = [j for j, joint in enumerate(COCO17) if joint < 25]  # a Kinect has no eyes
    x, y, z = np.moveaxis(body[:, :, [COCO17[j] for j in tracked]], -1, 0)
    expected = np.stack([960 - FOCAL * x / z, 540 - FOCAL * y / z], -1)
    np.testing.assert_allclose(picture[:, :, tracked], expected, atol=2.0)  # float16 on both sides


def test_nobody_is_seen_in_a_mirror():
    picture, body = (act("raise_arms", dimension, seed=0)[0][0] for dimension in ("2d", "3d"))
    toes = body[:, [15, 19], 2] - body[:, [14, 18], 2]
    assert (toes < 0).all()  # facing the camera ...
    assert (picture[:, 5, 0] > picture[:, 6, 0]).all()  # ... the left shoulder is on the right
    assert (body[:, 4, 0] < body[:, 8, 0]).all()


def test_views_are_those_of_three_cameras():
    data = synthetic_annotations("3d", 200, 0, noise=0)
    for camera, angle in (("C001", -45), ("C002", 0), ("C003", 45)):
        turned = []
        for sample in data.samples:
            if camera in sample.id and len(sample.keypoint) == 1:
                x, _, z = (sample.keypoint[0, :, 16] - sample.keypoint[0, :, 12]).mean(0)
                turned.append(np.degrees(np.arctan2(-float(z), float(x))))
        assert len(turned) > 20
        assert abs(np.mean(turned) - angle) < 5
        assert 5 < np.std(turned) < 12


# --- key points ---


def test_scores_fall_with_the_error_of_the_key_point():
    keypoint, score = act("walk_forwards", "2d", noise=1.0)
    truth, certain = act("walk_forwards", "2d", noise=0.0)
    assert (certain == 1).all()
    error = np.linalg.norm(keypoint - truth, axis=-1)
    good, fair, dropped = score > 0.95, (score > 0.5) & (score <= 0.95), score < 0.1
    assert (good | fair | dropped).all()
    assert np.mean(error[good]) < np.mean(error[fair]) < 20 < 60 < np.mean(error[dropped])
    assert 0.01 < dropped.mean() < 0.03
    assert act("walk_forwards", "2d", noise=2.0)[1].mean() < score.mean()


def test_noise_in_metres_is_that_of_the_picture():
    median = {}
    for dimension in ("2d", "3d"):
        moved = act("walk_forwards", dimension, noise=1.0)[0] - act("walk_forwards", dimension)[0]
        median[dimension] = np.median(abs(moved))
    assert 2 < median["2d"] < 4  # pixels
    assert median["3d"] * PIXELS_PER_METRE == pytest.approx(median["2d"], rel=0.15)


# --- the data set ---


@pytest.mark.parametrize(
    ("dimension", "name", "V", "C"), [("2d", "coco17", 17, 2), ("3d", "ntu25", 25, 3)]
)
def test_the_data_set_passes_the_check_of_annotations(dimension, name, V, C, tmp_path):
    data = synthetic_annotations(dimension, 60, 24)
    checked, dropped = check_annotations(
        data,
        skeleton=skeleton(name),
        classes=len(ACTIONS),
        dimension=dimension,
        on_bad_sample="error",
    )
    assert dropped == []
    assert len(checked.samples) == 84
    for sample in data.samples:
        M, T = sample.keypoint.shape[:2]
        assert sample.keypoint.shape == (M, T, V, C)
        assert sample.keypoint.dtype == np.float16
        assert (2 if ACTIONS[sample.label] in PAIRS[-1] else 1) == M
        if dimension == "2d":
            assert sample.score is not None
            assert sample.score.shape == (M, T, V)
            assert sample.score.dtype == np.float16
        else:
            assert sample.score is None
    write_annotations(tmp_path / "synthetic.pkl", data)
    again = read_annotations(tmp_path / "synthetic.pkl")
    assert again.splits == data.splits
    np.testing.assert_array_equal(again.samples[5].keypoint, data.samples[5].keypoint)


def test_a_sample_depends_on_the_seed_and_its_place_alone():
    few, many = synthetic_annotations("2d", 5, 3), synthetic_annotations("2d", 150, 90)
    assert few.splits == {"train": many.splits["train"][:5], "val": many.splits["val"][:3]}
    for sample, same in zip(few.samples, many.samples[:5] + many.samples[150:153], strict=True):
        np.testing.assert_array_equal(sample.keypoint, same.keypoint)
        np.testing.assert_array_equal(sample.score, same.score)
    frames = [sample.keypoint.shape[1] for sample in many.samples]
    assert frames[:10] != frames[64:74]  # nothing comes again, whatever is computed at once
    assert frames[:10] != frames[100:110]
    other = synthetic_annotations("2d", 5, 3, seed=1)
    assert [s.keypoint.shape for s in other.samples] != [s.keypoint.shape for s in few.samples]
    assert few.samples[0].keypoint.shape != few.samples[5].keypoint.shape  # train 0, val 0


def test_subjects_of_the_splits_are_disjoint():
    data = synthetic_annotations("3d", 400, 200, train_subjects=5, val_subjects=3)
    subjects = {split: {name[9:12] for name in ids} for split, ids in data.splits.items()}
    assert subjects == {
        "train": {"001", "002", "003", "004", "005"},
        "val": {"006", "007", "008"},
    }
    rng = np.random.default_rng(0)
    for _ in range(200):  # second persons are of the same split, and never the first person again
        scene = draw_scene(rng, 0, range(5, 8), 30, 300)
        assert set(scene.subjects) < {5, 6, 7}
        assert len(set(scene.subjects)) == 2


def test_ids_are_unique_and_say_camera_subject_and_action():
    data = synthetic_annotations("2d", 2500, 50, max_frames=30)
    ids = data.splits["train"] + data.splits["val"]
    assert ids == [sample.id for sample in data.samples]
    assert len(set(ids)) == 2550
    for sample in data.samples:
        match = re.fullmatch(r"S\d{3}C00[123]P\d{3}R\d{3}A(\d{3})", sample.id)
        assert match is not None
        assert int(match[1]) == sample.label + 1


def test_four_samples_in_five_hold_one_person_and_every_action_is_as_frequent_as_its_pair():
    data = synthetic_annotations("2d", 500, 0, max_frames=30)
    counts = np.bincount([sample.label for sample in data.samples])
    assert counts.tolist() == [40] * 10 + [50] * 2
    assert sum(len(sample.keypoint) == 1 for sample in data.samples) == 400


def test_lengths_are_between_the_limits_and_like_those_of_ntu():
    frames = [sample.keypoint.shape[1] for sample in synthetic_annotations("2d", 500, 0).samples]
    assert 30 <= min(frames) < 40
    assert 170 < max(frames) <= 300
    assert 80 < np.mean(frames) < 88
    fixed = synthetic_annotations("2d", 5, 0, min_frames=48, max_frames=48).samples
    assert {sample.keypoint.shape[1] for sample in fixed} == {48}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dimension": "4d"}, "dimension is '4d': give '2d' or '3d'"),
        ({"train_samples": -1}, "train_samples is -1: give a value from 0"),
        ({"val_samples": 1_000_001}, "val_samples is 1000001: give a value from 0 to 1000000"),
        ({"val_subjects": 1}, "val_subjects is 1: give a value from 2"),
        ({"train_subjects": 990, "val_subjects": 10}, "val_subjects is 10: .* to 9"),
        ({"min_frames": 31, "max_frames": 30}, "min_frames is 31: give a value from 2 to 30"),
        ({"noise": -0.5}, "noise is -0.5: give a value from 0"),
    ],
)
def test_impossible_arguments_are_refused(change, message):
    arguments = {"dimension": "2d", "train_samples": 1, "val_samples": 1} | change
    with pytest.raises(BadInput, match=message):
        synthetic_annotations(**arguments)
