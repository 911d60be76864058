"""Annotations -> checked annotations, or a sentence that says what is wrong with them.

Axes: M persons, T frames, V joints, C coordinates.
"""

import difflib
from collections import Counter
from dataclasses import replace
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from stgcn_lightning.errors import BadInput
from stgcn_lightning.skeleton import Skeleton
from stgcn_lightning.sources.annotations import Annotations, Sample

COORDINATES = {"2d": 2, "3d": 3}
FLOATS = tuple(np.dtype(name) for name in ("float16", "float32", "float64"))


def split_ids(annotations: Annotations, name: str) -> list[str]:
    """Ids of a split, in the order of the samples: the order in which the reference tests them.

    Raises:
        BadInput: there is no such split.
    """
    if name not in annotations.splits:
        near = difflib.get_close_matches(name, annotations.splits, n=3)
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        raise BadInput(
            f"the annotations have no split {name!r}; {hint}there are: "
            f"{', '.join(sorted(annotations.splits))}"
        )
    members = set(annotations.splits[name])
    return [sample.id for sample in annotations.samples if sample.id in members]


def check_annotations(
    annotations: Annotations,
    *,
    skeleton: Skeleton,
    classes: int,
    dimension: Literal["2d", "3d"],
    on_bad_sample: Literal["error", "drop"],
) -> tuple[Annotations, list[str]]:
    """Check everything that training relies on.

    Args:
        annotations: as a source returns them.
        skeleton: says how many joints there must be.
        classes: labels are 0 to `classes - 1`.
        dimension: how many coordinates a joint has.
        on_bad_sample: what to do with a sample whose content is bad (no frames or persons, NaN,
            infinity, label outside the classes). A fault in the structure is always raised.

    Returns:
        The annotations without the samples that were dropped, and one line for each of those.

    Raises:
        BadInput: the first thing that is wrong, and what to do about it.
    """
    _check_ids(annotations)
    filled = {name for name, ids in annotations.splits.items() if ids}
    dropped: dict[str, str] = {}  # id -> line
    for sample in annotations.samples:
        fault = _fault(sample, skeleton, classes, COORDINATES[dimension])
        if fault is None:
            continue
        if on_bad_sample == "error":
            raise BadInput(
                f"sample {sample.id!r} {fault}; correct it, "
                "or leave such samples out with data.on_bad_sample=drop"
            )
        dropped[sample.id] = f"dropped sample {sample.id!r}, which {fault}"
    if dropped:
        annotations = Annotations(
            [sample for sample in annotations.samples if sample.id not in dropped],
            {
                name: [id for id in ids if id not in dropped]
                for name, ids in annotations.splits.items()
            },
        )
    for name, ids in annotations.splits.items():
        if not ids and (name in filled or not filled):
            left = " left without its bad ones" if name in filled else ""
            raise BadInput(f"split {name!r} has no samples{left}; list ids in it, or remove it")
    # one that is empty from the start is as good as absent: others can be used
    if not all(annotations.splits.values()):
        splits = {name: ids for name, ids in annotations.splits.items() if ids}
        annotations = replace(annotations, splits=splits)
    return annotations, list(dropped.values())


def _check_ids(annotations: Annotations) -> None:
    """Every id once, every split of known ids."""
    for sample in annotations.samples:
        if type(sample.id) is not str:
            raise BadInput(f"a sample has the id {sample.id!r}; give its id as text")
    times = Counter(sample.id for sample in annotations.samples)
    if twice := [id for id, n in times.items() if n > 1]:
        raise BadInput(
            f"{_some(twice)} occur more than once in the annotations; give every sample its own id"
        )
    for name, ids in annotations.splits.items():
        if unknown := [id for id in ids if id not in times]:
            raise BadInput(
                f"split {name!r} lists {_some(unknown)} without annotation; "
                "annotate or remove what is missing"
            )


def _some(ids: list[str]) -> str:
    """The count, and the first few."""
    shown = ", ".join(map(repr, ids[:3])) + (", ..." if len(ids) > 3 else "")
    return f"{len(ids)} id{'s' * (len(ids) > 1)} ({shown})"


def _fault(sample: Sample, skeleton: Skeleton, classes: int, coordinates: int) -> str | None:
    """What is wrong with the values of a sample, or None; a wrong structure is raised."""
    keypoint, score = sample.keypoint, sample.score
    _check_form(sample)
    M, T, V, C = keypoint.shape
    if score is not None and score.shape != (M, T, V):
        raise BadInput(
            f"sample {sample.id!r} has key points of shape {keypoint.shape} but scores of "
            f"{score.shape}; keypoint_score must be (persons, frames, joints)"
        )
    if sample.img_shape is not None and not min(sample.img_shape) > 0:
        raise BadInput(
            f"sample {sample.id!r} has img_shape {sample.img_shape}; "
            "give the height and width of the picture in pixels, both above 0"
        )
    if M == 0:
        return "has no persons"
    if T == 0:
        return "has no frames"
    if skeleton.num_joints != V:
        raise BadInput(
            f"sample {sample.id!r} has {V} joints but the skeleton {skeleton.name} has "
            f"{skeleton.num_joints}; choose the skeleton that the key points were made with"
        )
    if coordinates != C:
        raise BadInput(
            f"sample {sample.id!r} has {C} coordinates per joint where a {coordinates}d benchmark "
            f"has {coordinates}; choose the other dimension (2D confidence goes to keypoint_score)"
        )
    if sample.label is not None and not 0 <= sample.label < classes:
        return f"has label {sample.label}, outside 0 to {classes - 1} of benchmark.classes"
    if not np.isfinite(keypoint).all():
        person, frame, joint, _ = first = _first_not_finite(keypoint)
        return f"has coordinate {keypoint[first]} (person {person}, frame {frame}, joint {joint})"
    if score is not None and not np.isfinite(score).all():
        person, frame, joint = first = _first_not_finite(score)
        return f"has score {score[first]} (person {person}, frame {frame}, joint {joint})"
    return None


def _check_form(sample: Sample) -> None:
    """Raise BadInput if a field is not of the type that `Sample` documents."""
    arrays: list[tuple[str, object, str, int]] = [
        ("keypoint", sample.keypoint, "(persons, frames, joints, coordinates)", 4)
    ]
    if sample.score is not None:
        arrays.append(("score", sample.score, "(persons, frames, joints)", 3))
    for field, value, axes, ndim in arrays:
        if not isinstance(value, np.ndarray):
            found = f"a {type(value).__name__}"
        else:
            array = cast("NDArray[Any]", value)
            if array.ndim == ndim and array.dtype in FLOATS:
                continue
            found = f"an array of {array.dtype} and shape {array.shape}"
        raise BadInput(
            f"sample {sample.id!r} has {found} as {field}; give a numpy array {axes} of float16, "
            "float32 or float64"
        )
    if not isinstance(cast(object, sample.label), int | np.integer | None):
        raise BadInput(f"sample {sample.id!r} has the label {sample.label!r}; give a whole number")


def _first_not_finite(values: np.ndarray) -> tuple[int, ...]:
    return tuple(int(index) for index in np.argwhere(~np.isfinite(values))[0])
