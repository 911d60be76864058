"""Recordings divided into those to train on and those to validate on.

Axes: B recordings, G groups of recordings that stay together, K classes.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

ROUNDS = 20  # over all groups, at most; a few are enough for the search to stand still


def divide(
    labels: NDArray[np.int64], groups: Sequence[str], share: float, seed: int
) -> NDArray[np.bool_]:
    """Choose whole groups to validate on, about a share of each class.

    A search from a random begin: a group changes sides where that brings the classes nearer to the
    share, or gives a class to a side that has none of it.

    Args:
        labels: (B,) class of each recording, from 0.
        groups: B names; recordings of one name stay on one side.
        share: of each class, to validate on, between 0 and 1.
        seed: of the begin.

    Returns:
        (B,) whether a recording is one to validate on. A class is on both sides where its groups
        allow it.

    Example:
        >>> divide(np.array([0, 0, 1, 1]), list("abcd"), 0.5, seed=0).sum()
        np.int64(2)
    """
    _, group = np.unique(np.asarray(groups), return_inverse=True)
    G, K = int(group.max()) + 1, int(labels.max()) + 1
    counts = np.zeros((G, K))
    np.add.at(counts, (group, labels), 1)
    total = counts.sum(0)
    spread = (counts > 0).sum(0) > 1  # classes that can be on both sides
    chosen = np.zeros(G, np.bool_)
    inside = np.zeros(K)

    def cost(inside: NDArray[np.float64]) -> float:
        away = (inside / np.maximum(total, 1) - share) ** 2
        empty = spread & ((inside == 0) | (inside == total))
        return float(away.sum() + empty.sum())

    order = np.random.default_rng(seed).permutation(G)
    best = cost(inside)
    for _ in range(ROUNDS):
        moved = False
        for one in order:
            after = inside + (-counts[one] if chosen[one] else counts[one])
            if (value := cost(after)) < best - 1e-12:
                chosen[one], inside, best, moved = not chosen[one], after, value, True
        if not moved:
            break
    if not chosen.any() and G > 1:  # a share so small that no group comes near it
        chosen[order[0]] = True
    return chosen[group]
