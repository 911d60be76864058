"""The annotation files of MMAction2 and PYSKL, read and written.

A file is a pickled dict with `split` (name -> ids) and `annotations` (one dict per sample); older
ones are a plain list of such dicts. Key points may also be skeletons one after the other
(`frame_lists`).

Axes: M persons, T frames, V joints, C coordinates.
"""

import difflib
import math
import operator
import pickle
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeGuard, cast

import numpy as np

from stgcn_lightning.errors import BadInput, brief
from stgcn_lightning.files.pickles import read_pickle
from stgcn_lightning.files.placed import Placed
from stgcn_lightning.files.reading import AnyPath, opened
from stgcn_lightning.files.writing import write_atomically
from stgcn_lightning.sources.annotations import Annotations, Malformed, Sample, loaded
from stgcn_lightning.sources.frame_lists import LISTS, FrameLists
from stgcn_lightning.sources.keeping import Keeping

ARRAYS = ("keypoint", "keypoint_score")
MOST_KEYS = 1000  # of a sample, among which one that is lacking is looked for
NAMED = 3  # keys that a sentence names
LONGEST = 1000  # letters of an id: a table of ids has room for the longest in each row
DEFAULT_IMG_SHAPE = (1080, 1920)  # NTU RGB+D's camera, and the reference's default


def read_annotations(
    path: AnyPath,
    *,
    in_place: bool = False,
    seen: Callable[[int], object] | None = None,
    keeping: Keeping | None = None,
) -> Annotations:
    """Read an MMAction2/PYSKL pickle; the older plain list becomes one split called `all`.

    A sample without `img_shape` gets the reference's default, 1080 x 1920. Values are not checked
    here: see `data.checks`.

    Args:
        path: of the pickle.
        in_place: large arrays stay in the file (`annotations.loaded` reads them).
        seen: is then told now and then how many bytes of the file have been looked at.
        keeping: what is kept of skeletons that lie one after the other; None: all.

    Raises:
        BadInput: the file is missing, truncated or hostile, or not built as the format says.
    """
    content = read_pickle(path, in_place=(*ARRAYS, *LISTS) if in_place else (), seen=seen)
    with opened(path) as file:
        lists = FrameLists(path, file, keeping or Keeping())
        found = lists.kept(_annotations(path, content, lists))
    found = replace(found, beside=tuple(file for file, _ in lists.apart.values()))
    return found if in_place else replace(found, samples=list(loaded(found.samples)))


def _annotations(path: AnyPath, content: object, lists: FrameLists) -> Annotations:
    if isinstance(content, list):
        samples = _samples(path, cast(list[object], content), lists)
        return Annotations(samples, {"all": [sample.id for sample in samples]})
    table = cast(dict[str, Any], content if isinstance(content, dict) else {})
    kinds: dict[str, tuple[str, tuple[type, ...]]] = {
        "annotations": ("list", (list, tuple)),
        "split": ("dict", (dict,)),
    }
    for key, (name, types) in kinds.items():
        if not isinstance(table.get(key), types):
            raise BadInput(
                f"{path} has no {name} called {key!r}{_instead(cast(object, content), key)}; "
                "annotations are a dict with 'split' (name -> ids) and 'annotations' (one dict per "
                "sample), or a plain list of the latter"
            )
    samples = _samples(path, list(table["annotations"]), lists)
    return Annotations(samples, _splits(path, table["split"]))


def _instead(content: object, key: str) -> str:
    """What a file has in place of `key`: the middle of a sentence."""
    if not isinstance(content, dict):
        return f" and is a {type(content).__name__}"
    table = cast(dict[object, object], content)
    if "keypoint" in table:
        return ", but is one sample: give [sample]"
    if isinstance(table.get(key), dict):
        return f", but a dict: give list({key}.values())"
    if key in table:
        return f", but a {type(table[key]).__name__}"
    return f", but {', '.join(map(brief, list(table)[:NAMED]))}" if table else " and is empty"


