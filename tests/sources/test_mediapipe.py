import json
import sys

import numpy as np
import pytest

from stgcn_lightning.errors import BadInput
from stgcn_lightning.sources import mediapipe_json
from stgcn_lightning.sources.formats import read_recordings
from stgcn_lightning.sources.joint_names import JOINTS
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
    names = [
        f"{v.upper()}_{word}" for v in JOINTS["mediapipe33"] for word in ("x", "y", "visibility")
    ]
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
        ("a,b\n1,2\n", "is in no known format"),
        (table([row({}), "1,2"]), "2 cells in row 2 below 132 names"),
        (table([row({4: (0.5, "high", 0, 1)})]), "'high' in column y5 of row 1; write a number"),
        (table([]), "no row below the names"),
        (table([row({}, 20)], joints=20), "has no columns of MediaPipe's 33 or 21 landmarks"),
        (table([row({}), row({})], more="frame"), "frame 0 twice; add a column person"),
        (table([row({4: ("inf", 0, 0, 1)})]), "right_eye_inner of person 0 in frame 0 is at inf"),
    ],
)
def test_a_wrong_file_is_refused_by_name(tmp_path, text, message):
    with pytest.raises(BadInput, match=message):
        read(tmp_path / "a.csv", text, format="mediapipe" if "MediaPipe" in message else "auto")


def landmark(x, y, z, visibility):
    return {"x": x, "y": y, "z": z, "visibility": visibility, "presence": 0.99}


def frame_of(first, rest=(0.5, 0.5, 0, 1), key="pose_landmarks", people=True):
    points = [landmark(*first), *[landmark(*rest)] * 32]
    return {key: [points] if people else points}


@pytest.mark.parametrize(
    "content",
    [
        [frame_of((0.25, 0.5, 0, 0.5)), frame_of((0.5, 0.5, 0, 0.5)), {"pose_landmarks": []}],
        {"frames": [
            frame_of((0.25, 0.5, 0, 0.5), key="landmarks"),
            frame_of((0.5, 0.5, 0, 0.5), key="landmarks"),
            {"landmarks": []},
        ]},
        [
            frame_of((0.25, 0.5, 0, 0.5), key="poseLandmarks", people=False),
            frame_of((0.5, 0.5, 0, 0.5), key="poseLandmarks", people=False),
            {"poseLandmarks": None},
        ],
        [
            {"frame": i, "pose_landmarks": [[[x, 0.5, 0, 0.5], *[[0.5, 0.5, 0, 1]] * 32]]}
            for i, x in ((1, 0.5), (0, 0.25))
        ] + [{"frame": 2, "pose_landmarks": []}],
    ],
)  # fmt: skip
def test_results_as_json(tmp_path, content):
    found = read(tmp_path / "a.json", json.dumps(content), img_shape=(100, 200))
    assert found.skeleton == "mediapipe33"
    assert found.keypoint[0, :, 0].tolist() == [[50, 50], [100, 50], [0, 0]]
    assert found.score[0, :, 0].tolist() == [0.5, 0.5, 0]


def test_results_have_world_landmarks_besides(tmp_path):
    frame = frame_of((0.25, 0.5, 0, 0.5)) | frame_of(
        (0.1, -0.6, -0.2, 1), (0, 0, 0.01, 1), key="pose_world_landmarks"
    )
    text = json.dumps([frame])
    assert read(tmp_path / "a.json", text).keypoint.shape[-1] == 2
    found = read(tmp_path / "a.json", text, unit="metres")
    assert found.keypoint[0, 0, 0] == pytest.approx([-0.1, 0.6, -0.2])


def test_several_people_of_a_result_are_not_tracked():
    two = [[[0.5, 0.5, 0, 1]] * 33, [[0.1, 0.5, 0, 1]] * 33]
    content = [{"pose_landmarks": two}, {"pose_landmarks": two[::-1]}]
    (found,) = mediapipe_json.read(content, "x", "x", Reading())
    assert (found.keypoint.shape[0], found.tracked) == (2, False)


def test_arrays_of_landmarks(tmp_path):
    points = np.full((2, 33, 4), 0.5, np.float32)
    points[:, 0, 0] = [0.25, 0.75]
    holistic = np.concatenate([points.reshape(2, 132), np.zeros((2, 1530))], axis=1)
    kaggle = np.full((2, 543, 3), np.nan)
    kaggle[:, 489:522] = points[..., :3]
    for number, array in enumerate((points, points[..., :3], points[:, None], holistic, kaggle)):
        np.save(tmp_path / f"{number}.npy", array)
        np.savez(tmp_path / f"{number}.npz", landmarks=array)
        for ending in ("npy", "npz"):
            (found,) = read_recordings(
                tmp_path / f"{number}.{ending}", Reading(img_shape=(100, 200))
            )
            assert found.keypoint[0, :, 0].tolist() == [[50, 50], [150, 50]]


def test_a_folder_of_arrays_is_one_recording(tmp_path):
    folder = tmp_path / "hello" / "7"
    folder.mkdir(parents=True)
    for i in range(3):
        frame = np.full(1662, 0.5)
        frame[0] = (i + 1) / 4
        frame *= i != 1  # nobody was found in the second frame
        np.save(folder / f"{i}.npy", frame)
    (found,) = read_recordings(tmp_path, Reading(img_shape=(100, 200)))
    assert (found.id, found.keypoint.shape) == ("hello/7", (1, 3, 33, 2))
    assert found.keypoint[0, :, 0, 0].tolist() == [50, 0, 150]


def test_kaggle_s_tables_of_parquet(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = []
    for frame in (20, 21):
        for kind, count in (("face", 468), ("left_hand", 21), ("pose", 33), ("right_hand", 21)):
            for i in range(count):
                x = frame / 64 if kind == "pose" else np.nan
                row = {"frame": frame, "row_id": f"{frame}-{kind}-{i}", "type": kind}
                rows.append(row | {"landmark_index": i, "x": x, "y": 0.5, "z": 0.1})
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "a.parquet")
    (found,) = read_recordings(tmp_path / "a.parquet", Reading(img_shape=(100, 200)))
    assert found.frames.tolist() == [20, 21]
    assert found.keypoint[0, :, 3].tolist() == [[62.5, 50], [65.625, 50]]


def test_parquet_without_pyarrow_names_the_extra(tmp_path, monkeypatch):
    (tmp_path / "a.parquet").write_bytes(b"PAR1 and more")
    with pytest.raises(BadInput, match=r"a\.parquet cannot be read as a table of frame, type"):
        read_recordings(tmp_path, Reading())
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(BadInput, match=r"pip install 'stgcn_lightning\[formats\]'"):
        read_recordings(tmp_path, Reading())


def test_wrong_arrays_are_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((4, 7)))
    with pytest.raises(BadInput, match=r"a\.npy is one array of numpy .* in no known format"):
        read_recordings(tmp_path / "a.npy", Reading())
    np.save(tmp_path / "a.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(BadInput, match=r"a\.npy cannot be read as \.npy"):
        read_recordings(tmp_path / "a.npy", Reading(format="mediapipe_numpy"))
