"""Turning 3D coordinates so that y is up, whichever axis is in a file: turns, never mirrors."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

# the axis that is up -> where x, y and z of the turned coordinates are from, and with which sign
TURNS = {
    "+Y": ((0, 1), (1, 1), (2, 1)),
    "-Y": ((0, 1), (1, -1), (2, -1)),
    "+Z": ((0, 1), (2, 1), (1, -1)),
    "-Z": ((0, 1), (2, -1), (1, 1)),
    "+X": ((1, -1), (0, 1), (2, 1)),
    "-X": ((1, 1), (0, -1), (2, 1)),
}


def turned_up(points: NDArray[Any], up: str) -> NDArray[Any]:
    """Points (..., 3) with the axis `up`, a key of `TURNS`, turned to +y.

    Example:
        >>> turned_up(np.array([[1.0, 2.0, 3.0]]), "+Z").tolist()
        [[1.0, 3.0, -2.0]]
    """
    return np.stack([points[..., axis] * sign for axis, sign in TURNS[up]], axis=-1)


def z_up_to_y_up(points: NDArray[Any]) -> NDArray[Any]:
    """Points (..., 3) of a space whose z is up."""
    return turned_up(points, "+Z")
