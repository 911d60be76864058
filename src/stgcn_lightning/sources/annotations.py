"""What every source returns: the samples of a data set, and its splits.

Axes: M persons, T frames, V joints, C coordinates.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Sample:
    """One annotated sequence.

    Attributes:
        id: unique name.
        label: class index, from 0; None where it is not known: such a sample is tested, not trained
            on.
        keypoint: (M, T, V, C) float16, float32 or float64; an absent person is all zero. 2D in
            pixels, 3D in metres.
        score: (M, T, V) of the same types, confidence of each key point; None where there is none.
        img_shape: (height, width) of the picture in pixels; None where it is not known, which
            scaling key points to the picture (``benchmark.normalise=2d``) does not allow.
        img_shape_assumed: `img_shape` is a default of the format, which the file did not state.
    """

    id: str
    label: int | None
    keypoint: np.ndarray
    score: np.ndarray | None = None
    img_shape: tuple[int, int] | None = None
    img_shape_assumed: bool = False


@dataclass(frozen=True)
class Annotations:
    """All samples of a data set in file order, and the ids that belong to each split.

    A source need not check what is in them: `data.checks` does.
    """

    samples: list[Sample]
    splits: dict[str, list[str]]
