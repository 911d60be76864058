"""Our figures for a benchmark compared with the published ones, as Markdown and JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from stgcn_lightning.evaluation.intervals import Interval, top1_interval
from stgcn_lightning.evaluation.published import Published
from stgcn_lightning.evaluation.scores import Scores

COLUMNS = ("", "ours", "95 % interval", "published", "difference", "verdict")


@dataclass(frozen=True)
class Row:
    """One stream or fusion.

    Attributes:
        name: joint, ..., two_stream, four_stream, six_stream.
        seeds: top-1 of each seed, in [0, 1].
        interval: mean of the seeds, and its bootstrap interval over the samples.
        published: the figure to be reproduced; None if there is none.
        others: what further sources published.
    """

    name: str
    seeds: tuple[float, ...]
    interval: Interval
    published: Published | None
    others: tuple[Published, ...] = ()

    @property
    def difference(self) -> float | None:
        """Our mean minus the published figure, in percentage points."""
        return None if self.published is None else 100 * self.interval.top1 - self.published.top1

    @property
    def verdict(self) -> str:
        """Whether our figure is above or below the published one, or reproduces it.

        It does if the published figure lies in our interval. Empty if there is none.
        """
        if self.published is None:
            return ""
        if 100 * self.interval.low > self.published.top1:
            return "above"
        return "below" if 100 * self.interval.high < self.published.top1 else "reproduced"

    @property
    def cells(self) -> tuple[str, ...]:
        """The row as text, in the order of `COLUMNS`."""
        ours = f"{100 * self.interval.top1:.2f}"
        if len(self.seeds) > 1:
            ours += f" ± {100 * np.std(self.seeds, ddof=1):.2f}"
        published, difference = self.published, self.difference
        return (
            self.name,
            ours,
            f"{100 * self.interval.low:.2f} - {100 * self.interval.high:.2f}",
            "" if published is None else f"{published.top1:.2f}",
            "" if difference is None else f"{difference:+.2f}",
            self.verdict,
        )


def rows_of(
    runs: Mapping[str, Sequence[Scores]], published: Mapping[str, Sequence[Published]]
) -> list[Row]:
    """A row for each stream and fusion.

    Args:
        runs: name -> scores of each seed.
        published: name -> figures of all sources, for the same names; the first is compared with.
    """
    return [
        Row(
            name,
            tuple(float(run.hits.mean()) for run in scores),
            top1_interval(*scores),
            next(iter(published[name]), None),
            tuple(published[name][1:]),
        )
        for name, scores in runs.items()
    ]


def to_table(rows: Sequence[Row]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Names of the columns, and cells of each row.

    Without `published` if no row has a figure. Further sources have a column each, at the end.
    """
    known = len(COLUMNS) if any(row.published for row in rows) else COLUMNS.index("published")
    others = [*dict.fromkeys(other.source for row in rows for other in row.others)]
    cells: list[tuple[str, ...]] = []
    for row in rows:
        figures = {other.source: f"{other.top1:.2f}" for other in row.others}
        cells.append(row.cells[:known] + tuple(figures.get(source, "") for source in others))
    return (*COLUMNS[:known], *others), cells


def to_markdown(title: str, rows: Sequence[Row], notes: Sequence[str]) -> str:
    """A heading, the table, and a list of notes."""
    columns, cells = to_table(rows)
    rule = ["---", *["---:"] * (len(columns) - 1)]
    lines = [f"# {title}", ""]
    lines += ["| " + " | ".join(line) + " |" for line in (columns, rule, *cells)]
    return "\n".join([*lines, "", *(f"- {note}" for note in notes)]) + "\n"


def to_json(rows: Sequence[Row], facts: Mapping[str, Any]) -> str:
    """The facts and the rows, not rounded: our accuracies in [0, 1], published ones in %."""
    table = [
        {
            "name": row.name,
            "seeds": row.seeds,
            **row.interval._asdict(),
            "published": None if row.published is None else row.published._asdict(),
            "also_published": [other._asdict() for other in row.others],
            "difference": row.difference,
            "verdict": row.verdict,
        }
        for row in rows
    ]
    return json.dumps({**facts, "rows": table}, indent=2) + "\n"
