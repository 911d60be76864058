import json

import numpy as np
import pytest

from stgcn_lightning.errors import BadInput
from stgcn_lightning.sources import openpose
from stgcn_lightning.sources.formats import list_recordings, read_recordings, read_text
from stgcn_lightning.sources.recordings import Reading


def flat(*points, joints=25):
    """x, y, score of the first joints; the others were not found."""
    return [*(value for point in points for value in point), *[0] * (3 * (joints - len(points)))]


def frame(*people):
    """The text of one file of OpenPose 1.7."""
    others = {
        f"{name}_keypoints_{d}d": [] for name in ("face", "hand_left", "hand_right") for d in (2, 3)
    }
    return json.dumps(
        {
            "version": 1.3,
            "people": [
                {"person_id": [-1], "pose_keypoints_2d": one, **others, "pose_keypoints_3d": []}
                for one in people
            ],
        }
    )


def write(folder, frames, video="walk"):
    folder.mkdir(parents=True, exist_ok=True)
    for number, text in frames.items():
        (folder / f"{video}_{number:012d}_keypoints.json").write_text(text)
    return folder


def test_a_folder_is_one_recording_of_pixels(tmp_path):
    write(
        tmp_path / "walk",
        {0: frame(flat((10, 20, 0.5))), 1: frame(flat((12, 22, 0.25), (30, 40, 1)))},
    )
    (found,) = read_recordings(tmp_path / "walk", Reading(img_shape=(480, 640), fps=30))
    assert (found.id, found.skeleton, found.img_shape, found.fps) == (
        "walk", "openpose25", (480, 640), 30,
    )  # fmt: skip
    assert found.keypoint.shape == (1, 2, 25, 2)
    assert found.keypoint[0, :, 0].tolist() == [[10, 20], [12, 22]]
    assert found.score[0, :, 0].tolist() == [0.5, 0.25]
    assert found.keypoint[0, 0, 1].tolist() == [0, 0]  # 0, 0, 0 was not found
    assert found.score[0, :, 1].tolist() == [0, 1]
    assert found.joints[8] == "mid_hip"
    assert found.frames.tolist() == [0, 1]
    assert "it has people, as OpenPose writes a frame" in found.remarks[0]


def test_a_frame_without_people_and_one_without_a_file_are_empty(tmp_path):
    seen = frame(flat((10, 20, 1)))
    write(tmp_path, {3: seen, 4: frame(), 7: seen})
    (found,) = read_recordings(tmp_path, Reading())
    assert found.frames.tolist() == [3, 4, 5, 6, 7]
    assert found.score[0, :, 0].tolist() == [1, 0, 0, 0, 1]
    assert any("2 of 5 frames are left out in the file" in said for said in found.remarks)


def test_the_coco_model_and_old_versions_are_known(tmp_path):
    old = json.dumps({"version": 0.1, "people": [{"pose_keypoints": flat((5, 6, 1), joints=18)}]})
    write(tmp_path, {0: old})
    (found,) = read_recordings(tmp_path, Reading())
    assert (found.skeleton, found.keypoint[0, 0, 0].tolist()) == ("openpose18", [5, 6])


def test_alphapose_s_cmu_form_has_bodies(tmp_path):
    body = {"version": "AlphaPose v0.3", "bodies": [{"joints": flat((5, 6, 1), joints=18)}]}
    (tmp_path / "0.json").write_text(json.dumps(body))
    (found,) = read_recordings(tmp_path, Reading())
    assert (found.skeleton, found.keypoint[0, 0, 0].tolist()) == ("openpose18", [5, 6])


@pytest.mark.parametrize(
    ("point", "pixels", "said"),
    [((0.25, 0.5, 1), [480, 540], "[0, 1]"), ((-0.5, 0, 1), [480, 540], "[-1, 1]")],
)
def test_parts_of_the_picture_become_pixels(tmp_path, point, pixels, said):
    write(tmp_path, {0: frame(flat(point, (0.5, 0.5, 1)))})
    (found,) = read_recordings(tmp_path, Reading())
    assert found.keypoint[0, 0, 0].tolist() == pixels
    assert found.keypoint[0, 0, 2].tolist() == [0, 0]
    assert found.img_shape_assumed
    assert any(f"are taken for {said}" in remark for remark in found.remarks)


def test_several_people_are_not_tracked_by_the_file(tmp_path):
    here = [
        openpose.people(json.loads(frame(flat((x, 1, 1)), flat((9, 9, 1)))), "x") for x in (1, 2)
    ]
    found = openpose.recording(dict(enumerate(here)), "x", "x", Reading())
    assert (found.keypoint.shape, found.tracked) == ((2, 2, 25, 2), False)


def test_two_videos_in_one_folder_are_two_recordings(tmp_path):
    for video in ("a", "b"):
        write(tmp_path / "both", {0: frame(flat((1, 2, 1)))}, video)
    assert [one.path.name for one in list_recordings(tmp_path, Reading())] == ["both"]
    assert [one.id for one in read_recordings(tmp_path, Reading())] == ["both:a", "both:b"]


