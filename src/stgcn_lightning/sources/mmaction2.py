"""Untrusted annotations -> checked annotations, or a sentence that says what is wrong.

The format is that of MMAction2 and PYSKL: a pickled dict with `split` (name -> ids) and
`annotations` (one dict per sample); also the older plain list of such dicts.

Axes: M persons, T frames, V joints, C coordinates.
"""

import difflib
import operator
import pickle
from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np

from stgcn_lightning.errors import BadInput
from stgcn_lightning.files.pickles import read_pickle
from stgcn_lightning.files.reading import AnyPath
from stgcn_lightning.files.writing import write_atomically
from stgcn_lightning.skeleton import Skeleton

DEFAULT_IMG_SHAPE = (1080, 1920)  # NTU RGB+D's camera, and the reference's default

COORDINATES = {"2d": 2, "3d": 3}


@dataclass(frozen=True, eq=False)
class Sample:
    """One annotated sequence.

    Attributes:
        id: unique name, `frame_dir` in the file.
        label: class index.
        keypoint: (M, T, V, C) float; an absent person is all zero. 2D in pixels, 3D in metres.
        score: (M, T, V) float, confidence of each key point, or None.
        img_shape: (height, width) of the picture in pixels.
    """

    id: str
    label: int
    keypoint: np.ndarray
    score: np.ndarray | None = None
    img_shape: tuple[int, int] = DEFAULT_IMG_SHAPE


@dataclass(frozen=True)
class Annotations:
    """All samples of a data set in file order, and the ids that belong to each split."""

    samples: list[Sample]
    splits: dict[str, list[str]]


def read_annotations(path: AnyPath) -> Annotations:
    """Read an MMAction2/PYSKL pickle; the older plain list becomes one split called `all`.

    Content is not looked at here: see `check_annotations`.

    Raises:
        BadInput: the file is missing, truncated or hostile, or not built as the format says.
    """
    content = read_pickle(path)
    if isinstance(content, list):
        samples = _samples(path, cast(list[object], content))
        return Annotations(samples, {"all": [sample.id for sample in samples]})
    table = cast(dict[str, Any], content if isinstance(content, dict) else {})
    for key, kind in (("annotations", list), ("split", dict)):
        if not isinstance(table.get(key), kind):
            raise BadInput(
                f"{path} has no {kind.__name__} called {key!r}; annotations are a dict with "
                "'split' (name -> ids) and 'annotations' (one dict per sample), "
                "or a plain list of the latter"
            )
    return Annotations(_samples(path, table["annotations"]), _splits(path, table["split"]))


def write_annotations(path: AnyPath, annotations: Annotations) -> None:
    """Write annotations as the pickle that MMAction2 and PYSKL read, atomically."""
    records = [
        {
            "frame_dir": sample.id,
            "label": sample.label,
            "img_shape": sample.img_shape,
            "original_shape": sample.img_shape,
            "total_frames": sample.keypoint.shape[1],
            "keypoint": sample.keypoint,
        }
        | ({} if sample.score is None else {"keypoint_score": sample.score})
        for sample in annotations.samples
    ]
    with write_atomically(path) as file:
        pickle.dump({"split": annotations.splits, "annotations": records}, file, protocol=4)


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
        annotations: as read.
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
        if not ids:
            left = " left without its bad ones" if dropped else ""
            raise BadInput(f"split {name!r} has no samples{left}; list ids in it, or remove it")
    return annotations, list(dropped.values())


def _check_ids(annotations: Annotations) -> None:
    """Every id once, every split of known ids."""
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
    """What is wrong with the content of a sample; raises where its structure is wrong."""
    keypoint, score = sample.keypoint, sample.score
    M, T, V, C = keypoint.shape
    if score is not None and score.shape != (M, T, V):
        raise BadInput(
            f"sample {sample.id!r} has key points of shape {keypoint.shape} but scores of "
            f"{score.shape}; keypoint_score must be (persons, frames, joints)"
        )
    height, width = sample.img_shape
    if not (height > 0 and width > 0):
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
    if not 0 <= sample.label < classes:
        return f"has label {sample.label}, outside 0 to {classes - 1} of benchmark.classes"
    if not np.isfinite(keypoint).all():
        person, frame, joint, _ = first = _first_not_finite(keypoint)
        return f"has coordinate {keypoint[first]} (person {person}, frame {frame}, joint {joint})"
    if score is not None and not np.isfinite(score).all():
        person, frame, joint = first = _first_not_finite(score)
        return f"has score {score[first]} (person {person}, frame {frame}, joint {joint})"
    return None


