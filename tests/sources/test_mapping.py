"""Joints of one skeleton from another's: by name, imputed, or absent, and said."""

from dataclasses import replace

import numpy as np
import pytest
from helpers import skeleton

from stgcn_lightning.errors import BadInput
from stgcn_lightning.shipped import CONF
from stgcn_lightning.sources.concepts import concepts, plain
from stgcn_lightning.sources.mapping import RULES, mapped
from stgcn_lightning.sources.recordings import Recording

NAMES = sorted(file.stem for file in (CONF / "skeleton").glob("*.yaml"))


def numbered(name, joints=None, *, settled=True, C=2):
    """One person, two frames; joint v is at (v + 1, 10 v + 10) with score (v + 1) / 200."""
    joints = skeleton(name).joints if joints is None else tuple(joints)
    V = len(joints)
    keypoint = np.zeros((1, 2, V, C), np.float32)
    keypoint[..., 0] = np.arange(1, V + 1)
    keypoint[..., 1] = np.arange(10, 10 * V + 1, 10)
    score = np.broadcast_to(np.arange(1, V + 1, dtype=np.float32) / 200, (1, 2, V)).copy()
    return Recording("r", keypoint, joints, score, skeleton=name, settled=settled)


def sources(recording, target):
    """For every joint of the target, the joint of the recording that it is."""
    found = mapped(recording, skeleton(target))
    return [int(x) - 1 for x in found.keypoint[0, 0, :, 0]]


@pytest.mark.parametrize(
    ("source", "listed"),
    [
        ("openpose25", [0, 16, 15, 18, 17, 5, 2, 6, 3, 7, 4, 12, 9, 13, 10, 14, 11]),
        ("openpose18", [0, 15, 14, 17, 16, 5, 2, 6, 3, 7, 4, 11, 8, 12, 9, 13, 10]),
        ("mediapipe33", [0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28]),
        ("halpe26", list(range(17))),
        ("coco_wholebody133", list(range(17))),
        ("coco17", list(range(17))),
    ],
)
def test_coco17_is_the_listed_joints_of(source, listed):
    recording = numbered(source)
    assert sources(recording, "coco17") == listed
    found = mapped(recording, skeleton("coco17"))
    assert np.array_equal(found.score, recording.score[:, :, listed])
    assert found.joints == skeleton("coco17").joints
    assert found.skeleton == "coco17"
    assert f"map: 17 of the 17 joints of coco17 are of {source} by name" in found.remarks


def test_openpose18_from_coco17_has_its_neck_between_the_shoulders_with_the_lower_score():
    found = mapped(numbered("coco17"), skeleton("openpose18"))
    # coco17's shoulders are joints 5 and 6, at (6, 60) and (7, 70)
    assert found.keypoint[0, :, 1].tolist() == [[6.5, 65.0]] * 2
    assert found.score[0, :, 1].tolist() == pytest.approx([6 / 200] * 2)
    assert found.keypoint[0, 0, 2:5, 0].tolist() == [7, 9, 11]
    assert "map: imputed neck from the mean of left_shoulder and right_shoulder" in found.remarks


def test_a_joint_imputed_from_one_that_was_not_found_is_not_found_in_that_frame():
    recording = numbered("coco17")
    recording.keypoint[0, 1, 5] = 0
    recording.score[0, 1, 5] = 0
    found = mapped(recording, skeleton("openpose18"))
    assert found.keypoint[0, :, 1].tolist() == [[6.5, 65.0], [0, 0]]
    assert found.score[0, 1, 1] == 0


def test_recordings_that_are_not_settled_keep_their_marks():
    recording = numbered("coco17", settled=False)
    recording.keypoint[0, 1, 5] = np.nan
    found = mapped(recording, skeleton("openpose18"))
    assert np.isnan(found.keypoint[0, 1, 1]).all()
    assert found.keypoint[0, 0, 1].tolist() == [6.5, 65.0]


