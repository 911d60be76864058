"""Ultralytics' ``Results.to_json()``: a list of persons a frame, in a file each or in a list.

A person is ``{name, class, confidence, box, track_id, keypoints: {x, y, visible}}`` in pixels, or
in [0, 1] if it was written with ``normalize=True``, which the file does not say (see `settling`).
Key points of little confidence have been set to (0, 0) by Ultralytics.

Source: ultralytics 8, engine/results.py (summary, Keypoints).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from stgcn_lightning.errors import BadInput, brief
from stgcn_lightning.sources.detections import Detection, Frames, assembled, number_of_joints
from stgcn_lightning.sources.joint_names import joints_of
from stgcn_lightning.sources.json_text import (
    entries,
    fields,
    first_table,
    many,
    numbers,
    table,
)
from stgcn_lightning.sources.recordings import Reading, Recording

SKELETONS = ("coco17", "hand21", "halpe26", "coco_wholebody133")


def recognise(content: object) -> str | None:
    """See `formats`."""
    if _has_person(content):
        return "it is a list with keypoints of x, y"
    if _has_person(next((one for one in entries(content) if one), None)):
        return "it is a list, by frame, of lists with keypoints of x, y"
    return None


def is_frame(content: object) -> bool:
    """See `formats`."""
    return _has_person(content)


def _has_person(content: object) -> bool:
    return {"x", "y"} <= fields(first_table(content).get("keypoints")).keys()


def read(content: object, id: str, about: str, reading: Reading) -> list[Recording]:
    """See `formats`."""
    frames = many(content, about)
    if not all(isinstance(one, list) for one in frames):
        frames = [frames]
    found = {i: people(one, f"{about}: frame {i}") for i, one in enumerate(frames)}
    return [recording(found, id, about, reading)]


def people(content: object, about: str) -> list[Detection]:
    """The persons of one frame.

    Raises:
        BadInput: a person is not built as the format says.
    """
    return [_person(table(one, f"{about}: a person"), about) for one in many(content, about)]


def _person(person: dict[str, Any], about: str) -> Detection:
    keypoints = table(person.get("keypoints"), f"{about}: keypoints")
    x, y = (np.ravel(numbers(keypoints.get(axis), f"{about}: {axis}")) for axis in ("x", "y"))
    score = keypoints.get("visible")
    if score is not None:
        score = np.ravel(numbers(score, f"{about}: visible"))
    if not x.size or len(x) != len(y) or len(x) != (len(x) if score is None else len(score)):
        raise BadInput(f"{about} has {len(x)} x and {len(y)} y of key points; write it again")
    track = person.get("track_id")
    return Detection(np.stack([x, y], axis=1), score, None if track is None else brief(track))


def recording(
    frames: Mapping[int, Sequence[Detection]], id: str, about: str, reading: Reading
) -> Recording:
    """The frames of one video as a recording."""
    found = Frames(frames, about)
    skeleton, joints = joints_of(number_of_joints(found), SKELETONS, reading.skeleton, about)
    return assembled(found, id, joints, skeleton)
