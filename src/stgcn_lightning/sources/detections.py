"""Persons as detectors write them, frame by frame, put together to a recording.

Axes: M persons, T frames, V joints, C coordinates.
"""

# NumPy's stubs lose the element type when an array is reshaped or reduced:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stgcn_lightning.errors import BadInput
from stgcn_lightning.sources.recordings import Recording, Unit

MOST_VALUES = 1 << 28  # of one recording: 1 GiB in float32
# values that a recording may have, however few a file holds, and so many times those that it holds:
# persons come and go, and are absent in all other frames
FREE_VALUES, MOST_ABSENT = 1 << 25, 200
LEAST_FRAME, MOST_FRAME = -(1 << 62), 1 << 62  # numbers of frames, which are int64


@dataclass(frozen=True, eq=False)
class Detection:
    """One person in one frame.

    Attributes:
        keypoint: (V, C), NaN where a joint was not found.
        score: (V,); None where the file has no scores.
        track: name of the person in all frames; None where the file has no tracks.
    """

    keypoint: NDArray[np.float64]
    score: NDArray[np.float64] | None = None
    track: str | None = None


@dataclass(frozen=True)
class Frames:
    """What a recording is put together from.

    Attributes:
        detections: by number of frame; a frame in which nobody was found has none.
        about: the file, for the sentence of an error.
        img_shape: (height, width) in pixels, where the file says so.
        unit: of the coordinates, where the format or the file says so.
        remarks: of the reader.
    """

    detections: Mapping[int, Sequence[Detection]]
    about: str
    img_shape: tuple[int, int] | None = None
    unit: Unit = "unknown"
    remarks: tuple[str, ...] = ()


def most_values(held: int) -> int:
    """Values that a recording may have of which a file holds so many."""
    return min(MOST_VALUES, FREE_VALUES + MOST_ABSENT * held)


def scored_points(values: NDArray[np.float64], where: str, C: int = 2) -> Detection:
    """A person of a flat list x, y, (z,) score, x, y, ...: a joint of score 0 was not found.

    Args:
        values: as the file has them.
        where: of what they are, for the sentence of an error.
        C: coordinates before each score.

    Raises:
        BadInput: the number of values is not a multiple of C + 1.
    """
    if values.ndim != 1 or not values.size or values.size % (C + 1):
        letters = "x, y, z" if C == 3 else "x, y"
        raise BadInput(
            f"{where}: {values.size} numbers are not {letters}, score for every key point; write "
            "them again"
        )
    rows = values.reshape(-1, C + 1)  # V, C + 1
    found = (rows[:, C] != 0)[:, None]  # a NaN of the score is left to settling
    return Detection(np.where(found, rows[:, :C], np.nan), rows[:, C])


def number_of_joints(frames: Frames) -> int:
    """V, of all persons.

    Raises:
        BadInput: there is no person at all, or they have different numbers of joints or of
            coordinates.
    """
    first: dict[tuple[int, ...], int] = {}  # shape of key points -> frame
    for number, detections in frames.detections.items():
        for detection in detections:
            first.setdefault(detection.keypoint.shape, number)
    if not first:
        raise BadInput(f"{frames.about} has no person in any frame; leave it out")
    if len(first) > 1:
        (one, frame), (other, another) = list(first.items())[:2]
        raise BadInput(
            f"{frames.about} has persons of {one} key points and coordinates (frame {frame}) and "
            f"of {other} (frame {another}); write one skeleton to a file"
        )
    return next(iter(first))[0]


def assembled(frames: Frames, id: str, joints: tuple[str, ...], skeleton: str | None) -> Recording:
    """The recording of these frames.

    Persons keep their tracks where all have one, and nobody shares one in a frame; otherwise they
    are in the order of the file, and the recording is not tracked unless there is but one in each
    frame.

    Raises:
        BadInput: a number of a frame is absurd, or there are more values than memory should be
            asked for.
    """
    order = sorted(frames.detections)
    everybody = [detection for number in order for detection in frames.detections[number]]
    if not everybody:
        raise BadInput(f"{frames.about} has no person in any frame; leave it out")
    names = list(dict.fromkeys(one.track for one in everybody))
    shared = _shared_track(frames)
    tracked = None not in names and not shared
    M = len(names) if tracked else max(len(found) for found in frames.detections.values())
    T, V, C = len(order), len(joints), everybody[0].keypoint.shape[1]
    values = M * T * V * C
    if values > most_values(len(everybody) * V * C):
        raise BadInput(
            f"{frames.about} has {M:,} persons in {T:,} frames, which is more than fits into "
            "memory; divide it into shorter recordings"
        )
    if not (order[0] > LEAST_FRAME and order[-1] < MOST_FRAME):
        raise BadInput(f"{frames.about} has the frame {order[-1]}; number frames from 0")
    keypoint = np.full((M, T, V, C), np.nan, np.float32)
    scored = any(one.score is not None for one in everybody)
    score = np.zeros((M, T, V), np.float32)
    row = {name: m for m, name in enumerate(names)}
    for t, number in enumerate(order):
        for place, one in enumerate(frames.detections[number]):
            m = row[one.track] if tracked else place
            with np.errstate(over="ignore"):  # settling refuses what is infinite
                keypoint[m, t] = one.keypoint
                score[m, t] = 1 if one.score is None else one.score
    return Recording(
        id=id,
        keypoint=keypoint,
        joints=joints,
        score=score if scored else None,
        skeleton=skeleton,
        unit=frames.unit,
        img_shape=frames.img_shape,
        frames=np.array(order, np.int64),
        tracked=tracked or M == 1,
        persons=tuple(str(name) for name in names) if tracked else (),
        remarks=(*frames.remarks, *shared),
    )


def _shared_track(frames: Frames) -> tuple[str, ...]:
    """A sentence about the first track that two persons of one frame have; empty if none has."""
    for number, found in frames.detections.items():
        names = [one.track for one in found]
        if None not in names and len(set(names)) < len(names):
            return (f"tracks are not used: frame {number} has one track for two persons",)
    return ()
