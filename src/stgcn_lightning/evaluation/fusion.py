"""Late fusion: the weighted sum of the streams' scores, and what can be said about it."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stgcn_lightning.errors import BadInput
from stgcn_lightning.evaluation.scores import Scores

# The published fusions (MMAction2's model zoo, PYSKL's README).
PRESETS: dict[str, dict[str, float]] = {
    "two_stream": {"joint": 1, "bone": 1},
    "four_stream": {"joint": 2, "joint_motion": 1, "bone": 2, "bone_motion": 1},
}


def fuse(streams: Mapping[str, Scores], weights: Mapping[str, float]) -> Scores:
    """Weighted mean of the streams' scores, joined by sample id.

    Args:
        streams: name -> scores. The first stream gives the order of the samples. Streams without
            ids (MMAction2's dumps) are joined by order.
        weights: name -> weight, for the same names.

    Returns:
        Scores whose rows sum to 1.

    Raises:
        BadInput: the weights do not fit the streams, or two streams disagree in samples, labels,
            classes, benchmark or split.
    """
    if set(weights) != set(streams):
        raise BadInput(
            f"weights are given for {', '.join(weights)} but scores for {', '.join(streams)}"
        )
    usable = all(0 <= weight < math.inf for weight in weights.values())
    if not usable or not sum(weights.values()):
        raise BadInput(f"weights {dict(weights)} must be numbers, not negative and not all zero")
    (first_name, first), *others = streams.items()
    total = weights[first_name] * first.scores.astype(np.float64)
    for name, other in others:
        rows = _matching_rows(first_name, first, name, other)
        total += weights[name] * other.scores[rows]
    fused = (total / sum(weights.values())).astype(np.float32)
    origin = {name: scores.meta for name, scores in streams.items()}
    shared = {key: first.meta[key] for key in ("benchmark", "split") if key in first.meta}
    meta = {**shared, "stream": "fusion", "weights": dict(weights), "streams": origin}
    named = next((scores for scores in streams.values() if scores.ids is not None), first)
    return Scores(named.ids, first.labels, fused, named.classes, meta)


def learned_weights(streams: Mapping[str, Scores]) -> dict[str, float]:
    """The weights, summing to 1, under which the fusion makes the labels most likely.

    Args:
        streams: name -> scores of samples that are in neither the training of the streams nor the
            evaluation of the fusion: a held-out part of the training samples.

    Raises:
        BadInput: two streams disagree in samples, labels, classes, benchmark or split.

    Source:
        Dempster, Laird and Rubin, "Maximum likelihood from incomplete data via the EM algorithm",
        JRSS B 1977: the proportions of a mixture whose components are fixed. The likelihood is
        concave in them, so there is one maximum.
    """
    (first_name, first), *_ = streams.items()
    rows = [_matching_rows(first_name, first, name, scores) for name, scores in streams.items()]
    likelihood = np.stack(
        [
            scores.scores[order, first.labels].astype(np.float64)
            for scores, order in zip(streams.values(), rows, strict=True)
        ]
    ).clip(1e-12)  # streams, samples
    weights = np.full(len(likelihood), 1 / len(likelihood))
    for _ in range(10_000):
        joint = weights[:, None] * likelihood
        better = (joint / joint.sum(0)).mean(1)
        done = np.abs(better - weights).max() < 1e-7
        weights = better
        if done:
            break
    return {name: float(weight) for name, weight in zip(streams, weights, strict=True)}


class Interval(NamedTuple):
    """An accuracy and its 95 % interval, all in [0, 1]."""

    top1: float
    low: float
    high: float


def top1_interval(*runs: Scores, draws: int = 10_000, seed: int = 0) -> Interval:
    """Top-1 accuracy, averaged over runs, and its bootstrap 95 % interval over the samples.

    Args:
        runs: scores of the same samples by models trained with different seeds, often one alone.
        draws: resamples.
        seed: of the resamples.

    Source:
        Efron, "Bootstrap methods: another look at the jackknife", Annals of Statistics 1979 (the
        percentile interval). How often each number of hits occurs in a resample is multinomial.
    """
    hits = np.sum([hits_of(run) for run in runs], 0)
    found = np.bincount(hits, minlength=len(runs) + 1) / len(hits)
    share = np.arange(len(found)) / len(runs)
    resampled = np.random.default_rng(seed).multinomial(len(hits), found, draws) @ share / len(hits)
    low, high = np.quantile(resampled, [0.025, 0.975])
    return Interval(float(found @ share), float(low), float(high))


class Comparison(NamedTuple):
    """Two answers on the same samples: how many only one of them got right, and how sure that is.

    Attributes:
        only_first, only_second: samples that only this one got right.
        p: probability of a split at least as uneven if both were equally good.
    """

    only_first: int
    only_second: int
    p: float


def compare(first: Scores, second: Scores) -> Comparison:
    """Is one of two really better? Looks at the samples on which they differ.

    Source:
        McNemar, "Note on the sampling error of the difference between correlated proportions",
        Psychometrika 1947; the exact two-sided test of a fair coin.
    """
    rows = _matching_rows("first", first, "second", second)
    ours, theirs = hits_of(first), hits_of(second)[rows]
    a, b = int((ours & ~theirs).sum()), int((~ours & theirs).sum())
    n, least = a + b, min(a, b)
    log_half = n * math.log(2)
    tail = sum(
        math.exp(math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) - log_half)
        for k in range(least + 1)
    )
    return Comparison(a, b, min(1.0, 2 * tail))


def hits_of(scores: Scores) -> NDArray[np.bool_]:
    """Which samples (B,) have their own class first."""
    return scores.scores.argmax(1) == scores.labels


def refuse_tuning_on(streams: Mapping[str, Scores], tuning: Mapping[str, Scores]) -> None:
    """Refuse to search weights on samples that the streams learned from, or are judged by.

    Raises:
        BadInput: a score file names no samples, says nothing of being held out, belongs to another
            checkpoint than the stream, or shares samples with the evaluation.
    """
    for name, scores in tuning.items():
        stream = streams[name]
        if scores.ids is None or not scores.meta.get("held_out"):
            raise BadInput(
                f"the tuning scores of {name} are not of held-out training samples: train with "
                "data.holdout_subjects=0.1 and write them with the test door, split=holdout"
            )
        if stream.ids is None:
            raise BadInput(f"{name} names no samples: learned weights need score files with ids")
        ours, theirs = (part.meta.get("checkpoint_sha256") for part in (stream, scores))
        if ours != theirs:
            raise BadInput(
                f"the tuning scores of {name} come from another checkpoint than its scores: test "
                "one checkpoint on both"
            )
        both = np.intersect1d(scores.ids, stream.ids)
        if len(both):
            raise BadInput(
                f"the tuning scores of {name} hold {len(both)} samples of the evaluation, "
                f"{both[0]} among them: weights are learned on others"
            )


def _matching_rows(first_name: str, first: Scores, name: str, other: Scores) -> NDArray[np.int64]:
    """Rows of `other` in the order of `first`."""
    for key in ("benchmark", "split"):
        ours, theirs = first.meta.get(key), other.meta.get(key)
        if ours is not None and theirs is not None and ours != theirs:
            raise BadInput(
                f"{first_name} was tested on {key} {ours} but {name} on {theirs}: "
                "fuse scores of one benchmark"
            )
    if first.scores.shape[1] != other.scores.shape[1]:
        raise BadInput(
            f"{first_name} has {first.scores.shape[1]} classes but {name} {other.scores.shape[1]}"
        )
    if first.ids is None or other.ids is None:
        if len(first.labels) != len(other.labels):
            raise BadInput(
                f"{first_name} holds {len(first.labels)} samples but {name} {len(other.labels)}, "
                "and without ids they can only be joined by order"
            )
        rows = np.arange(len(first.labels))
        names = [f"number {i}" for i in rows]
    else:
        if not np.array_equal(first.classes, other.classes):
            raise BadInput(f"{first_name} and {name} name their classes differently")
        _refuse_missing(first_name, first.ids, name, other.ids)
        _refuse_missing(name, other.ids, first_name, first.ids)
        order = np.argsort(other.ids)
        rows = order[np.searchsorted(other.ids, first.ids, sorter=order)]
        names = first.ids
    wrong = np.flatnonzero(first.labels != other.labels[rows])
    if len(wrong):
        i = wrong[0]
        raise BadInput(
            f"sample {names[i]} has label {first.labels[i]} in {first_name} but "
            f"{other.labels[rows[i]]} in {name} ({len(wrong)} samples disagree)"
        )
    return rows


def _refuse_missing(
    in_name: str, present: NDArray[np.str_], name: str, ids: NDArray[np.str_]
) -> None:
    missing = np.setdiff1d(present, ids)
    if len(missing):
        some = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
        raise BadInput(f"{name} lacks {len(missing)} samples that {in_name} has: {some}")
