"""Tables with a row of names, as CSV: read with bounds, and refused in a sentence.

Separators are comma, semicolon or tab. An empty cell and `nan` are NaN.
"""

import csv
import functools
import io
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stgcn_lightning.errors import BadInput, brief
from stgcn_lightning.files.kinds import kind_of
from stgcn_lightning.files.reading import opened

MOST_BYTES = 1 << 28
MOST_COLUMNS = 10_000


@dataclass(frozen=True, eq=False)
class Table:
    """A table of text.

    Attributes:
        names: of the columns, as in the file.
        rows: as many cells each as there are names; without blank lines.
        about: the file, for the sentence of an error.
    """

    names: tuple[str, ...]
    rows: list[list[str]]
    about: str

    def numbers(self, columns: list[int]) -> NDArray[np.float64]:
        """(rows, columns) the numbers of these columns.

        Raises:
            BadInput: a cell holds something else; row and column are named.
        """
        cells = [[row[column] for column in columns] for row in self.rows]
        try:
            return np.array([[cell or "nan" for cell in row] for row in cells], np.float64)
        except ValueError:
            for number, row in enumerate(cells):
                for column, cell in zip(columns, row, strict=True):
                    if not _is_number(cell):
                        raise BadInput(
                            f"{self.about} has {brief(cell)} in column {self.names[column]} of row "
                            f"{number + 1}; write a number, or leave the cell empty"
                        ) from None
            raise


def _is_number(cell: str) -> bool:
    try:
        float(cell or "nan")
    except ValueError:
        return False
    return True


def header(path: Path) -> tuple[str, ...]:
    """The first row of a file of text; empty where it has none or is no text."""
    with opened(path) as file:
        first = file.readline(1 << 20)
    try:
        text = first.decode("utf-8-sig")
    except UnicodeDecodeError:
        return ()
    if "\0" in text or not text.strip():
        return ()
    return _cells(text, text)[0]


def read_table(path: Path) -> Table:
    """The table of a CSV file; the last one is kept for the next call.

    Raises:
        BadInput: the file cannot be read, is no table, or is too large.
    """
    try:
        stat = os.stat(path)
    except OSError:
        with opened(path):  # says why
            raise
    return _read(path, stat.st_mtime_ns, stat.st_size)


@functools.lru_cache(maxsize=1)
def _read(path: Path, changed: int, size: int) -> Table:
    del changed
    if size > MOST_BYTES:
        raise BadInput(f"{path} has {size:,} bytes; write a file for each recording")
    with opened(path) as file:
        content = file.read()
    if not content.strip():
        raise BadInput(f"{path} is empty; copy it again")
    if kind := kind_of(path):
        raise BadInput(f"{path} is {kind}, no CSV table; give the file of key points itself")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadInput(f"{path} is no text in UTF-8; write it again") from None
    names, *rows = _cells(text, text.partition("\n")[0])
    if len(names) > MOST_COLUMNS:
        raise BadInput(f"{path} has {len(names):,} columns; give key points of persons")
    if len(set(names)) < len(names):
        twice = next(name for i, name in enumerate(names) if name in names[:i])
        raise BadInput(f"{path} has two columns of the name {brief(twice)}; rename one of them")
    if not rows:
        raise BadInput(f"{path} has no row below the names of its columns; leave it out")
    for number, row in enumerate(rows):
        if len(row) != len(names):
            raise BadInput(
                f"{path} has {len(row)} cells in row {number + 1} below {len(names)} names; write "
                "or copy it again"
            )
    return Table(names, [list(row) for row in rows], str(path))


def _cells(text: str, first: str) -> list[tuple[str, ...]]:
    """Rows of cells, without spaces around them; what separates them, the first row tells."""
    separator = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text.replace("\0", "")), delimiter=separator)
    try:
        rows = [tuple(cell.strip() for cell in row) for row in reader]
    except csv.Error:  # a cell of more than 131,072 characters
        return [()]
    kept = [row for row in rows if any(row) or len(row) > 1]  # empty cells are a frame, too
    return kept or [()]
