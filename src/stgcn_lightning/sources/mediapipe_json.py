"""MediaPipe's results as JSON: ``pose_landmarks`` and ``pose_world_landmarks`` of each frame.

A file is a list of frames (or has them as ``frames``); a frame has the landmarks of each person (or
of the one), each with x, y, z and visibility. The names of the web library are read as well:
``landmarks`` and ``worldLandmarks``, ``poseLandmarks`` and ``poseWorldLandmarks``. World landmarks
are read where there are no others, or where ``reading.unit=metres`` asks for them.

Source: MediaPipe, PoseLandmarkerResult; the habits of those who write it to files.
"""

from typing import Any

from stgcn_lightning.errors import BadInput
from stgcn_lightning.sources.detections import Detection
from stgcn_lightning.sources.joint_names import JOINTS
from stgcn_lightning.sources.json_text import brief, many, numbers, table, whole
from stgcn_lightning.sources.mediapipe import landmarks
from stgcn_lightning.sources.recordings import Reading, Recording

IN_PICTURE = ("pose_landmarks", "poseLandmarks", "landmarks")
IN_WORLD = ("pose_world_landmarks", "poseWorldLandmarks", "worldLandmarks")
NUMBERS = ("frame", "frame_id", "frame_index", "frame_number")


def recognise(content: object) -> str | None:
    """See `formats`."""
    for frame in _frames(content)[:1]:
        if isinstance(frame, dict):
            for name in (*IN_PICTURE, *IN_WORLD):
                if name in frame:
                    return f"its frames have {name}"
    return None


def _frames(content: object) -> list[Any]:
    if isinstance(content, dict) and isinstance(content.get("frames"), list):
        content = content["frames"]
    frames: list[Any] = content if isinstance(content, list) else [content]
    return frames


def read(content: object, id: str, about: str, reading: Reading) -> list[Recording]:
    """See `formats`."""
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
    if isinstance(value, dict):  # protobuf's own JSON
        value = value.get("landmark", [])
    people = many(value, where)
    if people and not isinstance(people[0], list):
        people = [people]
    return [_person(many(one, where), where) for one in people if one]


def _person(points: list[Any], where: str) -> Detection:
    if len(points) < len(JOINTS["mediapipe33"]):
        raise BadInput(f"{where} has {len(points)} landmarks; MediaPipe's pose has 33")
    rows: list[list[Any]] = []
    scores: list[Any] = []
    for point in points[:33]:
        if isinstance(point, dict):
            rows.append([point.get("x"), point.get("y"), point.get("z")])
            scores.append(point.get("visibility", 1.0))
        elif isinstance(point, list) and len(point) in (3, 4):
            rows.append(point[:3])
            scores.append(point[3] if len(point) == 4 else 1.0)
        else:
            raise BadInput(f"{where}: {brief(point)} is no landmark with x, y, z; write it again")
    return Detection(numbers(rows, where), numbers(scores, where))
