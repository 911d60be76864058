import json

import numpy as np
import pytest

from stgcn_lightning.errors import BadInput
from stgcn_lightning.sources.annotations import Annotations, Sample
from stgcn_lightning.sources.formats import read_recordings, read_text
from stgcn_lightning.sources.joint_names import JOINTS
from stgcn_lightning.sources.mmaction2 import write_annotations
from stgcn_lightning.sources.recordings import Reading

SMALL = {"keypoint": [[[[10, 20], [30, 40]], [[11, 21], [None, None]]]], "joints": ["a", "b"]}


def read(path, text, **reading):
    path.write_text(text)
    return read_recordings(path, Reading(**reading))


def test_an_npz_has_all_keys(tmp_path):
    keypoint = np.arange(1, 25, dtype=np.float32).reshape(1, 4, 3, 2) * 10
    np.savez(
        tmp_path / "a.npz", keypoint=keypoint, score=np.full((1, 4, 3), 0.5),
        joints=["x", "y", "z"], skeleton="mine", img_shape=(480, 640), fps=12.5, unit="pixels",
        y="down", frames=[3, 4, 5, 7], persons=["anna"],
    )  # fmt: skip
    (found,) = read_recordings(tmp_path / "a.npz", Reading())
    assert (found.joints, found.skeleton, found.fps) == (("x", "y", "z"), "mine", 12.5)
    assert (found.img_shape, found.persons) == ((480, 640), ("anna",))
    assert found.frames.tolist() == [3, 4, 5, 6, 7]
    assert found.keypoint[0, [0, 1, 2, 4]].tolist() == keypoint[0].tolist()
    assert found.score[0, 0].tolist() == [0.5, 0.5, 0.5]


def test_json_is_the_same_with_lists(tmp_path):
    (found,) = read(tmp_path / "a.json", json.dumps(SMALL))
    assert (found.id, found.joints) == ("a", ("a", "b"))
    assert found.keypoint[0].tolist() == [[[10, 20], [30, 40]], [[11, 21], [0, 0]]]
    assert found.score[0].tolist() == [[1, 1], [1, 0]]


def test_lines_of_json_are_recordings(tmp_path):
    text = "\n".join([json.dumps(SMALL), "", json.dumps(SMALL | {"id": "two"})]) + "\n"
    found = read(tmp_path / "a.jsonl", text)
    assert [one.id for one in found] == ["a:0", "a:two"]


def test_a_line_may_be_a_frame_of_a_stream():
    (found,) = read_text('{"keypoint": [[[100, 200]]], "skeleton": "mine"}', Reading())
    assert found.keypoint.shape == (1, 1, 1, 2)


def test_3d_has_y_up_unless_it_says_otherwise(tmp_path):
    content = {"keypoint": [[[0, 0, 3.0], [0.1, 1.5, 3]]]}
    (found,) = read(tmp_path / "a.json", json.dumps(content))
    assert found.keypoint[0, 0, 1] == pytest.approx([0.1, 1.5, 3])
    (found,) = read(tmp_path / "a.json", json.dumps(content | {"y": "down"}))
    assert found.keypoint[0, 0, 1] == pytest.approx([-0.1, -1.5, 3])


def test_joints_are_named_by_the_skeleton(tmp_path):
    content = {"keypoint": np.full((1, 17, 2), 50).tolist(), "skeleton": "coco17"}
    (found,) = read(tmp_path / "a.json", json.dumps(content))
    assert found.joints == JOINTS["coco17"]
    del content["skeleton"]
    (found,) = read(tmp_path / "a.json", json.dumps(content | {"joints": list(JOINTS["coco17"])}))
    assert found.skeleton == "coco17"


def test_a_wide_table(tmp_path):
    text = "frame,person,knee_x,knee_y,knee_score,hip_x,hip_y,hip_score\n"
    text += "0,ben,10,20,0.5,30,40,1\n0,anna,50,60,1,70,80,1\n2,ben,11,21,1,,,\n"
    (found,) = read(tmp_path / "a.csv", text)
    assert (found.joints, found.persons) == (("knee", "hip"), ("ben", "anna"))
    assert found.keypoint[0].tolist() == [[[10, 20], [30, 40]], [[11, 21], [0, 0]]]
    assert found.score[0].tolist() == [[0.5, 1], [1, 0]]
    assert not found.keypoint[1, 1].any()


