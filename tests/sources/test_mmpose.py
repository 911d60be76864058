import json

import pytest

from stgcn_lightning.errors import BadInput
from stgcn_lightning.sources.formats import read_recordings
from stgcn_lightning.sources.joint_names import JOINTS
from stgcn_lightning.sources.recordings import Reading


def instance(point, score=0.5, joints=17, **more):
    """One person, all joints at `point`."""
    found = {"keypoints": [list(point)] * joints, "keypoint_scores": [score] * joints}
    return found | {"bbox": [[1.0, 2.0, 3.0, 4.0]], "bbox_score": 0.9} | more


def read(path, content, **reading):
    path.write_text(json.dumps(content))
    return read_recordings(path, Reading(**reading))


def test_a_video_of_the_inferencer(tmp_path):
    video = [{"frame_id": i, "instances": [instance((10 + i, 20))]} for i in range(3)]
    video[1]["instances"] = []
    (found,) = read(tmp_path / "walk_01.json", video)
    assert (found.id, found.skeleton) == ("walk_01", "coco17")
    assert found.keypoint[0, :, 0].tolist() == [[10, 20], [0, 0], [12, 20]]
    assert found.score[0, :, 0].tolist() == [0.5, 0, 0.5]


def test_several_videos_in_a_folder_are_no_frames(tmp_path):
    for i in range(2):
        read(tmp_path / f"walk_{i}.json", [{"frame_id": 0, "instances": [instance((10, 20))]}])
    assert [one.id for one in read_recordings(tmp_path, Reading())] == ["walk_0", "walk_1"]


def test_the_demo_s_form_names_its_joints(tmp_path):
    names = {str(i): name for i, name in enumerate(JOINTS["halpe26"])}
    content = {
        "meta_info": {"dataset_name": "halpe26", "keypoint_id2name": names},
        "instance_info": [
            {"frame_id": 1, "instances": [instance((10, 20), joints=26, track_id=3)]}
        ],
    }
    (found,) = read(tmp_path / "x.json", content)
    assert (found.skeleton, found.persons) == ("halpe26", ("3",))


def test_a_folder_of_pictures_is_one_recording(tmp_path):
    for i in range(3):
        (tmp_path / f"{i:06d}.json").write_text(json.dumps([instance((10 + i, 20))] * (i > 0)))
    (found,) = read_recordings(tmp_path, Reading())
    assert found.keypoint[0, :, 0, 0].tolist() == [0, 11, 12]


def test_lifted_key_points_are_3d_of_another_skeleton(tmp_path):
    points = [[0.1 * v, 0.02 * v, 0.1 * v] for v in range(17)]
    video = [{"frame_id": 0, "instances": [instance((0, 0), keypoints=[points])]}]
    (found,) = read(tmp_path / "x.json", video, y="up")
    assert (found.skeleton, found.unit) == ("h36m17", "metres")
    assert found.keypoint[0, 0, 10] == pytest.approx([1, 0.2, 1])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([instance((1, 2), keypoint_scores=[1])], "17 key points but 1 scores"),
        ([instance((1, 2, 3, 4))], r"keypoints are \(17, 4\)"),
        ([{"frame_id": 0, "instances": 3}], "frame 0: 3 is no list"),
        ([{"frame_id": i, "instances": []} for i in (0, 0)], "frame_id 0 twice"),
        ([instance((1, 2), joints=5)], "5 key points a person, where the format has 17"),
    ],
)
def test_a_wrong_file_is_refused_by_name(tmp_path, content, message):
    with pytest.raises(BadInput, match=message) as refused:
        read(tmp_path / "x.json", content)
    assert "x.json" in str(refused.value)
