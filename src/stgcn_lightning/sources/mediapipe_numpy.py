"""MediaPipe's landmarks as arrays of numpy: of a whole recording, or a file a frame.

An array is (T, 33, 3) or (T, 33, 4), flat as (T, 99) or (T, 132), Holistic's flat (T, 1662), which
begins with the 33 of the pose as x, y, z, visibility, or (T, 543, 3) of Kaggle's order. A folder of
``0.npy``, ``1.npy``, ... with one frame each is one recording. An .npz has one such array, or calls
it ``landmarks``, ``pose`` or ``pose_landmarks``.

Axes: T frames, V landmarks.
"""

# NumPy's stubs lose the element type when an array is reshaped or reduced:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stgcn_lightning.errors import BadInput
from stgcn_lightning.files.numpy_files import mapped, npy_header, opened_npz
from stgcn_lightning.sources.detections import MOST_VALUES, Detection
from stgcn_lightning.sources.frame_files import numbered, videos
from stgcn_lightning.sources.mediapipe import landmarks
from stgcn_lightning.sources.own_npz import arrays
from stgcn_lightning.sources.recordings import Reading, Recording

NAMES = ("landmarks", "pose", "pose_landmarks")
V = 33
HOLISTIC = 33 * 4 + 468 * 3 + 21 * 3 + 21 * 3  # 1662
KAGGLE, KAGGLE_POSE = 543, 489  # face 468, left hand 21, then the pose


def recognise(path: Path) -> str | None:
    """See `formats`."""
    if path.is_dir():
        first = next(iter(numbered(sorted(path.glob("*.npy")))), None)
        shape = None if first is None else _shape(first)
        if first is None or shape is None or not _is_of_frames((1, *shape)):
            return None
        return f"{first.name} is an array {shape} of a frame"
    shape = _shape(path)
    return f"it is an array {shape} of frames" if shape and _is_of_frames(shape) else None


def _frames(folder: Path) -> dict[str, dict[int, Path]]:
    return videos(sorted(folder.glob("*.npy")))


def _shape(path: Path) -> tuple[int, ...] | None:
    """Shape of the array in a file, by its head."""
    try:
        if path.suffix.lower() == ".npy":
            return npy_header(path).shape
        if path.suffix.lower() == ".npz":
            with opened_npz(path, "write it again") as archive:
                return archive.header(_name(archive.names)).shape
    except (BadInput, ValueError, OSError):
        return None
    return None


def _name(names: list[str]) -> str:
    """The array of an archive that has landmarks."""
    known = [name for name in names if name in NAMES]
    return (known or names)[0] if known or len(names) == 1 else ""


def _is_of_frames(shape: tuple[int, ...]) -> bool:
    if len(shape) == 4 and shape[1] == 1:
        shape = (shape[0], *shape[2:])
    flat = (V * 3, V * 4, HOLISTIC)
    return shape[1:] in {(V, 3), (V, 4), (KAGGLE, 3)} or (len(shape) == 2 and shape[1] in flat)


def read(path: Path, reading: Reading) -> list[Recording]:
    """See `formats`.

    Raises:
        BadInput: it has no array of landmarks, or no person in any frame.
    """
    if path.is_file():
        return [_recording(_points(_array(path), path), path.stem, path, reading)]
    found: list[Recording] = []
    frames = _frames(path)
    for video, files in frames.items():
        points = {number: _points(_array(file)[None], file)[0] for number, file in files.items()}
        id = f"{path.name}:{video}" if len(frames) > 1 else path.name
        found.append(_recording(points, id, path, reading))
    if not found:
        raise BadInput(f"{path} has no file of a frame, such as 0.npy")
    return found


def _recording(
    points: NDArray[np.float64] | dict[int, NDArray[np.float64]],
    id: str,
    path: Path,
    reading: Reading,
) -> Recording:
    frames = points if isinstance(points, dict) else dict(enumerate(points))
    found = {
        number: [Detection(one[:, :3], one[:, 3] if one.shape[1] == 4 else None)]
        if np.isfinite(one[:, :2]).any() and one[:, :2].any()
        else []
        for number, one in frames.items()
    }
    return landmarks(found, id, str(path), reading)


def _array(path: Path) -> NDArray[np.float64]:
    if path.suffix.lower() == ".npz":
        content = arrays(path)
        found = content.get(_name(list(content)))
    else:
        try:
            found = mapped(path)
        except (ValueError, OSError) as error:
            raise BadInput(f"{path} cannot be read as .npy ({error}); write it again") from None
    if found is None or found.dtype.kind not in "fiu" or found.size > MOST_VALUES:
        raise BadInput(f"{path} has no array of landmarks; give one of (frames, 33, 4)")
    with np.errstate(invalid="ignore"):  # of a damaged NaN
        return np.asarray(found, np.float64)


def _points(array: NDArray[np.float64], path: Path) -> NDArray[np.float64]:
    """(T, 33, 3 or 4) of an array of frames."""
    if not _is_of_frames(array.shape):
        raise BadInput(f"{path} is an array {array.shape}; give (frames, 33, 4)")
    T = len(array)
    if array.ndim == 4:
        array = array[:, 0]
    if array.shape[1] == HOLISTIC:
        array = array[:, : V * 4]
    if array.ndim == 2:
        return array.reshape(T, V, array.shape[1] // V)
    return array[:, KAGGLE_POSE : KAGGLE_POSE + V] if array.shape[1] == KAGGLE else array
