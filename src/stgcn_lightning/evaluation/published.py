"""Accuracies that others published for a benchmark, to be compared with ours."""

from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

REFERENCE = "mmaction2"  # the recipe where none is chosen
TABLE = Path(__file__).with_name("published.yaml")


class Published(NamedTuple):
    """A published top-1 accuracy.

    Attributes:
        top1: in %.
        source: who published it, and of which practice where there are several.
        classes: number of classes of the benchmark.
    """

    top1: float
    source: str
    classes: int


def published_figures(model: str, benchmark: str, run: str) -> tuple[Published, ...]:
    """All figures for a model, a benchmark and a stream or fusion, of every source that has one.

    The first is the one to compare with, because it was made by the recipe of the model here.

    Examples:
        >>> [one.source for one in published_figures("ctrgcn", "ntu60_xsub_2d", "joint")]
        ['PYSKL', 'MMAction2']
    """
    table = _table()
    classes = table["classes"].get(benchmark.split("_")[0])
    rows = table["figures"].get(model, {}).get(benchmark, {})
    return tuple(Published(row[run], source, classes) for source, row in rows.items() if run in row)


def published_top1(model: str, benchmark: str, run: str) -> Published | None:
    """The figure to compare a stream or fusion with; None if there is none.

    Examples:
        >>> published_top1("stgcn", "ntu60_xsub_2d", "bone")
        Published(top1=91.69, source='MMAction2', classes=60)
    """
    return next(iter(published_figures(model, benchmark, run)), None)


def published_rows() -> dict[str, dict[str, dict[str, dict[str, float]]]]:
    """Model -> benchmark -> source -> top-1 in % by stream or fusion."""
    return _table()["figures"]


@cache
def experiments() -> dict[str, dict[str, str]]:
    """FAMILY/BENCHMARK_STREAM -> options of the groups, for every stream that was published.

    A stream was also published if a fusion with it was.
    """
    found: dict[str, dict[str, str]] = {}
    for model, rows in published_rows().items():
        for benchmark, row in rows.items():
            runs = dict.fromkeys(run for figures in row.values() for run in figures)
            streams = [one for run in runs for one in _table()["fusions"].get(run, [run])]
            chosen = {"model": model, "benchmark": benchmark, "recipe": recipe_of(model, benchmark)}
            for stream in dict.fromkeys(streams):
                found[f"{model}/{benchmark}_{stream}"] = chosen | {"stream": stream}
    return found


def recipe_of(model: str, benchmark: str) -> str:
    """The recipe of conf/recipe with which the figures to compare with were made.

    Where nobody published any it is that of the reference.
    """
    published = benchmark in published_rows().get(model, {})
    return _table()["recipes"].get(model, REFERENCE) if published else REFERENCE


def source_texts() -> dict[str, str]:
    """Source -> where its figures are from, and how they were made if not as here."""
    return _table()["sources"]


@cache
def _table() -> dict[str, Any]:
    return yaml.safe_load(TABLE.read_text("utf-8"))
