"""What the bodies of the embedded data set do: key poses, and the paths through them.

Every action walks through a few key poses. The actions come in pairs (`PAIRS`) that are each
other's time reversal: the same frames with the same probability, in opposite order. A model that
sees single frames, or all of them in random order, can recognise the pair and no more, and is right
half of the time at best; less often with single frames, since pairs share poses. Repeated from any
start, as the reference's clips of short samples are, an action still differs from its reversal. In
the last pair the first person does the same in both actions, and only the second person
distinguishes them.

Axes: K key poses, A angles.
"""

from dataclasses import dataclass

import numpy as np


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


POSES = {
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
MIRROR_ORDER = [0, 1, 2, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13]
MIRROR_SIGN = np.array([1, -1] + [1] * 13, np.float32)
ANGLES = len(MIRROR_ORDER)


@dataclass(frozen=True)
class Course:
    """One person's path through key poses.

    Attributes:
        poses: names of key poses; walked through again from the start if `length` goes beyond.
        length: least and greatest number of key poses.
        backwards: the same frames in the opposite order.
        step: metres forward from key pose to key pose; the middle of the path is at the origin.
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

COURSES: dict[str, tuple[Course, ...]] = {
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
ACTIONS = tuple(COURSES)
PAIRS = tuple(zip(ACTIONS[::2], ACTIONS[1::2], strict=True))
_ALONE = [label for label, name in enumerate(ACTIONS) if len(COURSES[name]) == 1]
_TOGETHER = [label for label, name in enumerate(ACTIONS) if len(COURSES[name]) == 2]
MAX_POSES = max(course.length[1] for courses in COURSES.values() for course in courses)


def label_of(index: int) -> int:
    """Every fifth sample holds two persons, as about every fifth of NTU RGB+D does."""
    if index % 5 == 4:
        return _TOGETHER[index // 5 % len(_TOGETHER)]
    return _ALONE[(index - index // 5) % len(_ALONE)]
