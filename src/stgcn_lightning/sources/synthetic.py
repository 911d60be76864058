"""The embedded data set: annotations of an articulated body that acts before a camera.

Every action walks through a few key poses. The actions come in pairs (`PAIRS`) that are each
other's time reversal: the same frames with the same probability, in opposite order. Whoever sees
single frames, or all of them in random order, can tell the pair and no more, and is right half of
the time at best; less often with single frames, since pairs share poses. Wrapped around from any
start, as the reference's clips of short samples are, an action still differs from its reversal. In
the last pair the first person does the same in both, and only the second person tells them apart.

A sample is made in this order: key poses -> joint angles of every frame -> joints in metres
(`_articulate`) -> the scene, camera's view of it (`_place`) -> key points with noise (`_observe`).

Axes: P persons of all samples end to end, F their frames end to end, S sides (left, right),
A angles, J joints of the body model (`NTU25`, then the face), K key poses.
Space: metres; a body looks along -z, its right is +x, up is +y. The camera sees as a Kinect does:
y up, z away from it, x to its own left (so a person who faces it has the left hand at smaller x),
which is right-handed: nobody is seen in a mirror.
"""

# NumPy's stubs lose the element type when an array is indexed and then transposed or reshaped:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stgcn_lightning.errors import BadInput
from stgcn_lightning.sources.mmaction2 import Annotations, Sample

Array = NDArray[np.float32]
Indices = NDArray[np.int64]

VERSION = 1  # of what is made: raise it whenever a seed gives other samples
IMG_SHAPE = (1080, 1920)  # height, width
FOCAL = 1060.0  # pixels; the colour camera of a Kinect v2, about
PIXELS_PER_METRE = FOCAL / 3.5  # at the middle distance: makes noise in pixels one in metres

# --- what bodies do ---------------------------------------------------------------------------


def _pose(
    lean: float = 0,
    twist: float = 0,
    nod: float = 0,
    *,
    arms: tuple[float, float, float] = (5, 8, 12),
    right_arm: tuple[float, float, float] | None = None,
    legs: tuple[float, float, float] = (0, 4, 3),
    right_leg: tuple[float, float, float] | None = None,
) -> list[float]:
    """Joint angles in degrees, all 0 in a body that hangs straight.

    Args:
        lean: trunk forward.
        twist: shoulders against hips, to the left.
        nod: head forward, against the trunk.
        arms: (forward, sideways, elbow); of the left arm alone if `right_arm` is given.
        right_arm: as `arms`.
        legs: (forward, sideways, knee); of the left leg alone if `right_leg` is given.
        right_leg: as `legs`.
    """
    sides = zip(arms, right_arm or arms, strict=True), zip(legs, right_leg or legs, strict=True)
    return [lean, twist, nod, *(angle for limbs in sides for pair in limbs for angle in pair)]


_POSES = {
    "stand": _pose(),
    "half sit": _pose(35, arms=(30, 10, 25), legs=(55, 6, 75)),
    "sit": _pose(5, arms=(28, 8, 50), legs=(85, 7, 85)),
    "reach down": _pose(75, 0, 10, arms=(85, 4, 8), legs=(50, 6, 75)),
    "carry": _pose(-3, 0, 10, arms=(25, 4, 85)),
    "arms forward": _pose(-2, arms=(85, 4, 8)),
    "arms up": _pose(-4, 0, -8, arms=(165, 14, 12)),
    "arms apart": _pose(-4, arms=(80, 80, 10)),
    "offer": _pose(6, 12, right_arm=(62, 4, 22)),
    "left step": _pose(
        5, -8, arms=(-22, 8, 15), right_arm=(25, 8, 25), legs=(28, 3, 5), right_leg=(-22, 3, 20)
    ),
    "right step": _pose(
        5, 8, arms=(25, 8, 25), right_arm=(-22, 8, 15), legs=(-22, 3, 20), right_leg=(28, 3, 5)
    ),
    "on left leg": _pose(4, arms=(0, 8, 18), legs=(0, 3, 4), right_leg=(18, 3, 50)),
    "on right leg": _pose(4, arms=(0, 8, 18), legs=(18, 3, 50), right_leg=(0, 3, 4)),
}
# The same pose of a body seen in a mirror: limbs change sides, the twist its sign.
_MIRROR_ORDER = [0, 1, 2, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13]
_MIRROR_SIGN = np.array([1, -1] + [1] * 13, np.float32)
_ANGLES = len(_MIRROR_ORDER)


