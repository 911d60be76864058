"""COCO's key points: annotations (ground truth), results, and COCO-WholeBody's 133.

Annotations have ``images`` and ``annotations[].keypoints`` as x, y, v of each joint in pixels: v is
0 for a joint that is not labelled, 1 for one that is hidden and 2 for a visible one; a labelled
joint has the score 1. Where v has other values, it is a score. WholeBody adds ``foot_kpts``,
``face_kpts``, ``lefthand_kpts`` and ``righthand_kpts``. Results are a list with x, y and a score of
each joint, and no names.

Pictures are frames: in the order of ``frame_id``, or of the number at the end of ``file_name``, or
of the picture's id; those of several folders, or ``video_id``s, are several recordings.

Source: cocodataset.org, "Data format" and "Results format"; COCO-WholeBody, data_format.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stgcn_lightning.errors import BadInput, brief
from stgcn_lightning.sources.detections import (
    Detection,
    Frames,
    assembled,
    number_of_joints,
    scored_points,
)
from stgcn_lightning.sources.frame_files import video_and_frame
from stgcn_lightning.sources.joint_names import joints_of, plain_name, skeleton_of
from stgcn_lightning.sources.json_text import (
    entries,
    fields,
    first_table,
    many,
    numbers,
    table,
    whole,
)
from stgcn_lightning.sources.recordings import Reading, Recording

SKELETONS = ("coco17", "coco_wholebody133", "halpe26", "halpe136")
PARTS = ("foot", "face", "lefthand", "righthand")  # of WholeBody, after the body
LENGTHS = {"foot": 6, "face": 68, "lefthand": 21, "righthand": 21}
FLAGS = (0.0, 1.0, 2.0)


@dataclass
class _Video:
    """The pictures of one recording."""

    frames: dict[int, list[Detection]] = field(default_factory=dict[int, list[Detection]])
    shapes: set[tuple[int, int]] = field(default_factory=set[tuple[int, int]])


def recognise(content: object) -> str | None:
    """See `formats`."""
    file = fields(content)
    if isinstance(file.get("images"), list) and "keypoints" in first_table(file.get("annotations")):
        return "it has images, and annotations with keypoints"
    first = first_table(content)
    if {"image_id", "keypoints"} <= first.keys() and not isinstance(first["image_id"], str):
        return "it is a list with image_id and keypoints, as COCO's results"
    return None


def read(content: object, id: str, about: str, reading: Reading) -> list[Recording]:
    """See `formats`.

    Raises:
        BadInput: it is not built as the format says, or its categories have different joints.
    """
    if results := entries(content):
        frames: dict[int, list[Detection]] = {}
        for one in results:
            result = table(one, f"{about}: a result")
            number = whole(result.get("image_id"), f"{about}: image_id")
            frames.setdefault(number, []).append(_result(result, about))
        return [_recording(Frames(frames, about, unit="pixels"), (), id, reading)]
    file = table(content, about)
    videos, place = _videos(file, about)
    flags = _are_flags(file, about)
    names: set[tuple[str, ...]] = set()
    categories = {
        brief(one.get("id")): tuple(map(str, entries(one.get("keypoints"))))
        for one in map(fields, entries(file.get("categories")))
    }
    for one in many(file.get("annotations"), f"{about}: annotations"):
        annotation = table(one, f"{about}: an annotation")
        if not (detection := _annotated(annotation, flags, about)):
            continue
        names.add(categories.get(brief(annotation.get("category_id")), ()))
        try:
            video, number = place[annotation.get("image_id")]
        except (KeyError, TypeError):
            raise BadInput(
                f"{about} has an annotation of image_id {brief(annotation.get('image_id'))}, which "
                "is none of its images; add the image"
            ) from None
        videos[video].frames[number].append(detection)
    if len(names) > 1:
        raise BadInput(
            f"{about} has key points of {len(names)} categories with different joints; write a "
            "file for each"
        )
    return [
        _recording(
            _frames(videos[name], about), next(iter(names), ()), _id(id, name, videos), reading
        )
        for name in sorted(videos)
        if any(videos[name].frames.values())
    ] or [_recording(Frames({}, about), (), id, reading)]


def _id(id: str, video: str, videos: Mapping[str, _Video]) -> str:
    return f"{id}:{video}" if len(videos) > 1 else id


def _frames(video: _Video, about: str) -> Frames:
    several = ("pictures are of several sizes, of which the largest sides are taken",)
    sides = np.array(sorted(video.shapes)) if video.shapes else None
    return Frames(
        video.frames,
        about,
        img_shape=None if sides is None else (int(sides[:, 0].max()), int(sides[:, 1].max())),
        unit="pixels",
        remarks=several * (len(video.shapes) > 1),
    )


def _videos(file: dict[str, Any], about: str) -> tuple[dict[str, _Video], dict[Any, Any]]:
    """Videos by name, and by the picture's id its video and the number of its frame."""
    pictures: dict[str, list[dict[str, Any]]] = {}
    for one in many(file.get("images"), f"{about}: images"):
        picture = table(one, f"{about}: an image")
        video = picture.get("video_id", picture.get("vid_id"))
        if video is None:
            folder = PurePosixPath(str(picture.get("file_name", "")).replace("\\", "/")).parent
            video = "" if folder == PurePosixPath(".") else folder.as_posix()
        pictures.setdefault(str(video), []).append(picture)
    place: dict[Any, Any] = {}
    videos: dict[str, _Video] = {}
    for video, those in pictures.items():
        videos[video] = _Video()
        for number, picture in zip(_numbers(those, about), those, strict=True):
            place[whole(picture.get("id"), f"{about}: id of an image")] = video, number
            videos[video].frames[number] = []
            height, width = (picture.get(side) or 0 for side in ("height", "width"))
            if height and width:
                shape = numbers([height, width], f"{about}: height and width of an image")
                if not (np.isfinite(shape) & (shape >= 1) & (shape < 2**31)).all():
                    raise BadInput(f"{about} has an image of {height} x {width}; correct its size")
                videos[video].shapes.add((int(shape[0]), int(shape[1])))
    return videos, place


