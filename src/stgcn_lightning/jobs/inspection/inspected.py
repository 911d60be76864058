"""What an inspection found, whatever was looked at: the form that text, JSON and page are made of.

Values are plain: numbers, text, lists and dicts of such. Names of facts are those of the JSON.
"""

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any, Literal, NamedTuple

from stgcn_lightning.data.plausible import Finding
from stgcn_lightning.report.bodies import Drawn

SCHEMA = 1  # changes when a key of the JSON goes or means something else
READY, LOOK, UNUSABLE = "ready", "ready, but look", "cannot be used"
PLAIN = re.compile(r"[\w./~@%+:-]+")  # values that neither the shell nor Hydra reads otherwise


class Histogram(NamedTuple):
    """How many of something there are of each name, or in each range."""

    title: str
    counted: str
    names: Sequence[str]
    counts: Sequence[int]


class Rows(NamedTuple):
    """A table: every row has a value, or None, for each column."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]


class Command(NamedTuple):
    """What to type next, and what for."""

    purpose: str
    command: str


class Estimate(NamedTuple):
    """A figure that was not measured here, and how it was made."""

    name: str
    value: float
    unit: str
    how: str


class Piece(NamedTuple):
    """A part of a line of text, and its colour: `left` and `right` as in drawings, or none."""

    text: str
    colour: str = ""


@dataclass(frozen=True, kw_only=True)
class Inspected:
    """What a file or folder is and holds.

    Attributes:
        source: its path, as it is printed.
        kind: what it is: annotations, recordings, store, checkpoint, scores, run, sweep, ...
        why: why it is taken for that.
        facts: what is in it, by names of the JSON: ``frames_mean``.
        faults: what makes it useless until it is mended, a sentence each.
        findings: what may be wrong.
        estimates: what using it will cost.
        remarks: what was decided in reading it, a sentence each.
        tables: more facts.
        histograms: distributions.
        drawing: a skeleton for the page.
        lines: text that shows the same on a terminal.
        commands: what to type next.
    """

    source: str
    kind: str
    why: str
    facts: Mapping[str, Any]
    faults: Sequence[str] = ()
    findings: Sequence[Finding] = ()
    estimates: Sequence[Estimate] = ()
    remarks: Sequence[str] = ()
    tables: Sequence[Rows] = ()
    histograms: Sequence[Histogram] = ()
    drawing: Drawn | None = None
    lines: Sequence[Sequence[Piece]] = ()
    commands: Sequence[Command] = ()

    @property
    def verdict(self) -> Literal["ready", "ready, but look", "cannot be used"]:
        """Whether it can be used as it is."""
        if self.faults:
            return UNUSABLE
        return LOOK if self.findings else READY

    def plain(self) -> dict[str, Any]:
        """What `format=json` prints."""
        return {
            "schema": SCHEMA,
            "version": version("stgcn_lightning"),
            "source": self.source,
            "kind": self.kind,
            "why": self.why,
            "verdict": self.verdict,
            "facts": dict(self.facts),
            "faults": list(self.faults),
            "findings": [asdict(finding) for finding in self.findings],
            "estimates": [one._asdict() for one in self.estimates],
            "remarks": list(self.remarks),
            "tables": [
                {
                    "title": table.title,
                    "rows": [dict(zip(table.columns, row, strict=True)) for row in table.rows],
                }
                for table in self.tables
            ],
            "histograms": [
                {"title": one.title, "counted": one.counted, "names": list(one.names)}
                | {"counts": list(one.counts)}
                for one in self.histograms
            ],
            "next": [one._asdict() for one in self.commands],
        }


def plain_value(value: Any) -> Any:
    """A value of a file that is not trusted, as one that can be printed and written as JSON."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain_value(one) for key, one in value.items()}  # pyright: ignore
    if isinstance(value, list | tuple):
        return [plain_value(one) for one in value]  # pyright: ignore
    return f"one {type(value).__name__}"


def typed(door: str, *words_before: str, **keys: Any) -> str:
    """A command line of a door; ``hydra__run__dir=x`` is the key hydra.run.dir."""
    given = [f"{key.replace('__', '.')}={_quoted(value)}" for key, value in keys.items()]
    words = [one if PLAIN.fullmatch(one.replace("=", "")) else shlex.quote(one) for one in given]
    return " ".join([f"python -m stgcn_lightning.{door}", *words_before, *words])


def _quoted(value: Any) -> str:
    """A value in Hydra's grammar."""
    if isinstance(value, list):
        return f"[{','.join(_quoted(one) for one in value)}]"  # pyright: ignore
    text = "null" if value is None else str(value)
    if PLAIN.fullmatch(text):
        return text
    # a backslash stands for itself, but before a quotation mark
    escaped = re.sub(r'(\\*)"', r'\1\1\\"', text)
    end = len(escaped) - len(escaped.rstrip("\\"))
    return f'"{escaped}{end * chr(92)}"'


def measured(value: float, unit: str) -> str:
    """A size or a time as people say it.

    Examples:
        >>> measured(3_200_000, "bytes"), measured(7300, "seconds")
        ('3.2 MB', '2.0 hours')
    """
    scales = {
        "bytes": ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1, "bytes")),
        "seconds": ((86400, "days"), (3600, "hours"), (60, "minutes"), (1, "seconds")),
    }
    for size, name in scales.get(unit, ((1, unit),)):
        if value >= size:
            return f"{value / size:.1f} {name}" if size > 1 else f"{value:.3g} {name}"
    return f"{value:.3g} {unit}"
