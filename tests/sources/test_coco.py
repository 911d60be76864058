import json

import pytest

from stgcn_lightning.errors import BadInput
from stgcn_lightning.sources.formats import read_recordings
from stgcn_lightning.sources.joint_names import JOINTS
from stgcn_lightning.sources.recordings import Reading

PERSON = {"id": 1, "name": "person", "keypoints": list(JOINTS["coco17"]), "skeleton": [[16, 14]]}


def body(*points, joints=17):
    """x, y, v of the first joints; the others are not labelled."""
    return [*(value for point in points for value in point), *[0] * (3 * (joints - len(points)))]


def image(id, name, **more):
    return {"id": id, "file_name": name, "width": 640, "height": 480} | more


def annotation(image_id, keypoints, **more):
    count = sum(1 for v in keypoints[2::3] if v)
    found = {"id": 7, "image_id": image_id, "category_id": 1, "bbox": [0, 0, 9, 9], "iscrowd": 0}
    return found | {"keypoints": keypoints, "num_keypoints": count} | more


def read(path, content, **reading):
    path.write_text(json.dumps(content))
    return read_recordings(path, Reading(**reading))


def ground_truth(images, annotations, categories=(PERSON,)):
    return {"images": images, "annotations": annotations, "categories": list(categories)}


def test_ground_truth_is_ordered_by_the_number_in_file_names(tmp_path):
    images = [image(1, "f_0002.jpg"), image(2, "f_0000.jpg"), image(3, "f_0001.jpg")]
    annotations = [
        annotation(1, body((12, 22, 2), (30, 40, 1))),
        annotation(2, body((10, 20, 2), (0, 0, 0))),
    ]
    (found,) = read(tmp_path / "x.json", ground_truth(images, annotations))
    assert (found.id, found.skeleton, found.img_shape) == ("x", "coco17", (480, 640))
    assert not found.img_shape_assumed
    assert found.keypoint.shape == (1, 3, 17, 2)
    assert found.keypoint[0, :, 0].tolist() == [[10, 20], [0, 0], [12, 22]]
    assert found.score[0, :, :2].tolist() == [[1, 0], [0, 0], [1, 1]]  # hidden is labelled, too


def test_videos_of_one_file_are_several_recordings(tmp_path):
    images = [image(i, f"{video}/{i}.jpg") for i, video in enumerate(["a", "b", "a"])]
    annotations = [annotation(i, body((10 + i, 20, 2))) for i in range(3)]
    found = read(tmp_path / "x.json", ground_truth(images, annotations))
    assert [(one.id, one.frames.tolist()) for one in found] == [("x:a", [0, 2]), ("x:b", [1])]
    by_id = [image(i, f"{i}.jpg", video_id=i % 2, frame_id=i // 2) for i in range(4)]
    annotations = [annotation(i, body((10 + i, 20, 2))) for i in range(4)]
    found = read(tmp_path / "x.json", ground_truth(by_id, annotations))
    assert [(one.id, one.keypoint[0, :, 0, 0].tolist()) for one in found] == [
        ("x:0", [10, 12]),
        ("x:1", [11, 13]),
    ]


def test_tracks_keep_persons_apart(tmp_path):
    images = [image(i, f"{i}.jpg") for i in range(2)]
    annotations = [
        annotation(0, body((10, 20, 2)), track_id=4),
        annotation(0, body((50, 60, 2)), track_id=9),
        annotation(1, body((52, 62, 2)), track_id=9),
        annotation(1, body((12, 22, 2)), track_id=4),
    ]
    (found,) = read(tmp_path / "x.json", ground_truth(images, annotations))
    assert found.persons == ("4", "9")
    assert found.keypoint[:, :, 0, 0].tolist() == [[10, 12], [50, 52]]


def test_joints_are_those_that_the_category_names(tmp_path):
    rat = {"id": 1, "name": "rat", "keypoints": ["Nose Tip", "Tail"]}
    content = ground_truth([image(0, "0.jpg")], [annotation(0, [5, 6, 2, 7, 8, 1])], [rat])
    (found,) = read(tmp_path / "x.json", content)
    assert (found.joints, found.skeleton) == (("nose_tip", "tail"), None)


def test_wholebody_is_body_feet_face_and_hands(tmp_path):
    parts = {
        f"{part}_kpts": [value for i in range(count) for value in (start + i, 1, 0.5)]
        for part, count, start in (
            ("foot", 6, 100), ("face", 68, 200), ("lefthand", 21, 300), ("righthand", 21, 400),
        )
    }  # fmt: skip
    more = parts | {"face_valid": True, "lefthand_valid": False}
    person = annotation(0, body((10, 20, 2)), **more)
    (found,) = read(tmp_path / "x.json", ground_truth([image(0, "0.jpg")], [person]))
    assert (found.skeleton, found.keypoint.shape[2]) == ("coco_wholebody133", 133)
    assert found.keypoint[0, 0, [0, 17, 23, 112], 0].tolist() == [10, 100, 200, 400]
    assert not found.score[0, 0, 91:112].any()  # a hand that is not valid
    assert found.score[0, 0, 17] == 1


def test_results_have_scores(tmp_path):
    results = [
        {"image_id": 5, "category_id": 1, "keypoints": body((10, 20, 0.5)), "score": 3.1},
        {"image_id": 7, "category_id": 1, "keypoints": body((12, 22, 1.5)), "score": 0.1},
        {"image_id": 6, "category_id": 1, "keypoints": body((11, 21, 0.25)), "score": 0.2},
    ]
    (found,) = read(tmp_path / "x.json", results)
    assert found.frames.tolist() == [5, 6, 7]
    assert found.keypoint[0, :, 0, 0].tolist() == [10, 11, 12]
    assert found.score[0, :, 0].tolist() == [0.5, 0.25, 1]
    assert "scores of up to 1.5 are cut to 1" in found.remarks


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (ground_truth([image(0, "0.jpg")], [annotation(3, body((1, 2, 2)))]), "image_id 3, which"),
        (ground_truth([image(0, "0.jpg")], [annotation(0, [1, 2])]), "2 numbers are not x, y"),
        (ground_truth([image(0, "0.jpg")], [annotation(0, body())]), "no person in any frame"),
        (
            ground_truth([image(0, "0.jpg")], [annotation(0, body((1, 2, 2), joints=15))]),
            "15 key points a person, but its category names 17",
        ),
        (ground_truth([image([], "0.jpg")], [annotation(0, body((1, 2, 2)))]), "whole number"),
        (
            [{"image_id": 1, "keypoints": body((1, 2, 2), joints=9)}],
            r"9 key points a person, where the format has 17 \(coco17\)",
        ),
    ],
)
def test_a_wrong_file_is_refused_by_name(tmp_path, content, message):
    with pytest.raises(BadInput, match=message) as refused:
        read(tmp_path / "x.json", content)
    assert "x.json" in str(refused.value)
