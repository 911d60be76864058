"""What the user says about recordings of their own: folders that are classes, or a table.

A table is a CSV file with a line for each recording, or for each interval of a long one; see
`entries_of_table`.
"""

import csv
import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

from stgcn_lightning.errors import BadInput
from stgcn_lightning.files.reading import opened

# column -> headings that mean it, in small letters and without spaces around them
COLUMNS = {
    "file": ("file", "path", "filename", "file_name", "recording", "video"),
    "label": ("label", "class", "action", "class_name"),
    "split": ("split", "set", "subset"),
    "subject": ("subject", "person", "actor", "performer"),
    "start": ("start", "start_frame", "begin"),
    "end": ("end", "end_frame"),
    "start_s": ("start_s", "start_seconds", "start_time"),
    "end_s": ("end_s", "end_seconds", "end_time"),
}
HEADINGS = {heading: column for column, names in COLUMNS.items() for heading in names}
SEPARATORS = ",;\t"
SPLITS = ("train", "training", "val", "valid", "validation", "test", "testing")
LARGEST = 100 << 20  # bytes of a table: a million lines of a hundred characters


@dataclass(frozen=True)
class Entry:
    """Recordings of one class, or an interval of one, and what the user says about them.

    Attributes:
        path: file or folder of a recording, or folder of several.
        label: name of the class.
        split: name of the split, where the user says it.
        subject: who performs, where the user says it.
        start: first frame, or second; None: the recording's first.
        end: the frame, or second, after the last; None: the recording's end.
        seconds: whether `start` and `end` are seconds.
        where: the line of the table that says so; the folder where there is no table.
    """

    path: Path
    label: str
    split: str | None = None
    subject: str | None = None
    start: float | None = None
    end: float | None = None
    seconds: bool = False
    where: str = ""


def entries_of_folder(root: Path) -> list[Entry]:
    """The classes of a folder, which are its sub-folders, sorted by name.

    The sub-folders may also be splits (`SPLITS`), whose sub-folders are classes. Names that begin
    with a dot are left out.

    Raises:
        BadInput: there are no sub-folders.
    """
    tops = _folders(root)
    if not tops:
        raise BadInput(
            f"{root} has no folders in it: put the recordings of each class into a folder with its "
            "name, or name them in a table, data=TABLE.csv with the columns file and label"
        )
    if all(folder.name.casefold() in SPLITS for folder in tops):
        return [
            Entry(one, one.name, split=top.name, where=str(one))
            for top in tops
            for one in _folders(top)
        ]
    return [Entry(one, one.name, where=str(one)) for one in tops]


def _folders(folder: Path) -> list[Path]:
    try:
        inside = sorted(folder.iterdir())
    except OSError as error:
        raise BadInput(f"cannot read {folder}: {error.strerror}; check the path") from None
    return [one for one in inside if one.is_dir() and not one.name.startswith(".")]


def entries_of_table(table: Path) -> tuple[list[Entry], list[str]]:
    """The recordings of a table, in the order of its lines.

    The table is UTF-8 text with a heading of columns (`COLUMNS`), whose case does not matter, and
    with commas, semicolons or tabs between them. `file` (relative to the table's folder; also a
    folder of recordings) and `label` are needed. `start` and `end` are frames, as the recording
    numbers them, or counted from 0 where it does not; `start_s` and `end_s` are seconds. The start
    belongs to the interval, the end does not; an empty one is the recording's own.

    Returns:
        The entries, and the headings that were not used.

    Raises:
        BadInput: a column is missing, or a line has a value that cannot be.
    """
    lines = _lines(table)
    if not lines[0].strip():
        raise BadInput(f"{table} is empty: begin it with a line `file,label`")
    separator = max(SEPARATORS, key=lambda mark: len(_known(lines[0].split(mark))))
    rows = list(csv.reader(lines, delimiter=separator))
    heads = [head.strip().strip('"') for head in rows[0]]
    columns = _known(heads)
    for needed in ("file", "label"):
        if needed not in columns:
            raise BadInput(
                f"{table} has the columns {', '.join(heads)} and none called `{needed}`: rename "
                "the one that is meant, or add it"
            )
    if ("start" in columns or "end" in columns) and ("start_s" in columns or "end_s" in columns):
        raise BadInput(
            f"{table} gives starts and ends as frames and as seconds: keep start and end, or "
            "start_s and end_s"
        )
    entries: list[Entry] = []
    for number, row in enumerate(rows[1:], 2):
        if not any(cell.strip() for cell in row):
            continue
        if len(row) != len(heads):
            raise BadInput(
                f"line {number} of {table} has {len(row)} values for {len(heads)} columns: quote "
                f'values that hold the separator, "a{separator}b"'
            )
        cells = {column: row[at].strip() for column, at in columns.items()}
        entries.append(_entry(table, f"line {number} of {table}", cells))
    if not entries:
        raise BadInput(f"{table} names no recording: add a line for each")
    used = set(columns.values())
    unused = [head for at, head in enumerate(heads) if at not in used and head]
    return entries, unused


def _lines(table: Path) -> list[str]:
    with opened(table) as file:
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise BadInput(f"{table} is larger than {LARGEST >> 20} MiB: divide it into several")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise BadInput(f"{table} is not UTF-8 text: save it as CSV in UTF-8")
    return re.split(r"\r\n|\r|\n", text.rstrip("\r\n"))


def _known(heads: Sequence[str]) -> dict[str, int]:
    """Where each column is; the first of two headings that mean the same."""
    found: dict[str, int] = {}
    for at, head in enumerate(heads):
        if column := HEADINGS.get(head.strip().strip('"').casefold()):
            found.setdefault(column, at)
    return found


def _entry(table: Path, where: str, cells: dict[str, str]) -> Entry:
    for needed in ("file", "label"):
        if not cells[needed]:
            raise BadInput(f"{where} has no {needed}: fill it in, or remove the line")
    seconds = "start_s" in cells or "end_s" in cells
    start, end = (
        _number(where, name, cells.get(f"{name}_s" if seconds else name, ""), whole=not seconds)
        for name in ("start", "end")
    )
    if start is not None and end is not None and end <= start:
        raise BadInput(
            f"{where} ends at {end:g} and starts at {start:g}: give an end after the start"
        )
    return Entry(
        path=_found(table, where, cells["file"]),
        label=cells["label"],
        split=cells.get("split") or None,
        subject=cells.get("subject") or None,
        start=start,
        end=end,
        seconds=seconds,
        where=where,
    )


def _number(where: str, name: str, text: str, *, whole: bool) -> float | None:
    if not text:
        return None
    what = "a frame, a whole number from 0" if whole else "seconds from 0"
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf or (whole and not value.is_integer()):
        raise BadInput(f"{where} has the {name} {text!r}: give {what}")
    return value


def _found(table: Path, where: str, name: str) -> Path:
    """The file or folder that a table names, which may be written as Windows writes it."""
    given = [name, PureWindowsPath(name).as_posix()]
    for one in given:
        path = table.parent / one
        if os.path.exists(path):  # False of a name that no file can have
            return path
    folder = (table.parent / given[1]).parent
    near = ""
    if os.path.isdir(folder):
        stem = Path(given[1]).stem
        others = [p.name for p in sorted(folder.iterdir()) if p.stem == stem]
        near = f"; there is {' and '.join(others[:3])}" if others else ""
    raise BadInput(
        f"{where} names {name}, which is not there{near}: write files relative to the folder of "
        "the table"
    )
