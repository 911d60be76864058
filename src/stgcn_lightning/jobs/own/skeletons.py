"""The one skeleton of recordings of the user's own: one that is known, or that the files state."""

from collections.abc import Sequence
from typing import Any

from stgcn_lightning.errors import BadInput
from stgcn_lightning.shipped import skeleton_named
from stgcn_lightning.skeleton import Skeleton
from stgcn_lightning.sources.own_skeletons import stated_skeleton
from stgcn_lightning.sources.recordings import Recording

NAMED = 3  # joints that a sentence names


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
        dimensions = {recording.keypoint.shape[-1] for recording in kinds.values()}
        raise BadInput(
            f"{first.id} has {_joints(first)} and {others[0].id} has {_joints(others[0])}: prepare "
            "them apart"
            + (
                ", 2D and 3D are two data sets"
                if len(dimensions) > 1
                else ", or map them to one skeleton with map=coco17"
            )
        )
    if first.skeleton is not None:
        return skeleton_named(first.skeleton)
    if first.joints == given.joints:
        return given
    if first.edges:
        return stated_skeleton(first, name)
    raise BadInput(
        f"{first.id} has {_joints(first)}, whose skeleton is not known: name it, "
        "reading.skeleton=NAME of conf/skeleton; map its joints by their names, map=coco17; or "
        "write a skeleton file (docs/data.md), skeleton=NAME --config-dir=FOLDER"
    )


def _joints(recording: Recording) -> str:
    names = ", ".join(recording.joints[:NAMED])
    of = f" of {recording.skeleton}" if recording.skeleton else ""
    C = recording.keypoint.shape[-1]
    return f"{len(recording.joints)} joints{of} in {C}D ({names}, ...)"
