"""Whether a series of measurements grows: the slope of Theil and Sen, with its interval.

Samples of a process that lives are taken every few seconds and depend on their neighbours, so each
of some dozen parts of the time gives one point, its median. The beginning is left out: caches and
allocators fill then.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from scipy.stats import theilslopes

WARM_UP = 0.25  # of the time, at least
PARTS = 30
FEWEST = 6  # points that a slope is made of
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Trend:
    """How a series goes.

    Attributes:
        points: of the series, after the warm-up, that the slope is made of.
        first: median of the first third of them.
        last: median of the last third.
        slope: growth by one unit of x; NaN if there are too few points.
        low: lower end of its interval.
        high: upper end.
        verdict: ``flat``: the whole interval lies below the bound; ``grows``: the slope is above
            the bound, and the interval above 0; ``open``: neither can be said yet.
    """

    points: int
    first: float
    last: float
    slope: float
    low: float
    high: float
    verdict: Literal["flat", "grows", "open"]

    def plain(self) -> dict[str, Any]:
        """Values for JSON, which knows no NaN."""
        return {name: None if value != value else value for name, value in asdict(self).items()}


def trend(x: Sequence[float], y: Sequence[float], bound: float, beginning: float = 0) -> Trend:
    """The trend of y over x, judged by the greatest growth that counts as flat.

    Args:
        x: hours or rounds, ascending.
        y: what was measured then.
        bound: growth by one unit of x.
        beginning: of x, left out at least.

    Examples:
        >>> trend(range(24), [5] * 24, bound=0.1).verdict
        'flat'
        >>> trend(range(24), range(24), bound=0.1).verdict
        'grows'
        >>> trend(range(3), range(3), bound=0.1).verdict
        'open'
    """
    places, values = points(np.asarray(x, float), np.asarray(y, float), beginning)
    third = max(1, len(values) // 3)
    first, last = (float(np.median(part)) if len(part) else np.nan for part in
                   (values[:third], values[-third:]))  # fmt: skip
    if len(places) < FEWEST:
        return Trend(len(places), first, last, np.nan, np.nan, np.nan, "open")
    slope, _, low, high = map(float, theilslopes(values, places, CONFIDENCE))
    grows = slope > bound and low > 0
    verdict = "flat" if high < bound else "grows" if grows else "open"
    return Trend(len(places), first, last, slope, low, high, verdict)


def points(x: np.ndarray, y: np.ndarray, beginning: float) -> tuple[np.ndarray, np.ndarray]:
    """After the warm-up: medians of parts of equal length, or each pair where there are few."""
    if not len(x):
        return x, y
    kept = x >= x[0] + max(beginning, WARM_UP * (x[-1] - x[0]))
    x, y = x[kept], y[kept]
    if len(x) <= PARTS:
        return x, y
    parts = np.minimum(PARTS * (x - x[0]) // (x[-1] - x[0]), PARTS - 1)
    groups = [parts == part for part in np.unique(parts)]
    x, y = (np.array([np.median(axis[group]) for group in groups]) for axis in (x, y))
    return x, y
