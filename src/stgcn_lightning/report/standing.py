"""Where the joints of a skeleton lie in a body that stands, to draw it on: (x, y), y downwards.

A joint is found by its plain name (`left_shoulder`), which is the same in all skeletons. The body
faces the reader, so that its left is to the right; about 180 high, in centimetres but for heads and
hands of many joints, which are enlarged. Animals are seen from their left. The 68 points of a face
lie as in iBUG's 300-W (Sagonas et al., ICCV workshops 2013).

Axes: V joints.
"""

import math
import re
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from stgcn_lightning.skeleton import Skeleton

Point = tuple[float, float]
KNOWN = 0.5  # of the joints: fewer known ones, and the tree is drawn in place of a body

MIDDLE: dict[str, Point] = {
    "head": (0, 2), "nose": (0, 18), "face": (0, 15), "neck": (0, 32), "thorax": (0, 39),
    "spine3": (0, 49), "spine2": (0, 61), "spine": (0, 63), "spine1": (0, 73), "belly": (0, 74),
    "pelvis": (0, 86),
}  # fmt: skip
LEFT: dict[str, Point] = {
    "eye": (4, 13), "eye_inner": (1.8, 13), "eye_outer": (6.5, 13), "ear": (9, 16),
    "mouth": (3, 23), "collar": (8, 40), "shoulder": (19, 39), "elbow": (32, 62),
    "wrist": (43, 84), "hand_root": (45, 88), "hand": (47, 92), "hand_tip": (53, 104),
    "thumb": (41, 97), "index": (49, 103), "pinky": (57, 98), "hip": (11, 90), "knee": (14, 130),
    "ankle": (16, 166), "heel": (11, 174), "foot": (20, 176), "toe": (20, 179),
    "small_toe": (27, 177),
}  # fmt: skip
ANIMAL: dict[str, Point] = {
    "nose": (4, 40), "left_eye": (20, 27), "right_eye": (12, 25), "neck": (42, 44),
    "root_of_tail": (136, 40), "left_shoulder": (52, 68), "left_elbow": (50, 94),
    "left_front_paw": (54, 124), "right_shoulder": (42, 64), "right_elbow": (34, 88),
    "right_front_paw": (34, 117), "left_hip": (128, 66), "left_knee": (134, 94),
    "left_back_paw": (130, 124), "right_hip": (118, 62), "right_knee": (118, 88),
    "right_back_paw": (112, 117),
}  # fmt: skip
# of a left hand that hangs, from its root on: each finger's four joints
FINGERS: dict[str, tuple[Point, Point, Point, Point]] = {
    "thumb": ((-4, 4), (-8, 8), (-11, 12), (-13, 16)),
    "forefinger": ((-4, 13), (-5, 19), (-5.6, 23), (-6, 27)),
    "middle_finger": ((0, 14), (0, 20.5), (0, 25), (0, 29)),
    "ring_finger": ((4, 13), (4.7, 19), (5.3, 23), (5.7, 26.5)),
    "pinky_finger": ((7.5, 11), (9, 16), (10, 19), (11, 22)),
}
SAME_FINGERS = {"index_finger": "forefinger", "pinky": "pinky_finger"}
PARTS = {"cmc": 0, "mcp": 1, "pip": 2, "ip": 2, "dip": 3, "tip": 4}
FINGER = re.compile(r"(?:(left|right)_)?([a-z_]+?)_?(?:([1-4])|(cmc|mcp|pip|ip|dip|tip))$")
CHIN, ENLARGED, MANY = 27.0, 2.2, 6  # a head of more joints is drawn larger, up from its chin
SLOPE = math.atan2(11, 22)  # of the lower arm, which the hand goes on


def standing(skeleton: Skeleton, names: Sequence[str]) -> NDArray[np.float64]:
    """(V, 2) positions of the joints of a standing body, or of a tree where it is of none.

    Args:
        skeleton: with V joints.
        names: their plain names (`sources.concepts.concepts`).
    """
    template = template_for(names)
    places = [template.get(name) for name in names]
    if sum(place is not None for place in places) < KNOWN * len(places):
        return as_tree(skeleton)
    known = {i: place for i, place in enumerate(places) if place is not None}
    for joint in _from_root(skeleton):
        if joint not in known:  # below its parent, beside its brothers
            x, y = known.get(skeleton.bone_parents[joint], (0.0, 0.0))
            brothers = sum(known.get(k, (0, 0))[1] == y + 12 for k in known)
            known[joint] = (x + 6 * brothers, y + 12)
    return np.array([known[i] for i in range(len(places))], np.float64)


