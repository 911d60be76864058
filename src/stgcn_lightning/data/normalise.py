"""Move every sample into the coordinate system that the network expects, once, before the store.

2D key points are scaled to the picture; 3D bodies are centred, and turned upright or not. The order
of the operations and the type in which each is rounded are MMAction2's (PreNormalize2D,
PreNormalize3D), because the published checkpoints were trained on exactly these numbers.

Axes: M persons, T frames, V joints, C coordinates.
"""

from collections.abc import Iterator, Sequence
from functools import reduce
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stgcn_lightning.data.names import MODES
from stgcn_lightning.errors import BadInput
from stgcn_lightning.skeleton import Normalisation

Array = NDArray[np.floating[Any]]

UP = np.array([0.0, 0.0, 1.0])
RIGHT = np.array([1.0, 0.0, 0.0])
EYE = np.eye(3)
ALIGNED = 1e-6  # below this a vector has no direction, an angle no effect (PreNormalize3D)


def normalise(
    keypoint: Array,
    score: Array | None,
    *,
    mode: str,
    img_shape: tuple[int, int] | None,
    joints: Normalisation | None = None,
) -> Array:
    """Normalise one sample and join its scores to it.

    Args:
        keypoint: (M, T, V, 2) in pixels or (M, T, V, 3) in metres, in the type it is stored in.
        score: (M, T, V) confidence of 2D key points; None means that every joint is certain (1).
        mode: ``2d``, ``3d``, ``3d_centred`` (which turns nothing) or ``none``.
        img_shape: (height, width) of the picture in pixels; ``2d`` needs it.
        joints: which joints give centre, body axis and shoulder line; used in 3D.

    Returns:
        (M, T, V, 3): (x, y, score) in the stored type, or (x, y, z); ``3d`` gives float32. Both 3D
        modes may drop frames and persons, and swap the persons when the second is seen longer.

    Raises:
        BadInput: `mode` is unknown or for another number of coordinates, or the skeleton does not
            say how to normalise in 3D.
    """
    if mode not in MODES:
        raise BadInput(f"benchmark.normalise={mode!r} is none of {', '.join(MODES)}")
    dimension = f"{keypoint.shape[-1]}d"
    if not mode.startswith((dimension, "none")):
        raise BadInput(
            f"benchmark.normalise={mode} cannot be done to {dimension} key points; "
            f"set it to {dimension} or none"
        )
    if mode.startswith("3d"):
        if joints is None:
            raise BadInput(
                f"benchmark.normalise={mode} needs the skeleton's `normalise` joints (centre, "
                "body, shoulders): add them to the skeleton file or set benchmark.normalise=none"
            )
        return placed_all([keypoint], joints, turned=mode == "3d")[0]
    if mode == "2d":
        if img_shape is None:
            raise BadInput("benchmark.normalise=2d needs the size of the picture: give img_shape")
        keypoint = scale_to_picture(keypoint, img_shape)
    if keypoint.shape[-1] == 3:
        return keypoint
    if score is None:
        score = np.ones(keypoint.shape[:-1], keypoint.dtype)
    return np.concatenate([keypoint, score[..., None]], axis=-1)


def scale_to_picture(keypoint: Array, img_shape: tuple[int, int]) -> Array:
    """Pixels to [-1, 1], the middle of the picture at zero; a joint at (0, 0) goes to (-1, -1).

    Example:
        >>> scale_to_picture(np.array([[0.0, 0.0], [960.0, 1080.0]]), (1080, 1920)).tolist()
        [[-1.0, -1.0], [0.0, 1.0]]
    """
    height, width = img_shape
    half = np.tile(np.array([width / 2, height / 2], keypoint.dtype), keypoint.shape[-2])
    frames = np.reshape(keypoint, (*keypoint.shape[:-2], -1))  # loops over pairs would be slow
    return np.reshape((frames - half) / half, keypoint.shape)


def upright(keypoint: Array, joints: Normalisation) -> NDArray[np.float32]:
    """Centre the first person, and turn the body axis to +z, then the shoulder line to +x.

    The second turn is not about z, so the spine leaves z again: the published models were trained
    on such input. A sample that is all zero is returned as it is.
    """
    return placed_all([keypoint], joints, turned=True)[0]


def placed_all(
    keypoints: Sequence[Array], joints: Normalisation, *, turned: bool, cut_absent: bool = False
) -> list[Array]:
    """What `upright` gives for each of several samples, computed together, which is faster.

    Args:
        keypoints: (M, T, V, C) each, of one type, one V and one C.
        joints: which give centre, body axis and shoulder line.
        turned: turn bodies upright; if not, they are centred in the type that they are stored in.
        cut_absent: leave a second person out who is in none of the frames that are kept.
    """
    V, C = keypoints[0].shape[2:]
    rows = np.concatenate([np.reshape(one[:2], (-1, V * C)) for one in keypoints])  # R, V C
    numbers = list(_kept(keypoints, not_zero(rows), cut_absent))  # M', T' each
    rows = rows[np.concatenate([one.ravel() for one in numbers])]
    ends = np.cumsum([one.size for one in numbers]).tolist()
    parts = [slice(end - one.size, end) for one, end in zip(numbers, ends, strict=True)]
    centres = np.reshape(rows, (-1, V, C))[[part.start for part in parts], joints.centre]  # B, C
    centred = np.empty_like(rows)
    for part, centre in zip(parts, np.tile(centres, V), strict=True):
        np.subtract(rows[part], centre, out=centred[part])
    bodies, centred = np.reshape(rows, (-1, V, C)), np.reshape(centred, (-1, V, C))
    _leave_unseen(centred, bodies)
    placed = _turned(centred, parts, joints) if turned else centred
    for part in parts:
        if not bodies[part.start].any():  # nobody, at any time
            placed[part] = bodies[part]
    each = zip(numbers, parts, strict=True)
    return [np.reshape(placed[part], (*one.shape, V, C)) for one, part in each]


