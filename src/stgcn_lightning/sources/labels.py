"""What the user says about recordings of their own: folders that are classes, or a table.

A table is a CSV file with a line for each recording, or for each interval of a long one; see
`entries_of_table`.
"""

import csv
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PureWindowsPath

from stgcn_lightning.errors import BadInput, nearest
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
    """A recording, or an interval of one, and what the user says about it.

    Attributes:
        path: file or folder of the recording.
        id: path below the folder that was given, without ending, with / between folders.
        label: name of its class.
        split: name of its split, where the user says it.
        subject: who performs in it, where the user says it.
        start: first frame, or second; None: the recording's first.
        end: the frame, or second, after the last; None: the recording's end.
        seconds: whether `start` and `end` are seconds.
        where: the line of the table that says so; the path where there is no table.
    """

    path: Path
    id: str
    label: str
    split: str | None = None
    subject: str | None = None
    start: float | None = None
    end: float | None = None
    seconds: bool = False
    where: str = ""


def entries_of_folder(root: Path, is_recording: Callable[[Path], bool]) -> list[Entry]:
    """The recordings of a folder whose sub-folders are classes, sorted by their paths.

    The sub-folders may also be splits (`SPLITS`), whose sub-folders are classes. Between a class
    and its recordings there may be further folders. Names that begin with a dot are left out.

    Args:
        root: the folder.
        is_recording: whether a folder is one recording, with a file a frame.

    Raises:
        BadInput: there are no sub-folders, one of them holds nothing, or files lie beside them.
    """
    classes = _folders(root)
    if not classes:
        raise BadInput(
            f"{root} has no folders in it: put the recordings of each class into a folder with its "
            "name, or name them in a table, data=TABLE.csv with the columns file and label"
        )
    if is_recording(root) or all(is_recording(folder) for folder in classes):
        raise BadInput(
            f"{root} holds recordings and no classes: put the recordings of each class into a "
            "folder with its name, or name them in a table, data=TABLE.csv with the columns file "
            "and label"
        )
    by_split = all(folder.name.casefold() in SPLITS for folder in classes)
    found: list[Entry] = []
    for top in classes:
        for folder in _folders(top) if by_split else [top]:
            paths = _recordings(folder, is_recording)
            if not paths:
                raise BadInput(f"the class {folder} holds no recording: add some, or remove it")
            split = top.name if by_split else None
            found += [Entry(p, "", folder.name, split, where=str(p)) for p in paths]
    return _with_ids(found, root)


def _folders(folder: Path) -> list[Path]:
    try:
        inside = sorted(folder.iterdir())
    except OSError as error:
        raise BadInput(f"cannot read {folder}: {error.strerror}; check the path") from None
    return [one for one in inside if one.is_dir() and not one.name.startswith(".")]


def _recordings(folder: Path, is_recording: Callable[[Path], bool]) -> list[Path]:
    """Files, and folders that are recordings, in a folder and those in it."""
    found: list[Path] = []
    for one in sorted(folder.iterdir()):
        if one.name.startswith("."):
            continue
        if one.is_dir() and not is_recording(one):
            found += _recordings(one, is_recording)
        else:
            found.append(one)
    return found


def _with_ids(entries: Sequence[Entry], root: Path) -> list[Entry]:
    """Give every entry its id: without ending, unless that would be the id of another file."""
    names = {entry.path: _below(entry.path, root) for entry in entries}
    bare = {path: str(Path(name).with_suffix("")) for path, name in names.items()}
    times: dict[str, int] = {}
    for path, name in bare.items():
        times[name] = times.get(name, 0) + 1
        bare[path] = name if path.is_file() else names[path]
    return [
        replace(one, id=bare[one.path] if times[bare[one.path]] == 1 else names[one.path])
        for one in entries
    ]


def _below(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()


def entries_of_table(table: Path) -> tuple[list[Entry], list[str]]:
    """The recordings of a table, in the order of its lines.

    The table is UTF-8 text with a heading of columns (`COLUMNS`), whose case does not matter, and
    with commas, semicolons or tabs between them. `file` (relative to the table's folder) and
    `label` are needed. `start` and `end` are frames, as the recording numbers them, or counted from
    0 where it does not; `start_s` and `end_s` are seconds. The start belongs to the interval, the
    end does not; an empty one is the recording's own.

    Returns:
        The entries, and the headings that were not used.

    Raises:
        BadInput: a column is missing, or a line has a value that cannot be.
    """
    lines = _lines(table)
    if not lines:
        raise BadInput(f"{table} is empty: begin it with a line `file,label`")
    separator = max(SEPARATORS, key=lambda mark: len(_known(lines[0].split(mark))))
    rows = list(csv.reader(lines, delimiter=separator))
    heads = [head.strip().strip('"') for head in rows[0]]
    columns = _known(heads)
    for needed in ("file", "label"):
        if needed not in columns:
            near = nearest(needed, heads) if heads else ""
            raise BadInput(
                f"{table} has no column `{needed}` in its first line: name one so ({near})"
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
    return _with_ids(entries, table.parent), unused


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
    return re.split(r"\r\n|\r|\n", text.rstrip())


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
        id="",
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
        if path.exists():
            return path
    folder = (table.parent / given[1]).parent
    near = ""
    if folder.is_dir():
        stem = Path(given[1]).stem
        others = [p.name for p in sorted(folder.iterdir()) if p.stem == stem]
        near = f"; there is {' and '.join(others[:3])}" if others else ""
    raise BadInput(
        f"{where} names {name}, which is not there{near}: write files relative to the folder of "
        "the table"
    )
