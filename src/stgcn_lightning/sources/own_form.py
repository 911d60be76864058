"""The keys of this package's own form of a recording (see `own_npz`), checked.

Axes: M persons, T frames, V joints, C coordinates.
"""

# NumPy's stubs lose the element type when an array is reshaped or reduced:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from collections.abc import Mapping
from typing import Any, cast, get_args

import numpy as np
from numpy.typing import NDArray

from stgcn_lightning.errors import BadInput, brief
from stgcn_lightning.sources.detections import MOST_VALUES
from stgcn_lightning.sources.joint_names import JOINTS, numbered, skeleton_of
from stgcn_lightning.sources.json_text import numbers
from stgcn_lightning.sources.recordings import Reading, Recording, Unit, as_float32

KEYS = (
    "keypoint", "score", "joints", "skeleton", "img_shape", "fps", "unit", "y", "frames", "persons",
)  # fmt: skip


def recording_of(content: Mapping[str, Any], id: str, about: str, reading: Reading) -> Recording:
    """The recording that arrays or lists under these keys are.

    Raises:
        BadInput: a value is not as the form says.
    """
    if "keypoint" not in content:
        raise BadInput(f"{about} has no keypoint; add it")
    keypoint = numbers(content["keypoint"], f"{about}: keypoint")
    if keypoint.ndim not in (3, 4) or keypoint.shape[-1] not in (2, 3) or not keypoint.size:
        raise BadInput(
            f"{about} has keypoint of shape {keypoint.shape}; give (persons, frames, joints, 2 or "
            "3)"
        )
    if keypoint.size > MOST_VALUES:
        raise BadInput(f"{about} has keypoint of shape {keypoint.shape}; divide the recording")
    keypoint = keypoint[None] if keypoint.ndim == 3 else keypoint
    M, T, V, C = keypoint.shape
    score = content.get("score")
    if score is not None:
        score = numbers(score, f"{about}: score")
        if score.shape not in ((M, T, V), (T, V)) or score.size != M * T * V:
            raise BadInput(f"{about} has score of shape {score.shape}; give {(M, T, V)}")
        score = as_float32(score).reshape(M, T, V)
    skeleton = reading.skeleton or _text(content, "skeleton", about)
    names = _names(content, "joints", V, about)
    joints = names or JOINTS.get(skeleton or "", ()) or numbered(V)
    if len(joints) != V:
        raise BadInput(
            f"{about} has {V} joints but its skeleton {skeleton} has {len(joints)}; correct one"
        )
    img_shape = _numbers(content, "img_shape", 2, about)
    fps = _numbers(content, "fps", 1, about)
    frames = _numbers(content, "frames", T, about)
    y = _choice(content, "y", ("down", "up"), about) or ("up" if C == 3 else "down")
    with np.errstate(over="ignore"):  # settling refuses what is infinite
        keypoint = as_float32(keypoint)
    return Recording(
        id=id,
        keypoint=keypoint,
        score=score,
        joints=joints,
        skeleton=skeleton or skeleton_of(joints),
        unit=_choice(content, "unit", get_args(Unit), about) or "unknown",
        y="up" if y == "up" else "down",
        img_shape=None if img_shape is None else (int(img_shape[0]), int(img_shape[1])),
        fps=None if fps is None else float(fps[0]),
        frames=None if frames is None else frames.astype(np.int64),
        persons=_names(content, "persons", M, about),
    )


def _text(content: Mapping[str, Any], key: str, about: str) -> str | None:
    if content.get(key) is None:
        return None
    value = content[key]
    value = value.tolist() if isinstance(value, np.ndarray) else value
    if isinstance(value, list) and len(cast("list[object]", value)) == 1:
        value = cast("list[object]", value)[0]
    if not isinstance(value, str):
        raise BadInput(f"{about} has {key} {brief(content[key])}; give a text")
    return value


def _choice(content: Mapping[str, Any], key: str, choices: tuple[str, ...], about: str) -> Any:
    value = _text(content, key, about)
    if value not in (None, *choices):
        raise BadInput(f"{about} has {key} {value}; choose from {', '.join(choices)}")
    return value


def _names(content: Mapping[str, Any], key: str, count: int, about: str) -> tuple[str, ...]:
    if content.get(key) is None:
        return ()
    try:
        names = np.asarray(content[key])
    except (ValueError, RecursionError):
        names = np.empty(0)
    if names.dtype.kind not in "Ui" or names.shape != (count,):
        raise BadInput(f"{about} has {key} {brief(content[key])}; give {count} names")
    return tuple(str(name) for name in names)


def _numbers(
    content: Mapping[str, Any], key: str, count: int, about: str
) -> NDArray[np.float64] | None:
    """`count` numbers, each in the range of int64."""
    if content.get(key) is None:
        return None
    found = numbers(content[key], f"{about}: {key}").reshape(-1)
    if len(found) != count or not (np.abs(found) < 2.0**62).all() or (found < 0).any():
        raise BadInput(f"{about} has {key} {brief(content[key])}; give {count} of 0 or more")
    return found
