"""Annotations -> checked annotations, or a sentence that says what is wrong with them.

Axes: M persons, T frames, V joints, C coordinates.
"""

import difflib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from stgcn_lightning.data.axes import check_persons, other_order
from stgcn_lightning.data.ids import some
from stgcn_lightning.data.thresholds import LABELS_FROM_ONE, SCORE_MOST
from stgcn_lightning.errors import BadInput
from stgcn_lightning.skeleton import Skeleton
from stgcn_lightning.sources.annotations import Annotations, Sample

COORDINATES = {"2d": 2, "3d": 3}
LONG = "more than data.max_frames="
NAN = " nan "  # in what is wrong with a sample
FILL = "fill what was not found with data.missing=interpolate or data.missing=zero, or "
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
    missing: str = "error",
    max_frames: int | None = None,
    faults_of: "Callable[[Sequence[Sample]], dict[str, str]] | None" = None,
) -> tuple[Annotations, list[str]]:
    """Check everything that training relies on.

    Args:
        annotations: as a source returns them, with splits of known ids (`ids.find_samples`).
        skeleton: says how many joints there must be.
        classes: labels are 0 to `classes - 1`.
        dimension: how many coordinates a joint has.
        on_bad_sample: what to do with a sample whose content is bad (no frames or persons, NaN,
            infinity, label outside the classes). A fault in the structure is always raised.
        missing: what becomes of joints that were not found; NaN is bad where it is ``error``.
        max_frames: a sample with more frames is bad; None: none is too long.
        faults_of: does what `sample_faults` does, in another way.

    Returns:
        The annotations without the samples that were dropped, and one line for each of those.

    Raises:
        BadInput: the first thing that is wrong, and what to do about it.
    """
    _check_ids(annotations)
    _check_labels(annotations, classes)
    filled = {name for name, ids in annotations.splits.items() if ids}
    if faults_of is None:
        faults_of = partial(
            sample_faults,
            skeleton=skeleton,
            classes=classes,
            dimension=dimension,
            missing=missing,
            max_frames=max_frames,
        )
    faults = faults_of(annotations.samples)
    if faults and on_bad_sample == "error":
        raise BadInput(_refusal(annotations, faults))
    check_persons(annotations.samples)
    if faults:
        annotations = replace(
            annotations,
            samples=[sample for sample in annotations.samples if sample.id not in faults],
            splits={
                name: [id for id in ids if id not in faults]
                for name, ids in annotations.splits.items()
            },
        )
    for name, ids in annotations.splits.items():
        if not ids and name in filled:
            id, fault = next(iter(faults.items()))
            raise BadInput(
                f"split {name!r} has no samples left without its bad ones, e.g. {id!r}, which "
                f"{fault}; {FILL if NAN in fault else ''}correct them, or remove the split"
            )
        if not ids and not filled:
            raise BadInput(f"split {name!r} has no samples; list ids in it, or remove it")
    # one that is empty from the start is as good as absent: others can be used
    if not all(annotations.splits.values()):
        splits = {name: ids for name, ids in annotations.splits.items() if ids}
        annotations = replace(annotations, splits=splits)
    lines = [f"dropped sample {id!r}, which {fault}" for id, fault in faults.items()]
    return annotations, lines


def sample_faults(
    samples: Iterable[Sample],
    *,
    skeleton: Skeleton,
    classes: int,
    dimension: Literal["2d", "3d"],
    missing: str,
    max_frames: int | None,
) -> dict[str, str]:
    """What is wrong with the values of samples, by their ids; see `check_annotations`.

    Raises:
        BadInput: the structure of one is wrong.
    """
    faults: dict[str, str] = {}
    for sample in samples:
        fault = _fault(sample, skeleton, classes, COORDINATES[dimension], missing)
        frames = sample.keypoint.shape[1]
        if fault is None and max_frames is not None and frames > max_frames:
            fault = f"has {frames:,} frames, {LONG}{max_frames}"
        if fault is not None:
            faults[sample.id] = fault
    return faults


