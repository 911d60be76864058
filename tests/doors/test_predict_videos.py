"""Videos and cameras at the predict door, with stand-ins for rtmlib and OpenCV."""

import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from answering import embedded, write_checkpoint, write_recording

# imageio-ffmpeg leaves the pipes to its process to the garbage collector
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

SIDES = (96, 64)  # width and height of the video


@pytest.fixture
def people():
    """A sample whose joints the stand-in finds, picture by picture."""
    return next(one for one in embedded().values() if one.keypoint.shape[1] >= 60)


@pytest.fixture
def joint(tmp_path):
    return write_checkpoint(tmp_path / "joint.safetensors")


@pytest.fixture
def video(tmp_path):
    """60 pictures that tell their number by their colour."""
    ffmpeg = pytest.importorskip("imageio_ffmpeg")
    path = tmp_path / "clip.mp4"
    writer = ffmpeg.write_frames(str(path), SIDES, fps=30, quality=10)
    writer.send(None)
    for number in range(60):
        writer.send(np.full((SIDES[1], SIDES[0], 3), 4 * number, np.uint8).tobytes())
    writer.close()
    return path


@pytest.fixture
def rtmlib(monkeypatch, tmp_path, people):
    """A module whose Body knows the person; its networks' folder is empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("TORCH_HOME", raising=False)
    calls = []

    class Body:
        url = "https://host/{}.zip"
        MODE = {"balanced": {"det": url.format("yolox_m"), "pose": url.format("rtmpose-m")}}  # noqa: RUF012

        def __init__(self, *, mode, backend, device):
            print("load rtmpose with onnxruntime backend")
            calls.append((mode, backend, device))

        def det_model(self, picture):
            assert picture.shape == (SIDES[1], SIDES[0], 3)
            number = round(float(picture.mean()) / 4)
            return [] if number >= 60 else [[number, 0, 9, 9]]

        def pose_model(self, picture, bboxes):
            t = bboxes[0][0]
            scale = np.array(SIDES) / people.img_shape[::-1]
            return people.keypoint[:1, t] * scale, people.score[:1, t]

    monkeypatch.setitem(sys.modules, "rtmlib", SimpleNamespace(Body=Body))
    return calls


@pytest.mark.usefixtures("rtmlib")
def test_a_video_is_answered_as_its_key_points_are(door, joint, video, people, tmp_path):
    scale = np.array(SIDES) / people.img_shape[::-1]
    points = people.keypoint[:1, :60].astype(np.float32) * scale
    recording = write_recording(
        tmp_path / "points.npz", people, keypoint=points, score=people.score[:1, :60],
        img_shape=SIDES[::-1],
    )  # fmt: skip
    arguments = [f"checkpoint={joint}", "format=json", "top=99", "window=40"]
    status, want, err = door("predict", *arguments, f"source={recording}")
    assert status == 0, err
    status, out, err = door("predict", *arguments, f"video={video}")
    assert status == 0, err
    one, other = (json.loads(text)["recordings"][0] for text in (out, want))
    assert (one["recording"], one["fps"], one["frames"]) == ("clip", 30.0, 60)
    for answer, expected in zip(one["answers"], other["answers"], strict=True):
        scores, others = (
            {row["class"]: row["score"] for row in each["top"]} for each in (answer, expected)
        )
        assert scores == pytest.approx(others, abs=1e-4)  # joints lie on the video's pixels alike


@pytest.mark.usefixtures("rtmlib")
def test_a_video_may_be_answered_while_it_is_read(door, joint, video):
    arguments = [f"checkpoint={joint}", f"video={video}", "window=24", "stride=12", "top=99"]
    rows = []
    for live in ("live=true", "live=false"):
        status, out, err = door("predict", *arguments, "format=jsonl", live)
        assert status == 0, err
        rows.append([row for line in out.splitlines() for row in json.loads(line)["answers"]])
    assert [one["stop"] for one in rows[0]] == [24, 36, 48, 60]
    for one, other in zip(*rows, strict=True):
        assert one["seconds"] == other["seconds"]
        scores, others = (
            {top["class"]: top["score"] for top in row["top"]} for row in (one, other)
        )
        assert scores == pytest.approx(others, abs=1e-5)


def test_what_is_downloaded_is_said_before_and_nothing_of_it_is_an_answer(
    door, joint, video, rtmlib, tmp_path
):
    status, out, err = door("predict", f"checkpoint={joint}", f"video={video}", "format=json")
    assert status == 0, err
    json.loads(out)
    folder = tmp_path / "cache" / "rtmlib" / "hub" / "checkpoints"
    said = f"rtmlib downloads https://host/yolox_m.zip and https://host/rtmpose-m.zip to {folder}"
    assert said in err
    assert rtmlib == [("balanced", "onnxruntime", "cpu")]
    folder.mkdir(parents=True)
    for name in ("yolox_m", "rtmpose-m"):
        (folder / f"{name}.onnx").touch()
    status, _, err = door("predict", f"checkpoint={joint}", f"video={video}")
    assert status == 0, err
    assert "rtmlib downloads" not in err


@pytest.mark.usefixtures("rtmlib")
def test_a_camera_is_answered_until_its_user_interrupts(door, joint, monkeypatch):
    released = []

    class VideoCapture:
        def __init__(self, number):
            self.number, self.shown = number, 0

        def read(self):
            if self.number > 0:
                return False, None
            if self.shown == 58:
                raise KeyboardInterrupt
            self.shown += 1
            return True, np.full((SIDES[1], SIDES[0], 3), 4 * (self.shown - 1), np.uint8)

        def get(self, _):
            return 0.0

        def release(self):
            released.append(self.number)

    cv2 = SimpleNamespace(VideoCapture=VideoCapture, CAP_PROP_FPS=5)
    monkeypatch.setitem(sys.modules, "cv2", cv2)
    arguments = [f"checkpoint={joint}", "format=jsonl", "window=24", "stride=10"]
    status, out, err = door("predict", *arguments, "video=0")
    assert status == 0, err
    answers = [json.loads(line)["answers"][0] for line in out.splitlines()]
    assert [(one["start"], one["stop"]) for one in answers] == [
        (0, 24),
        (10, 34),
        (20, 44),
        (30, 54),
    ]
    assert answers[1]["seconds"] == [0.333, 1.133]
    assert released == [0]
    status, _, err = door("predict", *arguments, "video=3")
    assert status == 2
    assert "there is no camera 3, or another program has it" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["video=none.mp4"], "there is no video none.mp4"),
        (["video=notes.mp4"], "notes.mp4 is no video that ffmpeg reads"),
        (
            ["video=clip.mp4", "source=a.npz"],
            "source=a.npz and video=clip.mp4: give one of the two",
        ),
        (["video=-1"], "video=-1 is no path"),
        (["video=clip.mp4", "estimator=best"], "estimator=best is none of lightweight, balanced"),
    ],
)
@pytest.mark.usefixtures("rtmlib", "video")
def test_what_is_no_video_is_refused(door, joint, tmp_path, arguments, words):
    (tmp_path / "notes.mp4").write_text("no video")
    status, out, err = door("predict", f"checkpoint={joint}", *arguments)
    assert status == 2
    assert not out
    assert words in err.strip().splitlines()[-1]


def test_a_missing_package_is_named_with_what_installs_it(door, joint, video, monkeypatch):
    monkeypatch.delitem(sys.modules, "rtmlib", raising=False)
    monkeypatch.setattr("stgcn_lightning.sources.video.find_spec", lambda _: None)
    status, _, err = door("predict", f"checkpoint={joint}", f"video={video}")
    assert status == 2
    assert "videos need rtmlib: pip install 'stgcn_lightning[video]'" in err