def write_annotations(path: AnyPath, annotations: Annotations) -> None:
    """Write annotations as the pickle that MMAction2 and PYSKL read, atomically.

    Raises:
        BadInput: the file cannot be written.
    """
    records = [
        {"frame_dir": sample.id}
        | ({} if sample.label is None else {"label": sample.label})
        | (
            {}
            if sample.img_shape is None
            else {"img_shape": sample.img_shape, "original_shape": sample.img_shape}
        )
        | {"total_frames": sample.keypoint.shape[1], "keypoint": sample.keypoint}
        | ({} if sample.score is None else {"keypoint_score": sample.score})
        for sample in annotations.samples
    ]
    with write_atomically(path) as file:
        pickle.dump({"split": annotations.splits, "annotations": records}, file, protocol=4)


def _samples(path: AnyPath, records: list[object], lists: FrameLists) -> list[Sample]:
    samples: list[Sample] = []
    for position, record in enumerate(records):
        if not isinstance(record, dict):
            kind = type(record).__name__
            raise BadInput(
                f"annotation {position} of {path} is a {kind}; each must be a dict with frame_dir, "
                "label and keypoint"
            )
        try:
            samples.append(_sample(cast(dict[str, Any], record), lists))
        except Malformed as malformed:
            id = cast(dict[str, Any], record).get("frame_dir")
            which = f"sample {id!r}" if isinstance(id, str) else f"annotation {position}"
            raise BadInput(f"{which} of {path} {malformed}") from None
    return samples


def _sample(record: dict[str, Any], lists: FrameLists) -> Sample:
    if "pred_score" in record:
        raise Malformed("is what a test answered (pred_score), no annotation; fuse reads that file")
    listed = record.get("frame_inds") is not None and _ndim(record.get("keypoint")) != 4
    for key in ("frame_dir",) if listed else ("frame_dir", "keypoint"):
        if record.get(key) is None:
            others = [str(one) for one in record if one != key][:MOST_KEYS]
            near = difflib.get_close_matches(key, others, n=1, cutoff=0.7)
            raise Malformed(
                f"has no {key}; add it" + "".join(f", or rename its {other}" for other in near)
            )
    if not isinstance(record["frame_dir"], str):
        raise Malformed(f"has the frame_dir {brief(record['frame_dir'])}; give its id as text")
    if len(record["frame_dir"]) > LONGEST:
        raise Malformed(f"has a frame_dir of {len(record['frame_dir'])} letters; give a short one")
    id = str(record["frame_dir"])  # numpy's text is a subclass, whose name gets into other pickles
    label = None if record.get("label") is None else _whole_number(record, "label")
    given = record.get("total_frames") is not None
    frames = _whole_number(record, "total_frames") if given else None
    img_shape, assumed = _img_shape(record.get("img_shape")), record.get("img_shape") is None
    if listed:
        keypoint, score = lists.assembled(id, record, frames)
        return Sample(id, label, cast(Any, keypoint), cast(Any, score), img_shape, assumed)
    keypoint = _array(record, "keypoint", "(persons, frames, joints, coordinates)", 4)
    if frames not in (None, keypoint.shape[1]):
        axes = [axis for axis in (0, 2, 3) if keypoint.shape[axis] == frames]
        turned = "".join(
            f", or give keypoint.swapaxes(1, {axis}) if its axes are in another order than "
            "(persons, frames, joints, coordinates)"
            for axis in axes[:1]
        )
        raise Malformed(
            f"has total_frames {brief(frames)} but {keypoint.shape[1]} frames of key points "
            f"(keypoint is {keypoint.shape}); correct one of the two{turned}"
        )
    has_score = record.get("keypoint_score") is not None
    score = _array(record, "keypoint_score", "(persons, frames, joints)", 3) if has_score else None
    return Sample(id, label, keypoint, score, img_shape, assumed)


def _ndim(value: Any) -> int:
    return value.ndim if isinstance(value, np.ndarray | Placed) else 0


def _whole_number(record: dict[str, Any], key: str) -> int:
    try:
        return operator.index(record[key])
    except TypeError:
        value = record[key]
        raise Malformed(
            f"has the {key} {brief(value)}; give a whole number{_as_number(key, value)}"
        ) from None