def test_folders_of_folders_are_read_by_name(tmp_path):
    for name in ("wave/b", "jump/a"):
        write(tmp_path / name, {0: frame(flat((1, 2, 1)))})
    assert [one.id for one in read_recordings(tmp_path, Reading())] == ["jump/a", "wave/b"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (frame(flat((1, 2, 1)))[:-9], r"_keypoints\.json is no JSON in line 1, .* cut off"),
        ("<!doctype html><html>login</html>", "is a web page"),
        ("", "is empty"),
        (frame([1, 2, 1] * 7), r"7 key points a person, where the format has 25 \(openpose25\)"),
        (frame([1, 2]), "2 numbers are not x, y, score for every key point"),
        (frame(["a", 2, 1]), "are not numbers"),
        (frame(), "has no person in any frame"),
        ('{"people": [7]}', "a person: 7 is no object"),
    ],
)
def test_a_wrong_file_is_refused_by_name(tmp_path, text, message):
    write(tmp_path, {0: text})
    with pytest.raises(BadInput, match=message) as refused:
        read_recordings(tmp_path, Reading(format="openpose") if "[7]" in text else Reading())
    assert str(tmp_path) in str(refused.value)


def test_a_lost_file_among_frames_is_named(tmp_path):
    write(tmp_path, {0: frame(flat((1, 2, 1)))})
    (tmp_path / "notes.json").write_text("{}")
    with pytest.raises(BadInput, match=r"notes\.json is among the frames of a recording"):
        read_recordings(tmp_path, Reading())


def test_a_frame_with_another_number_of_joints_is_named(tmp_path):
    write(tmp_path, {0: frame(flat((1, 2, 1))), 5: frame(flat((1, 2, 1), joints=18))})
    with pytest.raises(BadInput, match=r"of \(25, 2\) key points .* \(frame 0\) and of \(18, 2\)"):
        read_recordings(tmp_path, Reading())


def test_absurd_numbers_of_frames_ask_for_no_memory(tmp_path):
    seen = frame(flat((1, 2, 1)))
    write(tmp_path / "a", {0: seen, 1: seen, 10**12: seen})
    (found,) = read_recordings(tmp_path / "a", Reading())
    assert found.keypoint.shape[1] == 3
    assert any("frame 1000000000000 follows frame 1 at once" in said for said in found.remarks)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / f"x_{'9' * 30}_keypoints.json").write_text(seen)
    (found,) = read_recordings(tmp_path / "b", Reading())  # no number of a frame: a recording
    assert found.keypoint.shape[1] == 1


def test_a_frame_is_read_from_text():
    (found,) = read_text(frame(flat((10, 20, 1))), Reading())
    assert (found.id, found.keypoint[0, 0, 0].tolist()) == ("-", [10, 20])


def test_against_pose_format(tmp_path):
    openpose = pytest.importorskip("pose_format.utils.openpose")
    rng = np.random.default_rng(0)
    points = rng.uniform(1, 400, (4, 25, 3))
    points[..., 2] = rng.uniform(0.1, 1, (4, 25))
    frames = {}
    for number, one in enumerate(points):
        flat_hands = {f"hand_{side}_keypoints_2d": [0.0] * 63 for side in ("left", "right")}
        person = {"pose_keypoints_2d": one.ravel().tolist(), "face_keypoints_2d": [0.0] * 210}
        frames[number] = {"version": 1.3, "people": [{"person_id": [-1]} | person | flat_hands]}
    write(tmp_path, {number: json.dumps(content) for number, content in frames.items()})
    (found,) = read_recordings(tmp_path, Reading(img_shape=(480, 640), fps=24))
    theirs = openpose.load_openpose(
        {number: {"frame_id": number, **content} for number, content in frames.items()},
        fps=24, width=640, height=480,
    )  # fmt: skip
    np.testing.assert_allclose(found.keypoint[0], theirs.body.data[:, 0, :25], rtol=1e-6)
    np.testing.assert_allclose(found.score[0], theirs.body.confidence[:, 0, :25], rtol=1e-6)


def test_people_whose_order_flips_become_persons(tmp_path):
    def body(x, t):
        points = [(x + 3 * (v % 5) + t, 100 + 10 * v, 0.9) for v in range(25)]
        return [value for point in points for value in point]

    frames = {}
    for t in range(40):
        people = [body(100, t), body(600, -t)]
        frames[t] = frame(*(people[::-1] if t % 3 == 0 else people))
    (found,) = read_recordings(write(tmp_path / "two", frames), Reading())
    assert (found.tracked, found.keypoint.shape[:2]) == (True, (2, 40))
    starts = sorted(found.keypoint[:, 0, 0, 0])
    assert starts == [100, 600]
    for person in found.keypoint[..., 0, 0]:
        assert np.abs(np.diff(person)).max() == 1  # one pixel a frame, never to the other


def test_person_id_is_the_track_where_openpose_tracks():
    def tracked(*ids):
        people = [{"person_id": [id], "pose_keypoints_2d": flat((10 + id, 9, 1))} for id in ids]
        return openpose.people({"people": people}, "x")

    found = openpose.recording({0: tracked(4, 7), 1: tracked(7)}, "x", "x", Reading())
    assert (found.tracked, found.persons) == (True, ("4", "7"))
    assert np.nan_to_num(found.keypoint[:, :, 0, 0]).tolist() == [[14, 0], [17, 17]]
