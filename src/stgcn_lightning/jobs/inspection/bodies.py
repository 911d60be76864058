"""Looking at a skeleton: its tree in text, and a drawing of it."""

from collections.abc import Sequence
from typing import Any

from stgcn_lightning.jobs.inspection.inspected import Command, Inspected, Piece, Rows, typed
from stgcn_lightning.report.bodies import branches, drawn, sides_of
from stgcn_lightning.skeleton import Skeleton
from stgcn_lightning.sources.concepts import concepts
from stgcn_lightning.terminal import plain


def inspect_skeleton(skeleton: Skeleton) -> Inspected:
    """The joints of a skeleton, and what they hang on."""
    names = concepts(skeleton.joints, skeleton.name)
    sides = sides_of(skeleton, names)
    mirrored = dict(skeleton.left_right) | {b: a for a, b in skeleton.left_right}
    joints = skeleton.joints
    rows: list[tuple[Any, ...]] = []
    for i, name in enumerate(joints):
        parent = skeleton.bone_parents[i]
        mirror = joints[mirrored[i]] if i in mirrored else None
        rows.append((i, name, joints[parent] if parent != i else None, mirror, sides[i]))
    at = skeleton.normalise
    root = next(i for i, parent in enumerate(skeleton.bone_parents) if parent == i)
    facts: dict[str, Any] = {
        "joints": skeleton.num_joints,
        "edges": len(skeleton.edges),
        "graph_centre": joints[skeleton.graph_centre],
        "bones_begin_at": joints[root],
        "left_right_pairs": len(skeleton.left_right),
        "normalise_3d": None
        if at is None
        else {
            "centre": joints[at.centre],
            "body": " to ".join(joints[i] for i in at.body),
            "shoulders": " and ".join(joints[i] for i in at.shoulders),
        },
    }
    columns = ("number", "joint", "bone from", "mirrored by", "side")
    return Inspected(
        source=skeleton.name,
        kind="skeleton",
        why="conf/skeleton has it by this name",
        facts=facts,
        tables=[Rows("joints", columns, rows)],
        lines=tree(skeleton, sides),
        drawing=drawn(skeleton, names),
        commands=[
            Command(
                "draw it as a picture",
                typed("inspect", skeleton=skeleton.name, out=f"{skeleton.name}.svg"),
            )
        ],
    )


def tree(skeleton: Skeleton, sides: Sequence[str]) -> list[list[Piece]]:
    """The tree of the graph, from its centre on, a line a joint."""
    return [
        [Piece(guide), Piece(f"{joint} {plain(skeleton.joints[joint])}", sides[joint])]
        for guide, joint in branches(skeleton)
    ]
