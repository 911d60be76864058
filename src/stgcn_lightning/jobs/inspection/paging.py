"""An inspection as what its page shows."""

from importlib.metadata import version

from stgcn_lightning.jobs.inspection.inspected import UNUSABLE, Histogram, Inspected, Rows, measured
from stgcn_lightning.jobs.inspection.printing import in_words, nothing
from stgcn_lightning.report.inspection import Bars, Cost, Inspection, Table, Trouble

MOST_ROWS = 2000  # of a table


def page_of(found: Inspected) -> Inspection:
    """What the page of an inspection shows, ready to print."""
    troubles = [
        *(Trouble(True, sentence, "", "") for sentence in found.faults),
        *(Trouble(False, one.what, one.example, one.remedy) for one in found.findings),
    ]
    return Inspection(
        title=found.source,
        subtitle=f"{found.kind}, because {found.why}",
        verdict=found.verdict,
        bad=found.verdict == UNUSABLE,
        troubles=troubles,
        facts={
            name.replace("_", " "): in_words(name, value)
            for name, value in found.facts.items()
            if not nothing(value)
        },
        tables=[_table(table) for table in found.tables if table.rows],
        histograms=[_bars(one) for one in found.histograms],
        costs=[
            Cost(one.name, f"about {measured(one.value, one.unit)}", one.how)
            for one in found.estimates
        ],
        remarks=found.remarks,
        drawing=found.drawing,
        commands=found.commands,
        origin={"version": version("stgcn_lightning")},
    )


def _table(table: Rows) -> Table:
    title, columns, rows = table
    more = len(rows) - MOST_ROWS
    if more > 0:
        title += f", the first {MOST_ROWS:,} of {len(rows):,}"
    texts = [
        [
            "" if cell is None else in_words(name, cell)
            for name, cell in zip(columns, row, strict=True)
        ]
        for row in rows[:MOST_ROWS]
    ]
    numbers = [
        all(isinstance(row[i], int | float | None) for row in rows) for i in range(len(columns))
    ]
    return Table(_capital(title), columns, texts, numbers)


def _bars(one: Histogram) -> Bars:
    most = max([1, *one.counts])
    pairs = zip(one.names, one.counts, strict=True)
    bars = [(name, count, 100 * count / most) for name, count in pairs]
    return Bars(_capital(one.title), f"Number of {one.counted}.", bars)


def _capital(title: str) -> str:
    return title[:1].upper() + title[1:]
