"""DeepLabCut's results, .h5 and .csv, also Lightning Pose's: one or several animals or persons.

A table with a row for each frame, whose columns have three names, or four where there are several
individuals: scorer, (individuals,) bodyparts, coords, of which the last is x, y, likelihood, or
x, y, z after triangulation. The .h5 file is one of pandas, under the key ``df_with_missing``; its
columns' names are a pickle in an attribute, which is read without executing it. NaN is what was not
found. Joints have coordinates however unlikely they are: those of a likelihood below 0.6, the cut
of DeepLabCut's own plots, are taken as not found unless ``reading.least_score`` says otherwise.
Pixels of the video, of its cropped part if the project crops.

Source: DeepLabCut's user guide and pandas' io.pytables.

Axes: M individuals, T frames, V body parts, C coordinates.
"""

# NumPy's stubs lose the element type when an array changes its shape:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stgcn_lightning.errors import BadInput
from stgcn_lightning.files.reading import bytes_of, opened
from stgcn_lightning.sources.hdf5_files import bounded, entries, hdf5, is_hdf5, texts, values
from stgcn_lightning.sources.joint_names import skeleton_of
from stgcn_lightning.sources.recordings import Reading, Recording, as_float32

KEY = "df_with_missing"
LEAST_LIKELIHOOD = 0.6
MOST_BYTES = 1 << 29
MOST_LABELS = 1 << 24  # bytes of the attribute with the columns' names
ALONE = "single"  # individual that owns the parts that nobody else has


@dataclass(frozen=True, eq=False)
class _Frame:
    """A table: names of columns without the scorer, numbers of frames, values (T, columns)."""

    columns: list[tuple[str, str, str]]  # individual, body part, coordinate
    index: NDArray[np.int64] | None
    values: NDArray[np.float64]
    about: str


def recognise(path: Path) -> str | None:
    """See `formats`."""
    if path.suffix.lower() == ".csv" and path.is_file():
        with opened(path) as file:
            head = file.read(1 << 16).decode("utf-8-sig", "replace").splitlines()[:4]
        names = [line.partition(",")[0].strip() for line in head]
        if names[:3] == ["scorer", "bodyparts", "coords"] or names == [
            "scorer", "individuals", "bodyparts", "coords"
        ]:  # fmt: skip
            return "its first column begins with scorer, bodyparts and coords, as DeepLabCut's"
        return None
    if not is_hdf5(path):
        return None
    with hdf5(path) as file:
        return f"it is an HDF5 file with {KEY}, as DeepLabCut's" if KEY in file else None


def read(path: Path, reading: Reading) -> list[Recording]:
    """See `formats`."""
    frame = _of_csv(path) if path.suffix.lower() == ".csv" else _of_h5(path)
    return [_recording(frame, path.stem, reading)]


def _of_csv(path: Path) -> _Frame:
    content = bytes_of(path, MOST_BYTES, "divide the recording")
    try:
        rows = [row for row in csv.reader(io.StringIO(content.decode("utf-8-sig"))) if row]
    except (UnicodeDecodeError, csv.Error):
        raise BadInput(f"{path} is no CSV table in UTF-8; write it again") from None
    levels = next((n + 1 for n, row in enumerate(rows[:4]) if row[0].strip() == "coords"), 0)
    if levels < 3:
        raise BadInput(
            f"{path} has no rows scorer, bodyparts, coords at its beginning; write it with "
            "save_as_csv=True"
        )
    for number, row in enumerate(rows):
        if len(row) != len(rows[0]):
            raise BadInput(
                f"{path} has {len(row)} cells in row {number + 1} below {len(rows[0])} names; copy "
                "it again"
            )
    columns = [
        tuple(cell.strip() for cell in column) for column in zip(*rows[:levels], strict=True)
    ]
    body = rows[levels:]
    try:
        table = np.array([[cell.strip() or "nan" for cell in row[1:]] for row in body], np.float64)
    except ValueError as error:
        raise BadInput(f"{path} has a cell that is no number ({error}); correct it") from None
    try:
        index = np.array([int(float(row[0])) for row in body], np.int64)
    except (ValueError, OverflowError):  # names of pictures, in tables of labels
        index = None
    return _frame(columns[1:], index, table, str(path))


def _of_h5(path: Path) -> _Frame:
    with hdf5(path) as file:
        if KEY not in file:
            raise BadInput(f"{path} has no {KEY}, the key of DeepLabCut's tables; write it again")
        group = file[KEY]
        about = f"{path}: {KEY}"
        if hasattr(group, "dtype"):  # a data set, whose entries would be looked at one by one
            raise BadInput(f"{about} is no table of numbers as pandas writes it; write it again")
        if "table" in group:
            columns, index, table = _table_format(group, path)
        elif "block0_values" in group:
            columns = _fixed_columns(group)
            numbered = "axis1" in group and group["axis1"].dtype.kind in "iu"
            index = values(group["axis1"], about, ndim=1) if numbered else None
            table = values(group["block0_values"], about, ndim=2)
        else:
            raise BadInput(f"{about} is no table of numbers as pandas writes it; write it again")
    if index is not None and index.dtype.kind not in "iu":
        index = None
    return _frame(columns, index, table.astype(np.float64), str(path))


