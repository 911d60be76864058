"""An inspection as text."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from stgcn_lightning.jobs.inspection.inspected import Histogram, Inspected, measured

BAR = 32  # columns of the longest bar
MOST_BARS = 24  # of a histogram; of more classes, the most and the least frequent ones are shown
MOST_ROWS = 16  # of a table
# shares in [0, 1] that are printed in percent; others begin with val/ or test/
PERCENT = (
    "accuracy", "share", "top1", "top5", "mean_class_accuracy", "mean_confidence", "test_top1",
    "top1_interval",
)  # fmt: skip
SHARES = ("/top1", "/top5", "/mean_class_accuracy")  # ends of logged names
SIDES = {"left": "dodger_blue2", "right": "dark_orange3"}  # as in drawings
COLOURS = {"ready": "green", "ready, but look": "yellow", "cannot be used": "red"}


def print_inspected(found: Inspected, console: Console) -> None:
    """Print what was found, the verdict first and the next command last."""
    console.print(f"{found.source}: {found.kind}, because {found.why}")
    console.print(Text(f"verdict: {found.verdict}", style=f"bold {COLOURS[found.verdict]}"))
    if found.lines:
        console.print()
    for line in found.lines:
        console.print(Text.assemble(*((one.text, SIDES.get(one.colour, "")) for one in line)))
    if found.faults or found.findings:
        heading("what will hurt", console)
    for fault in found.faults:
        console.print(f"  cannot be used: {fault}")
    for finding in found.findings:
        console.print(f"  look: {finding}")
    heading("what is in it", console)
    for name, value in found.facts.items():
        if not nothing(value):
            console.print(f"  {name.replace('_', ' ')}: {in_words(name, value)}")
    for table in found.tables:
        if table.rows:
            console.print(_table(table.title, table.columns, table.rows))
    for histogram in found.histograms:
        heading(histogram.title, console)
        for line in bars(histogram):
            console.print(line)
    if found.estimates:
        heading("what training on it will need, estimated", console)
        for one in found.estimates:
            console.print(f"  {one.name}: about {measured(one.value, one.unit)} ({one.how})")
    if found.remarks:
        heading("what was decided in reading it", console)
    for remark in found.remarks:
        console.print(f"  {remark}")
    for command in found.commands:
        heading(f"to {command.purpose}", console)
        console.print(f"  {command.command}")


def heading(text: str, console: Console) -> None:
    """Print what the next lines are about."""
    console.print()
    console.print(Text(f"{text}:", style="bold"))


def nothing(value: Any) -> bool:
    """Whether a fact is not known, or there is none."""
    return value is None or (isinstance(value, str | list | Mapping) and not value)


def in_words(name: str, value: Any) -> str:
    """A fact as text."""
    if isinstance(value, Mapping):
        if value.keys() == {"least", "mean", "most", "total"}:
            return (
                f"{value['least']:,} to {value['most']:,}, mean {value['mean']:,.1f}, "
                f"{value['total']:,} in all"
            )
        named = name if name in PERCENT else ""
        return ", ".join(f"{key} {in_words(named, one)}" for key, one in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(in_words(name, one) for one in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and (name in PERCENT or name.endswith(SHARES)):
        return f"{100 * value:.2f} %"
    if name == "bytes":
        return measured(value, "bytes")
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.6g}" if isinstance(value, float) else str(value)


def bars(histogram: Histogram) -> list[str]:
    """A line for each name with its count; of many, the most and least frequent."""
    pairs = [*zip(histogram.names, histogram.counts, strict=True)]
    left_out = len(pairs) - MOST_BARS
    if left_out > 0:
        ordered = sorted(pairs, key=lambda pair: -pair[1])
        pairs = ordered[: MOST_BARS // 2] + ordered[-MOST_BARS // 2 :]
    most = max([1, *(count for _, count in pairs)])
    width = max([0, *(len(name) for name, _ in pairs)])
    lines = [
        f"  {name:>{width}}  {'█' * round(BAR * count / most):<{BAR}} {count:,}"
        for name, count in pairs
    ]
    if left_out > 0:
        half = MOST_BARS // 2
        lines.insert(half, f"  {'...':>{width}}  ({left_out} more in between)")
    return lines


def _table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Table:
    more = len(rows) - MOST_ROWS
    if more > 0:
        title += f" ({more:,} more rows in out=FILE.html and format=json)"
    table = Table(title=title)
    for i, column in enumerate(columns):
        text = i == 0 or any(isinstance(row[i], str) for row in rows)
        table.add_column(column, justify="left" if text else "right")
    for row in rows[:MOST_ROWS]:
        cells = zip(columns, row, strict=True)
        table.add_row(*("" if value is None else in_words(name, value) for name, value in cells))
    return table
