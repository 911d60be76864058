"""What the jobs of a sweep reached: kept in their run directories, and printed as a table."""

import json
import shutil
import sys
from pathlib import Path

from stgcn_lightning.errors import BadInput
from stgcn_lightning.files.writing import write_atomically
from stgcn_lightning.jobs.sweep_results import RESULT, Reached, ended_in, figure_names, reached
from stgcn_lightning.terminal import say


def keep_result(
    run_directory: Path, overrides: list[str], figures: dict[str, float], failure: str | None
) -> None:
    """Write what a job reached into its run directory; figures are never replaced by none."""
    kept = run_directory / RESULT
    if not figures and kept.exists() and json.loads(kept.read_text())["figures"]:
        return
    result = {"overrides": overrides, "figures": figures, "failure": failure}
    with write_atomically(kept) as file:
        file.write(json.dumps(result, indent=2).encode())


def runs_in(folder: Path) -> list[Path]:
    """The run directories of a sweep's jobs that have ended.

    Raises:
        BadInput: there are none.
    """
    runs = ended_in(folder)
    if not runs:
        raise BadInput(f"{folder} holds no results of a sweep: give the folder of one")
    return runs


def table(runs: list[Path], room: int | None = None) -> str:
    """The figures of these jobs; those that differ in their seed alone get a mean as well.

    Args:
        runs: run directories.
        room: columns of a terminal; a wider table has the figures below their job. None: any width.
    """
    rows = reached(runs)
    return _aligned(rows, figure_names(rows), room)


def say_table(runs: list[Path]) -> None:
    """Print the table of these jobs."""
    room = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for line in table(runs, room).splitlines():
        say(line)


def _aligned(rows: list[Reached], names: list[str], room: int | None) -> str:
    """Rows as text, with a column for each of `names`."""
    width = max(3, *(len(title) for title, _, _ in rows))
    columns = [max(len(name), 8) for name in names]
    head = [f"{name:>{size}}" for name, size in zip(names, columns, strict=True)]
    between = "  "
    if room is not None and width + sum(2 + size for size in columns) > room:
        width, between = 3, "\n     "
    lines = [f"{'job':<{width}}  " + "  ".join(head)]
    for title, figures, failed in rows:
        cells = [
            f"{100 * figures[name]:>{size - 2}.2f} %" if name in figures else " " * size
            for name, size in zip(names, columns, strict=True)
        ]
        lines.append(f"{title:<{width}}{between}" + (failed or "  ".join(cells)))
    return "\n".join(line.rstrip() for line in lines)