@dataclass(frozen=True)
class Course:
    """One person's way through key poses.

    Attributes:
        poses: names of key poses; walked through again from the start if `length` goes beyond.
        length: least and greatest number of key poses.
        backwards: the same frames in the opposite order.
        step: metres forward from key pose to key pose; the middle of the way is at the origin.
    """

    poses: tuple[str, ...]
    length: tuple[int, int]
    backwards: bool = False
    step: float = 0.0


def _course(*poses: str, backwards: bool = False, step: float = 0.0) -> Course:
    return Course(poses, (len(poses), len(poses)), backwards, step)


_GAIT = ("left step", "on left leg", "right step", "on right leg")
_SIT = ("stand", "half sit", "sit")
_PICK_UP = ("stand", "reach down", "carry")
_RAISE = ("stand", "arms forward", "arms up")
_OPEN = ("stand", "arms forward", "arms apart")
_APPROACH = ("stand", *_GAIT, "offer")
_OFFER = _course("stand", "offer", "stand")  # as probable as its own reversal

_COURSES: dict[str, tuple[Course, ...]] = {
    "sit_down": (_course(*_SIT),),
    "stand_up": (_course(*_SIT, backwards=True),),
    "pick_up": (_course(*_PICK_UP),),
    "put_down": (_course(*_PICK_UP, backwards=True),),
    "walk_forwards": (Course(_GAIT, (6, 10), step=0.28),),
    "walk_backwards": (Course(_GAIT, (6, 10), step=0.28, backwards=True),),
    "raise_arms": (_course(*_RAISE),),
    "lower_arms": (_course(*_RAISE, backwards=True),),
    "open_arms": (_course(*_OPEN),),
    "close_arms": (_course(*_OPEN, backwards=True),),
    "offer_accepted": (_OFFER, _course(*_APPROACH, step=0.2)),  # the other walks up, hand first
    "offer_refused": (_OFFER, _course(*_APPROACH, step=0.2, backwards=True)),
}
ACTIONS = tuple(_COURSES)
PAIRS = tuple(zip(ACTIONS[::2], ACTIONS[1::2], strict=True))
_ALONE = [label for label, name in enumerate(ACTIONS) if len(_COURSES[name]) == 1]
_TOGETHER = [label for label, name in enumerate(ACTIONS) if len(_COURSES[name]) == 2]
_MAX_POSES = max(course.length[1] for courses in _COURSES.values() for course in courses)


