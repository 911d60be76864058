"""The bodies of the embedded data set: lengths of their parts, and joints from joint angles.

Axes: F frames of all persons end to end, S sides (left, right), A angles, J joints of the body
model (`NTU25`, then the face).
Space: metres; a body looks along -z, its right is +x, up is +y.
"""

# NumPy's stubs lose the element type when an array is indexed and then transposed or reshaped:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stgcn_lightning.sources.synthetic_actions import ANGLES

Array = NDArray[np.float32]
Indices = NDArray[np.int64]

_LENGTHS = {  # of a stature of 1; from the joint that the part hangs on
    "lower spine": 0.16,
    "upper spine": 0.13,
    "neck": 0.05,
    "head": 0.09,
    "shoulder": 0.11,  # sideways from the spine
    "upper arm": 0.165,
    "forearm": 0.145,
    "hand": 0.045,
    "finger": 0.045,
    "hip": 0.05,  # sideways from the spine
    "thigh": 0.24,
    "shin": 0.235,
    "ankle": 0.045,  # height above the ground
    "foot": 0.075,
    "eye": 0.02,  # from the nose, up and sideways; the ear is twice as far out
}

NTU25 = tuple(range(25))  # joints of the body model that a Kinect v2 tracks, in its order
COCO17 = (25, 26, 27, 28, 29, 4, 8, 5, 9, 6, 10, 12, 16, 13, 17, 14, 18)  # as COCO orders them
_JOINTS = 30


@dataclass(frozen=True)
class Bodies:
    """Bodies of subjects, one row each: what stays when they move."""

    lengths: Array  # (subjects, parts), metres
    posture: Array  # (subjects, A), radians added to every pose

    def of(self, subjects: Indices) -> "Bodies":
        """The rows of these subjects."""
        return Bodies(self.lengths[subjects], self.posture[subjects])


def make_bodies(seed: int, subjects: int) -> Bodies:
    """Bodies of subjects 0..subjects-1; each depends on the seed and its own number alone."""
    draws = np.stack(
        [
            np.random.default_rng([seed, 0, subject]).standard_normal(1 + len(_LENGTHS) + ANGLES)
            for subject in range(subjects)
        ]
    ).clip(-2.5, 2.5)
    stature, parts, posture = np.split(draws, [1, 1 + len(_LENGTHS)], axis=1)
    lengths = np.array(list(_LENGTHS.values())) * (1.70 + 0.09 * stature) * (1 + 0.05 * parts)
    return Bodies(lengths.astype(np.float32), np.radians(3 * posture).astype(np.float32))


def _tilt(points: Array, angle: Array) -> Array:
    """Turn (3, points, F) about x, up towards forward."""
    x, y, z = points
    cos, sin = np.cos(angle), np.sin(angle)
    return np.stack([x, y * cos + z * sin, z * cos - y * sin])


def turn(points: Array, angle: Array) -> Array:
    """Turn (3, points, F) about y, forward towards left."""
    x, y, z = points
    cos, sin = np.cos(angle), np.sin(angle)
    return np.stack([x * cos + z * sin, y, z * cos - x * sin])


def _limb(forward: Array, sideways: Array, bend: Array) -> tuple[Array, Array]:
    """Unit vectors (3, S, F) along the upper and the lower part of arms or legs.

    The hanging limb is bent forward by `bend`, then moved sideways, then forward: (S, F) each.
    """
    side = np.array([[-1], [1]], np.float32)
    cos_f, sin_f = np.cos(forward), np.sin(forward)
    cos_s, sin_s = np.cos(sideways), np.sin(sideways) * side
    cos_b, sin_b = np.cos(bend), np.sin(bend)
    upper = np.stack([sin_s, -cos_s * cos_f, -cos_s * sin_f])
    down = cos_s * cos_b
    lower = np.stack([sin_s * cos_b, sin_b * sin_f - down * cos_f, -down * sin_f - sin_b * cos_f])
    return upper, lower


def articulate(angles: Array, lengths: Array) -> Array:
    """Joints (3, J, F) of a body that stands on the ground, its hips above the origin.

    Args:
        angles: (A, F) radians, as `_pose` orders them.
        lengths: (parts, F) metres, as `_LENGTHS` orders them.
    """
    F = angles.shape[1]
    length = dict(zip(_LENGTHS, lengths, strict=True))  # F each
    lean, twist, nod = angles[:3]  # F each
    arm, leg = angles[3:].reshape(2, 3, 2, F)  # forward, sideways, bend; S, F
    side = np.array([[-1], [1]], np.float32)
    joints = np.zeros((3, _JOINTS, F), np.float32)

    def up(*heights: Array) -> Array:  # 3, points, F
        y = np.stack(heights)
        return np.stack([0 * y, y, 0 * y])

    # Legs, from the hips down; a knee bends backwards. Feet stay level.
    thigh, shin = _limb(leg[0], leg[1], -leg[2])
    hip = np.stack([length["hip"] * side, np.zeros((2, F)), np.zeros((2, F))]).astype(np.float32)
    knee = hip + thigh * length["thigh"]
    ankle = knee + shin * length["shin"]
    foot = ankle.copy()
    foot[1] -= length["ankle"]
    foot[2] -= length["foot"]
    joints[:, 12:20] = np.stack([hip, knee, ankle, foot], 2).reshape(3, 8, F)  # left leg, right leg

    # The spine leans by half below its middle, then in full.
    middle = _tilt(up(length["lower spine"]), lean / 2)  # 3, 1, F
    trunk = middle + _tilt(up(length["upper spine"]), lean)
    joints[:, 1:2], joints[:, 20:21] = middle, trunk

    # Arms in the frame of the shoulders, thumbs across the forearms.
    upper, lower = _limb(*arm)
    shoulder = np.stack([length["shoulder"] * side, np.zeros((2, F)), np.zeros((2, F))])
    elbow = shoulder + upper * length["upper arm"]
    wrist = elbow + lower * length["forearm"]
    hand = wrist + lower * length["hand"]
    tip = hand + lower * length["finger"]
    thumb = hand + _limb(arm[0], arm[1], arm[2] + np.pi / 2)[1] * length["finger"]
    arms = np.stack([shoulder, elbow, wrist, hand, tip, thumb], 2).reshape(3, 12, F)
    arms = trunk + _tilt(turn(arms.astype(np.float32), twist), lean)
    joints[:, [4, 5, 6, 7, 21, 22, 8, 9, 10, 11, 23, 24]] = arms

    # The head nods on the neck and follows half of the twist; nose, eyes and ears are on it.
    neck = trunk + _tilt(up(length["neck"]), lean)
    joints[:, 2:3] = neck
    head, eye = length["head"], length["eye"]
    face = up(head, head, head + eye, head + eye, head + eye / 2, head + eye / 2)
    face[0, 2:] = np.stack([-eye, eye, -2 * eye, 2 * eye])
    face[2, 1:] -= np.stack([3 * eye, 2.5 * eye, 2.5 * eye, 0 * eye, 0 * eye])
    joints[:, [3, 25, 26, 27, 28, 29]] = neck + _tilt(turn(face, twist / 2), lean + nod)

    joints[1] += length["ankle"] - ankle[1].min(0)  # the lower foot is on the ground
    return joints
