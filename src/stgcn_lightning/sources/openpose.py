"""OpenPose: one JSON file a frame, ``people[].pose_keypoints_2d`` as x, y, score of each joint.

Which joints, their number tells: 25 of the model BODY_25 or 18 of COCO. Old versions write
``pose_keypoints``; AlphaPose's ``--format open`` writes the same form, its ``--format cmu`` one
with ``bodies[].joints``. Coordinates are in pixels, [0, 1] or [-1, 1] by ``--keypoint_scale``,
which the file does not say (see `settling`). People are in any order in each frame unless
``person_id`` is 0 or more, which `--tracking` makes it. Face, hands and 3D are not read.

Source: OpenPose, doc/02_output.md; AlphaPose, docs/output.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from stgcn_lightning.sources.detections import (
    Detection,
    Frames,
    assembled,
    number_of_joints,
    scored_points,
)
from stgcn_lightning.sources.joint_names import joints_of
from stgcn_lightning.sources.json_text import entries, fields, many, numbers, table
from stgcn_lightning.sources.recordings import Reading, Recording

SKELETONS = ("openpose25", "openpose18")
PERSONS = {"people": ("pose_keypoints_2d", "pose_keypoints"), "bodies": ("joints",)}


def recognise(content: object) -> str | None:
    """See `formats`."""
    frame = fields(content)
    if isinstance(frame.get("people"), list):
        return "it has people, as OpenPose writes a frame"
    if isinstance(frame.get("bodies"), list):
        return "it has bodies, as AlphaPose's --format cmu writes a frame"
    return None


def is_frame(content: object) -> bool:
    """See `formats`."""
    return recognise(content) is not None


def read(content: object, id: str, about: str, reading: Reading) -> list[Recording]:
    """A file that is read alone is a recording of one frame; see `formats`."""
    return [recording({0: people(content, about)}, id, about, reading)]


def people(content: object, about: str) -> list[Detection]:
    """The persons of one frame's file; one without any joint is left out.

    Raises:
        BadInput: the file is not built as the format says.
    """
    frame = table(content, about)
    key = "people" if "people" in frame else "bodies"
    found: list[Detection] = []
    for one in many(frame.get(key), f"{about}: {key}"):
        person = table(one, f"{about}: a person")
        name = next((name for name in PERSONS[key] if name in person), None)
        points = numbers(person.get(name or "", []), f"{about}: {name}")
        if points.size:
            body = scored_points(points, f"{about}: key points")
            found.append(replace(body, track=_track(person)))
    return found


def _track(person: dict[str, Any]) -> str | None:
    """`person_id` is [-1] unless OpenPose was asked to track."""
    id = entries(person.get("person_id"))[:1]
    return str(id[0]) if id and isinstance(id[0], int) and id[0] >= 0 else None


def recording(
    frames: Mapping[int, Sequence[Detection]], id: str, about: str, reading: Reading
) -> Recording:
    """The frames of one video as a recording.

    Raises:
        BadInput: nobody is in any frame, or the number of key points is none of OpenPose's.
    """
    found = Frames(frames, about)
    skeleton, joints = joints_of(number_of_joints(found), SKELETONS, reading.skeleton, about)
    return assembled(found, id, joints, skeleton)
