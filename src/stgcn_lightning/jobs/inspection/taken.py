"""What samples are taken for where no benchmark says it: their skeleton, dimension and classes.

Axes: M persons, T frames, V joints, C coordinates.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from stgcn_lightning.data.axes import other_order
from stgcn_lightning.data.plausible import bone_length
from stgcn_lightning.data.thresholds import BODIES_LEAST, LABELS_FROM_ONE
from stgcn_lightning.skeleton import Skeleton
from stgcn_lightning.sources.annotations import Sample

Dimension = Literal["2d", "3d"]
# of the bones' length: scaled to [0, 1], bodies of coco17 look 0.99 times as long as h36m17, while
# real ones of h36m17 are 0.44 times as long as coco17
SHARPER = 0.8
MOST_CLASSES = 10_000  # greater labels are faults: tables of so many classes fill the memory
DIMENSIONS: dict[int, Dimension] = {2: "2d", 3: "3d"}


@dataclass(frozen=True)
class Taken:
    """What samples are taken for.

    Attributes:
        skeleton: of V joints; one without a name here is a chain of them.
        named: the skeleton is one that there is, and not a chain.
        others: names of more skeletons of as many joints.
        dimension: of the coordinates.
        classes: number of classes, by the labels.
    """

    skeleton: Skeleton
    named: bool
    others: tuple[str, ...]
    dimension: Dimension
    classes: int

    @property
    def normalise(self) -> str:
        """The normalisation that suits key points in pixels or metres."""
        if self.dimension == "3d" and self.skeleton.normalise is None:
            return "none"
        return self.dimension


def taken_for(samples: Sequence[Sample], known: Sequence[Skeleton], given: bool = False) -> Taken:
    """What most of the samples look like.

    Args:
        samples: at least one.
        known: skeletons that there are, the more usual ones first.
        given: `known` is what the user stated.
    """
    shapes = Counter(sample.keypoint.shape for sample in samples if sample.keypoint.ndim == 4)
    if not shapes:
        return Taken(chain(2), False, (), "2d", classes_of(samples))
    V, C = Counter(shape[2:] for shape in shapes.elements()).most_common(1)[0][0]
    dimension = DIMENSIONS.get(C)
    fitting = [one for one in known if one.num_joints == V]
    if dimension is None or not fitting:
        for skeleton in known:
            for coordinates, its in DIMENSIONS.items():
                shape = shapes.most_common(1)[0][0]
                if other_order(shape, skeleton.num_joints, coordinates):
                    return Taken(skeleton, True, (), its, classes_of(samples))
    if dimension is None or (given and not fitting):
        fitting, dimension = list(known[:1]) if given else fitting, dimension or "2d"
    # ties: a body that can be turned in 3D is a body of 3D
    fitting.sort(key=lambda one: (one.normalise is None) == (dimension == "3d"))
    if not fitting:
        return Taken(chain(V), False, (), dimension, classes_of(samples))
    first, *others = fitting
    return Taken(first, True, tuple(one.name for one in others), dimension, classes_of(samples))


def sharper(
    taken: Taken, known: Sequence[Skeleton], bodies: Sequence[NDArray[np.float32]]
) -> Taken:
    """The same with the skeleton whose bones are by far the shortest in these bodies (V, C)."""
    fitting = [one for one in known if one.num_joints == taken.skeleton.num_joints]
    if len(fitting) < 2 or len(bodies) < BODIES_LEAST:
        return taken
    lengths: dict[str, float] = {}
    for one in fitting:
        parents = [pair for pair in enumerate(one.bone_parents) if pair[0] != pair[1]]
        length = bone_length(bodies, one.edges, parents)
        if length is None:
            return taken
        lengths[one.name] = length
    best = min(fitting, key=lambda one: lengths[one.name])
    if lengths[best.name] > SHARPER * lengths[taken.skeleton.name]:
        return taken
    others = tuple(one.name for one in fitting if one is not best)
    return replace(taken, skeleton=best, others=others)


def chain(joints: int) -> Skeleton:
    """A skeleton of which nothing is known but how many joints it has."""
    return Skeleton(
        name="unknown",
        joints=tuple(f"joint {i}" for i in range(joints)),
        edges=tuple((i, i - 1) for i in range(1, joints)),
        graph_centre=0,
        bone_parents=tuple(max(0, i - 1) for i in range(joints)),
        left_right=(),
        normalise=None,
    )


def classes_of(samples: Sequence[Sample]) -> int:
    """How many classes the labels speak of; where they seem to count from 1, as many as occur."""
    labels = {sample.label for sample in samples if sample.label is not None and sample.label >= 0}
    if not labels:
        return 1
    least, most = min(labels), min(max(labels), MOST_CLASSES - 1)
    from_one = least == 1 and len(labels) >= LABELS_FROM_ONE * most
    return max(1, most if from_one else most + 1)