def _turned(centred: Array, parts: Sequence[slice], joints: Normalisation) -> NDArray[np.float32]:
    """Centred bodies (R, V, C), those of each part turned by its first one."""
    wide = centred.astype(np.float64)
    halfway = np.empty_like(wide)
    for part in parts:
        up, aside = _turns(centred[part.start], joints)
        np.matmul(wide[part], up, out=halfway[part])
        np.matmul(halfway[part], aside, out=wide[part])
    return wide.astype(np.float32)


def _kept(
    keypoints: Sequence[Array], seen: NDArray[np.bool_], cut_absent: bool
) -> Iterator[NDArray[np.int64]]:
    """Which rows of each sample are kept, (M, T) in their order; see `placed_all`."""
    start = 0
    for one in keypoints:
        M, T = min(len(one), 2), one.shape[1]
        numbers = np.reshape(np.arange(start, start := start + M * T, dtype=np.int64), (M, T))
        present = seen[numbers]
        if M == 2 and np.count_nonzero(present[1]) > np.count_nonzero(present[0]):
            numbers, present = numbers[::-1], present[::-1]
        if present[0].any():
            if cut_absent and not (present[1:] & present[0]).any():
                numbers = numbers[:1]
            numbers = numbers[:, present[0]]
        yield numbers


class Anchor(NamedTuple):
    """Where a first frame puts the body that is placed by it.

    Attributes:
        centre: (C,) what becomes the origin, in the type that the body is stored in.
        up: 3 x 3, which turns its axis to +z.
        aside: 3 x 3, which then turns its shoulder line to +x.
    """

    centre: Array
    up: NDArray[np.float64]
    aside: NDArray[np.float64]

    @classmethod
    def of(cls, body: Array, joints: Normalisation, *, turned: bool) -> "Anchor":
        """The anchor of a first frame (V, C); without turning, of its centre alone."""
        centre = body[joints.centre].copy()  # the frame may be overwritten by what is placed
        turns = _turns(_centred(body, centre), joints) if turned else (EYE, EYE)
        return cls(centre, *turns)

    def placed(self, bodies: Array) -> NDArray[np.float32]:
        """Bodies (..., V, C), centred and turned; joints at the origin are not seen, and stay."""
        turned = _centred(bodies, self.centre).astype(np.float64) @ self.up
        return (turned @ self.aside).astype(np.float32)


def _turns(
    centred: Array, joints: Normalisation
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Two rotations, 3 x 3 each, that put a centred body (V, C) upright and then facing forward."""
    bottom, top = joints.body
    up = rotation_onto(centred[top] - centred[bottom], UP)
    left, right = joints.shoulders
    turned = centred.astype(np.float64) @ up
    return up, rotation_onto(turned[right] - turned[left], RIGHT)


def _centred(bodies: Array, centre: Array) -> Array:
    """Bodies (..., V, C) less the centre; an undetected joint stays at the origin."""
    centred = bodies - centre
    _leave_unseen(centred, bodies)
    return centred


def _leave_unseen(centred: Array, bodies: Array) -> None:
    """Put joints that were not detected back to where they are in `bodies`, the origin."""
    unseen = ~not_zero(bodies)
    if unseen.any():
        centred[unseen] = bodies[unseen]


def not_zero(numbers: Array) -> NDArray[np.bool_]:
    """Where any number of the last axis is not zero: `np.any` of their bits, which is fast."""
    bits: NDArray[Any] = np.ascontiguousarray(numbers).view(f"u{numbers.dtype.itemsize}")  # pyright: ignore[reportUnknownMemberType]
    if bits.shape[-1] > 4:
        either: NDArray[Any] = np.bitwise_or.reduce(bits, axis=-1)  # pyright: ignore[reportUnknownMemberType]
        return either << 1 != 0  # without the sign of a zero
    return reduce(np.bitwise_or, np.moveaxis(bits, -1, 0)) << 1 != 0


def rotation_onto(vector: Array, target: NDArray[np.float64]) -> NDArray[np.float64]:
    """3 x 3 rotation; ``vector @ rotation`` points along the unit vector `target` (Rodrigues).

    The direction of `vector` is computed in its own type: for float16 both the norm and the
    quotient round, which moves the angle by up to 1e-3.
    """
    (a, b, c), (u, v, w) = vector.tolist(), target.tolist()
    axis = np.array([b * w - c * v, c * u - a * w, a * v - b * u])  # np.cross is slow
    if _vanishes(vector) or _vanishes(axis):
        return np.eye(3)
    norm = np.sqrt(np.dot(vector, vector))
    angle = np.arccos(min(1.0, max(-1.0, np.dot((vector / norm).astype(np.float64), target))))
    if angle < ALIGNED:
        return np.eye(3)
    x, y, z = (axis / np.sqrt(np.dot(axis, axis))).tolist()
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return EYE - np.sin(angle) * cross + (1 - np.cos(angle)) * (cross @ cross)


def _vanishes(vector: Array) -> bool:
    """Whether a vector has no direction; of most, the largest number tells that it has one."""
    numbers: list[float] = vector.tolist()
    largest = max(map(abs, numbers))
    return not largest > 2 * ALIGNED and bool(np.abs(vector).sum() < ALIGNED)
