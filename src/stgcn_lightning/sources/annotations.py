"""What every source returns: the samples of a data set, and its splits.

Axes: M persons, T frames, V joints, C coordinates.
"""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import numpy as np

from stgcn_lightning.files.placed import Placed
from stgcn_lightning.files.reading import AnyPath, opened

OPEN = 64  # files: a process may not have many more


class Malformed(Exception):  # noqa: N818 - becomes a BadInput as soon as the sample has a name
    """What is wrong with a sample: the rest of a sentence that begins with the sample."""


@dataclass(frozen=True, eq=False)
class Sample:
    """One annotated sequence.

    While a store is built, its arrays may be `Placed`, of which shape and type are known; `loaded`
    reads them.

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

    Attributes:
        samples: the samples.
        splits: name -> ids.
        beside: files that arrays are in besides the one that was read.
        remarks: what the source left out, or could not do, a sentence each.
    """

    samples: list[Sample]
    splits: dict[str, list[str]]
    beside: tuple[Path, ...] = ()
    remarks: tuple[str, ...] = ()


def loaded(samples: Iterable[Sample]) -> Iterator[Sample]:
    """Samples with their arrays, one after the other; a file that holds arrays stays open.

    Raises:
        BadInput: the file is damaged, or has changed since.
    """
    with ExitStack() as stack:
        files: dict[AnyPath, IO[bytes]] = {}

        def read(array: Any) -> Any:
            if not isinstance(array, Placed):
                return array
            if array.path not in files:
                if len(files) == OPEN:
                    stack.close()
                    files.clear()
                files[array.path] = stack.enter_context(opened(array.path))
            return array.read(files[array.path])

        for sample in samples:
            keypoint, score = read(sample.keypoint), read(sample.score)
            in_memory = keypoint is sample.keypoint and score is sample.score
            yield sample if in_memory else replace(sample, keypoint=keypoint, score=score)
