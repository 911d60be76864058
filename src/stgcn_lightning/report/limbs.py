"""Where the limbs of moving persons lie in a picture.

Axes: M persons, T frames, V joints, C coordinates.
"""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from stgcn_lightning.skeleton import Skeleton

Side = Literal["left", "right", "middle"]
TURN = np.radians(20.0)  # of a body in 3D about its vertical, so that depth is seen
OUTLIERS = 0.005  # share of joints that may lie beyond the picture, on each side
BESIDE = 0.5  # of what all others take: farther away lie joints that were found wrongly


def flat(keypoint: NDArray[np.floating[Any]], *, up: bool = False) -> NDArray[np.floating[Any]]:
    """Joints as a viewer sees them, (M, T, V, 2) to the right and down; NaN where not found.

    Args:
        keypoint: (M, T, V, 2) in a picture, or (M, T, V, 3); all zero or NaN: not found.
        up: y grows upwards. In 3D x then grows to the left, as in a right-handed space whose z
            points away from the camera.
    """
    found = np.isfinite(keypoint).all(-1) & (keypoint != 0).any(-1)
    joints = np.where(found[..., None], keypoint, np.nan)
    right, down = joints[..., 0], joints[..., 1]
    if joints.shape[-1] == 3:
        right = np.cos(TURN) * (-right if up else right) + np.sin(TURN) * joints[..., 2]
    return np.stack([right, -down if up else down], -1)


def placed(
    joints: NDArray[np.floating[Any]], width: float, height: float, margin: float
) -> NDArray[np.floating[Any]]:
    """Joints (M, T, V, 2) in a picture of this size, all persons and frames at one scale."""
    seen = joints[np.isfinite(joints).all(-1)]
    if not len(seen):
        return joints
    low, high = np.quantile(seen, (OUTLIERS, 1 - OUTLIERS), axis=0)
    beside = BESIDE * (high - low)  # an arm that is raised once is no outlier
    low, high = np.maximum(seen.min(0), low - beside), np.minimum(seen.max(0), high + beside)
    room = np.array([width - 2 * margin, height - 2 * margin])
    scale = (room / np.maximum(high - low, 1e-6)).min()
    return (joints - (low + high) / 2) * scale + (width / 2, height / 2)


def sides(skeleton: Skeleton) -> list[Side]:
    """The side of the body that each edge lies on, by its joints."""
    of: dict[int, Side] = {}
    for left, right in skeleton.left_right:
        of[left], of[right] = "left", "right"
    return [_side(of.get(child, "middle"), of.get(parent, "middle"))
            for child, parent in skeleton.edges]  # fmt: skip


def _side(one: Side, other: Side) -> Side:
    if one == "middle":
        return other
    return one if other in (one, "middle") else "middle"