def _first_not_finite(values: np.ndarray) -> tuple[int, ...]:
    return tuple(int(index) for index in np.argwhere(~np.isfinite(values))[0])


def _samples(path: AnyPath, records: list[object]) -> list[Sample]:
    samples: list[Sample] = []
    for position, record in enumerate(records):
        if not isinstance(record, dict):
            kind = type(record).__name__
            raise BadInput(
                f"annotation {position} of {path} is a {kind}; each must be a dict with frame_dir, "
                "label and keypoint"
            )
        try:
            samples.append(_sample(cast(dict[str, Any], record)))
        except _Malformed as malformed:
            id = cast(dict[str, Any], record).get("frame_dir")
            which = f"sample {id!r}" if isinstance(id, str) else f"annotation {position}"
            raise BadInput(f"{which} of {path} {malformed}") from None
    return samples


class _Malformed(Exception):  # noqa: N818 - becomes a BadInput as soon as the sample has a name
    """The rest of a sentence that begins with the sample."""


def _sample(record: dict[str, Any]) -> Sample:
    for key in ("frame_dir", "label", "keypoint"):
        if key not in record:
            raise _Malformed(f"has no {key}; add it")
    if not isinstance(record["frame_dir"], str):
        raise _Malformed(f"has the frame_dir {record['frame_dir']!r}; give its id as text")
    label = _whole_number(record, "label")
    keypoint = _array(record, "keypoint", "(persons, frames, joints, coordinates)", 4)
    frames = _whole_number(record, "total_frames") if "total_frames" in record else None
    if frames not in (None, keypoint.shape[1]):
        raise _Malformed(
            f"has total_frames {frames} but {keypoint.shape[1]} frames of key points "
            f"(keypoint is {keypoint.shape}); correct one of the two"
        )
    has_score = record.get("keypoint_score") is not None
    return Sample(
        # `str`: numpy's text is a subclass, which other pickles would then ask for
        id=str(record["frame_dir"]),
        label=label,
        keypoint=keypoint,
        score=_array(record, "keypoint_score", "(persons, frames, joints)", 3)
        if has_score
        else None,
        img_shape=_img_shape(record.get("img_shape")),
    )


def _whole_number(record: dict[str, Any], key: str) -> int:
    try:
        return operator.index(record[key])
    except TypeError:
        raise _Malformed(f"has the {key} {record[key]!r}; give a whole number") from None


def _array(record: dict[str, Any], key: str, axes: str, ndim: int) -> np.ndarray:
    value = record[key]
    if not isinstance(value, np.ndarray):
        raise _Malformed(f"has a {type(value).__name__} as {key}; give a numpy array {axes}")
    value = cast("np.ndarray[Any, np.dtype[Any]]", value)
    if value.ndim != ndim:
        raise _Malformed(f"has a {key} of shape {value.shape}; it must be {axes}")
    if value.dtype.kind != "f" or value.dtype.itemsize > 8:
        raise _Malformed(f"has a {key} of {value.dtype}; make it float16, float32 or float64")
    return value


def _img_shape(value: Any) -> tuple[int, int]:
    if value is None:
        return DEFAULT_IMG_SHAPE
    try:
        height, width = value
        return int(height), int(width)
    except (TypeError, ValueError, OverflowError):
        raise _Malformed(
            f"has img_shape {value!r}; give the height and width of the picture in pixels"
        ) from None


def _splits(path: AnyPath, table: dict[object, object]) -> dict[str, list[str]]:
    splits: dict[str, list[str]] = {}
    for name, ids in table.items():
        if (
            not isinstance(name, str)
            or not isinstance(ids, list | tuple | set | frozenset | np.ndarray)
            or not all(isinstance(id, str) for id in cast(list[object], ids))
        ):
            raise BadInput(f"split {name!r} of {path} is not a list of ids; give ids as text")
        # An id that is listed twice counts once, as in the reference.
        splits[str(name)] = list(dict.fromkeys(map(str, cast(list[str], ids))))
    return splits
