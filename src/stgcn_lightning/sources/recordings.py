"""A recording of persons, as a key-point file holds it and as the package works with it.

A reader (`formats`) returns what its file says, with the marks of its format translated: a joint
that was not found is NaN, persons are in the order of the file. `settling` then decides, once and
for all formats, about units, the direction of y, scores, gaps between frames and the picture's
size; `linking` makes persons of people without tracks, and `mapping` joints of another skeleton.

Axes: M persons, T frames, V joints, C coordinates.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from stgcn_lightning.sources.annotations import Sample

Unit = Literal["pixels", "picture", "signed", "metres", "centimetres", "millimetres", "unknown"]


@dataclass(frozen=True, eq=False)
class Recording:
    """Persons who move, from one file or one folder of frames.

    Attributes:
        id: unique among what was read together: the file's path below the folder that was read,
            without its ending, and after a colon what names a recording within a file.
        keypoint: (M, T, V, C) float32, C = 2 or 3. From a reader: in `unit`, NaN where a joint was
            not found. Settled: pixels in 2D, metres in 3D, all zero where it was not found.
        joints: V names.
        score: (M, T, V) float32, confidence of each joint; None where the file has none. Settled:
            in [0, 1], 0 where a joint was not found.
        skeleton: name of the skeleton in conf/skeleton whose joints these are; None: of none.
        unit: of the coordinates; `picture` is [0, 1] of its width and height, `signed` [-1, 1].
        y: whether y grows downwards, as in pictures, or upwards.
        img_shape: (height, width) of the picture in pixels; None where it is not known.
        img_shape_assumed: no file and no user stated `img_shape`.
        fps: frames per second; None where it is not known.
        frames: (T,) int64, the file's numbers of the frames, increasing; None: one after another.
        tracked: person m is the same in all frames; False: persons are in any order in each frame.
        persons: M names of persons or tracks, where there are any.
        remarks: what was decided about it, a sentence each, for the user.
        settled: `settling.settled` made it.
        edges: (child, parent) pairs of joints, where the file itself states them.
    """

    id: str
    keypoint: NDArray[np.float32]
    joints: tuple[str, ...]
    score: NDArray[np.float32] | None = None
    skeleton: str | None = None
    unit: Unit = "unknown"
    y: Literal["down", "up"] = "down"
    img_shape: tuple[int, int] | None = None
    img_shape_assumed: bool = False
    fps: float | None = None
    frames: NDArray[np.int64] | None = None
    tracked: bool = True
    persons: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    settled: bool = False
    edges: tuple[tuple[int, int], ...] = ()

    def sample(self, label: int | None = None) -> Sample:
        """The recording as a sample of a data set."""
        return Sample(
            self.id, label, self.keypoint, self.score, self.img_shape, self.img_shape_assumed
        )


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What the user says about files that do not say it themselves; None: found out, or assumed.

    Attributes:
        format: a name of `formats.FORMATS`; ``auto`` recognises it.
        skeleton: name of the skeleton of the joints, for formats that do not name their joints.
        unit: of the coordinates.
        y: the direction in which y grows.
        img_shape: (height, width) of the pictures in pixels.
        fps: frames per second.
        least_score: joints of a lower confidence are not found.
        persons: most persons to keep where people are linked: those who move most.
        gap: most frames for which a person may be away and remain the same.
    """

    format: str = "auto"
    skeleton: str | None = None
    unit: Unit | None = None
    y: Literal["down", "up"] | None = None
    img_shape: tuple[int, int] | None = None
    fps: float | None = None
    least_score: float | None = None
    persons: int | None = None
    gap: int = 30


READING = Reading()


def as_float32(values: Any) -> NDArray[np.float32]:
    """Numbers of a file as float32; what is no number in the file (None) is NaN."""
    return np.asarray(values, dtype=np.float32)
