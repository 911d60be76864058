"""The one skeleton of recordings of the user's own: one that is known, or that the files state."""

import re
from collections.abc import Sequence
from typing import Any

from stgcn_lightning.errors import BadInput
from stgcn_lightning.shipped import skeleton_named
from stgcn_lightning.skeleton import Skeleton
from stgcn_lightning.sources.recordings import Recording

NAMED = 3  # joints that a sentence names
SIDES = {"left": "right", "right": "left", "Left": "Right", "Right": "Left"}
REMEDY = (
    "map its joints by their names, map=coco17, or write a skeleton file (docs/data.md), "
    "skeleton=NAME --config-dir=FOLDER"
)


def skeleton_of(recordings: Sequence[Recording], given: Skeleton, name: str) -> Skeleton:
    """The one skeleton of all recordings.

    Args:
        recordings: settled.
        given: the skeleton that the door was composed with: theirs, if it has their joints.
        name: of a new skeleton, where the files state which joints are joined.

    Raises:
        BadInput: they have several, or one that is not known.
    """
    kinds: dict[tuple[Any, ...], Recording] = {}
    for recording in recordings:
        kind = recording.skeleton, recording.joints, recording.keypoint.shape[-1]
        kinds.setdefault(kind, recording)
    first, *others = kinds.values()
    if others:
        raise BadInput(
            f"{first.id} has {_joints(first)} and {others[0].id} has {_joints(others[0])}: prepare "
            "them apart, or map them to one skeleton with map=coco17"
        )
    if first.skeleton is not None:
        return skeleton_named(first.skeleton)
    if first.joints == given.joints:
        return given
    if first.edges:
        return _stated(name, first)
    raise BadInput(
        f"{first.id} has {_joints(first)}, whose skeleton is not known: name it, "
        f"reading.skeleton=NAME of conf/skeleton; {REMEDY}"
    )


def _stated(name: str, recording: Recording) -> Skeleton:
    """The skeleton that a file states: its joints, and the pairs of them that are joined.

    Bones run along the edges, the root is the graph's centre, and joints whose names differ in left
    and right are mirrored. How a body in 3D is turned upright is not stated, so it is not.

    Raises:
        BadInput: the edges are no tree over the joints.
    """
    V = len(recording.joints)
    parents = dict(recording.edges)
    roots = [joint for joint in range(V) if joint not in parents]
    if len(roots) != 1 or len(parents) != len(recording.edges):
        raise BadInput(f"{recording.id} joins its {V} joints, but not as one tree: {REMEDY}")
    places = {joint: place for place, joint in enumerate(recording.joints)}
    mirrored = [places.get(_mirrored(joint), -1) for joint in recording.joints]
    return Skeleton.from_dict(
        {
            "name": name,
            "joints": [*recording.joints],
            "edges": [[*edge] for edge in recording.edges],
            "graph_centre": roots[0],
            "bone_parents": [parents.get(joint, joint) for joint in range(V)],
            "left_right": [[v, other] for v, other in enumerate(mirrored) if v < other],
            "normalise": None,
        }
    )


def _mirrored(joint: str) -> str:
    return re.sub("|".join(SIDES), lambda side: SIDES[side[0]], joint)


def _joints(recording: Recording) -> str:
    names = ", ".join(recording.joints[:NAMED])
    of = f" of {recording.skeleton}" if recording.skeleton else ""
    C = recording.keypoint.shape[-1]
    return f"{len(recording.joints)} joints{of} in {C}D ({names}, ...)"