def test_joints_that_nothing_gives_are_absent_and_said():
    joints = [name for name in skeleton("coco17").joints if "hip" not in name]
    found = mapped(numbered(None, joints), skeleton("coco17"))
    assert not found.keypoint[:, :, 11:13].any()
    assert not found.score[:, :, 11:13].any()
    assert "map: absent, so zero in every frame: left_hip, right_hip" in found.remarks
    assert "map: 15 of the 17 joints of coco17 are of its 15 joints by name" in found.remarks


def test_a_recording_without_half_of_the_joints_is_refused_by_their_names():
    with pytest.raises(BadInput, match=r"map=coco17 needs .* 0 of 17 .*not nose, left_eye,"):
        mapped(numbered("hand21"), skeleton("coco17"))
    with pytest.raises(BadInput, match="12 of 25 were found by name, not spine_base, spine_mid"):
        mapped(numbered("coco17"), skeleton("ntu25"))


def test_joints_without_names_have_those_of_the_skeleton_that_the_user_names():
    numbers = [str(v) for v in range(24)]
    recording = replace(numbered(None, numbers), skeleton="smpl24")
    assert sources(recording, "h36m17")[1:7] == [2, 5, 8, 1, 4, 7]
    with pytest.raises(BadInput, match="r has 24 joints but its skeleton hand21 has 21"):
        mapped(replace(recording, skeleton="hand21"), skeleton("coco17"))


def test_belly_and_spine_lie_on_the_way_from_the_hips_up():
    found = mapped(numbered("coco17"), skeleton("jhmdb15"))
    hips, shoulders = (12 + 13) / 2, (6 + 7) / 2
    assert found.keypoint[0, 0, 1, 0] == pytest.approx(0.8 * hips + 0.2 * shoulders)
    found = mapped(numbered("coco17"), skeleton("h36m17"))
    assert found.keypoint[0, 0, 7, 0] == pytest.approx((hips + shoulders) / 2)
    assert found.keypoint[0, 0, 3, 0] == 17  # its foot is an ankle
    assert found.keypoint[0, 0, 6, 0] == 16


def test_names_of_animators_are_those_of_the_bones_that_begin_there():
    limbs = ["UpLeg", "Leg", "Foot", "Shoulder", "Arm", "ForeArm", "Hand"]
    joints = ["Hips", "Spine", "Neck", "Head"]
    joints += [side + limb for side in ("Left", "Right") for limb in limbs]
    found = mapped(numbered(None, [f"mixamorig:{joint}" for joint in joints]), skeleton("coco17"))
    of = dict(zip(found.joints, found.keypoint[0, 0, :, 0] - 1, strict=True))
    assert joints[int(of["left_shoulder"])] == "LeftArm"
    assert joints[int(of["right_wrist"])] == "RightHand"
    assert joints[int(of["left_ankle"])] == "LeftFoot"
    assert joints[int(of["nose"])] == "Head"


@pytest.mark.parametrize(
    "name", ["LeftShoulder", "left_shoulder", "shoulder_left", "LShoulder", "L_Shoulder",
             "leftShoulder", "Shoulder.L", "LEFT_SHOULDER", "lshoulder", "left shoulder"]
)  # fmt: skip
def test_a_joint_has_one_name_however_it_is_written(name):
    assert plain(name) == "left_shoulder"


@pytest.mark.parametrize("name", NAMES)
def test_no_two_joints_of_a_shipped_skeleton_are_taken_for_the_same(name):
    found = concepts(skeleton(name).joints, name)
    assert len(set(found)) == len(found)


def test_rules_mix_joints_that_exist_with_weights_that_sum_to_one():
    known = {c for name in NAMES for c in concepts(skeleton(name).joints, name)}
    for name, rules in RULES.items():
        assert name in known
        for rule in rules:
            assert rule.keys() <= known
            assert sum(rule.values()) == pytest.approx(1)
