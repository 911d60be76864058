"""Answers of the predict door while frames come: lines of standard input, and cameras."""

import io
import json
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from answering import embedded, write_checkpoint, write_recording

WINDOW = ["window=24", "stride=10", "top=99"]


@pytest.fixture
def sample():
    return next(one for one in embedded().values() if one.keypoint.shape[1] >= 60)


@pytest.fixture
def joint(tmp_path):
    return write_checkpoint(tmp_path / "joint.safetensors")


def picture(sample):
    height, width = sample.img_shape
    return f"reading.img_shape=[{height},{width}]"


def frame(sample, t, name=None):
    """A line of JSON: the first person in frame t, with a name or as one of people in any order."""
    body = np.concatenate([sample.keypoint[0, t], sample.score[0, t, :, None]], -1)
    person = body.astype(float).tolist()
    return json.dumps({"persons": [person] if name is None else {name: person}})


@pytest.fixture
def live(door, joint, sample, monkeypatch):
    """Lines -> status, answers (start, stop, person, scores), standard error."""

    def run(lines, *arguments, checkpoint=None):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO("\n".join(lines).encode())))
        status, out, err = door(
            "predict", f"checkpoint={checkpoint or joint}", "source=-", "live=true",
            "format=jsonl", picture(sample), *arguments,
        )  # fmt: skip
        rows = [row for line in out.splitlines() for row in json.loads(line).get("answers", [])]
        return status, rows, err

    return run


def scores(row):
    return {one["class"]: one["score"] for one in row["top"]}


@pytest.mark.parametrize("name", [None, "anna"])
def test_lines_have_the_answers_of_the_windows_of_a_recording(
    live, door, joint, sample, tmp_path, name
):
    points, score = sample.keypoint[:1, :44].astype(np.float32), sample.score[:1, :44]
    whole = write_recording(tmp_path / "whole.npz", sample, keypoint=points, score=score)
    common = [f"checkpoint={joint}", "format=jsonl", *WINDOW]
    _, out, _ = door("predict", *common, f"source={whole}")
    status, rows, err = live([frame(sample, t, name) for t in range(44)], *WINDOW)
    assert status == 0, err
    want = json.loads(out)["answers"]
    assert [(one["start"], one["stop"]) for one in rows] == [(0, 24), (10, 34), (20, 44)]
    for one, other in zip(rows, want, strict=True):
        assert scores(one) == pytest.approx(scores(other), abs=1e-5)


def test_several_checkpoints_are_fused_as_for_a_recording(live, door, sample, joint, tmp_path):
    bone = write_checkpoint(tmp_path / "bone.safetensors", "bone")
    several = f"{{joint: {joint}, bone: {bone}}}"
    points, score = sample.keypoint[:1, :24].astype(np.float32), sample.score[:1, :24]
    whole = write_recording(tmp_path / "whole.npz", sample, keypoint=points, score=score)
    common = [f"checkpoint={several}", "weights={joint: 2, bone: 1}"]
    _, out, err = door("predict", *common, f"source={whole}", "format=jsonl", *WINDOW)
    lines = [frame(sample, t) for t in range(24)]
    status, rows, err = live(lines, common[1], *WINDOW, checkpoint=several)
    assert status == 0, err
    want = scores(json.loads(out)["answers"][0])
    assert scores(rows[0]) == pytest.approx(want, abs=1e-5)


def test_everybody_is_answered_for_alone_by_name_and_may_leave(live, sample):
    lines = [
        json.dumps({"persons": json.loads(frame(sample, t, "anna"))["persons"]
                    | (json.loads(frame(sample, t + 9, "ben"))["persons"] if t < 30 else {})})
        for t in range(44)
    ]  # fmt: skip
    status, rows, err = live(lines, "per_person=true", *WINDOW)
    assert status == 0, err
    assert [(one["person"], one["stop"]) for one in rows] == [
        ("anna", 24), ("ben", 24), ("anna", 34), ("anna", 44)
    ]  # fmt: skip


def test_who_comes_late_is_answered_as_soon_as_a_window_is_full(live, sample):
    lines = ['{"persons": {}}'] * 7 + [frame(sample, t, "anna") for t in range(44)]
    for how in ("per_person=true", "per_person=false"):
        status, rows, err = live(lines, how, *WINDOW)
        assert status == 0, err
        assert [(one["start"], one["stop"]) for one in rows] == [(7, 31), (17, 41), (27, 51)]


def test_a_continual_form_answers_for_each_frame_when_a_window_has_passed_it(live, sample):
    lines = [frame(sample, t % 60) for t in range(110)]
    status, rows, err = live(lines, "continual=true", "window=24", "top=1")
    assert status == 0, err
    assert rows[0]["stop"] - rows[0]["start"] == 24
    assert [one["stop"] for one in rows] == [*range(24, 24 + len(rows))]


