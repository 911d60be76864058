"""The drawing of a skeleton, its left and right coloured; templates/bodies.html writes it as SVG.

Axes: V joints.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stgcn_lightning.report.standing import children_of, standing
from stgcn_lightning.skeleton import Skeleton

Side = Literal["left", "right", "middle"]
HEIGHT, MARGIN = 640.0, 34.0
WIDEST = 1.9  # width over height, of animals and trees
MOST_NUMBERS = 45  # joints that are numbered in the drawing


class Joint(NamedTuple):
    """A joint: its place, and where its number is written; empty where there is no room."""

    x: float
    y: float
    side: Side
    hint: str
    number: str
    dx: float
    anchor: str


class Bone(NamedTuple):
    """An edge of the graph."""

    x1: float
    y1: float
    x2: float
    y2: float
    side: Side


class Drawn(NamedTuple):
    """A skeleton as it is drawn: `caption` says what of."""

    width: float
    height: float
    radius: float
    bones: list[Bone]
    joints: list[Joint]
    caption: str


def drawn(
    skeleton: Skeleton,
    names: Sequence[str],
    pose: NDArray[np.floating] | None = None,
    caption: str = "",
) -> Drawn:
    """The chart of a skeleton.

    Args:
        skeleton: with V joints.
        names: their plain names (`sources.concepts.concepts`).
        pose: (V, 2) where the joints lie, y downwards; None: as a body stands.
        caption: what it shows; empty: the skeleton's name.
    """
    places = standing(skeleton, names) if pose is None else np.asarray(pose, np.float64)
    low, high = places.min(0), places.max(0)
    width, height = np.maximum(high - low, 1e-9)
    scale = min((HEIGHT - 2 * MARGIN) / height, (WIDEST * HEIGHT - 2 * MARGIN) / width)
    points = (places - low) * scale + MARGIN
    sides = sides_of(skeleton, names)
    middle = float(points[:, 0].mean())
    numbered = skeleton.num_joints <= MOST_NUMBERS
    joints: list[Joint] = []
    for i, (x, y) in enumerate(points.tolist()):
        outwards = 1 if x > middle + 1 or (abs(x - middle) <= 1) else -1
        joints.append(
            Joint(
                *(x, y, sides[i], f"{i} {skeleton.joints[i]}", str(i) if numbered else ""),
                *(8.0 * outwards, "start" if outwards > 0 else "end"),
            )
        )
    ends: list[tuple[float, float]] = points.tolist()
    bones = [
        Bone(
            *(ends[one][0], ends[one][1], ends[other][0], ends[other][1]),
            _of_both(sides[one], sides[other]),
        )
        for one, other in skeleton.edges
    ]
    radius = 4.5 if numbered else 2.4
    return Drawn(
        float(width * scale + 2 * MARGIN),
        float(height * scale + 2 * MARGIN),
        radius,
        bones,
        joints,
        caption or f"{skeleton.name}, {skeleton.num_joints} joints",
    )


def sides_of(skeleton: Skeleton, names: Sequence[str]) -> list[Side]:
    """The side of each joint: by its name, else where it stands in a body that faces the reader."""
    sides: list[Side] = ["middle"] * skeleton.num_joints
    across = standing(skeleton, names)[:, 0]
    for pair in skeleton.left_right:
        one, other = sorted(pair, key=lambda joint: -across[joint])
        sides[one], sides[other] = "left", "right"
    for i, name in enumerate(names):
        if name.startswith("left_"):
            sides[i] = "left"
        elif name.startswith("right_"):
            sides[i] = "right"
    return sides


def _of_both(one: Side, other: Side) -> Side:
    """The side of an edge: that of the joint that has one."""
    if one == "middle":
        return other
    return one if other in ("middle", one) else "middle"


class Branch(NamedTuple):
    """A line of a tree in text: what stands before the joint, and the joint."""

    guide: str
    joint: int


def branches(skeleton: Skeleton) -> list[Branch]:
    """The tree of a skeleton's graph from its centre, a line a joint."""
    children = children_of(skeleton)
    lines: list[Branch] = []

    def grow(joint: int, before: str, guide: str) -> None:
        lines.append(Branch(guide, joint))
        for i, child in enumerate(children[joint]):
            last = i + 1 == len(children[joint])
            grow(child, before + ("   " if last else "│  "), before + ("└─ " if last else "├─ "))

    grow(skeleton.graph_centre, "", "")
    return lines
