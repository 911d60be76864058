""".pose files, byte by byte, and beside the package pose-format."""

import struct

import numpy as np
import pytest
from pose_format import Pose
from pose_format.numpy import NumPyPoseBody
from pose_format.pose_header import PoseHeader, PoseHeaderComponent, PoseHeaderDimensions

from stgcn_lightning.errors import BadInput
from stgcn_lightning.sources.formats import recognised
from stgcn_lightning.sources.pose_files import read
from stgcn_lightning.sources.recordings import READING, Reading

BODY = ("POSE_LANDMARKS", ("NOSE", "LEFT_EYE", "RIGHT_EYE"))
WORLD = ("POSE_WORLD_LANDMARKS", BODY[1])
HANDS = (("LEFT_HAND_LANDMARKS", ("WRIST", "TIP")), ("RIGHT_HAND_LANDMARKS", ("WRIST", "TIP")))


def text(words):
    return struct.pack("<H", len(words)) + words.encode()


def header(version, components, form="XYZC", size=(640, 480)):
    content = struct.pack("<f4H", version, *size, 0, len(components))
    for name, points in components:
        content += text(name) + text(form) + struct.pack("<3H", len(points), 1, 1)
        content += b"".join(text(point) for point in points)
        content += struct.pack("<2H", 0, 1) + struct.pack("<3H", 255, 0, 0)
    return content


def numbered(frames, people, points):
    """Coordinates 0, 1, 2, ... and confidences, of which the first is 0."""
    data = np.arange(frames * people * points * 3, dtype="<f4").reshape(frames, people, points, 3)
    confidence = np.full((frames, people, points), 0.5, "<f4")
    confidence[0, 0, 0] = 0
    return data, confidence


def written(tmp_path, content, name="sign.pose"):
    (tmp_path / name).write_bytes(content)
    return tmp_path / name


@pytest.mark.parametrize("version", [0.1, 0.2])
def test_coordinates_follow_the_header_and_confidences_the_coordinates(tmp_path, version):
    data, confidence = numbered(2, 1, 3)
    numbers = struct.pack("<fIH", 25, 2, 1) if version == 0.2 else struct.pack("<3H", 25, 9, 1)
    content = header(version, [BODY]) + numbers + data.tobytes() + confidence.tobytes()
    (found,) = read(written(tmp_path, content), READING)  # 9 frames in v0.1: an overflow
    assert found.joints == ("nose", "left_eye", "right_eye")
    assert found.fps == 25
    assert found.img_shape == (480, 640)
    assert found.keypoint.shape == (1, 2, 3, 2)
    assert np.isnan(found.keypoint[0, 0, 0]).all()
    assert found.keypoint[0, 0, 1:].tolist() == [[3, 4], [6, 7]]
    assert found.score[0].tolist() == [[0, 0.5, 0.5], [0.5] * 3]
    assert found.tracked


def test_version_0_0_lists_persons_frame_by_frame(tmp_path):
    def person(*values):
        return struct.pack("<h", 0) + np.array(values, "<f4").tobytes()

    component = ("POSE_LANDMARKS", ("NOSE", "LEFT_EYE"))
    content = header(0.0, [component], "XYC") + struct.pack("<2H", 30, 3)
    content += struct.pack("<H", 1) + person(1, 2, 0.5, 3, 4, 0.25)
    content += struct.pack("<H", 0)
    content += struct.pack("<H", 2) + person(5, 6, 1, 7, 8, 0) + person(9, 10, 1, 11, 12, 1)
    (found,) = read(written(tmp_path, content), READING)
    nan = [np.nan, np.nan]
    expected = [
        [[[1, 2], [3, 4]], [nan, nan], [[5, 6], nan]],
        [[nan] * 2, [nan] * 2, [[9, 10], [11, 12]]],
    ]
    assert np.array_equal(found.keypoint, np.array(expected), equal_nan=True)
    assert found.score[0].tolist() == [[0.5, 0.25], [0, 0], [1, 0]]
    assert not found.tracked
    assert found.fps == 30


def test_what_is_read_of_several_components_the_user_chooses(tmp_path):
    data, confidence = numbered(1, 1, 3 + 4 + 3)
    content = header(0.2, [BODY, *HANDS, WORLD]) + struct.pack("<fIH", 25, 1, 1)
    path = written(tmp_path, content + data.tobytes() + confidence.tobytes())
    (body,) = read(path, READING)
    assert body.keypoint[0, 0, 1].tolist() == [3, 4]
    (world,) = read(path, Reading(unit="metres"))
    sides = np.array([640, 480, 1], np.float32)  # which pose-format multiplies them by
    assert np.array_equal(world.keypoint[0, 0] * sides, np.arange(21.0, 30).reshape(3, 3))
    assert world.unit == "metres"
    (hands,) = read(path, Reading(skeleton="hand21"))
    assert hands.keypoint[:, 0].tolist() == [[[9, 10], [12, 13]], [[15, 16], [18, 19]]]
    assert hands.remarks[0].startswith("LEFT_HAND_LANDMARKS and RIGHT_HAND_LANDMARKS of POSE_LAND")


def test_against_pose_format(tmp_path):
    rng = np.random.default_rng(0)
    components = [
        PoseHeaderComponent(name, list(points), [(0, 1)], [(9, 9, 9)], "XYZC")
        for name, points in (BODY, HANDS[0])
    ]
    pose_header = PoseHeader(0.2, PoseHeaderDimensions(1280, 720, 0), components)
    data = rng.normal(size=(7, 2, 5, 3)).astype(np.float32)
    confidence = rng.uniform(0, 1, (7, 2, 5)).astype(np.float32).round(1)
    pose = Pose(pose_header, NumPyPoseBody(29.97, data, confidence))
    path = tmp_path / "library.pose"
    with open(path, "wb") as file:
        pose.write(file)
    (found,) = read(path, READING)
    oracle = Pose.read(path.read_bytes())
    assert found.fps == pytest.approx(oracle.body.fps)
    assert found.img_shape == (720, 1280)
    expected = oracle.body.data[:, :, :3, :2].filled(np.nan).swapaxes(0, 1)
    assert np.array_equal(found.keypoint, expected, equal_nan=True)
    assert np.array_equal(found.score, oracle.body.confidence[:, :, :3].swapaxes(0, 1))
    assert recognised(path)[0] == "pose"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (
            header(0.2, [BODY]) + struct.pack("<fIH", 25, 4_000_000_000, 9),
            "more than fits",
        ),
        (header(0.2, [BODY]) + struct.pack("<fIH", 25, 1_000_000, 1), "header promises 36,000"),
        (header(0.2, [BODY])[:40], "ends at byte 40"),
        (header(0.7, [BODY]), r"is of version 0\.7"),
        (header(0.2, [BODY]) + struct.pack("<fIH", 25, 0, 1), "has 0 frames of 1 people"),
        (header(0.2, [BODY], form="ABC"), "has the values ABC"),
        (
            header(0.2, [("FACE", ("a",)), ("EARS", ("b",))])
            + struct.pack("<fIH8f", 25, 1, 1, *[0] * 8),
            "FACE, EARS, none of which is known as a body",
        ),
        (header(0.0, [BODY]) + struct.pack("<2H", 25, 60_000), "ends at byte"),
    ],
)
def test_a_file_is_refused_by_name(tmp_path, content, sentence):
    with pytest.raises(BadInput, match=rf"sign\.pose.*{sentence}"):
        read(written(tmp_path, content), READING)
