"""The page of an inspection; its style is that of the reports.

What it shows is ready to print: `jobs/inspection/paging.py` makes it of what was found.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from stgcn_lightning.report.bodies import Drawn
from stgcn_lightning.report.pages import environment

TWO_COLUMNS = 14  # bars from which on they stand in two columns


class Trouble(NamedTuple):
    """What will hurt: a fault, or something to look at."""

    fault: bool
    what: str
    example: str
    remedy: str


class Table(NamedTuple):
    """A table; `numbers` says which columns are numbers."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: Sequence[bool]


class Bars(NamedTuple):
    """A histogram: names, counts, and the part of the greatest count in percent."""

    title: str
    counted: str
    bars: Sequence[tuple[str, int, float]]

    @property
    def two(self) -> bool:
        """Whether there are so many that they stand in two columns."""
        return len(self.bars) > TWO_COLUMNS


class Cost(NamedTuple):
    """An estimate, and how it was made."""

    name: str
    value: str
    how: str


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """What the page of an inspection shows.

    Attributes:
        title: what was looked at.
        subtitle: what it is, and why.
        verdict: whether it can be used.
        bad: it cannot; else `troubled` if there is something to look at.
        troubles: what will hurt.
        facts: what is in it.
        drawing: a skeleton, or a body.
        commands: purpose and command of what to type next.
        origin: the foot of the page.
    """

    title: str
    subtitle: str
    verdict: str
    bad: bool
    troubles: Sequence[Trouble]
    facts: Mapping[str, str]
    tables: Sequence[Table]
    histograms: Sequence[Bars]
    costs: Sequence[Cost]
    remarks: Sequence[str]
    drawing: Drawn | None
    commands: Sequence[tuple[str, str]]
    origin: Mapping[str, str]


def render_inspection(shown: Inspection) -> str:
    """The page, which opens offline."""
    page = environment().get_template("inspection.html")
    return page.render(
        title=shown.title, subtitle=shown.subtitle, data={}, origin=shown.origin, shown=shown
    )


def render_drawing(chart: Drawn) -> str:
    """An SVG file of a skeleton."""
    return environment().get_template("skeleton.svg").render(chart=chart)