def _numbers(pictures: list[dict[str, Any]], about: str) -> list[int]:
    """The number of each picture's frame: the first kind of number that tells all apart."""
    frames = [picture.get("frame_id") for picture in pictures]
    if None not in frames and len(set(map(str, frames))) == len(frames):
        return [whole(frame, f"{about}: frame_id") for frame in frames]
    stems = [PurePosixPath(str(picture.get("file_name", ""))).stem for picture in pictures]
    found = [named[1] for named in map(video_and_frame, stems) if named]
    if len(set(found)) == len(pictures):
        return found
    return [whole(picture.get("id"), f"{about}: id of an image") for picture in pictures]


def _are_flags(file: dict[str, Any], about: str) -> bool:
    """Whether v is 0, 1 or 2 everywhere, and no score."""
    for one in many(file.get("annotations"), f"{about}: annotations"):
        keypoints = table(one, f"{about}: an annotation").get("keypoints")
        values = np.ravel(numbers(keypoints or [], f"{about}: keypoints"))
        if not np.isin(values[2::3], FLAGS).all():
            return False
    return True


def _annotated(annotation: dict[str, Any], flags: bool, about: str) -> Detection | None:
    """One person; None where none of the joints is labelled."""
    where = f"{about}: keypoints of annotation {brief(annotation.get('id'))}"
    values = numbers(annotation.get("keypoints") or [], where)
    if not values.size:
        return None
    if any(f"{part}_kpts" in annotation for part in PARTS):
        values = np.concatenate(
            [values.ravel(), *(_part(annotation, part, where) for part in PARTS)]
        )
    one = scored_points(values, where)
    if one.score is None or not (one.score > 0).any():
        return None
    score: NDArray[np.float64] = np.where(one.score > 0, 1.0, 0.0) if flags else one.score
    return Detection(one.keypoint, score, _track(annotation))


def _part(annotation: dict[str, Any], part: str, where: str) -> NDArray[np.float64]:
    """x, y, v of a hand, the face or the feet: zeros where they are not valid."""
    nothing = np.zeros(3 * LENGTHS[part])
    values = annotation.get(f"{part}_kpts")
    if not values or annotation.get(f"{part}_valid") is False:
        return nothing
    found = numbers(values, where)
    if found.shape != nothing.shape:
        raise BadInput(f"{where}: {part}_kpts has {found.size} numbers; give {nothing.size}")
    return found


def _result(result: dict[str, Any], about: str) -> Detection:
    where = f"{about}: keypoints of image {brief(result.get('image_id'))}"
    one = scored_points(numbers(result.get("keypoints"), where), where)
    return Detection(one.keypoint, one.score, _track(result))


def _track(person: dict[str, Any]) -> str | None:
    track = person.get("track_id")
    if track is None:
        track = fields(person.get("attributes")).get("track_id")
    return None if track is None else str(track)


def _recording(frames: Frames, names: tuple[str, ...], id: str, reading: Reading) -> Recording:
    V = number_of_joints(frames)
    if len(names) == V:
        joints = tuple(plain_name(name) for name in names)
        return assembled(frames, id, joints, reading.skeleton or skeleton_of(joints))
    if names and V != 133:
        raise BadInput(
            f"{frames.about} has {V} key points a person, but its category names {len(names)}"
        )
    skeleton, joints = joints_of(V, SKELETONS, reading.skeleton, frames.about)
    return assembled(frames, id, joints, skeleton)
