"""What training on samples will need: estimates, each with the measurement that it is made of.

Axes: M persons, T frames, V joints.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stgcn_lightning.data import building
from stgcn_lightning.jobs.inspection.inspected import Estimate
from stgcn_lightning.recipe import NORM_GROUP

# docs/performance.md, `train_step.py`, float32, full width, all two persons: 1012 MB of activations
# with 17 joints and 1467 MB with 25, for 16 clips of two persons and 100 frames
ACTIVATION = 18.6e3  # bytes of a joint in a frame of a person who is there
# docs/inspect.md: the peak of a whole run less what its steps hold
PROCESS = 640e6  # bytes
# docs/performance.md again: 1138 and 1824 ms, on two cores of an Intel Xeon
STEP = 22.8e-6  # seconds of a joint in a frame of a person who is there
CLIP_FRAMES, PERSONS, EPOCHS, PASSES = 100, 2, 16, 5  # conf/data/default.yaml, conf/recipe/
CHANNELS = 3  # of a stored joint
WHERE = "docs/performance.md"


@dataclass(frozen=True)
class Size:
    """How large a data set is.

    Attributes:
        persons, frames: (B,) of each sample.
        joints: V.
        itemsize: bytes of a stored number.
        read: bytes of all arrays of the annotations.
        trained: samples that are trained on.
    """

    persons: NDArray[np.int64]
    frames: NDArray[np.int64]
    joints: int
    itemsize: int
    read: int
    trained: int


def costs(size: Size) -> list[Estimate]:
    """What preparing and training will need, with the defaults of the train door."""
    rows = 1 + int((size.persons * size.frames).sum())
    store = rows * size.joints * CHANNELS * size.itemsize
    there = np.minimum(size.persons, PERSONS).mean() if len(size.persons) else 0.0
    joints = CLIP_FRAMES * size.joints  # of a person in a clip
    clips = size.trained * PASSES * EPOCHS
    found = [
        Estimate("store", store, "bytes", "rows x joints x 3 numbers; exact if nothing is dropped"),
        Estimate(
            "memory to prepare",
            building.PROCESS + building.SAMPLE * len(size.persons),
            "bytes",
            "a process and what is known of each sample; arrays stay in the file",
        ),
        Estimate(
            "memory of a training step",
            NORM_GROUP * there * joints * ACTIVATION,
            "bytes",
            f"{NORM_GROUP} clips of {CLIP_FRAMES} frames, {there:.2f} persons in a clip, "
            f"{ACTIVATION / 1e3:.1f} kB a joint and frame, as measured for ST-GCN in float32 at "
            f"full width ({WHERE}); the process takes about {PROCESS / 1e6:.0f} MB besides",
        ),
    ]
    if clips:
        found.append(
            Estimate(
                "time of training",
                clips * there * joints * STEP,
                "seconds",
                f"{EPOCHS} epochs of {PASSES} passes through {size.trained:,} samples, "
                f"{STEP * 1e6:.1f} microseconds a joint and frame, as measured on two CPU cores "
                f"({WHERE}); a GPU is many times faster",
            )
        )
    return found
