"""The order of the axes: how key points in another order are turned into (M, T, V, C).

Axes: M persons, T frames, V joints, C coordinates.
"""

from collections.abc import Sequence
from itertools import permutations

from stgcn_lightning.data.thresholds import STILL_PERSONS
from stgcn_lightning.errors import BadInput
from stgcn_lightning.sources.annotations import Sample


def other_order(shape: tuple[int, ...], joints: int, coordinates: int) -> str:
    """What puts an array of `shape` in order: the end of a sentence, empty if nothing does.

    Args:
        shape: of four axes, which are persons, frames, joints and coordinates in some order.
        joints: V.
        coordinates: C; of 2D key points, a third may be their score.

    Example:
        >>> other_order((3, 300, 18, 2), 18, 3)
        'its axes are in another order, give keypoint.transpose(3, 1, 2, 0)'
        >>> other_order((1, 30, 17, 3), 17, 2)
        'give keypoint[..., :2] as keypoint and keypoint[..., 2] as keypoint_score'
    """
    in_place = coordinates == 2 and shape[2:] == (joints, 3)  # a score, of however many persons
    for C in (3,) if in_place else (coordinates, 3):
        for order in permutations(range(4)):
            M, T, *rest = (shape[axis] for axis in order)
            if rest != [joints, C] or M > T:
                continue
            turned = order != (0, 1, 2, 3)
            said = "its axes are in another order, give " if turned else "give "
            array = f"keypoint.transpose{order}" if turned else "keypoint"
            if coordinates != C:
                array += f"[..., :2] as keypoint and {array}[..., 2] as keypoint_score"
            elif not turned:
                continue
            return said + array
    return ""


def check_persons(samples: Sequence[Sample]) -> None:
    """Refuse recordings whose frames are given as persons.

    Raises:
        BadInput: every sample has one frame and many persons.
    """
    shapes = [sample.keypoint.shape for sample in samples]
    if shapes and all(T == 1 and M >= STILL_PERSONS for M, T, *_ in shapes):
        raise BadInput(
            f"all {len(shapes)} samples hold one frame of many persons (sample {samples[0].id!r} "
            f"of {shapes[0][0]}), as if frames were given as persons: give "
            "keypoint.transpose(1, 0, 2, 3), which is (persons, frames, joints, coordinates)"
        )