def _as_number(key: str, value: Any) -> str:
    """How a whole number is had from what was given for it: the end of a sentence."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, list | tuple):
        found = list(cast("list[object]", value))
        others = [one for one in found if not (isinstance(one, int | float) and one == 0)]
        if len(found) == 1:
            return f", int({key}[0])"
        return f", int(np.argmax({key}))" if len(others) == 1 else ""
    if isinstance(value, str):
        digits = value.strip().isdigit()
        place = ", the place of its class in benchmark.classes, from 0" * (key == "label")
        return f", int({key})" if digits else place
    if isinstance(value, float | np.floating):
        number = float(cast(float, value))
        if math.isnan(number):
            return f", or leave {key} out"
        return f", int({key})" if number.is_integer() else ""
    return ""


def _array(record: dict[str, Any], key: str, axes: str, ndim: int) -> np.ndarray:
    value = record[key]
    if not isinstance(value, np.ndarray | Placed):
        kind = type(value).__name__
        raise Malformed(
            f"has a {kind} as {key}; give a numpy array {axes}, np.array({key}, np.float32)"
        )
    value = cast("np.ndarray[Any, np.dtype[Any]]", value)
    if value.ndim != ndim and value.size == 0:
        raise Malformed(
            f"has an empty {key}, of shape {value.shape}; take the sample out, and its id out of "
            "the splits"
        )
    if value.ndim != ndim:
        raise Malformed(
            f"has a {key} of shape {value.shape}; it must be {axes}{_turned(key, value.shape)}"
        )
    if value.dtype.kind != "f" or value.dtype.itemsize > 8:
        raise Malformed(f"has a {key} of {value.dtype}; make it float16, float32 or float64")
    return value


def _turned(key: str, shape: tuple[int, ...]) -> str:
    """What gives an array of this shape its four axes (scores: three), if its shape tells."""
    T_V = (len(shape) == 3) if key == "keypoint" else (len(shape) == 2)
    last = shape[-1] if shape else 0
    if key == "keypoint" and T_V and shape[0] in (2, 3) and last > 3:
        return ", as keypoint.transpose(1, 2, 0)[None] may be"
    if T_V and (key != "keypoint" or last in (2, 3)):
        return f", as {key}[None] is of one person"
    if key != "keypoint" and len(shape) == 4 and last == 1:
        return ", as keypoint_score[..., 0] is"
    return ""


def _is_pair(value: object) -> TypeGuard[tuple[int, int]]:
    return type(value) is tuple and [*map(type, cast("tuple[Any, ...]", value))] == [int, int]


def _img_shape(value: Any) -> tuple[int, int]:
    if value is None:
        return DEFAULT_IMG_SHAPE
    if _is_pair(value):  # that of nearly all samples
        return value
    try:
        if isinstance(value, str | bytes | dict):
            raise TypeError
        height, width = value
        if any(isinstance(side, bool) or 0 < float(side) < 1 for side in (height, width)):
            raise ValueError
        return int(height), int(width)
    except (TypeError, ValueError, OverflowError):
        three = isinstance(value, list | tuple) and len(cast("list[object]", value)) == 3
        two = ", img_shape[:2]" if three else ""
        raise Malformed(
            f"has img_shape {brief(cast(object, value))}; give the height and width of the "
            f"picture in pixels{two}"
        ) from None


def _splits(path: AnyPath, table: dict[object, object]) -> dict[str, list[str]]:
    splits: dict[str, list[str]] = {}
    for name, ids in table.items():
        if (wrong := _no_ids(name, ids)) is not None:
            raise BadInput(
                f"split {brief(name)} of {path} is not a list of ids, {wrong}: give ids as text"
            )
        # An id that is listed twice counts once, as in the reference.
        splits[str(name)] = list(dict.fromkeys(map(str, cast(list[str], ids))))
    return splits


def _no_ids(name: object, ids: object) -> str | None:
    """Why `ids` are no ids of a split called `name`; None if they are."""
    if not isinstance(name, str):
        return "whose name is no text"
    if isinstance(ids, dict):
        return "but a dict"
    alone = getattr(ids, "shape", None) == ()  # an array of one value
    if alone or not isinstance(ids, list | tuple | set | frozenset | np.ndarray):
        return f"but a {type(ids).__name__}"
    for id in cast(list[object], ids):
        if not isinstance(id, str):
            return f"as it holds {brief(id)} in place of a sample's frame_dir"
    return None
