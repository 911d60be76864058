"""Frames at the rate that they come in -> frames at the rate that a model was trained on.

Axes: V joints, C channels.
"""

from collections.abc import Hashable, Mapping
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

Bodies = Mapping[Hashable, NDArray[np.float32]]


class Resampling:
    """Bodies between two pushes, on the straight line between them.

    A joint or a person that only one of the two frames holds is taken from the nearer one.

    Args:
        ratio: frames that come out for one that goes in.

    Example:
        >>> halved, body = Resampling(0.5), np.ones((1, 2), np.float32)
        >>> [len(halved({0: body * push})) for push in range(5)]
        [1, 0, 1, 0, 1]
        >>> doubled = Resampling(2)
        >>> [[float(out[0][0, 0]) for out in doubled({0: body * push})] for push in (2, 3, 4)]
        [[2.0], [2.5, 3.0], [3.5, 4.0]]
    """

    def __init__(self, ratio: float):
        self.ratio = Fraction(ratio).limit_denominator(1000)
        self.pushed, self.made = -1, 0
        self.before: Bodies = {}

    def __call__(self, bodies: Bodies) -> list[dict[Hashable, NDArray[np.float32]]]:
        """The frames that lie after the last push, up to this one."""
        self.pushed += 1
        found: list[dict[Hashable, NDArray[np.float32]]] = []
        while Fraction(self.made) <= self.pushed * self.ratio:
            way = float(self.made / self.ratio - (self.pushed - 1))  # 0: before, 1: now
            found.append(_between(self.before, bodies, way))
            self.made += 1
        self.before = bodies
        return found


def _between(before: Bodies, now: Bodies, way: float) -> dict[Hashable, NDArray[np.float32]]:
    nearer = now if way > 0.5 else before
    out: dict[Hashable, NDArray[np.float32]] = {}
    for person in [*now, *(one for one in before if one not in now)]:
        if person not in before or person not in now:
            if person in nearer:
                out[person] = nearer[person]
            continue
        start, end = before[person], now[person]
        both = np.stack([start, end])  # 2, V, C
        found = np.logical_and(both.any(-1), np.isfinite(both).all(-1)).all(0)  # V
        line = (start + np.float32(way) * (end - start)).astype(np.float32)
        out[person] = np.where(np.expand_dims(found, -1), line, nearer[person])
    return out
