"""How certain an accuracy is: intervals, and the comparison of two models."""

import math
from typing import NamedTuple

import numpy as np

from stgcn_lightning.evaluation.matching import matching_rows
from stgcn_lightning.evaluation.scores import Scores


class Interval(NamedTuple):
    """An accuracy and its 95 % interval, all in [0, 1]."""

    top1: float
    low: float
    high: float


def top1_interval(*runs: Scores, draws: int = 10_000, seed: int = 0) -> Interval:
    """Top-1 accuracy, averaged over runs, and its bootstrap 95 % interval over the samples.

    Args:
        runs: scores of the same samples, one for each seed that a model was trained with.
        draws: number of resamples.
        seed: of the resamples.

    Source:
        Efron, "Bootstrap methods: another look at the jackknife", Annals of Statistics 1979 (the
        percentile interval). How often each number of hits occurs in a resample is multinomial.
    """
    hits = np.sum([run.hits for run in runs], 0)
    found = np.bincount(hits, minlength=len(runs) + 1) / len(hits)
    share = np.arange(len(found)) / len(runs)
    resampled = np.random.default_rng(seed).multinomial(len(hits), found, draws) @ share / len(hits)
    low, high = np.quantile(resampled, [0.025, 0.975])
    return Interval(float(found @ share), float(low), float(high))


def wilson(right: int, samples: int) -> tuple[float, float]:
    """The 95 % interval, in [0, 1], of an accuracy; wider than 0 even if every answer is right.

    Source:
        Wilson, "Probable inference, the law of succession, and statistical inference", JASA 1927.
    """
    z, share = 1.96, right / samples
    middle = share + z * z / (2 * samples)
    half = z * math.sqrt(share * (1 - share) / samples + (z / (2 * samples)) ** 2)
    scale = 1 + z * z / samples
    return max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale)


class Comparison(NamedTuple):
    """Two models on the same samples: how many only one of them got right, and how likely that is.

    Attributes:
        only_first: samples that only the first got right.
        only_second: samples that only the second got right.
        p: probability of a difference at least as large if both were equally good.
    """

    only_first: int
    only_second: int
    p: float


def compare(first: Scores, second: Scores) -> Comparison:
    """Whether one of two models is really better, by the samples that only one of them got right.

    Raises:
        BadInput: the two disagree in samples, labels, classes, benchmark or split.

    Source:
        McNemar, "Note on the sampling error of the difference between correlated proportions",
        Psychometrika 1947; the exact two-sided test of a fair coin.
    """
    rows = matching_rows("first", first, "second", second)
    right, right_too = first.hits, second.hits[rows]
    only_first, only_second = int((right & ~right_too).sum()), int((~right & right_too).sum())
    n, least = only_first + only_second, min(only_first, only_second)
    log_half = n * math.log(2)
    tail = sum(
        math.exp(math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) - log_half)
        for k in range(least + 1)
    )
    return Comparison(only_first, only_second, min(1.0, 2 * tail))