def _table_format(
    group: Any, path: Path
) -> tuple[list[tuple[str, ...]], NDArray[Any] | None, NDArray[Any]]:
    """Pandas' format="table": one record a frame, the columns' names in a pickled attribute."""
    from stgcn_lightning.files.pickles import read_pickled

    rows = group["table"]
    names = rows.dtype.names or ()
    if "values_block_0" not in names:
        raise BadInput(f"{path} has no table of numbers; write it again")
    records = bounded(rows, f"{path}: {KEY}")[()]
    axes = group.attrs.get("non_index_axes")
    content = axes.tobytes() if hasattr(axes, "tobytes") else axes
    if not isinstance(content, bytes) or len(content) > MOST_LABELS:
        raise BadInput(f"{path} has no names of columns; write it again")
    found = read_pickled(io.BytesIO(content), path)
    try:
        ((_, labels),) = found  # type: ignore[misc] - checked here
        columns = [tuple(str(part) for part in label) for label in labels]
    except (TypeError, ValueError):
        raise BadInput(f"{path} has names of columns of another form; write it again") from None
    index = records["index"] if "index" in names else None
    return columns, index, np.asarray(records["values_block_0"])


def _fixed_columns(group: Any) -> list[tuple[str, ...]]:
    """Pandas' format="fixed": levels of names, and which of them each column has."""
    levels = sum(f"block0_items_level{n}" in group for n in range(8))
    parts: list[list[str]] = []
    for n in range(levels):
        names = texts(group[f"block0_items_level{n}"])
        label = f"block0_items_label{n}"
        parts.append([names[int(code)] for code in entries(group[label])])
    return list(zip(*parts, strict=True))


def _frame(
    columns: Sequence[tuple[str, ...]],
    index: NDArray[Any] | None,
    table: NDArray[np.float64],
    about: str,
) -> _Frame:
    """The table with (individual, body part, coordinate) for every column.

    Raises:
        BadInput: columns have other names than DeepLabCut's.
    """
    if not columns or any(len(column) not in (3, 4) for column in columns):
        raise BadInput(
            f"{about} has columns with {len(columns[0]) if columns else 0} names each, where "
            "DeepLabCut's have scorer, (individuals,) bodyparts, coords: write it again"
        )
    if table.ndim != 2 or table.shape[1] != len(columns) or not len(table):
        raise BadInput(f"{about} has {len(table)} frames for {len(columns)} columns; copy it again")
    named = [(column[1] if len(column) == 4 else "", column[-2], column[-1]) for column in columns]
    increasing = index is not None and len(index) == len(table) and (np.diff(index) > 0).all()
    return _Frame(
        named, index.astype(np.int64) if increasing and index is not None else None, table, about
    )


def _recording(frame: _Frame, id: str, reading: Reading) -> Recording:
    parts: dict[str, list[str]] = {}
    for individual, part, _ in frame.columns:
        own = parts.setdefault(individual, [])
        if part not in own:
            own.append(part)
    individuals = [name for name in parts if name != ALONE] or list(parts)
    joints = tuple(parts[individuals[0]])
    for name in individuals:
        if set(parts[name]) != set(joints):
            raise BadInput(
                f"{frame.about}: {name} has other body parts than {individuals[0]}; write one "
                "skeleton to a file"
            )
    place = {column: at for at, column in enumerate(frame.columns)}
    kinds = {coordinate for _, _, coordinate in frame.columns}
    words = ("x", "y", "z") if "z" in kinds else ("x", "y")

    def stacked(word: str) -> NDArray[np.float64]:
        try:
            at = [[place[one, part, word] for part in joints] for one in individuals]
        except KeyError as missing:
            raise BadInput(f"{frame.about} has no column {missing}; write it again") from None
        return frame.values[:, at].swapaxes(0, 1)  # M, T, V

    keypoint = np.stack([stacked(word) for word in words], axis=-1)
    score: NDArray[np.float64] | None = None
    remarks: list[str] = []
    if "likelihood" in kinds:
        score = np.nan_to_num(stacked("likelihood"))
        least = LEAST_LIKELIHOOD if reading.least_score is None else reading.least_score
        unlikely = (score < least) & np.isfinite(keypoint).all(-1)
        keypoint[unlikely] = np.nan
        remarks.append(
            f"{unlikely.mean():.1%} of the joints have a likelihood below {least:g} and are taken "
            "as not found (reading.least_score)"
        )
    if len(individuals) < len(parts):
        remarks.append(f"{', '.join(parts[ALONE])}, which belong to no individual, are left out")
    return Recording(
        id=id,
        keypoint=as_float32(keypoint),
        joints=joints,
        score=None if score is None else as_float32(score),
        skeleton=skeleton_of(joints) or reading.skeleton,
        unit="pixels" if len(words) == 2 else "unknown",
        frames=frame.index,
        persons=tuple(individuals) if individuals != [""] else (),
        remarks=tuple(remarks),
    )
