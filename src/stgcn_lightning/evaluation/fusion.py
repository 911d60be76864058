"""Late fusion: the weighted sum of the streams' scores."""

import math
from collections.abc import Mapping

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


def top1_interval(
    scores: Scores, *, draws: int = 1000, seed: int = 0
) -> tuple[float, float, float]:
    """Top-1 accuracy and its bootstrap 95 % interval over the samples, all in [0, 1].

    Source:
        Efron, "Bootstrap methods: another look at the jackknife", Annals of Statistics 1979 (the
        percentile interval). The number of hits in a resample of B samples is binomial.
    """
    hits = float((scores.scores.argmax(1) == scores.labels).mean())
    samples = len(scores.labels)
    resampled = np.random.default_rng(seed).binomial(samples, hits, draws) / samples
    low, high = np.quantile(resampled, [0.025, 0.975])
    return hits, float(low), float(high)


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