def test_a_long_table(tmp_path):
    text = "frame;joint;x;y;z\n0;hip;0;0.9;3\n0;knee;0;0.5;3\n1;knee;0;0.6;3\n"
    (found,) = read(tmp_path / "a.csv", text)
    assert found.joints == ("hip", "knee")
    assert found.keypoint[0] == pytest.approx(
        np.array([[[0, 0.9, 3], [0, 0.5, 3]], [[0, 0, 0], [0, 0.6, 3]]])
    )


def test_annotations_are_recordings_without_labels(tmp_path):
    samples = [
        Sample(f"S{i}", i, np.full((1, 2, 17, 2), 10.0 + i), np.ones((1, 2, 17)), (480, 640))
        for i in range(2)
    ]
    write_annotations(tmp_path / "a.pkl", Annotations(samples, {"train": ["S0", "S1"]}))
    found = read_recordings(tmp_path / "a.pkl", Reading())
    assert [(one.id, one.skeleton, one.img_shape) for one in found] == [
        ("a:S0", "coco17", (480, 640)),
        ("a:S1", "coco17", (480, 640)),
    ]
    assert found[1].keypoint[0, 0, 0].tolist() == [11, 11]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (SMALL | {"keypoints": 1}, r"a\.json has the key keypoints: did you mean keypoint\?"),
        (SMALL | {"joints": ["a"]}, "has joints .'a'.; give 2 names"),
        (SMALL | {"score": [1, 2]}, r"score of shape \(2,\); give \(1, 2, 2\)"),
        (SMALL | {"unit": "feet"}, "has unit feet; choose from pixels"),
        (SMALL | {"img_shape": [480]}, "has img_shape .480.; give 2"),
        (SMALL | {"frames": [0, 10**30]}, "has frames .* give 2"),
        (SMALL | {"skeleton": "coco17", "joints": None}, "2 joints but its skeleton coco17 has 17"),
        ({"keypoint": [[1, 2]]}, r"keypoint of shape \(1, 2\)"),
        ({"keypoint": [[[1], [2, 3]]]}, "are not numbers"),
        ({"keypoint": "[[[1, 2]]]"}, "are not numbers"),
        ([SMALL, 7], "recording 1: 7 is no object"),
    ],
)
def test_wrong_json_is_refused_by_name(tmp_path, content, message):
    with pytest.raises(BadInput, match=message):
        read(tmp_path / "a.json", json.dumps(content))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("frame,joint,x,y\n0,hip,1,2\n0,hip,3,4\n", "joint hip twice in frame 0"),
        ("frame,joint,x,y\n0.5,hip,1,2\n", "has the frame '0.5' in row 1"),
        ("person,hip_x,hip_y\nanna,1,2\n", "has persons but no column frame"),
        ("hip_x,hip_y,knee_x,knee_y,knee_z\n1,2,3,4,5\n", "has no z of joint hip"),
        ("hip_x,hip_y,hip_x\n1,2,3\n", "two columns of the name 'hip_x'"),
    ],
)
def test_wrong_tables_are_refused_by_name(tmp_path, text, message):
    with pytest.raises(BadInput, match=message):
        read(tmp_path / "a.csv", text)


def test_a_wrong_npz_is_refused_by_name(tmp_path):
    np.savez(tmp_path / "a.npz", keypoint=np.ones((2, 3, 2)), joints=np.array([{}], object))
    with pytest.raises(BadInput, match=r"a\.npz cannot be read as \.npz"):
        read_recordings(tmp_path / "a.npz", Reading())
    np.savez(tmp_path / "a.npz", other=np.ones(3))
    with pytest.raises(BadInput, match=r"a\.npz is an \.npz archive .* in no known format"):
        read_recordings(tmp_path, Reading())
    (tmp_path / "a.npz").write_bytes((tmp_path / "a.npz").read_bytes()[:-30])
    with pytest.raises(BadInput, match=r"a\.npz is a damaged \.npz archive, which is in no known"):
        read_recordings(tmp_path, Reading())
