"""AlphaPose: one JSON file for all pictures, with 17 (COCO), 26 or 136 (Halpe) joints a person.

A list of ``{image_id: "12.jpg", keypoints: [x, y, c, ...], score, idx}`` in pixels; c of some
models goes up to 6. ``idx`` is the track where tracking was on, and else the same for all. With
``--format open`` or ``cmu`` the file has by picture what OpenPose writes to one file a frame (see
`openpose`), with 18 joints.

Source: AlphaPose, docs/output.md and alphapose/utils/pPose_nms.py (write_json).
"""

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from stgcn_lightning.errors import BadInput, brief
from stgcn_lightning.sources import openpose
from stgcn_lightning.sources.detections import (
    Detection,
    Frames,
    assembled,
    number_of_joints,
    scored_points,
)
from stgcn_lightning.sources.frame_files import video_and_frame
from stgcn_lightning.sources.joint_names import joints_of
from stgcn_lightning.sources.json_text import fields, first_table, many, numbers, table
from stgcn_lightning.sources.recordings import Reading, Recording

SKELETONS = ("coco17", "halpe26", "halpe136", "coco_wholebody133", "openpose18")


def recognise(content: object) -> str | None:
    """See `formats`."""
    first = first_table(content)
    if {"image_id", "keypoints"} <= first.keys() and isinstance(first["image_id"], str):
        return "it is a list with keypoints by image_id, a picture's name"
    for picture in list(fields(content).values())[:1]:
        if why := openpose.recognise(picture):
            return f"of each picture, {why.replace('writes a frame', 'does')}"
    return None


def read(content: object, id: str, about: str, reading: Reading) -> list[Recording]:
    """See `formats`.

    Raises:
        BadInput: it is not built as the format says, or has no person in any picture.
    """
    videos: dict[str, dict[str, list[Detection]]] = {}
    for name, detections in _pictures(content, about):
        stem = PurePosixPath(name.replace("\\", "/")).stem
        video, _ = video_and_frame(stem) or ("", 0)
        videos.setdefault(video, {}).setdefault(stem, []).extend(detections)
    found: list[Recording] = []
    for video, pictures in videos.items():
        order = [named[1] for named in map(video_and_frame, pictures) if named]
        if len(set(order)) < len(pictures):
            order = list(range(len(pictures)))
        frames = Frames(dict(zip(order, pictures.values(), strict=True)), about, unit="pixels")
        V = number_of_joints(frames)
        skeleton, joints = joints_of(V, SKELETONS, reading.skeleton, about)
        own = f"{id}:{video}" if len(videos) > 1 else id
        found.append(assembled(frames, own, joints, skeleton))
    if not found:
        raise BadInput(f"{about} has no person in any picture; leave it out")
    return found


def _pictures(content: object, about: str) -> Iterator[tuple[str, list[Detection]]]:
    """Name of a picture and persons in it; a name may come several times."""
    pictures = fields(content)
    for name, picture in pictures.items():
        yield name, openpose.people(picture, f"{about}: {brief(name)}")
    for one in [] if pictures else many(content, about):
        person = table(one, f"{about}: a person")
        name = person.get("image_id")
        if not isinstance(name, str):
            raise BadInput(f"{about} has image_id {brief(name)}; give the picture's name")
        where = f"{about}: keypoints of {brief(name)}"
        points = scored_points(numbers(person.get("keypoints"), where), where)
        yield name, [Detection(points.keypoint, points.score, _track(person, where))]


def _track(person: dict[str, Any], where: str) -> str | None:
    """`idx` is a number, or a list of the numbers of boxes that were made one person."""
    if person.get("idx") is None:
        return None
    first = np.ravel(numbers(person["idx"], f"{where}, idx"))[:1]
    return f"{first[0]:g}" if first.size else None