def template_for(names: Sequence[str]) -> Mapping[str, Point]:
    """Position by plain name, of a body that has these joints."""
    if "root_of_tail" in names:
        return ANIMAL
    if "wrist" in names:  # of one hand, which is held up
        hand = {name: place for name in names if (place := _on_hand(name)) is not None}
        return {"wrist": (0.0, 0.0)} | {name: (-3 * x, -3 * y) for name, (x, y) in hand.items()}
    template = dict(MIDDLE)
    for name, (x, y) in LEFT.items():
        template |= {f"left_{name}": (x, y), f"right_{name}": (-x, y)}
    for name in names:
        if (place := _on_hand(name)) is not None and name not in template:
            x, y = place[0] * math.cos(SLOPE) + place[1] * math.sin(SLOPE), 0.0
            y = place[1] * math.cos(SLOPE) - place[0] * math.sin(SLOPE)
            side = -1 if name.startswith("right") else 1
            template[name] = (side * (LEFT["hand_root"][0] + x), LEFT["hand_root"][1] + y)
        elif found := re.fullmatch(r"face_(\d+)", name):
            x, y = on_face(int(found[1]))
            template[name] = (8.5 * x, 14 + 9.5 * y)
    heads = [name for name in names if name in template and template[name][1] < CHIN]
    if len(heads) > MANY:
        template |= {
            name: (ENLARGED * x, CHIN + ENLARGED * (y - CHIN))
            for name, (x, y) in template.items()
            if y < CHIN
        }
    return template


def _on_hand(name: str) -> Point | None:
    """Where a finger's joint lies, from the root of a left hand on; None: it is of no finger."""
    found = FINGER.fullmatch(name)
    if found is None:
        return None
    finger = SAME_FINGERS.get(found[2], found[2])
    if finger not in FINGERS:
        return None
    if found[3]:
        return FINGERS[finger][int(found[3]) - 1]
    part = PARTS[found[4]]
    if finger == "thumb":  # cmc, mcp, ip, tip
        return FINGERS[finger][min(part, 3)]
    return FINGERS[finger][part - 1] if part else None


def on_face(point: int) -> Point:
    """One of the 68 points of a face, in half widths of it from between the eyes and the mouth."""

    def ellipse(middle: Point, radii: Point, share: float) -> Point:
        """From the corner at the reader's left over the top."""
        angle = math.pi * (1 + 2 * share)
        return (
            middle[0] + radii[0] * math.cos(angle),
            middle[1] + radii[1] * math.sin(angle),
        )

    if point < 17:  # jaw
        angle = math.pi * point / 16
        return -math.cos(angle), 1.2 * math.sin(angle)
    if point < 27:  # brows
        x = (-0.82, -0.67, -0.52, -0.36, -0.2, 0.2, 0.36, 0.52, 0.67, 0.82)[point - 17]
        return x, -0.42 - 0.12 * math.sin(math.pi * (abs(x) - 0.2) / 0.62)
    if point < 31:  # bridge of the nose
        return 0.0, -0.22 + 0.16 * (point - 27)
    if point < 36:
        return 0.1 * (point - 33), 0.38
    if point < 48:  # eyes
        middle = (-0.45, -0.2) if point < 42 else (0.45, -0.2)
        return ellipse(middle, (0.19, 0.09), (point - 36) % 6 / 6)
    if point < 60:  # mouth, outer and inner
        return ellipse((0, 0.68), (0.38, 0.19), (point - 48) / 12)
    return ellipse((0, 0.68), (0.26, 0.07), (point - 60) / 8)


def as_tree(skeleton: Skeleton) -> NDArray[np.float64]:
    """(V, 2): each joint below the one that it hangs on, its own children side by side."""
    children = children_of(skeleton)
    places: dict[int, Point] = {}
    leaves = 0

    def place(joint: int, depth: int) -> float:
        nonlocal leaves
        under = [place(child, depth + 1) for child in children[joint]]
        if not under:
            leaves += 1
            under = [20.0 * leaves]
        x = (min(under) + max(under)) / 2
        places[joint] = (x, 20.0 * depth)
        return x

    place(skeleton.graph_centre, 0)
    return np.array([places[i] for i in range(skeleton.num_joints)], np.float64)


def children_of(skeleton: Skeleton) -> list[list[int]]:
    """The joints that hang on each joint where the graph hangs on its centre; loops are cut."""
    near: list[list[int]] = [[] for _ in skeleton.joints]
    for one, other in skeleton.edges:
        near[one].append(other)
        near[other].append(one)
    children: list[list[int]] = [[] for _ in skeleton.joints]
    reached, frontier = {skeleton.graph_centre}, [skeleton.graph_centre]
    while frontier:
        joint = frontier.pop(0)
        for other in sorted(near[joint]):
            if other not in reached:
                reached.add(other)
                children[joint].append(other)
                frontier.append(other)
    return children


def _from_root(skeleton: Skeleton) -> list[int]:
    """All joints, each after its bone parent."""
    order: list[int] = []
    while len(order) < skeleton.num_joints:
        order += [
            joint
            for joint, parent in enumerate(skeleton.bone_parents)
            if joint not in order and (parent == joint or parent in order)
        ]
    return order
