"""MediaPipe's results as JSON: ``pose_landmarks`` and ``pose_world_landmarks`` of each frame.

A file is a list of frames (or has them as ``frames``); a frame has the landmarks of each person (or
of the one), each with x, y, z and visibility. The names of the web library are read as well:
``landmarks`` and ``worldLandmarks``, ``poseLandmarks`` and ``poseWorldLandmarks``. World landmarks
are read where there are no others, or where ``reading.unit=metres`` asks for them.

Source: MediaPipe, PoseLandmarkerResult; the habits of those who write it to files.
"""

from typing import Any

from stgcn_lightning.errors import BadInput, brief
from stgcn_lightning.sources.detections import Detection
from stgcn_lightning.sources.joint_names import JOINTS
from stgcn_lightning.sources.json_text import (
    entries,
    fields,
    first_table,
    many,
    numbers,
    table,
    whole,
)
from stgcn_lightning.sources.mediapipe import landmarks
from stgcn_lightning.sources.recordings import Reading, Recording

IN_PICTURE = ("pose_landmarks", "poseLandmarks", "landmarks")
IN_WORLD = ("pose_world_landmarks", "poseWorldLandmarks", "worldLandmarks")
NUMBERS = ("frame", "frame_id", "frame_index", "frame_number")


def recognise(content: object) -> str | None:
    """See `formats`."""
    first = first_table(_frames(content))
    name = next((name for name in (*IN_PICTURE, *IN_WORLD) if name in first), None)
    return f"its frames have {name}" if name else None


def _frames(content: object) -> list[Any]:
    return entries(fields(content).get("frames")) or entries(content) or [content]


def read(content: object, id: str, about: str, reading: Reading) -> list[Recording]:
    """See `formats`.

    Raises:
        BadInput: it is not built as the format says, has a frame twice, or no person in any frame.
    """
    frames = [table(one, f"{about}: a frame") for one in _frames(content)]
    in_picture = next((name for name in IN_PICTURE if any(name in one for one in frames)), None)
    in_world = next((name for name in IN_WORLD if any(name in one for one in frames)), None)
    wanted = reading.unit in ("metres", "centimetres", "millimetres")
    name = in_world if in_world and (wanted or not in_picture) else in_picture
    found: dict[int, list[Detection]] = {}
    for i, frame in enumerate(frames):
        key = next((key for key in NUMBERS if key in frame), None)
        number = i if key is None else whole(frame[key], f"{about}: {key}")
        if number in found:
            raise BadInput(f"{about} has frame {number} twice; give each frame its own number")
        found[number] = _people(frame.get(name or ""), f"{about}: frame {number}")
    return [landmarks(found, id, about, reading)]


def _people(value: Any, where: str) -> list[Detection]:
    """The persons of a frame; several are in any order."""
    if not value:
        return []
    people = many(fields(value).get("landmark", value), where)  # as protobuf has it
    if people and not isinstance(people[0], list):
        people = [people]
    return [_person(many(one, where), where) for one in people if one]


def _person(points: list[Any], where: str) -> Detection:
    if len(points) < len(JOINTS["mediapipe33"]):
        raise BadInput(f"{where} has {len(points)} landmarks; MediaPipe's pose has 33")
    rows: list[list[Any]] = []
    scores: list[Any] = []
    for point in points[:33]:
        named = fields(point)
        values = [named.get(axis) for axis in "xyz"] if named else entries(point)
        if len(values) not in (3, 4):
            raise BadInput(f"{where}: {brief(point)} is no landmark with x, y, z; write it again")
        rows.append(values[:3])
        scores.append(values[3] if len(values) == 4 else named.get("visibility", 1.0))
    return Detection(numbers(rows, where), numbers(scores, where))
