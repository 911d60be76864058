"""Joints of one skeleton from those of another: by name, else imputed, else absent.

A joint that the recording has under the same or another name (`concepts`) is taken as it is. One
that it lacks is imputed where a rule of `RULES` makes it of joints that the recording has: a
weighted mean of them, frame by frame, with the lowest of their scores; not found where one of them
is not. No rule extrapolates. All other joints are absent: all zero, with score 0.

Axes: M persons, T frames, V joints, C coordinates.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from stgcn_lightning.errors import BadInput
from stgcn_lightning.shipped import skeleton_named
from stgcn_lightning.skeleton import Skeleton
from stgcn_lightning.sources.concepts import concepts
from stgcn_lightning.sources.recordings import Recording

Mix = Mapping[str, float]  # concept -> weight; weights sum to 1


def _mean(*names: str) -> Mix:
    return dict.fromkeys(names, 1 / len(names))


_EYES, _EARS = _mean("left_eye", "right_eye"), _mean("left_ear", "right_ear")
# Concept -> mixtures of other concepts, the first that can be made is taken. An ingredient that is
# missing is itself imputed.
RULES: dict[str, tuple[Mix, ...]] = {
    "neck": (_mean("left_shoulder", "right_shoulder"), _mean("thorax")),
    "thorax": (_mean("left_shoulder", "right_shoulder"), _mean("neck")),
    "pelvis": (_mean("left_hip", "right_hip"),),
    "spine": (_mean("pelvis", "thorax"),),
    # of SMPL, whose three parts of the spine are about equally long
    "spine1": ({"pelvis": 0.75, "thorax": 0.25},),
    "spine2": (_mean("spine"), _mean("pelvis", "thorax")),
    "spine3": ({"pelvis": 0.25, "thorax": 0.75},),
    # J-HMDB's; measured there: 0.20 of the way, 0.16 to 0.25 in four frames of five
    "belly": ({"pelvis": 0.8, "neck": 0.2},),
    "nose": (_EYES, _EARS, _mean("head"), _mean("face")),
    "face": (_mean("nose"),),
    "head": (_EARS, _mean("nose")),
}
for _side in ("left_", "right_"):
    RULES.update(
        {
            f"{_side}eye": (_mean("nose"),),
            f"{_side}ear": (_mean(f"{_side}eye"),),
            f"{_side}eye_inner": (_mean(f"{_side}eye"),),
            f"{_side}eye_outer": (_mean(f"{_side}eye"),),
            f"{_side}mouth": (_mean("nose"),),
            f"{_side}collar": (_mean("neck", f"{_side}shoulder"),),
            f"{_side}hand": (_mean(f"{_side}index", f"{_side}pinky"), _mean(f"{_side}wrist")),
            f"{_side}hand_tip": (_mean(f"{_side}hand"),),
            f"{_side}thumb": (_mean(f"{_side}hand"),),
            f"{_side}index": (_mean(f"{_side}hand_tip"), _mean(f"{_side}wrist")),
            f"{_side}pinky": (_mean(f"{_side}index"),),
            f"{_side}foot": (_mean(f"{_side}toe"), _mean(f"{_side}ankle")),
            f"{_side}toe": (_mean(f"{_side}foot"),),
            f"{_side}small_toe": (_mean(f"{_side}toe"),),
            f"{_side}heel": (_mean(f"{_side}ankle"),),
        }
    )


def mapped(recording: Recording, skeleton: Skeleton) -> Recording:
    """The recording with the joints of `skeleton`; its remarks say where each of them is from.

    Args:
        recording: settled or not.
        skeleton: whose joints are wanted.

    Raises:
        BadInput: the recording has less than half of the joints, imputed ones not counted; or its
            joints have no names, and its skeleton is not known or of another number of joints.
    """
    recording = replace(recording, joints=_names(recording))
    there: dict[str, int] = {}
    for index, name in enumerate(concepts(recording.joints, recording.skeleton)):
        there.setdefault(name, index)
    wanted = concepts(skeleton.joints, skeleton.name)
    lacking = [
        joint for joint, name in zip(skeleton.joints, wanted, strict=True) if name not in there
    ]
    V = skeleton.num_joints
    if 2 * len(lacking) > V:
        raise BadInput(
            f"{recording.id}: map={skeleton.name} needs joints that the recording has not: "
            f"{V - len(lacking)} of {V} were found by name, not {_listed(lacking)}; it has "
            f"{_listed(recording.joints)}"
        )

    keypoint = np.zeros((*recording.keypoint.shape[:2], V, recording.keypoint.shape[3]), np.float32)
    score = None if recording.score is None else np.zeros(keypoint.shape[:3], np.float32)
    if not recording.settled:
        keypoint[:] = np.nan  # how recordings that are not settled mark what was not found
    imputed: list[str] = []
    absent: list[str] = []
    for v, name in enumerate(wanted):
        mix = _ingredients(name, there, frozenset())
        if mix is None:
            absent.append(skeleton.joints[v])
            continue
        if name not in there:
            imputed.append(f"{skeleton.joints[v]} from {_recipe(mix, recording)}")
        parts = [recording.keypoint[:, :, index] * np.float32(mix[index]) for index in mix]
        keypoint[:, :, v] = sum(parts[1:], parts[0])
        if score is not None and recording.score is not None:
            score[:, :, v] = recording.score[:, :, list(mix)].min(axis=2)
    if score is not None and recording.settled:
        keypoint[score == 0] = 0  # a mean with a joint that was not found
    return replace(
        recording,
        keypoint=keypoint,
        score=score,
        joints=skeleton.joints,
        skeleton=skeleton.name,
        edges=(),
        remarks=(*recording.remarks, *_said(recording, skeleton, lacking, imputed, absent)),
    )


def _names(recording: Recording) -> tuple[str, ...]:
    """The joints' names: those of the recording's skeleton where the file only numbers them."""
    V = len(recording.joints)
    if recording.skeleton is None or recording.joints != tuple(str(v) for v in range(V)):
        return recording.joints
    names = skeleton_named(recording.skeleton).joints
    if len(names) != V:
        raise BadInput(
            f"{recording.id} has {V} joints but its skeleton {recording.skeleton} has "
            f"{len(names)}; name the skeleton of the file (reading.skeleton)"
        )
    return names


def _ingredients(
    name: str, there: Mapping[str, int], above: frozenset[str]
) -> dict[int, float] | None:
    """Joints of the recording, with weights, that make a concept; None where none do.

    Args:
        name: the concept.
        there: concepts of the recording -> index of the joint.
        above: concepts that are being made of this one, which it cannot be made of.
    """
    if name in there:
        return {there[name]: 1.0}
    for rule in RULES.get(name, ()):
        found: dict[int, float] = {}
        for part, weight in rule.items():
            made = None if part in above else _ingredients(part, there, above | {name})
            if made is None:
                break
            for index, share in made.items():
                found[index] = found.get(index, 0.0) + weight * share
        else:
            return found
    return None


def _recipe(mix: Mapping[int, float], recording: Recording) -> str:
    names = [recording.joints[index] for index in mix]
    if len(names) == 1:
        return names[0]
    if len(set(mix.values())) == 1:
        return f"the mean of {' and '.join(names)}"
    return " + ".join(
        f"{weight:.3g} {name}" for name, weight in zip(names, mix.values(), strict=True)
    )


def _said(
    recording: Recording,
    skeleton: Skeleton,
    lacking: list[str],
    imputed: list[str],
    absent: list[str],
) -> list[str]:
    origin = recording.skeleton or f"its {len(recording.joints)} joints"
    V = skeleton.num_joints
    said = [f"map: {V - len(lacking)} of the {V} joints of {skeleton.name} are of {origin} by name"]
    if imputed:
        said.append(f"map: imputed {'; '.join(imputed)}")
    if absent:
        said.append(f"map: absent, so zero in every frame: {_listed(absent)}")
    return said


def _listed(names: list[str] | tuple[str, ...], most: int = 40) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
