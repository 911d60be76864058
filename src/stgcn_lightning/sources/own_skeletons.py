"""A skeleton of a recording's own joints, where its file states how they hang together."""

from collections.abc import Sequence

from stgcn_lightning.errors import BadInput
from stgcn_lightning.skeleton import MOST_JOINTS, Normalisation, Skeleton
from stgcn_lightning.sources.concepts import concepts
from stgcn_lightning.sources.recordings import Recording

# joints of a normalised body, the first that is there of each row
BOTTOM, TOP = ("pelvis", "left_hip"), ("thorax", "neck", "left_shoulder")
MIDDLE = ("spine", "spine2", "spine1", "thorax", "pelvis", "left_hip")


def stated_skeleton(recording: Recording, name: str) -> Skeleton:
    """The skeleton that a file states: a hierarchy of joints (BVH), edges (SLEAP).

    It hangs from the joint from which the sum of the ways to all others is least. Pairs of left and
    right are found by the joints' names, as are the joints that turn a 3D body upright.

    Args:
        recording: with `edges`.
        name: of the skeleton.

    Raises:
        BadInput: the file states no edges, or they are not one tree over all joints.
    """
    V = len(recording.joints)
    if not recording.edges:
        raise BadInput(
            f"{recording.id} does not state how its {V} joints hang together; give map=coco17 if "
            "they are a body's, or a skeleton file of your own (docs/extending.md)"
        )
    if V > MOST_JOINTS:
        raise BadInput(f"{recording.id} has {V:,} joints, more than a skeleton's {MOST_JOINTS:,}")
    ways = [_ways(start, recording.edges, V) for start in range(V)]
    if len(recording.edges) != V - 1 or any(way < 0 for way in ways[0]):
        raise BadInput(
            f"{recording.id} has {len(recording.edges)} edges between {V} joints, which are "
            "not one tree; give map=coco17, or a skeleton file of your own (docs/extending.md)"
        )
    centre = min(range(V), key=lambda v: sum(ways[v]))
    neighbours = _neighbours(recording.edges, V)
    parents = tuple(
        v if v == centre else min(neighbours[v], key=lambda n: ways[centre][n]) for v in range(V)
    )
    there: dict[str, int] = {}
    for v, concept in enumerate(concepts(recording.joints)):
        there.setdefault(concept, v)
    pairs = tuple(
        (v, there[other])
        for concept, v in there.items()
        if concept.startswith("left_") and (other := "right_" + concept[5:]) in there
    )
    return Skeleton(
        name=name,
        joints=recording.joints,
        edges=tuple((v, parents[v]) for v in range(V) if v != centre),
        graph_centre=centre,
        bone_parents=parents,
        left_right=pairs,
        normalise=_normalisation(there) if recording.keypoint.shape[-1] == 3 else None,
    )


def _neighbours(edges: Sequence[tuple[int, int]], V: int) -> list[list[int]]:
    found: list[list[int]] = [[] for _ in range(V)]
    for child, parent in edges:
        found[child].append(parent)
        found[parent].append(child)
    return found


def _ways(start: int, edges: Sequence[tuple[int, int]], V: int) -> list[int]:
    """Edges from `start` to every joint; -1 where no way leads."""
    neighbours = _neighbours(edges, V)
    ways = [-1] * V
    ways[start], queue = 0, [start]
    for v in queue:
        for other in neighbours[v]:
            if ways[other] < 0:
                ways[other] = ways[v] + 1
                queue.append(other)
    return ways


def _normalisation(there: dict[str, int]) -> Normalisation | None:
    """Joints that turn a body upright; None where there is no trunk with two shoulders.

    The line from right to left is turned to +x: who looks along +z with y up has left at +x.
    """
    if not {"left_shoulder", "right_shoulder"} <= there.keys():
        return None
    bottom = next((there[name] for name in BOTTOM if name in there), None)
    top = next((there[name] for name in TOP if name in there), None)
    middle = next((there[name] for name in MIDDLE if name in there), None)
    if bottom is None or top is None or middle is None:
        return None
    return Normalisation(middle, (bottom, top), (there["right_shoulder"], there["left_shoulder"]))
