"""Fewer points of what was logged over a training run: means of epochs, and of neighbours."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def epoch_means(epochs: Floats, values: Floats) -> tuple[Floats, Floats]:
    """The end of each epoch, and the mean of the values that were logged in the epoch.

    Args:
        epochs: (n,) when each value was logged, in epochs from the start; 1.0 ends the first.
        values: (n,).
    """
    ends, which = np.unique(np.ceil(epochs - 1e-9), return_inverse=True)
    return ends, np.bincount(which, values) / np.bincount(which)


def thinned(epochs: Floats, values: Floats, most: int) -> tuple[Floats, Floats]:
    """At most `most` points: means over neighbours, of `epochs` (n,) and of `values` (n,)."""
    group = np.arange(len(values)) // -(-len(values) // most)
    size = np.bincount(group)
    return np.bincount(group, epochs) / size, np.bincount(group, values) / size
