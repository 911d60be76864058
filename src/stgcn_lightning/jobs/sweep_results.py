"""What the jobs of a sweep reached, as each has left it in its run directory."""

import json
from pathlib import Path
from statistics import fmean, stdev
from typing import NamedTuple

RESULT = "result.json"


class Reached(NamedTuple):
    """A job of a sweep, or the mean of jobs that differ in their seed alone.

    Attributes:
        title: the overrides in which it differs from the other jobs.
        figures: by name.
        failed: why it ended without figures; empty if it did not.
    """

    title: str
    figures: dict[str, float]
    failed: str


def ended_in(folder: Path) -> list[Path]:
    """Run directories with a result, by the number that begins their names; 0 if none does."""

    def order(run: Path) -> tuple[int, str]:
        number = run.name.split("_")[0]
        return int(number) if number.isdigit() else 0, run.name

    return sorted((file.parent for file in folder.glob(f"*/{RESULT}")), key=order)


def reached(runs: list[Path]) -> list[Reached]:
    """A row for each job, and means of those that differ in their seed alone.

    Args:
        runs: run directories with a result.
    """
    jobs = [json.loads((run / RESULT).read_text()) for run in runs]
    constant = set.intersection(*(set(job["overrides"]) for job in jobs))
    groups: dict[str, list[dict[str, float]]] = {}
    rows: list[Reached] = []
    for job in jobs:
        differs = [part for part in job["overrides"] if part not in constant]
        lines = (job["failure"] or "").strip().splitlines()  # of a traceback the last one counts
        failed = f"failed: {lines[-1]}" if lines else ""
        rows.append(Reached(" ".join(differs) or "all as given", job["figures"], failed))
        if job["figures"]:
            unseeded = " ".join(part for part in differs if not part.startswith("seed="))
            groups.setdefault(unseeded, []).append(job["figures"])
    for unseeded, several in groups.items():
        if len(several) > 1:
            for title, statistic in (("mean", fmean), ("standard deviation", stdev)):
                figures = {
                    name: statistic([one[name] for one in several])
                    for name in several[0]
                    if all(name in one for one in several)
                }
                rows.append(Reached(f"{title} {unseeded}".strip(), figures, ""))
    return rows


def figure_names(rows: list[Reached]) -> list[str]:
    """The names of all figures, in the order in which they first occur."""
    return list(dict.fromkeys(name for row in rows for name in row.figures))
