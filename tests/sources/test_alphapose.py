import json

import pytest

from stgcn_lightning.errors import BadInput
from stgcn_lightning.sources import alphapose
from stgcn_lightning.sources.formats import read_recordings
from stgcn_lightning.sources.recordings import Reading


def person(name, first, joints=17, **more):
    """One entry of alphapose-results.json, all joints at `first`: x, y, c."""
    found = {"image_id": name, "category_id": 1, "keypoints": list(first) * joints}
    return found | {"score": 2.9, "box": [1.0, 2.0, 3.0, 4.0]} | more


def read(path, content, **reading):
    path.write_text(json.dumps(content))
    return read_recordings(path, Reading(**reading))


def test_pictures_are_frames_by_their_number_and_scores_are_cut(tmp_path):
    content = [person(f"{i}.jpg", (10 + i, 20, 6.0 if i else 0.5)) for i in (0, 2, 10, 1)]
    (found,) = read(tmp_path / "alphapose-results.json", content)
    assert (found.id, found.skeleton) == ("alphapose-results", "coco17")
    assert found.frames.tolist() == list(range(11))
    assert found.keypoint[0, [0, 1, 2, 10], 0, 0].tolist() == [10, 11, 12, 20]
    assert not found.score[0, 3:10].any()
    assert found.score[0, [0, 1], 0].tolist() == [0.5, 1]
    assert "scores of up to 6 are cut to 1" in found.remarks


@pytest.mark.parametrize(
    ("joints", "skeleton"), [(26, "halpe26"), (136, "halpe136"), (133, "coco_wholebody133")]
)
def test_halpe_is_known_by_its_number_of_joints(tmp_path, joints, skeleton):
    (found,) = read(tmp_path / "x.json", [person("0.jpg", (10, 20, 1), joints)])
    assert (found.skeleton, len(found.joints)) == (skeleton, joints)


def test_idx_is_the_track_unless_two_persons_share_it(tmp_path):
    tracked = [
        person(f"{i}.jpg", (x + i, 20, 1), idx=idx)
        for i in range(2)
        for x, idx in ((50, [2.0]), (10, 1))[:: 1 - 2 * i]
    ]
    (found,) = read(tmp_path / "x.json", tracked)
    assert found.persons == ("2", "1")
    assert found.keypoint[:, :, 0, 0].tolist() == [[50, 51], [10, 11]]
    same = [entry | {"idx": 0} for entry in tracked]
    (found,) = alphapose.read(same, "x", "x", Reading())
    assert (found.tracked, found.persons) == (False, ())
    assert "tracks are not used: frame 0 has one track for two persons" in found.remarks


@pytest.mark.parametrize(("key", "field"), [("people", "pose_keypoints_2d"), ("bodies", "joints")])
def test_openpose_s_and_cmu_s_forms_by_picture_are_read(tmp_path, key, field):
    content = {
        f"{i}.jpg": {"version": "AlphaPose v0.3", key: [{field: [10 + i, 20, 1] * 18}]}
        for i in range(2)
    }
    (found,) = read(tmp_path / "x.json", content)
    assert found.skeleton == "openpose18"
    assert found.keypoint[0, :, 0, 0].tolist() == [10, 11]


def test_pictures_of_two_videos_are_two_recordings(tmp_path):
    content = [person(f"{video}_{i}.png", (10, 20, 1)) for video in "ab" for i in range(2)]
    found = read(tmp_path / "x.json", content)
    assert [(one.id, one.keypoint.shape[1]) for one in found] == [("x:a", 2), ("x:b", 2)]


def test_a_wrong_file_is_refused_by_name(tmp_path):
    with pytest.raises(BadInput, match=r"x\.json: keypoints of '0.jpg': 4 numbers are not x, y"):
        read(tmp_path / "x.json", [person("0.jpg", (1, 2, 3, 4), 1)])
    with pytest.raises(BadInput, match="5 key points a person, where the format has 17"):
        read(tmp_path / "x.json", [person("0.jpg", (1, 2, 3), 5)])
