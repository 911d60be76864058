"""Scenes of the embedded data set: subjects, camera, and what a detector sees of them.

A sample is made in this order: key poses -> joint angles of every frame (`_angles`) -> joints in
metres (`articulate`) -> the scene, camera's view of it (`_place`) -> key points with noise
(`_observe`).

Axes: P persons of all samples end to end, F their frames end to end, A angles, J joints of the body
model, K key poses.
Space: metres; a body looks along -z, its right is +x, up is +y. The camera sees as a Kinect does:
y up, z away from it, x to its own left (so a person who faces it has the left hand at smaller x),
which is right-handed, so that left and right are not exchanged.
"""

# NumPy's stubs lose the element type when an array is indexed and then transposed or reshaped:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stgcn_lightning.sources.synthetic_actions import (
    ACTIONS,
    ANGLES,
    COURSES,
    MAX_POSES,
    MIRROR_ORDER,
    MIRROR_SIGN,
    POSES,
    Course,
)
from stgcn_lightning.sources.synthetic_bodies import (
    COCO17,
    NTU25,
    Array,
    Bodies,
    Indices,
    articulate,
    turn,
)

IMG_SHAPE = (1080, 1920)  # height, width
FOCAL = 1060.0  # pixels; the colour camera of a Kinect v2, about
PIXELS_PER_METRE = FOCAL / 3.5  # at the middle distance: makes noise in pixels one in metres


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
        return COURSES[ACTIONS[self.label]]

    @property
    def camera(self) -> int:
        """0, 1, 2: from the body's one side, from the front, from the other."""
        return int(self.draws[0] * 3)


_SCENE_DRAWS = 7  # camera and six of `_place`
_PERSON_DRAWS = 6 + (MAX_POSES - 1) + 2 * ANGLES  # as `_angles` takes them apart


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
    paces, posture, phases = np.split(draws[:, 6:], [MAX_POSES - 1, MAX_POSES - 1 + ANGLES], 1)
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
    angles += np.radians(np.float32(2)) * np.sin(2 * np.pi * turns)  # a standing body sways
    step = np.array([course.step for course in courses])[who]
    walked = step * (key + way - (count[who] - 1) / 2)
    return angles.T, walked.astype(np.float32)


def _key_poses(courses: Sequence[Course], mirrored: Array, size: Array) -> Array:
    """Radians (P, K, A): half of the people use the other hand, and some move more than others."""
    keys = np.stack([_KEY_POSES[course.poses] for course in courses])
    keys = np.where(mirrored[:, None, None] < 0.5, keys, keys[..., MIRROR_ORDER] * MIRROR_SIGN)
    stand = np.radians(np.array(POSES["stand"], np.float32))
    return stand + (keys - stand) * _between(size, 0.85, 1.1)[:, None, None]


_KEY_POSES = {
    course.poses: np.radians(
        np.array([POSES[course.poses[k % len(course.poses)]] for k in range(MAX_POSES)]),
        dtype=np.float32,
    )
    for courses in COURSES.values()
    for course in courses
}


def _schedule(count: Indices, before: Array, after: Array, paces: Array) -> Array:
    """When each key pose is reached, (P, K) in [0, 1]; never (inf) beyond a person's last one.

    First and last pose are held for a while, and as long on average, for a reversal to be possible.
    """
    k = np.arange(MAX_POSES)
    before, after = _between(before, 0.02, 0.2)[:, None], _between(after, 0.02, 0.2)[:, None]
    lasts = np.where(k[1:] < count[:, None], _between(paces, 0.7, 1.3), 0)
    reached = np.zeros((len(count), MAX_POSES), np.float32)
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
    joints = turn(joints, each(np.radians(turned)))
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
    joints = articulate(angles, np.repeat(acting.lengths, frames, axis=0).T)
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
