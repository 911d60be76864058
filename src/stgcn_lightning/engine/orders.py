"""Orders in which the axes of activations (R, C, T, V) lie in memory."""

from torch import Tensor

CHANNELS_LAST = (0, 2, 3, 1)
FRAMES_FIRST = (2, 3, 0, 1)  # of `frames_first.py`
ROWS_SECOND = (2, 0, 3, 1)  # of `adaptive.py`
JOINTS_SECOND = (0, 3, 2, 1)  # likewise; its own inverse
AS_MATRIX = (FRAMES_FIRST, ROWS_SECOND, JOINTS_SECOND)  # of rows of C numbers, for products


def memory_order(x: Tensor) -> tuple[int, ...] | None:
    """That of `AS_MATRIX` in which `x` lies; None if it lies otherwise."""
    return next((order for order in AS_MATRIX if x.permute(order).is_contiguous()), None)


def undone(order: tuple[int, ...]) -> tuple[int, ...]:
    """The order of axes that takes a permutation back."""
    return tuple(order.index(axis) for axis in range(len(order)))