def all_faults(
    annotations: Annotations,
    *,
    skeleton: Skeleton,
    classes: int,
    dimension: Literal["2d", "3d"],
    missing: str = "error",
) -> tuple[list[str], list[Sample]]:
    """Everything that `check_annotations` refuses of samples, to be said and not to be mended.

    Args:
        annotations: as a source returns them.
        skeleton: says how many joints there must be.
        classes: labels are 0 to `classes - 1`.
        dimension: how many coordinates a joint has.
        missing: NaN is bad where it is ``error``.

    Returns:
        A sentence for each kind of fault, and the samples that have none of their own.
    """
    sentences: list[str] = []
    checks: tuple[Callable[[], None], ...] = (
        lambda: _check_ids(annotations),
        lambda: _check_labels(annotations, classes),
        lambda: check_persons(annotations.samples),
    )
    for check in checks:
        try:
            check()
        except BadInput as error:
            sentences.append(str(error))
    if sentences:  # that labels reach too far was said of all of them
        labels = [sample.label for sample in annotations.samples if isinstance(sample.label, int)]
        classes = max([classes, *(label + 1 for label in labels if label < 2 * classes)])
    kinds: dict[str, list[str]] = {}  # a fault without its numbers -> of each sample that has it
    good: list[Sample] = []
    for sample in annotations.samples:
        try:
            fault = _fault(sample, skeleton, classes, COORDINATES[dimension], missing)
            sentence = fault and f"sample {sample.id!r} {fault}; {_mended(fault)}"
        except BadInput as error:
            sentence = str(error)
        if not sentence:
            good.append(sample)
            continue
        kind = re.sub(r"\d+(\.\d+)?", "#", sentence.replace(repr(sample.id), ""))
        kinds.setdefault(kind, []).append(sentence)
    return [*sentences, *(_of_several(said, annotations.samples) for said in kinds.values())], good


def _of_several(sentences: list[str], samples: Sequence[Sample]) -> str:
    """The first sentence, with the number of samples that the same could be said of."""
    many, total = len(sentences), len(samples)
    return sentences[0] + (f" ({many:,} of {total:,} samples are like that)" if many > 1 else "")


def _mended(fault: str) -> str:
    return f"{FILL if NAN in fault else ''}correct it"


def _refusal(annotations: Annotations, faults: dict[str, str]) -> str:
    """The first fault, how many there are, and remedies that leave something of everything."""
    id, fault = next(iter(faults.items()))
    many = len(faults) > 1
    others = f" ({len(faults):,} of {len(annotations.samples):,} samples are bad)" if many else ""
    before = Counter(sample.label for sample in annotations.samples)
    after = Counter(sample.label for sample in annotations.samples if sample.id not in faults)
    taken = any(times > 1 and not after[label] for label, times in before.items())
    emptied = any(ids and faults.keys() >= set(ids) for ids in annotations.splits.values())
    remedies = ["correct it"] + [FILL.removesuffix(", or ")] * (NAN in fault)
    if LONG in fault:  # a clip is drawn from the whole of a sample
        remedies = ["cut it to the action (the prepare door takes tables of intervals)"]
        remedies.append("raise data.max_frames")
    if not taken and not emptied:
        remedies.append("leave such samples out with data.on_bad_sample=drop")
    return f"sample {id!r} {fault}{others}; {', or '.join(remedies)}"


def _check_ids(annotations: Annotations) -> None:
    """Every id is text, and given once."""
    for sample in annotations.samples:
        if type(sample.id) is not str:
            raise BadInput(f"a sample has the id {sample.id!r}; give its id as text")
        if any("\ud800" <= mark <= "\udfff" for mark in sample.id):
            raise BadInput(
                f"sample {sample.id!r} has an id that is no Unicode text, as a file name in "
                "another encoding; rename it"
            )
    times = Counter(sample.id for sample in annotations.samples)
    if twice := [id for id, n in times.items() if n > 1]:
        raise BadInput(
            f"{some(twice)} occur more than once in the annotations; give every sample its own id"
        )


