import json

import pytest

from stgcn_lightning.errors import BadInput
from stgcn_lightning.sources.formats import read_recordings
from stgcn_lightning.sources.recordings import Reading


def person(x, y, visible=0.9, joints=17, **more):
    """One entry of `to_json()`, all joints at x, y."""
    box = {"x1": 1.0, "y1": 2.0, "x2": 3.0, "y2": 4.0}
    keypoints = {"x": [x] * joints, "y": [y] * joints, "visible": [visible] * joints}
    return {"name": "person", "class": 0, "confidence": 0.9, "box": box, **more} | {
        "keypoints": keypoints
    }


def line(x, y, *more, joints=17, v=(0.75,)):
    """One line of `save_txt`, all joints at x, y."""
    return " ".join(map(str, [0, 0.5, 0.5, 0.25, 0.25, *[x, y, *v] * joints, *more]))


def labels(folder, frames, video="clip"):
    folder.mkdir(parents=True, exist_ok=True)
    for number, lines in frames.items():
        (folder / f"{video}_{number}.txt").write_text("\n".join(lines) + "\n")
    return folder


def test_a_folder_of_json_frames_is_one_recording(tmp_path):
    for i in range(3):
        people = [person(10 + i, 20, track_id=1), person(50, 60, track_id=2)][: i + 1]
        (tmp_path / f"clip_{i}.json").write_text(json.dumps(people))
    (found,) = read_recordings(tmp_path, Reading())
    assert (found.skeleton, found.persons) == ("coco17", ("1", "2"))
    assert found.keypoint[:, :, 0, 0].tolist() == [[10, 11, 12], [0, 50, 50]]
    assert found.score[0, 0, 0] == pytest.approx(0.9)


def test_a_list_of_frames_is_one_recording(tmp_path):
    (tmp_path / "x.json").write_text(json.dumps([[], [person(0.25, 0.5)], []]))
    (found,) = read_recordings(tmp_path / "x.json", Reading(img_shape=(100, 200)))
    assert found.keypoint[0, :, 0].tolist() == [[0, 0], [50, 50], [0, 0]]


def test_zeros_were_not_found_whatever_their_confidence(tmp_path):
    people = [person(10, 20)]
    people[0]["keypoints"]["x"][3] = people[0]["keypoints"]["y"][3] = 0.0
    (tmp_path / "x.json").write_text(json.dumps(people))
    (found,) = read_recordings(tmp_path / "x.json", Reading())
    assert found.score[0, 0, 2:4].tolist() == [pytest.approx(0.9), 0]


def test_save_txt_counts_from_1_and_leaves_out_empty_frames(tmp_path):
    folder = labels(tmp_path / "labels", {1: [line(0.25, 0.5)], 2: [line(0.5, 0.5)], 5: []})
    labels(folder, {5: [line(0.75, 0.5)]})
    (found,) = read_recordings(folder, Reading(img_shape=(100, 200)))
    assert found.frames.tolist() == [1, 2, 3, 4, 5]
    assert found.keypoint[0, :, 0, 0].tolist() == [50, 100, 0, 0, 150]
    assert found.score[0, :, 0].tolist() == [0.75, 0.75, 0, 0, 0.75]


@pytest.mark.parametrize(
    ("more", "persons"), [((), ()), ((0.9,), ()), ((7,), ("7",)), ((0.9, 7), ("7",))]
)
def test_confidence_and_track_may_follow(tmp_path, more, persons):
    folder = labels(tmp_path, {1: [line(0.25, 0.5, *more)], 2: [line(0.5, 0.5, *more)]})
    (found,) = read_recordings(folder, Reading(img_shape=(100, 200)))
    assert (found.persons, found.skeleton) == (persons, "coco17")
    assert found.keypoint[0, :, 0, 0].tolist() == [50, 100]


def test_joints_without_visibility_are_known_by_their_number(tmp_path):
    labels(tmp_path, {1: [line(0.25, 0.5, joints=21, v=())]})
    (found,) = read_recordings(tmp_path, Reading())
    assert (found.skeleton, found.score) == ("hand21", None)


def test_a_repeated_run_counts_once(tmp_path):
    labels(tmp_path, {1: [line(0.25, 0.5)] * 2})
    assert read_recordings(tmp_path, Reading())[0].keypoint.shape[0] == 1


def test_a_number_of_joints_that_is_not_known_is_asked_for(tmp_path):
    labels(tmp_path, {1: [line(0.25, 0.5, joints=24)]})
    with pytest.raises(BadInput, match=r"77 numbers, which may be 24 .*; set reading.skeleton"):
        read_recordings(tmp_path, Reading())
    (found,) = read_recordings(tmp_path, Reading(skeleton="dog24"))
    assert (found.skeleton, len(found.joints)) == ("dog24", 24)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([line(0.1, 0.1), "0 1 2"], "lines of 3 and of 56 numbers"),
        ([line(0.1, 0.1), line(0.1, "high")], r"clip_1\.txt has a line with something else"),
    ],
)
def test_a_wrong_file_is_refused_by_name(tmp_path, lines, message):
    labels(tmp_path, {1: lines})
    with pytest.raises(BadInput, match=message):
        read_recordings(tmp_path, Reading())


def test_notes_are_no_labels(tmp_path):
    (tmp_path / "notes_1.txt").write_text("recorded on Monday\n")
    with pytest.raises(BadInput, match="has no file of key points"):
        read_recordings(tmp_path, Reading())