def _label(index: int) -> int:
    """Every fifth sample holds two persons, as about every fifth of NTU RGB+D does."""
    if index % 5 == 4:
        return _TOGETHER[index // 5 % len(_TOGETHER)]
    return _ALONE[(index - index // 5) % len(_ALONE)]


# --- what bodies are --------------------------------------------------------------------------

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
            np.random.default_rng([seed, 0, subject]).standard_normal(1 + len(_LENGTHS) + _ANGLES)
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


def _turn(points: Array, angle: Array) -> Array:
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


def _articulate(angles: Array, lengths: Array) -> Array:
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
    arms = trunk + _tilt(_turn(arms.astype(np.float32), twist), lean)
    joints[:, [4, 5, 6, 7, 21, 22, 8, 9, 10, 11, 23, 24]] = arms

    # The head nods on the neck and follows half of the twist; nose, eyes and ears are on it.
    neck = trunk + _tilt(up(length["neck"]), lean)
    joints[:, 2:3] = neck
    head, eye = length["head"], length["eye"]
    face = up(head, head, head + eye, head + eye, head + eye / 2, head + eye / 2)
    face[0, 2:] = np.stack([-eye, eye, -2 * eye, 2 * eye])
    face[2, 1:] -= np.stack([3 * eye, 2.5 * eye, 2.5 * eye, 0 * eye, 0 * eye])
    joints[:, [3, 25, 26, 27, 28, 29]] = neck + _tilt(_turn(face, twist / 2), lean + nod)

    joints[1] += length["ankle"] - ankle[1].min(0)  # the lower foot is on the ground
    return joints


# --- one batch of samples ---------------------------------------------------------------------


@dataclass(frozen=True)
class Scene:
    """What is decided of a sample before its frames are computed; every draw is in [0, 1)."""

    label: int
    frames: int
    subjects: tuple[int, int]  # rows of the bodies; the second is used if the action needs it
    draws: Array  # (_SCENE_DRAWS,)
    person_draws: Array  # (2, _PERSON_DRAWS)

    @property
    def courses(self) -> tuple[Course, ...]:
        """One for each person."""
        return _COURSES[ACTIONS[self.label]]

    @property
    def camera(self) -> int:
        """0, 1, 2: from the body's one side, from the front, from the other."""
        return int(self.draws[0] * 3)


_SCENE_DRAWS = 7  # camera and six of `_place`
_PERSON_DRAWS = 6 + (_MAX_POSES - 1) + 2 * _ANGLES  # as `_angles` takes them apart


def _between(draw: Array, low: float, high: float) -> Array:
    return low + (high - low) * draw


def _angles(scenes: Sequence[Scene], bodies: Bodies) -> tuple[Array, Array]:
    """Joint angles (A, F) of every frame, and metres walked forward (F,).

    Frames depend on a clock that a backwards course runs the other way round, in integers, so that
    two actions that are each other's reversal are so to the last bit.
    """
    courses = [course for scene in scenes for course in scene.courses]
    frames = np.array([scene.frames for scene in scenes for _ in scene.courses])
    draws = np.concatenate([scene.person_draws[: len(scene.courses)] for scene in scenes])
    before, after, longer, mirrored, size, rate = draws[:, :6].T  # P each
    paces, posture, phases = np.split(draws[:, 6:], [_MAX_POSES - 1, _MAX_POSES - 1 + _ANGLES], 1)
    keys = _key_poses(courses, mirrored, size) + bodies.posture[:, None]
    keys += np.radians(_between(posture, -6, 6))[:, None]  # P, K, A
    least, greatest = np.array([course.length for course in courses]).T
    count = least + (longer * (greatest - least + 1)).astype(np.int64)  # P
    reached = _schedule(count, before, after, paces)  # P, K

    who = np.repeat(np.arange(len(courses)), frames)  # F
    backwards = np.array([course.backwards for course in courses])[who]
    last = 2 * frames[who]  # frames are at odd ticks
    ticks = 2 * (np.arange(len(who)) - np.repeat(np.cumsum(frames) - frames, frames)) + 1
    ticks = np.where(backwards, last - ticks, ticks).astype(np.float32)
    moment = ticks / last.astype(np.float32)  # F in [0, 1]

    key = np.minimum((moment[:, None] >= reached[who, 1:]).sum(1), count[who] - 2)
    start, end = reached[who, key], reached[who, key + 1]
    way = ((moment - start) / (end - start)).clip(0, 1)  # from this key pose to the next
    ease = (way * way * (3 - 2 * way))[:, None]
    angles = keys[who, key] * (1 - ease) + keys[who, key + 1] * ease  # F, A
    turns = (ticks * _between(rate, 0.005, 0.015)[who])[:, None] + phases[who]
    angles += np.radians(np.float32(2)) * np.sin(2 * np.pi * turns)  # nobody stands quite still
    step = np.array([course.step for course in courses])[who]
    walked = step * (key + way - (count[who] - 1) / 2)
    return angles.T, walked.astype(np.float32)


def _key_poses(courses: Sequence[Course], mirrored: Array, size: Array) -> Array:
    """Radians (P, K, A): half of the people use the other hand, and some move more than others."""
    keys = np.stack([_KEY_POSES[course.poses] for course in courses])
    keys = np.where(mirrored[:, None, None] < 0.5, keys, keys[..., _MIRROR_ORDER] * _MIRROR_SIGN)
    stand = np.radians(np.array(_POSES["stand"], np.float32))
    return stand + (keys - stand) * _between(size, 0.85, 1.1)[:, None, None]


_KEY_POSES = {
    course.poses: np.radians(
        np.array([_POSES[course.poses[k % len(course.poses)]] for k in range(_MAX_POSES)]),
        dtype=np.float32,
    )
    for courses in _COURSES.values()
    for course in courses
}


def _schedule(count: Indices, before: Array, after: Array, paces: Array) -> Array:
    """When each key pose is reached, (P, K) in [0, 1]; never (inf) beyond a person's last one.

    First and last pose are held for a while, and as long on average, for a reversal to be possible.
    """
    k = np.arange(_MAX_POSES)
    before, after = _between(before, 0.02, 0.2)[:, None], _between(after, 0.02, 0.2)[:, None]
    lasts = np.where(k[1:] < count[:, None], _between(paces, 0.7, 1.3), 0)
    reached = np.zeros((len(count), _MAX_POSES), np.float32)
    reached[:, 1:] = np.cumsum(lasts / lasts.sum(1, keepdims=True), axis=1)
    reached *= 1 - before - after
    reached += before
    reached[k >= count[:, None]] = np.inf
    return reached


def _place(scenes: Sequence[Scene], joints: Array, walked: Array) -> Array:
    """Joints (3, V, F) in the camera's space, from joints about each body's own origin.

    Cameras stand as those of NTU RGB+D do: 45 degrees to either side, and in front. Two persons
    face each other and are seen from the side.
    """
    second = np.array([m for scene in scenes for m in range(len(scene.courses))])  # P
    scene_of = [scene for scene in scenes for _ in scene.courses]
    angle, flip, sideways, distance, height, gap = np.stack([s.draws[1:] for s in scene_of], 1)
    together = np.array([len(scene.courses) == 2 for scene in scene_of])
    apart = np.where(together, _between(gap, 1.2, 1.5) / 2, 0)  # from the middle between them
    turned = 45 * np.array([scene.camera - 1 for scene in scene_of]) + _between(angle, -15, 15)
    turned += np.where(together, np.where(flip < 0.5, -90, 90), 0) + 180 * second

    def each(value: NDArray[np.floating[Any]]) -> Array:  # P -> F
        return np.repeat(value.astype(np.float32), [scene.frames for scene in scene_of])

    # Ahead of the middle is +z here: a person at +apart looks back at it, along -z.
    joints[2] += each(apart) - walked
    joints = _turn(joints, each(np.radians(turned)))
    joints[0] += each(_between(sideways, -0.3, 0.3))
    joints[1] -= each(_between(height, 0.8, 1.2))
    joints[2] += each(_between(distance, 3.0, 4.0))
    return joints


def _observe(
    joints: Array, doubts: Array, errors: Array, dimension: str, noise: float
) -> tuple[NDArray[np.float16], NDArray[np.float16]]:
    """Key points (F, V, C) and scores (F, V) as a detector gives them.

    Args:
        joints: (3, V, F) metres, in the camera's space.
        doubts: (F, V) uniform in [0, 1): how hard a joint is to see. Above 0.98 it is dropped:
            guessed, somewhere near, with a score close to 0.
        errors: (F, V, C) standard normal.
        dimension: "2d" (C = 2, pixels) or "3d" (C = 3, metres).
        noise: factor of the errors.
    """
    spread = noise * np.where(doubts > 0.98, 100, 2 + 10 * doubts * doubts)  # pixels
    score = 1 / (1 + (spread / 20) ** 2)
    if dimension == "3d":
        seen = joints.T
        spread = spread / PIXELS_PER_METRE
    else:
        x, y, z = joints.transpose(0, 2, 1)
        height, width = IMG_SHAPE
        seen = np.stack([width / 2 - FOCAL * x / z, height / 2 - FOCAL * y / z], -1)
    return (seen + spread[..., None] * errors).astype(np.float16), score.astype(np.float16)


# --- the whole data set -----------------------------------------------------------------------

_BATCH = 64  # samples computed at once; changes the speed alone


def draw_scene(
    rng: np.random.Generator, label: int, subjects: range, min_frames: int, max_frames: int
) -> Scene:
    """Draw a sample; draws are the same ones for every label."""
    share = rng.beta(2, 8)  # NTU's lengths: 84 frames on average between 30 and 300, few long ones
    draws = rng.random(_SCENE_DRAWS + 2 * _PERSON_DRAWS + 2, np.float32)
    first, further = (draws[-2:] * (len(subjects), len(subjects) - 1)).astype(int)
    other = (first + 1 + further) % len(subjects)
    return Scene(
        label,
        int(min_frames + np.floor(share * (max_frames - min_frames + 1))),
        (subjects[first], subjects[other]),
        draws[:_SCENE_DRAWS],
        draws[_SCENE_DRAWS:-2].reshape(2, _PERSON_DRAWS),
    )


def render(
    scenes: Sequence[Scene],
    rngs: Sequence[np.random.Generator],
    bodies: Bodies,
    dimension: str,
    noise: float,
) -> Iterator[tuple[NDArray[np.float16], NDArray[np.float16]]]:
    """Key points (M, T, V, C) and scores (M, T, V) of each scene; its generator draws the noise."""
    rows = np.array([s.subjects[m] for s in scenes for m in range(len(s.courses))])
    frames = np.array([s.frames for s in scenes for _ in s.courses])
    acting = bodies.of(rows)
    angles, walked = _angles(scenes, acting)
    joints = _articulate(angles, np.repeat(acting.lengths, frames, axis=0).T)
    tracked, C = (NTU25, 3) if dimension == "3d" else (COCO17, 2)
    V = len(tracked)
    joints = _place(scenes, joints[:, tracked], walked)
    doubts = np.empty((len(walked), V), np.float32)
    errors = np.empty((len(walked), V, C), np.float32)
    ends = np.cumsum([s.frames * len(s.courses) for s in scenes])
    for rng, start, end in zip(rngs, [0, *ends[:-1]], ends, strict=True):
        rng.random(dtype=np.float32, out=doubts[start:end])
        rng.standard_normal(dtype=np.float32, out=errors[start:end])
    keypoint, score = _observe(joints, doubts, errors, dimension, noise)

    for scene, start, end in zip(scenes, [0, *ends[:-1]], ends, strict=True):
        shape = (len(scene.courses), scene.frames, V)
        yield keypoint[start:end].reshape(*shape, C), score[start:end].reshape(shape)


def synthetic_annotations(
    dimension: str,
    train_samples: int,
    val_samples: int,
    *,
    seed: int = 0,
    train_subjects: int = 40,
    val_subjects: int = 20,
    min_frames: int = 30,
    max_frames: int = 300,
    noise: float = 1.0,
) -> Annotations:
    """Make a data set with the splits `train` and `val`, which share no subject.

    A sample depends on the seed, its split and its place in the split, not on how many there are.
    Four samples in five hold one person; actions of one person are equally frequent, those of two
    as well. Ids are like NTU RGB+D's: setup, camera, (first) subject, repetition, action from 1.

    Args:
        dimension: "2d" for coco17, (x, y) in pixels of a 1080 x 1920 image, with scores; "3d" for
            ntu25, (x, y, z) in metres in the camera's space, without scores.
        train_samples: size of `train`, at most 1,000,000.
        val_samples: size of `val`, at most 1,000,000.
        seed: of everything random.
        train_subjects: how many different bodies there are in `train`; at least 2.
        val_subjects: how many there are in `val`; at least 2.
        min_frames: least length of a sample; at least 2.
        max_frames: greatest length; the mean is a fifth of the way up to it.
        noise: factor of the key points' errors: 0 gives every joint where it is, with score 1.

    Returns:
        Samples of `train`, then of `val`; key points and scores are float16.

    Raises:
        BadInput: an argument is out of its range.
    """
    if dimension not in ("2d", "3d"):
        raise BadInput(f"dimension is {dimension!r}: give '2d' or '3d'.")
    for name, value, least, greatest in (
        ("train_samples", train_samples, 0, 1_000_000),
        ("val_samples", val_samples, 0, 1_000_000),
        ("train_subjects", train_subjects, 2, 997),
        ("val_subjects", val_subjects, 2, 999 - train_subjects),
        ("min_frames", min_frames, 2, max_frames),
        ("noise", noise, 0, 10),
    ):
        if not least <= value <= greatest:
            raise BadInput(f"{name} is {value}: give a value from {least} to {greatest}.")

    bodies = make_bodies(seed, train_subjects + val_subjects)
    people = range(train_subjects), range(train_subjects, train_subjects + val_subjects)
    samples: list[Sample] = []
    splits: dict[str, list[str]] = {}
    for split, size, subjects in zip(
        ("train", "val"), (train_samples, val_samples), people, strict=True
    ):
        stream = 1 + len(splits)  # of random numbers; the bodies have stream 0
        splits[split] = []
        for start in range(0, size, _BATCH):
            indices = range(start, min(start + _BATCH, size))
            rngs = [np.random.default_rng([seed, stream, index]) for index in indices]
            scenes = [
                draw_scene(rng, _label(index), subjects, min_frames, max_frames)
                for index, rng in zip(indices, rngs, strict=True)
            ]
            rendered = render(scenes, rngs, bodies, dimension, noise)
            for index, scene, (keypoint, score) in zip(indices, scenes, rendered, strict=True):
                name = (
                    f"S{1 + index // 1000:03}C{1 + scene.camera:03}P{1 + scene.subjects[0]:03}"
                    f"R{index % 1000:03}A{1 + scene.label:03}"
                )
                splits[split].append(name)
                kept = score if dimension == "2d" else None
                samples.append(Sample(name, scene.label, keypoint, kept, IMG_SHAPE))
    return Annotations(samples, splits)
