"""What a report says of a test: pure functions from scores, lengths, poses and edges.

Axes: B samples, S stages of the model, K neighbour subsets, E edges of the skeleton, V joints.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stgcn_lightning.evaluation.scores import Scores

Floats = NDArray[np.floating[Any]]


class ClassRow(NamedTuple):
    """One class of a test.

    Attributes:
        name: of the class.
        samples: of the class.
        right: how many of them were answered correctly.
        accuracy: their share, in [0, 1].
        taken_for: the most frequent wrong answer; empty if there is none.
        times: how often it was given.
    """

    name: str
    samples: int
    right: int
    accuracy: float
    taken_for: str
    times: int


class ConfusedRow(NamedTuple):
    """Two classes of which one was taken for the other.

    Attributes:
        true: name of the true class.
        answer: name of the class that was answered.
        samples: how often.
        share: of the samples of the true class, in [0, 1].
        other_way: how often `answer` was taken for `true`.
    """

    true: str
    answer: str
    samples: int
    share: float
    other_way: int


class Group(NamedTuple):
    """Samples with a value from `low` to `high`, and how many of them were answered correctly."""

    low: int
    high: int
    right: int
    samples: int


class LearnedEdges(NamedTuple):
    """Edges of the skeleton after training; the first row is the mean of all stages.

    Attributes:
        weights: (1 + S, E) see `edge_weights`.
        importance: (1 + S, E) the same, divided by the weight before training.
    """

    weights: Floats
    importance: Floats


def confusion(scores: Scores) -> NDArray[np.int64]:
    """(classes, classes) number of samples by true class and answer."""
    classes = len(scores.classes)
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (scores.labels, scores.answers), 1)
    return counts


def class_rows(scores: Scores) -> list[ClassRow]:
    """A row for each class that has samples, in the order of the classes."""
    counts = confusion(scores)
    wrong = _without_right(counts)
    rows: list[ClassRow] = []
    for label in map(int, np.flatnonzero(counts.sum(1))):
        right, samples, times = int(counts[label, label]), int(counts[label].sum()), wrong[label]
        taken_for = str(scores.classes[times.argmax()]) if times.any() else ""
        name = str(scores.classes[label])
        rows.append(ClassRow(name, samples, right, right / samples, taken_for, int(times.max())))
    return rows


def confused_rows(scores: Scores) -> list[ConfusedRow]:
    """A row for each confusion of two classes, the most frequent first."""
    counts = confusion(scores)
    wrong = _without_right(counts)
    rows, columns = np.nonzero(wrong)
    order = np.argsort(-wrong[rows, columns], kind="stable")
    return [
        ConfusedRow(
            str(scores.classes[true]),
            str(scores.classes[answer]),
            int(wrong[true, answer]),
            float(wrong[true, answer] / counts[true].sum()),
            int(wrong[answer, true]),
        )
        for true, answer in zip(rows[order], columns[order], strict=True)
    ]


def worst_errors(scores: Scores, most: int = 12) -> list[int]:
    """At most `most` rows that were answered wrongly, those with the highest score first."""
    wrong = np.flatnonzero(~scores.hits)
    return wrong[np.argsort(-scores.scores[wrong].max(1), kind="stable")][:most].tolist()


def quantile_bins(values: NDArray[np.int64], bins: int) -> NDArray[np.int64]:
    """(B,) values -> (B,) the bin of each, by quantiles: about equally many values in each bin.

    Equal values share a bin, so there may be fewer bins.
    """
    shares = np.arange(1, bins + 1) / bins
    uppers = np.unique(np.quantile(values, shares, method="inverted_cdf"))
    return np.searchsorted(uppers, values)


def accuracy_by(
    values: NDArray[np.int64], hits: NDArray[np.bool_], bins: int | None = None
) -> list[Group]:
    """Accuracy by a number that each sample has, such as its length.

    Args:
        values: (B,) the number of each sample.
        hits: (B,) whether it was answered correctly.
        bins: how many groups, by quantiles; None: one for each value.

    Returns:
        The groups, the smallest values first.
    """
    groups = values if bins is None else quantile_bins(values, bins)
    members = [groups == group for group in np.unique(groups)]
    return [
        Group(int(values[m].min()), int(values[m].max()), int(hits[m].sum()), int(m.sum()))
        for m in members
    ]


def edge_weights(edges: Floats, pairs: Sequence[tuple[int, int]]) -> Floats:
    """(S, K, V, V) -> (S, E): weight between the two joints of each edge, mean of both directions.

    Absolute values, summed over the subsets (each direction lies in one of them).
    """
    weights = np.abs(edges).sum(1)
    one, other = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    return (weights[:, one, other] + weights[:, other, one]) / 2


def learned_edges(
    edges: Floats, adjacency: Floats, pairs: Sequence[tuple[int, int]]
) -> LearnedEdges:
    """What training made of the edges.

    Args:
        edges: (S, K, V, V) weights after training.
        adjacency: (K, V, V) weights before training; K = 0 where the graph started at random: an
            edge is then compared with the mean of all pairs of joints.
        pairs: E pairs of joints.
    """
    weights = edge_weights(edges, pairs)
    weights = np.concatenate([weights.mean(0, keepdims=True), weights])
    if len(adjacency):
        start = edge_weights(adjacency[None], pairs)
    else:
        usual = np.abs(edges).sum(1).mean((1, 2))  # S
        start = np.append(usual.mean(), usual)[:, None]
    return LearnedEdges(weights, weights / start)


def typical_pose(poses: Floats) -> int:
    """Which of N poses (N, V, 2) is best to draw on: a usual one in which no joint hides another.

    Of the poses without unseen joints (NaN), the half whose joints lie farther apart is kept. The
    answer is the one of these that is nearest to their median, each moved and scaled to the same
    place and size. The first pose if each has an unseen joint.
    """
    size = np.ptp(poses, axis=1).max(1)[:, None]  # N, 1
    apart = np.linalg.norm(poses[:, :, None] - poses[:, None], axis=-1)  # N, V, V
    apart[:, np.eye(poses.shape[1], dtype=bool)] = np.inf
    clarity = np.log(apart.min(2) / np.maximum(size, 1e-6) + 1e-3).mean(1)
    seen = np.flatnonzero(np.isfinite(clarity))
    if not len(seen):
        return 0
    clear = seen[clarity[seen] >= np.median(clarity[seen])]
    bodies = (poses[clear] - poses[clear].mean(1, keepdims=True)) / size[clear, :, None]
    return int(clear[np.abs(bodies - np.median(bodies, 0)).sum((1, 2)).argmin()])


def _without_right(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """The confusion matrix with a diagonal of zeros."""
    return np.where(np.eye(len(counts), dtype=bool), 0, counts)