def test_a_line_that_cannot_be_read_is_a_frame_without_persons_and_named(live, sample):
    lines = [frame(sample, t) for t in range(30)]
    lines[3], lines[5] = "{", '{"persons": {"a": [[1, 2]]}}'
    status, rows, err = live(lines, *WINDOW)
    assert status == 2
    assert [(one["start"], one["stop"]) for one in rows] == [(0, 24)]
    assert "line 4 is no JSON" in err
    assert "line 6: person a has key points of shape (1, 2)" in err


@pytest.mark.parametrize(
    ("lines", "arguments", "words"),
    [
        ([], [], "needs somebody who is there for 8 frames, and 0 frames came"),
        (['{"persons": {}}'] * 9, [], "there for 8 frames, and 9 frames came"),
        ([], ["reading.img_shape=null"], "reading.img_shape=[HEIGHT,WIDTH]"),
        ([], ["split=val"], "split=val is one of annotations"),
        ([], ["reading.format=coco"], "reading.format=coco is one of recordings"),
        ([], ["animate=true"], "animate=true is of whole recordings"),
        ([], ["source=a.npz"], "source=a.npz is there already: give source=- or video=FILE"),
        ([], ["live=false", "continual=true"], "continual=true is of what is answered while"),
        ([], ["continual=true", "stride=3"], "every=3 is none of 1, 2"),
    ],
)
def test_what_cannot_be_answered_live_is_refused(live, lines, arguments, words):
    status, rows, err = live(lines, "window=8", *arguments)
    assert (status, rows) == (2, [])
    assert words in err.strip().splitlines()[-1]


@pytest.mark.slow
def test_an_answer_comes_before_the_next_line_is_written(joint, sample, tmp_path):
    command = [
        sys.executable, "-m", "stgcn_lightning.predict", f"checkpoint={joint}", "source=-",
        "live=true", "format=jsonl", picture(sample), "window=8", "stride=1", "top=1",
    ]  # fmt: skip
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=tmp_path, text=True
    )
    assert process.stdin
    assert process.stdout
    with process:
        for t in range(12):
            process.stdin.write(frame(sample, t) + "\n")
            process.stdin.flush()
            if t >= 7:  # waits for ever if the answer waits for more
                assert json.loads(process.stdout.readline())["answers"][0]["stop"] == t + 1
        process.stdin.close()
        assert process.stdout.read() == ""
    assert process.returncode == 0


def test_persons_before_a_camera_keep_their_numbers_from_answer_to_answer(
    door, joint, sample, monkeypatch
):
    """Two people whom a stand-in for rtmlib lists in another order in each picture."""
    height, width = 64, 96
    scale = np.array([width / 4, height]) / sample.img_shape[::-1]

    class Body:
        MODE = {"balanced": {"det": "https://host/a.zip", "pose": "https://host/b.zip"}}  # noqa: RUF012

        def __init__(self, **_):
            pass

        def det_model(self, picture):
            print("one picture")
            return [[int(picture[0, 0, 0]), 0, 9, 9]]

        def pose_model(self, picture, bboxes):
            t = bboxes[0][0]
            left = sample.keypoint[0, t] * scale
            both = [left, left + np.array([width / 2, 0])]
            return np.stack(both[:: (-1) ** t]), np.stack([sample.score[0, t]] * 2)

    class VideoCapture:
        def __init__(self, _):
            self.pictures = iter(range(44))

        def read(self):
            t = next(self.pictures, None)
            return t is not None, np.full((height, width, 3), t or 0, np.uint8)

        def get(self, _):
            return 30.0

        def release(self):
            pass

    monkeypatch.setitem(sys.modules, "rtmlib", SimpleNamespace(Body=Body))
    cv2 = SimpleNamespace(VideoCapture=VideoCapture, CAP_PROP_FPS=5)
    monkeypatch.setitem(sys.modules, "cv2", cv2)
    arguments = [f"checkpoint={joint}", "video=0", "per_person=true", "format=jsonl", *WINDOW]
    status, out, err = door("predict", *arguments)
    assert status == 0, err
    rows = [row for line in out.splitlines() for row in json.loads(line)["answers"]]
    assert [(one["person"], one["start"]) for one in rows] == [
        ("1", 0), ("2", 0), ("1", 10), ("2", 10), ("1", 20), ("2", 20)
    ]  # fmt: skip
    status, out, _ = door("predict", *arguments[:2], "format=table", "window=24", "stride=10")
    assert out.splitlines()[1].startswith("     0.33 -    1.13 s  ")
