"""What the tests of other projects write, as a table: scores, and what names and labels there are.

| Project | its pickle |
|---|---|
| MMAction2 1.x, ``--dump`` | a list of dicts with `pred_score` and `gt_label`, in test order |
| PYSKL and MMAction2 0.x, ``--out`` | a list of arrays (classes,), in test order |
| CTR-GCN, 2s-AGCN, MS-G3D, ... | a dict of sample name -> array (classes,), mostly logits |
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from stgcn_lightning.errors import BadInput, brief
from stgcn_lightning.files.dumps import read_test_dump

FORMS = (
    "a test dump of MMAction2 (a list of pred_score and gt_label), PYSKL (a list of arrays) or "
    "CTR-GCN (a dict of sample name -> array)"
)
LONGEST = 1000  # letters of a name: a table of names has room for the longest in each row
NUMBERS = (int, float, np.number, np.bool_)
DIGITS = 20  # letters of a number that is text
NUMBERED = r"((train|val|test)_)?(\d{1,18})"  # CTR-GCN's names: places in its own file


@dataclass(frozen=True)
class Table:
    """Scores of B samples.

    Attributes:
        values: (B, classes) float32.
        ids: (B,) names of the samples; None: the file has none.
        places: (B,) the order of the samples if `ids` are numbers, which may be places in a split
            and not names; None: they are none.
        labels: (B,) int64, the true classes; None: the file has none.
    """

    values: NDArray[np.float32]
    ids: NDArray[np.str_] | None = None
    labels: NDArray[np.int64] | None = None
    places: NDArray[np.int64] | None = None

    @property
    def named(self) -> bool:
        """Whether the file names its samples, and does not only number them."""
        return self.ids is not None and self.places is None


def read_table(path: Path) -> Table:
    """Read a pickle of scores.

    Raises:
        BadInput: it cannot be read, or is none of those above.
    """
    content = read_test_dump(path)
    ids = labels = places = None
    if isinstance(content, dict):
        table = cast("dict[Any, Any]", content)
        if "annotations" in table:
            raise BadInput(f"{path} holds annotations, no scores: give what a test wrote")
        rows = list(table.values())
        names = [
            name.decode(errors="replace") if isinstance(name, bytes) else str(name)
            for name in table
        ]
        if (longest := max(map(len, names), default=0)) > LONGEST:
            raise BadInput(
                f"{path} has a sample with a name of {longest} letters: give it a short one"
            )
        ids = np.array(names, np.str_)
        numbers = [int(one[3]) for name in names if (one := re.fullmatch(NUMBERED, name))]
        if len(numbers) == len(names):
            places = np.argsort(numbers, kind="stable")
    elif isinstance(content, list) or (
        isinstance(content, np.ndarray) and content.ndim > 1 and content.size
    ):
        rows = list(cast("list[Any]", content))
        if rows and all(isinstance(row, dict) for row in rows):
            labels = _labels(path, rows)
            rows = [_field(row, "pred_score") for row in rows]
    else:
        kind = type(cast(object, content)).__name__
        raise BadInput(f"{path} holds one {kind}, where scores are {FORMS}")
    return Table(_stacked(path, rows), ids, labels, places)


def _labels(path: Path, records: list[Mapping[str, Any]]) -> NDArray[np.int64] | None:
    found = [_field(record, "gt_label") for record in records]
    if any(label is None for label in found):
        return None
    try:
        return np.array([int(_numbers(label).item()) for label in found], np.int64)
    except (TypeError, ValueError, OverflowError) as error:
        raise BadInput(f"{path} has a gt_label that is no class: {error}") from error


def _field(record: Mapping[str, Any], name: str) -> Any:
    """A field of MMAction2's dump; before version 1.2 it was `pred_scores.item`."""
    if name in record:
        return record[name]
    older = cast(object, record.get(f"{name}s"))
    return cast("dict[str, Any]", older).get("item") if isinstance(older, dict) else None


def _stacked(path: Path, rows: list[Any]) -> NDArray[np.float32]:
    """The rows as one array, refused if the file names one row again and again."""
    try:
        vectors = [_numbers(row) for row in rows]
        if any(row.dtype.kind not in "fiu" for row in vectors):
            raise ValueError("rows are no numbers")
        if sum(row.size for row in vectors) > path.stat().st_size:
            raise ValueError("it holds one row several times")
        vectors = [row.astype(np.float32).squeeze() for row in vectors]
        if not vectors or {row.ndim for row in vectors} != {1}:
            raise ValueError("there are no rows" if not vectors else "rows are no vectors")
        return np.stack(vectors)
    except (TypeError, ValueError, OverflowError) as error:
        raise BadInput(f"{path} is not {FORMS}: {error}") from error


def _numbers(value: object) -> NDArray[Any]:
    """A row or label as an array; of lists, those of single numbers, and such a list in others."""
    while isinstance(value, list | tuple) and len(cast("list[object]", value)) == 1:
        value = cast("list[object]", value)[0]
    if isinstance(value, list | tuple):
        found: list[Any] = []
        for one in cast("list[object]", value):
            if not (one.size == 1 if isinstance(one, np.ndarray) else isinstance(one, NUMBERS)):
                raise ValueError(f"{brief(one)} stands in a list of numbers")
            found.append(one.item() if isinstance(one, np.ndarray) else one)
        value = found
    if isinstance(value, str | bytes) and len(value) > DIGITS:
        raise ValueError(f"{brief(value)} is no number")
    return np.asarray(value)


def rows_of(path: Path, table: Table, wanted: NDArray[np.str_] | None) -> NDArray[np.int64] | None:
    """The row of each wanted sample by its name, or the order of numbered rows; None: as they are.

    Numbers are names where the wanted samples are called so, and otherwise places in the split.

    Raises:
        BadInput: samples are missing, or there are others.
    """
    if table.ids is None:
        return None
    named = wanted is not None and bool(np.isin(table.ids, wanted).any())
    if table.places is not None and not named:
        return table.places
    return table.places if wanted is None else rows_by_name(path, table.ids, wanted)


def rows_by_name(path: Path, ids: NDArray[np.str_], wanted: NDArray[np.str_]) -> NDArray[np.int64]:
    """The row of each wanted sample; a name may also be a file's, with folder and ending.

    Raises:
        BadInput: samples are missing, or there are others.
    """
    known = set(wanted.tolist())
    names = [name if name in known else PurePath(name).stem for name in ids.tolist()]
    places = {name: place for place, name in enumerate(names)}
    missing = [name for name in wanted.tolist() if name not in places]
    others = [name for name in names if name not in known]
    if missing or others or len(places) < len(names):
        some = ", ".join((missing or others or names)[:3])
        what = "lacks" if missing else "has other samples or one twice:"
        raise BadInput(f"{path} {what} {some}, where it should hold the same {len(wanted)} samples")
    return np.array([places[name] for name in wanted.tolist()], np.int64)