def _check_labels(annotations: Annotations, classes: int) -> None:
    """Refuse labels that are right but for where they begin, or for how many there are."""
    found = cast("list[object]", [sample.label for sample in annotations.samples])
    labels = [int(cast(int, label)) for label in found if isinstance(label, int | np.integer)]
    if not labels or max(labels) < classes:
        return
    times = Counter(labels)
    least, most, usual = min(labels), max(labels), float(np.median(list(times.values())))
    if least == 1 and most == classes and len(times) >= LABELS_FROM_ONE * classes:
        raise BadInput(
            f"labels run from 1 to {classes}, as many as benchmark.classes: they count from 1, "
            "where the first class is 0; subtract 1 from the label of every sample"
        )
    beyond = [label for label in times if label >= classes]
    if len(times) == most + 1 and usual > 1 and min(times[one] for one in beyond) >= usual / 2:
        first = next(s for s in annotations.samples if s.label is not None and s.label >= classes)
        raise BadInput(
            f"labels run from 0 to {most}, outside 0 to {classes - 1} of benchmark.classes "
            f"(e.g. sample {first.id!r}): give all {most + 1} classes in benchmark.classes"
        )


def _fault(
    sample: Sample, skeleton: Skeleton, classes: int, coordinates: int, missing: str
) -> str | None:
    """What is wrong with the values of a sample, or None; a wrong structure is raised."""
    keypoint, score = sample.keypoint, sample.score
    _check_form(sample)
    M, T, V, C = keypoint.shape
    if score is not None and score.shape != (M, T, V):
        order = other_order(keypoint.shape, skeleton.num_joints, coordinates)
        raise BadInput(
            f"sample {sample.id!r} has key points of shape {keypoint.shape} but scores of "
            f"{score.shape}; {order or 'keypoint_score must be (persons, frames, joints)'}"
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
    if (skeleton.num_joints, coordinates) != (V, C):
        raise BadInput(_other_shape(sample, skeleton, coordinates))
    if sample.label is not None and not 0 <= sample.label < classes:
        return f"has label {_short(sample.label)}, outside 0 to {classes - 1} of benchmark.classes"
    bad = _not_finite if missing == "error" else np.isinf
    if (wrong := bad(keypoint)).any():
        person, frame, joint, _ = first = _first(wrong)
        return f"has coordinate {keypoint[first]} (person {person}, frame {frame}, joint {joint})"
    if score is not None and (wrong := bad(score)).any():
        person, frame, joint = first = _first(wrong)
        return f"has score {score[first]} (person {person}, frame {frame}, joint {joint})"
    return None


def _short(label: int) -> str:
    """A label as text; Python refuses to write the digits of a huge one."""
    return str(label) if abs(label) < 10**30 else f"of {label.bit_length()} bits"


def _other_shape(sample: Sample, skeleton: Skeleton, coordinates: int) -> str:
    """How the joints or coordinates of a sample differ, and what mends it."""
    _, _, V, C = sample.keypoint.shape
    order = other_order(sample.keypoint.shape, skeleton.num_joints, coordinates)
    if skeleton.num_joints != V:
        what = f"{V} joints but the skeleton {skeleton.name} has {skeleton.num_joints}"
        remedy = "choose the skeleton that the key points were made with"
    else:
        what = f"{C} coordinates per joint where a {coordinates}d benchmark has {coordinates}"
        remedy = "choose the other dimension (2D confidence goes to keypoint_score)"
        if coordinates == 2 and np.abs(sample.keypoint[..., 2:]).max(initial=0) > SCORE_MOST:
            order = ""  # the third one is no score
    return f"sample {sample.id!r} has {what}; {order or remedy}"


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


def _not_finite(values: np.ndarray) -> NDArray[np.bool_]:
    return ~np.isfinite(values)


def _first(wrong: NDArray[np.bool_]) -> tuple[int, ...]:
    return tuple(int(index) for index in np.argwhere(wrong)[0])
