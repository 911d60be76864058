"""Recordings from videos and cameras: people whom rtmlib finds in each picture.

rtmlib runs RTMPose's published networks with onnxruntime. It downloads them when they are first
used, which is said before. Videos are read by the ffmpeg of imageio-ffmpeg, cameras by OpenCV,
which rtmlib needs, too.

Axes: M people in a picture, in any order; T frames, V joints.
"""

# NumPy's stubs lose the element type when an array is reshaped:
# pyright: reportUnknownMemberType=false

import contextlib
import importlib
import os
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stgcn_lightning.errors import BadInput, nearest
from stgcn_lightning.skeleton import Skeleton
from stgcn_lightning.sources.recordings import Recording

# skeleton of a checkpoint -> solution of rtmlib that finds its joints, in its order
SOLUTIONS = {"coco17": "Body", "halpe26": "BodyWithFeet", "coco_wholebody133": "Wholebody"}
ESTIMATORS = ("lightweight", "balanced", "performance")  # rtmlib's modes
BY_DEFAULT = "coco17"
CAMERA_FPS = 30.0  # of a camera that does not say

Picture = NDArray[np.uint8]  # (height, width, 3), blue, green, red
Found = tuple[NDArray[np.float32], NDArray[np.float32]]  # (M, V, 2) pixels, (M, V) scores
Estimator = Callable[[Picture], Found]


class Film(NamedTuple):
    """Pictures, one after the other, and how many there are in a second."""

    pictures: Iterator[Picture]
    fps: float
    img_shape: tuple[int, int]


def solution_for(skeleton: Skeleton, skeleton_named: Callable[[str], Skeleton]) -> Skeleton:
    """The skeleton whose joints are found for a checkpoint: its own, or COCO's to be mapped."""
    return skeleton if skeleton.name in SOLUTIONS else skeleton_named(BY_DEFAULT)


def estimator(mode: str, skeleton: str, device: str, say: Callable[[str], object]) -> Estimator:
    """What finds people in a picture.

    Args:
        mode: one of `ESTIMATORS`, from fast to accurate.
        skeleton: one of `SOLUTIONS`.
        device: cpu or cuda.
        say: is given what will be downloaded, before it is.

    Raises:
        BadInput: rtmlib is not installed, or has no networks of this mode.
    """
    if mode not in ESTIMATORS:
        raise BadInput(f"estimator={mode}: {nearest(mode, ESTIMATORS)}")
    rtmlib = _module("rtmlib")
    solution: Any = getattr(rtmlib, SOLUTIONS[skeleton])
    networks = [solution.MODE[mode][part] for part in ("det", "pose")]
    folder = networks_folder()
    absent = [url for url in networks if not (folder / f"{_stem(url)}.onnx").exists()]
    if absent:
        say(f"rtmlib downloads {' and '.join(absent)} to {folder}")
    with _nothing_on_stdout():
        found = solution(mode=mode, backend="onnxruntime", device=device)

    def estimate(picture: Picture) -> Found:
        with _nothing_on_stdout():
            boxes = found.det_model(picture)
            if not len(boxes):  # rtmlib would take the whole picture for a person
                return np.zeros((0, 0, 2), np.float32), np.zeros((0, 0), np.float32)
            keypoint, score = found.pose_model(picture, bboxes=boxes)
        return np.asarray(keypoint, np.float32), np.asarray(score, np.float32)

    return estimate


def networks_folder() -> Path:
    """Where rtmlib keeps what it has downloaded, by its own rule."""
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    home = os.environ.get("TORCH_HOME", str(Path(cache) / "rtmlib"))
    return Path(home).expanduser() / "hub" / "checkpoints"


def film_of(video: str | int) -> Film:
    """The pictures of a video file, or of a camera by its number.

    Raises:
        BadInput: there is no such file or camera, or it is no video.
    """
    return _camera(video) if isinstance(video, int) else _file(Path(video))


def recording_of(
    film: Film, estimate: Estimator, id: str, skeleton: Skeleton, *, most: int | None = None
) -> Recording | None:
    """People in the pictures of a film that are left, without tracks; None where none are left.

    Args:
        film: whose pictures are taken from it.
        estimate: finds people in a picture.
        id: of the recording.
        skeleton: whose joints `estimate` finds.
        most: pictures that are taken; None: all.
    """
    found: list[Found] = []
    for picture in film.pictures:
        found.append(estimate(picture))
        if len(found) == most:
            break
    return recording_from(found, film, id, skeleton) if found else None


def recording_from(found: Sequence[Found], film: Film, id: str, skeleton: Skeleton) -> Recording:
    """A recording of the people in some pictures of a film."""
    M, T, V = max(len(score) for _, score in found), len(found), skeleton.num_joints
    keypoint = np.full((max(M, 1), T, V, 2), np.nan, np.float32)
    score = np.zeros(keypoint.shape[:3], np.float32)
    for t, (where, how_sure) in enumerate(found):
        keypoint[: len(where), t] = where.reshape(-1, V, 2)
        score[: len(where), t] = how_sure.reshape(-1, V)
    return Recording(
        id, keypoint, skeleton.joints, score, skeleton.name, unit="pixels",
        img_shape=film.img_shape, fps=film.fps, tracked=False,
    )  # fmt: skip


def _file(path: Path) -> Film:
    if not path.is_file():
        raise BadInput(f"there is no video {path}: give a file, or the number of a camera")
    ffmpeg = _module("imageio_ffmpeg")
    reader: Any = ffmpeg.read_frames(str(path), pix_fmt="bgr24")
    try:
        meta = next(reader)
    except (OSError, RuntimeError, StopIteration, KeyError):
        raise BadInput(f"{path} is no video that ffmpeg reads: convert it to .mp4") from None
    width, height = (int(side) for side in meta["size"])

    def pictures() -> Iterator[Picture]:
        for data in reader:
            yield np.frombuffer(data, np.uint8).reshape(height, width, 3)

    return Film(pictures(), float(meta["fps"]), (height, width))


def _camera(number: int) -> Film:
    cv2 = _module("cv2")
    camera: Any = cv2.VideoCapture(number)
    there, first = camera.read()
    if not there:
        camera.release()
        raise BadInput(f"there is no camera {number}, or another program has it: close that")
    fps = float(camera.get(cv2.CAP_PROP_FPS)) or CAMERA_FPS

    def pictures() -> Iterator[Picture]:
        try:
            picture, there = first, True
            while there:
                yield picture
                there, picture = camera.read()
        finally:
            camera.release()

    return Film(pictures(), fps, (int(first.shape[0]), int(first.shape[1])))


def _stem(url: str) -> str:
    return url.rsplit("/", 1)[-1].split(".")[0]


def _module(name: str) -> Any:
    if name not in sys.modules and find_spec(name) is None:
        raise BadInput(f"videos need {name}: pip install 'stgcn_lightning[video]'")
    return importlib.import_module(name)


@contextlib.contextmanager
def _nothing_on_stdout() -> Generator[None]:
    """What rtmlib and the programs that it starts print goes to standard error."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
