"""Accuracies that others published for a benchmark, to be compared with ours."""

from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

TABLE = Path(__file__).with_name("published.yaml")


class Published(NamedTuple):
    """A published top-1 accuracy.

    Attributes:
        top1: in %.
        source: who published it.
        classes: number of classes of the benchmark.
    """

    top1: float
    source: str
    classes: int


def published_top1(model: str, benchmark: str, stream: str) -> Published | None:
    """The figure for a model, a benchmark and a stream or fusion; None if there is none.

    Examples:
        >>> published_top1("stgcn", "ntu60_xsub_2d", "bone")
        Published(top1=91.69, source='MMAction2', classes=60)
    """
    row = _table().get(model, {}).get(benchmark, {})
    return Published(row[stream], row["source"], row["classes"]) if stream in row else None


@cache
def _table() -> dict[str, dict[str, dict[str, Any]]]:
    """Model -> benchmark -> classes, source, and top-1 in % by stream or fusion."""
    return yaml.safe_load(TABLE.read_text("utf-8"))
