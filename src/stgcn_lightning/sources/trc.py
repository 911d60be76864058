"""TRC: tables of markers in space, as OpenSim, Pose2Sim, Sports2D and Vicon write them.

Text, separated by tabs. Line 1 begins with ``PathFileType``, lines 2 and 3 are names and values
(``DataRate``, ``NumFrames``, ``NumMarkers``, ``Units``), line 4 is ``Frame#``, ``Time`` and the
name of each marker over three columns, line 5 ``X1 Y1 Z1 ...``, then rows, before which there may
be an empty line. An empty cell is a marker that was not found. y is up, as in OpenSim.
"""

# NumPy's stubs lose the element type when an array changes its shape:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

import csv
import io
from pathlib import Path

import numpy as np

from stgcn_lightning.errors import BadInput
from stgcn_lightning.files.reading import bytes_of, opened
from stgcn_lightning.sources.joint_names import skeleton_of
from stgcn_lightning.sources.recordings import Reading, Recording, Unit, as_float32

MOST_BYTES = 1 << 28
UNITS: dict[str, Unit] = {"m": "metres", "cm": "centimetres", "mm": "millimetres"}


def recognise(path: Path) -> str | None:
    """See `formats`."""
    if path.suffix.lower() != ".trc" or not path.is_file():
        return None
    with opened(path) as file:
        begins = file.read(64).startswith(b"PathFileType")
    return "it begins with PathFileType, as TRC does" if begins else None


def read(path: Path, reading: Reading) -> list[Recording]:
    """See `formats`.

    Raises:
        BadInput: it does not begin as the format says, or has not the frames and markers that it
            promises.
    """
    content = bytes_of(path, MOST_BYTES, "divide the recording")
    text = content.decode("utf-8-sig", "replace")
    try:
        lines = list(csv.reader(io.StringIO(text, newline=""), delimiter="\t"))
    except csv.Error as error:
        raise BadInput(f"{path} cannot be read as TRC ({error}); export it again") from None
    if len(lines) < 6 or not text.startswith("PathFileType"):
        raise BadInput(f"{path} has not the five lines that a TRC file begins with; export it")
    stated = {
        name.strip(): value.strip() for name, value in zip(lines[1], lines[2], strict=False) if name
    }
    names = tuple(name.strip() for name in lines[3][2:] if name.strip())
    rows = [row for row in lines[5:] if any(cell.strip() for cell in row)]
    V, T = len(names), len(rows)
    if stated.get("NumMarkers") != str(V) or stated.get("NumFrames") != str(T) or not V * T:
        raise BadInput(
            f"{path} promises {stated.get('NumFrames')} frames of {stated.get('NumMarkers')} "
            f"markers but has {T} of {V}; copy it again"
        )
    if len(set(names)) < V:
        raise BadInput(f"{path} names two markers alike; rename one of them")
    width = 2 + 3 * V
    cells = [[cell.strip() or "nan" for cell in row[:width]] for row in rows]
    try:
        table = np.array([row + ["nan"] * (width - len(row)) for row in cells], np.float64)
    except ValueError as error:
        raise BadInput(f"{path} has a cell that is no number ({error}); correct it") from None
    numbers = table[:, 0]
    counted = np.isfinite(numbers).all() and (np.diff(numbers) > 0).all()
    return [
        Recording(
            id=path.stem,
            keypoint=as_float32(table[:, 2:].reshape(T, V, 3))[None],
            joints=names,
            skeleton=skeleton_of(names) or reading.skeleton,
            unit=UNITS.get(stated.get("Units", "").lower(), "unknown"),
            y="up",
            fps=_rate(stated.get("DataRate", "")),
            frames=numbers.astype(np.int64) if counted else None,
        )
    ]


def _rate(text: str) -> float | None:
    try:
        rate = float(text)
    except ValueError:
        return None
    return rate if 0 < rate < 1e6 else None
