import numpy as np
import pytest

from stgcn_lightning.errors import BadInput
from stgcn_lightning.sources.formats import read_recordings
from stgcn_lightning.sources.joint_names import MEDIAPIPE33
from stgcn_lightning.sources.recordings import Reading


def table(rows, names=None, joints=33, words="xyzv", first=1, more=""):
    """The text of a CSV of these rows of (joints, coordinates)."""
    names = names or [f"{word}{v}" for v in range(first, first + joints) for word in words]
    lines = [",".join(more.split() + names)]
    lines += [",".join("0" for _ in more.split()) + "," * bool(more) + row for row in rows]
    return "\n".join(lines) + "\n"


def row(points, joints=33, last=(0.5, 0.5, -0.25, 1)):
    """Cells of one frame: `points` by joint, `last` for the others."""
    cells = [points.get(v, last) for v in range(joints)]
    return ",".join(str(number) for cell in cells for number in cell)


def read(path, text, **reading):
    path.write_text(text)
    return read_recordings(path, Reading(**reading))[0]


def test_numbered_columns_are_parts_of_the_picture(tmp_path):
    rows = [row({0: (0.25, 0.5, -0.3, 0.75)}), row({0: (0.5, 1.25, -0.3, 0)})]
    found = read(tmp_path / "wave.csv", table(rows), img_shape=(400, 800), fps=25)
    assert (found.id, found.skeleton, found.joints[0]) == ("wave", "mediapipe33", "nose")
    assert found.keypoint.shape == (1, 2, 33, 2)
    assert found.keypoint[0, 0, :2].tolist() == [[200, 200], [400, 200]]
    assert found.score[0, :, 0].tolist() == [0.75, 0]
    assert found.keypoint[0, 1, 0].tolist() == [0, 0]  # a visibility of 0 is not found
    said = " ".join(found.remarks)
    assert "its columns are of 33 landmarks, 1 to 33" in said
    assert "z is dropped: it is no distance in the picture" in said
    assert "[0, 1] of the picture" in said


def test_numbers_from_0_and_other_columns_do_not_matter(tmp_path):
    text = table([row({0: (0.25, 0.5, 0, 1)})], first=0, more="class")
    found = read(tmp_path / "a.csv", text, img_shape=(100, 100))
    assert found.keypoint[0, 0, 0].tolist() == [25, 50]
    assert "columns that are no landmarks are not read, such as class" in found.remarks


def test_of_pose_and_face_the_pose_is_read(tmp_path):
    found = read(tmp_path / "a.csv", table([row({}, 501)], joints=501))
    assert found.skeleton == "mediapipe33"
    assert "of 501 landmarks the 33 of the pose are read" in found.remarks


def test_columns_may_be_named_by_landmark(tmp_path):
    names = [f"{v.upper()}_{word}" for v in MEDIAPIPE33 for word in ("x", "y", "visibility")]
    cells = row({16: (0.1, 0.2, 0.3)}, last=(0.5, 0.5, 1))
    found = read(tmp_path / "a.csv", table([cells], names), img_shape=(100, 100))
    assert found.keypoint[0, 0, 16] == pytest.approx([10, 20])
    assert found.score[0, 0, 16] == pytest.approx(0.3)


def test_world_landmarks_are_metres_about_the_hips(tmp_path):
    points = {23: (0.1, 0, 0, 1), 24: (-0.1, 0, 0, 1), 0: (0.05, -0.6, -0.2, 1)}
    found = read(tmp_path / "a.csv", table([row(points, last=(0.3, 0.4, 0.1, 1))]))
    assert (found.keypoint.shape[-1], found.unit, found.y) == (3, "metres", "up")
    # half a turn about z: the head is up, and left of the hips stays left
    assert found.keypoint[0, 0, 0] == pytest.approx([-0.05, 0.6, -0.2])
    assert found.keypoint[0, 0, 23] == pytest.approx([-0.1, 0, 0])


def test_the_unit_may_be_said(tmp_path):
    text = table([row({0: (0.25, 0.5, 0.1, 1)})])
    assert read(tmp_path / "a.csv", text, unit="metres", y="up").keypoint[0, 0, 0] == (
        pytest.approx([0.25, 0.5, 0.1])
    )


def test_frames_and_persons_have_columns(tmp_path):
    lines = table([row({0: (i / 10, 0.5, 0, 1)}) for i in range(1, 5)]).splitlines()
    who = ["frame;person", "0;anna", "0;ben", "3;ben", "1;anna"]
    text = "\n".join(f"{a};{b.replace(',', ';')}" for a, b in zip(who, lines, strict=True))
    found = read(tmp_path / "a.csv", text, img_shape=(10, 10))
    assert found.persons == ("anna", "ben")
    assert found.tracked
    assert found.keypoint[:, :, 0, 0] == pytest.approx(
        np.array([[1, 4, 0, 0], [2, 0, 0, 3]], np.float32)
    )


def test_empty_cells_were_not_found(tmp_path):
    text = table([row({2: ("", "", "", "")}), ",".join([""] * 132), row({})])
    found = read(tmp_path / "a.csv", text)
    assert found.keypoint.shape[1] == 3
    assert not found.keypoint[0, 0, 2].any()
    assert not found.keypoint[0, 1].any()
    assert found.score[0, 0, 2] == 0


def test_logits_become_probabilities(tmp_path):
    found = read(tmp_path / "a.csv", table([row({0: (0.5, 0.5, 0, -2.0)}, last=(0.5, 0.5, 0, 3))]))
    assert found.score[0, 0, :2] == pytest.approx([1 / (1 + np.exp(2)), 1 / (1 + np.exp(-3))])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("<html></html>\n", "is a web page"),
        ("x1,y1\n1,2\n", "is in no known format"),
        (table([row({}), "1,2"]), "2 cells in row 2 below 132 names"),
        (table([row({4: (0.5, "high", 0, 1)})]), "'high' in column y5 of row 1; write a number"),
        (table([]), "no row below the names"),
        (table([row({})], joints=20), "is in no known format"),
        (table([row({}), row({})], more="frame"), "frame 0 twice; add a column person"),
        (table([row({4: ("inf", 0, 0, 1)})]), "right_eye_inner of person 0 in frame 0 is infinite"),
    ],
)
def test_a_wrong_file_is_refused_by_name(tmp_path, text, message):
    with pytest.raises(BadInput, match=message):
        read(tmp_path / "a.csv", text)
