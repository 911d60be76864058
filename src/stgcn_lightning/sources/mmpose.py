"""MMPose: ``{meta_info, instance_info}`` of the demos, or the bare lists of the inferencer.

A video is a list of ``{frame_id, instances}``, a picture a list of instances, and an instance
``{keypoints: [[x, y], ...], keypoint_scores: [...], bbox, bbox_score}``, in pixels. Lifted key
points ``[x, y, z]`` are 3D. Persons are not tracked unless the instances have ``track_id``.

Source: MMPose 1, mmpose/structures/utils.py (split_instances) and
mmpose/apis/inferencers/base_mmpose_inferencer.py.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from stgcn_lightning.errors import BadInput, brief
from stgcn_lightning.sources.detections import Detection, Frames, assembled, number_of_joints
from stgcn_lightning.sources.joint_names import joints_of, plain_name, skeleton_of
from stgcn_lightning.sources.json_text import (
    fields,
    first_table,
    many,
    numbers,
    table,
    whole,
)
from stgcn_lightning.sources.recordings import Reading, Recording

SKELETONS = ("coco17", "coco_wholebody133", "halpe26", "hand21", "halpe136")
LIFTED = ("h36m17",)


def recognise(content: object) -> str | None:
    """See `formats`."""
    if isinstance(fields(content).get("instance_info"), list):
        return "it has instance_info"
    first = first_table(content)
    if {"frame_id", "instances"} <= first.keys():
        return "it is a list with frame_id and instances"
    if {"keypoints", "keypoint_scores"} <= first.keys():
        return "it is a list with keypoints and keypoint_scores"
    return None


def is_frame(content: object) -> bool:
    """See `formats`."""
    content = fields(content).get("instance_info", content)
    return {"keypoints", "keypoint_scores"} <= first_table(content).keys()


def read(content: object, id: str, about: str, reading: Reading) -> list[Recording]:
    """See `formats`.

    Raises:
        BadInput: it is not built as the format says, or has a frame twice.
    """
    names = _names(fields(content))
    content = fields(content).get("instance_info", content)
    frames: dict[int, list[Detection]] = {}
    if "instances" not in first_table(content):
        frames[0] = people(content, about)
    else:
        for one in many(content, about):
            frame = table(one, f"{about}: a frame")
            number = whole(frame.get("frame_id"), f"{about}: frame_id")
            if number in frames:
                raise BadInput(f"{about} has frame_id {number} twice; give each frame its own")
            frames[number] = people(frame.get("instances"), f"{about}: frame {number}")
    return [_recording(frames, names, id, about, reading)]


def recording(
    frames: Mapping[int, Sequence[Detection]], id: str, about: str, reading: Reading
) -> Recording:
    """The pictures of one video as a recording."""
    return _recording(frames, (), id, about, reading)


def people(content: object, about: str) -> list[Detection]:
    """The persons of one picture.

    Raises:
        BadInput: an instance is not built as the format says.
    """
    content = fields(content).get("instance_info", content)
    return [_person(table(one, f"{about}: an instance"), about) for one in many(content, about)]


def _person(instance: dict[str, Any], about: str) -> Detection:
    points = numbers(instance.get("keypoints"), f"{about}: keypoints")
    if points.ndim == 3 and len(points) == 1:  # nested once too often, as the box is
        points = points[0]
    if points.ndim != 2 or points.shape[1] not in (2, 3):
        raise BadInput(f"{about}: keypoints are {points.shape}; give (joints, 2 or 3)")
    score = None
    if instance.get("keypoint_scores") is not None:
        score = np.ravel(numbers(instance["keypoint_scores"], f"{about}: keypoint_scores"))
        if len(score) != len(points):
            raise BadInput(f"{about}: {len(points)} key points but {len(score)} scores")
    track = instance.get("track_id", instance.get("instance_id"))
    return Detection(points, score, None if track is None else brief(track))


def _names(content: dict[str, Any]) -> tuple[str, ...]:
    """The joints' names, where meta_info has them."""
    names = fields(fields(content.get("meta_info")).get("keypoint_id2name"))
    try:
        return tuple(plain_name(str(names[str(v)])) for v in range(len(names)))
    except KeyError:
        return ()


def _recording(
    found: Mapping[int, Sequence[Detection]],
    names: tuple[str, ...],
    id: str,
    about: str,
    reading: Reading,
) -> Recording:
    deep = any(one.keypoint.shape[1] == 3 for people in found.values() for one in people)
    frames = Frames(found, about, unit="unknown" if deep else "pixels")
    V = number_of_joints(frames)
    if len(names) == V:
        return assembled(frames, id, names, reading.skeleton or skeleton_of(names))
    skeleton, joints = joints_of(V, LIFTED if deep else SKELETONS, reading.skeleton, about)
    return assembled(frames, id, joints, skeleton)
