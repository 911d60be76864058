"""Ultralytics' ``save_txt``: a text file a frame, ``labels/<video>_<frame from 1>.txt``.

A line is a person: ``class x y width height``, then ``x y visible`` (or ``x y``) of each joint, all
in [0, 1] of the picture, then the confidence where ``save_conf`` was set and the track where there
was one. How many joints there are, the number of columns leaves open: what gives the joints of a
skeleton that models of Ultralytics have is taken, and else `reading.skeleton` is asked for. A frame
without persons has no file. Files grow when a run is repeated: lines that are there twice count
once.

Source: ultralytics 8, engine/results.py (save_txt); docs.ultralytics.com/datasets/pose.
"""

# NumPy's stubs lose the element type when an array is reshaped or reduced:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stgcn_lightning.errors import BadInput
from stgcn_lightning.files.reading import bytes_of, opened
from stgcn_lightning.sources.detections import Detection, Frames, assembled
from stgcn_lightning.sources.frame_files import numbered, videos
from stgcn_lightning.sources.joint_names import JOINTS, joints_of
from stgcn_lightning.sources.recordings import Reading, Recording

SKELETONS = ("coco17", "hand21", "halpe26", "coco_wholebody133")
BOX = 5  # class, and x, y, width, height of the box
MOST_BYTES = 1 << 24  # of one frame
LEAST_COLUMNS = BOX + 2


def recognise(path: Path) -> str | None:
    """See `formats`."""
    files = _files(path)
    if not files or (len(columns := _columns(files[0])) < LEAST_COLUMNS):
        return None
    return f"{files[0].name} has lines of {len(columns)} numbers, a class and a box first"


def _files(path: Path) -> list[Path]:
    """The files of frames, those with a number first to last; `path` may be one of them."""
    if path.suffix == ".txt":
        return [path]
    if not path.is_dir():
        return []
    return numbered(sorted(path.glob("*.txt")))


def _columns(file: Path) -> list[float]:
    """The numbers of the first line; none where it is no line of a box in [0, 1]."""
    with opened(file) as lines:
        line = lines.readline(1 << 16)
    try:
        values = [float(word) for word in line.split()]
    except ValueError:
        return []
    of_box = values[1:BOX]
    whole = bool(values) and values[0] >= 0 and values[0].is_integer()
    return values if whole and all(0 <= one <= 1 for one in of_box) else []


def read(path: Path, reading: Reading) -> list[Recording]:
    """See `formats`.

    Raises:
        BadInput: there is no file of a frame, or its lines are not the numbers of known joints.
    """
    found = videos(_files(path)) if path.is_dir() else {"": {0: path}}
    if not found:
        raise BadInput(f"{path} has no text file of a frame, such as video_1.txt")
    recordings: list[Recording] = []
    for video, files in found.items():
        rows = {number: _rows(file) for number, file in files.items()}
        about = f"{path} ({len(files)} frames)" if path.is_dir() else str(path)
        id = path.stem if not path.is_dir() else path.name
        id = f"{id}:{video}" if len(found) > 1 else id
        recordings.append(_recording(rows, id, about, reading))
    return recordings


def _rows(file: Path) -> NDArray[np.float64]:
    """(persons, columns) of one frame."""
    text = bytes_of(file, MOST_BYTES, "too many for one frame: write a file for each frame")
    lines = list(dict.fromkeys(line for line in text.split(b"\n") if line.strip()))
    try:
        rows = [[float(word) for word in line.split()] for line in lines]
    except ValueError:
        raise BadInput(f"{file} has a line with something else than numbers; correct it") from None
    widths = sorted({len(row) for row in rows})
    if len(widths) > 1:
        raise BadInput(
            f"{file} has lines of {widths[0]} and of {widths[-1]} numbers; write all with the same "
            "options"
        )
    return np.array(rows, np.float64).reshape(len(rows), widths[0] if widths else 0)


def _recording(
    rows: dict[int, NDArray[np.float64]], id: str, about: str, reading: Reading
) -> Recording:
    widths = {found.shape[1] for found in rows.values() if len(found)}
    if len(widths) != 1:
        lines = " and of ".join(map(str, sorted(widths))) or "no"
        raise BadInput(f"{about} has lines of {lines} numbers; write all with the same options")
    V, C, extra = _layout(widths.pop(), about, reading)
    kinds = _extras(np.concatenate([found for found in rows.values() if len(found)]), extra)
    frames = {
        number: [_person(row, V, C, kinds) for row in found] for number, found in rows.items()
    }
    skeleton, joints = joints_of(V, SKELETONS, reading.skeleton, about)
    return assembled(Frames(frames, about, unit="picture"), id, joints, skeleton)


def _layout(columns: int, about: str, reading: Reading) -> tuple[int, int, int]:
    """Number of joints, numbers of each, and how many columns follow them."""
    ways = [
        ((columns - BOX - extra) // size, size, extra)
        for size in (3, 2)
        for extra in (0, 1, 2)
        if (columns - BOX - extra) % size == 0
    ]
    if reading.skeleton is not None:
        wanted = [len(JOINTS.get(reading.skeleton, ()))] if reading.skeleton in JOINTS else []
    else:
        wanted = [len(JOINTS[name]) for name in SKELETONS]
    fitting = [way for way in ways if way[0] in wanted]
    if reading.skeleton is not None and not wanted and ways[0][0] > 0:
        return ways[0]  # a skeleton of the user's own; with visibility there is but one way
    if not fitting:
        known = ", ".join(f"{way[0]} ({way[1]} numbers each)" for way in ways if way[0] > 0)
        raise BadInput(
            f"{about} has lines of {columns} numbers, which may be {known or 'no'} key points; set "
            "reading.skeleton=NAME"
        )
    return fitting[0]


def _extras(rows: NDArray[np.float64], extra: int) -> tuple[str, ...]:
    """What the columns after the key points are: a confidence is hardly ever a whole number."""
    if extra == 2:
        return "confidence", "track"
    whole = extra == 1 and bool((rows[:, -1] == np.floor(rows[:, -1])).all())
    return ("track",) if whole else ("confidence",) * extra


def _person(row: NDArray[np.float64], V: int, size: int, kinds: tuple[str, ...]) -> Detection:
    points = row[BOX : BOX + V * size].reshape(V, size)
    track = f"{row[-1]:g}" if "track" in kinds else None
    return Detection(points[:, :2], points[:, 2] if size == 3 else None, track)
