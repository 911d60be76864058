"""Whether bodies of pictures stand: of axes that are exchanged or turned, key points tell by it.

Axes: V joints, C coordinates.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from stgcn_lightning.data.plausible import Finding
from stgcn_lightning.data.thresholds import BODIES_LEAST
from stgcn_lightning.skeleton import Skeleton
from stgcn_lightning.sources.concepts import concepts

SHOULDERS, HIPS = ("left_shoulder", "right_shoulder"), ("left_hip", "right_hip")
HAND = "left_wrist"  # animals, whose trunks lie, have none
UPRIGHT = 0.7  # of a trunk's length: its part along an axis to which it is said to be parallel


def judge_posture(bodies: Sequence[NDArray[np.float32]], skeleton: Skeleton) -> Iterator[Finding]:
    """What the trunks of most bodies (V, 2) say, in coordinates whose y grows downwards."""
    names = concepts(skeleton.joints, skeleton.name)
    if not {*SHOULDERS, *HIPS, HAND} <= set(names):
        return
    poses = np.stack(bodies)[..., :2] if bodies else np.empty((0, len(names), 2))
    ends = [poses[:, [names.index(name) for name in pair]] for pair in (SHOULDERS, HIPS)]
    found = np.all([np.abs(end).sum(-1).all(-1) for end in ends], 0)  # a missing joint is at 0
    trunk = (ends[1] - ends[0]).mean(1)[found]
    length = np.linalg.norm(trunk, axis=-1, keepdims=True)
    if (length > 0).sum() < BODIES_LEAST:
        return
    x, y = np.median(trunk[length[:, 0] > 0] / length[length > 0][:, None], 0)
    if y < -UPRIGHT:
        yield Finding(
            "bodies stand on their heads: hips are above shoulders in most samples",
            "",
            "give y as it grows downwards, from the picture's upper border",
        )
    elif abs(x) > UPRIGHT:
        yield Finding(
            "bodies lie on their sides in most samples",
            "",
            "give key points as (x, y), if x and y were exchanged, and turn the picture if it was "
            "turned",
        )
