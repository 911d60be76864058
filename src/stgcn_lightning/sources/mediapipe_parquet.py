"""Kaggle's tables of MediaPipe Holistic (.parquet): a row for each landmark of each frame.

Columns ``frame, row_id, type, landmark_index, x, y, z``, 543 rows a frame; type is face, left_hand,
pose or right_hand, of which the 33 of the pose are read. NaN was not found. Reading it needs
pyarrow, which ``pip install 'stgcn_lightning[formats]'`` brings.

Source: Kaggle, Google - Isolated Sign Language Recognition, data description.
"""

import importlib
from pathlib import Path
from typing import Any

import numpy as np

from stgcn_lightning.errors import BadInput
from stgcn_lightning.files.reading import opened
from stgcn_lightning.files.unpickling import said_by
from stgcn_lightning.sources.detections import MOST_VALUES, Detection
from stgcn_lightning.sources.mediapipe import landmarks
from stgcn_lightning.sources.recordings import Reading, Recording

V = 33
COLUMNS = ("frame", "type", "landmark_index", "x", "y", "z")


def recognise(path: Path) -> str | None:
    """See `formats`."""
    if path.suffix.lower() != ".parquet" or not path.is_file():
        return None
    with opened(path) as file:
        if file.read(4) != b"PAR1":
            return None
    return "it is a table of Parquet, as Kaggle has MediaPipe's landmarks"


def read(path: Path, reading: Reading) -> list[Recording]:
    """See `formats`.

    Raises:
        BadInput: pyarrow is not installed, or the table lacks columns or landmarks of the pose, or
            is too large.
    """
    content = _columns(path)
    pose = content["type"] == "pose"
    numbers, index = content["frame"][pose], content["landmark_index"][pose]
    if not len(numbers) or index.min() < 0 or index.max() >= V:
        raise BadInput(f"{path} has no landmarks 0 to {V - 1} of type pose; check its columns")
    order, place = np.unique(content["frame"], return_inverse=True)
    if len(order) * V * 3 > MOST_VALUES:
        raise BadInput(f"{path} has {len(order):,} frames; divide it")
    points = np.full((len(order), V, 3), np.nan)
    points[place[pose], index] = np.stack([content[axis][pose] for axis in "xyz"], axis=-1)
    frames = {
        int(number): [Detection(one)] if np.isfinite(one).any() else []
        for number, one in zip(order, points, strict=True)
    }
    return [landmarks(frames, path.stem, str(path), reading)]


def _columns(path: Path) -> dict[str, Any]:
    try:
        parquet: Any = importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise BadInput(
            f"{path} is a table of Parquet, which pyarrow reads: pip install "
            "'stgcn_lightning[formats]'"
        ) from None
    try:
        file = parquet.ParquetFile(path)
        if file.metadata.num_rows * len(COLUMNS) > MOST_VALUES:
            raise BadInput(f"{path} has {file.metadata.num_rows:,} rows; divide it")
        table = file.read(columns=list(COLUMNS))
        found = {name: table[name].to_numpy() for name in COLUMNS}
        for name in ("frame", "landmark_index"):
            found[name] = found[name].astype(np.int64)
        return found | {axis: found[axis].astype(np.float64) for axis in "xyz"}
    except BadInput:
        raise
    except Exception as error:  # damaged files raise nearly anything
        raise BadInput(
            f"{path} cannot be read as a table of {', '.join(COLUMNS)} ({said_by(error)}); write "
            "it again"
        ) from None
