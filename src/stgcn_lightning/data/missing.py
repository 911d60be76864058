"""Joints that were not found: how files mark them, and what becomes of them.

DeepLabCut, motion capture and MediaPipe give NaN, pose estimators the origin, others -1.

Axes: M persons, T frames, V joints, C coordinates.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stgcn_lightning.data.names import MISSING
from stgcn_lightning.errors import BadInput
from stgcn_lightning.sources.annotations import Sample


def check_missing(how: str) -> str:
    """Return `how`, or raise BadInput with the names that there are."""
    if how not in MISSING:
        raise BadInput(f"data.missing={how!r} is none of {', '.join(MISSING)}")
    return how


def missing_joints(sample: Sample) -> NDArray[np.bool_]:
    """Which joints (M, T, V) were not found: NaN, all coordinates 0, all -1, or a score of NaN."""
    absent = not_found(sample.keypoint)
    return absent if sample.score is None else absent | np.isnan(sample.score)


def not_found(keypoint: NDArray[np.floating[Any]]) -> NDArray[np.bool_]:
    """Which joints (...) of key points (..., C) are marked as not found."""
    return np.isnan(keypoint).any(-1) | (keypoint == 0).all(-1) | (keypoint == -1).all(-1)


def without_missing(sample: Sample, how: str) -> Sample:
    """A sample whose missing joints are numbers, with score 0.

    Args:
        sample: its joints that were not found are marked as `missing_joints` says.
        how: ``error`` changes nothing; ``zero`` puts missing joints at the origin; ``interpolate``
            puts them on the straight line between the frames before and after in which the joint
            was found, or where it was found last or first. A joint that is found in no frame of
            the sample, and a person of whom a frame holds no joint, stay at the origin.

    Returns:
        The same sample if nothing is missing.
    """
    if how == "error" or not (missing := missing_joints(sample)).any():
        return sample
    keypoint = np.where(missing[..., None], sample.keypoint.dtype.type(0), sample.keypoint)
    if how == "interpolate":
        keypoint = interpolated(keypoint, missing)
    score = sample.score
    if score is None and keypoint.shape[-1] == 2:
        score = np.ones(missing.shape, keypoint.dtype)
    if score is not None:
        score = np.where(missing, score.dtype.type(0), score)
    return replace(sample, keypoint=keypoint, score=score)


def interpolated(
    keypoint: NDArray[np.floating[Any]], missing: NDArray[np.bool_]
) -> NDArray[np.floating[Any]]:
    """Fill joints of present persons, linearly in time; see `without_missing`.

    Args:
        keypoint: (M, T, V, C); values of missing joints are finite.
        missing: (M, T, V).

    Example:
        >>> track = np.array([0.0, 1.0, 0.0, 0.0, 4.0]).reshape(1, 5, 1, 1)
        >>> seen = np.array([False, True, False, False, True]).reshape(1, 5, 1)
        >>> both = np.concatenate([track, track + 1], 2)  # a second joint, which is always found
        >>> interpolated(both, np.stack([~seen[..., 0], seen[..., 0] & False], -1))[0, :, 0, 0]
        array([1., 1., 2., 3., 4.])
    """
    T = missing.shape[1]
    frame = np.expand_dims(np.arange(T, dtype=np.int64), 1)
    before = np.maximum.accumulate(np.where(missing, -1, frame), axis=1)  # M, T, V
    after = np.minimum.accumulate(np.where(missing, T, frame)[:, ::-1], axis=1)[:, ::-1]
    ever = before[:, -1:] >= 0
    first = np.where(before < 0, after, before).clip(0, T - 1)
    last = np.where(after == T, before, after).clip(0, T - 1)
    way = np.expand_dims((frame - first) / np.maximum(last - first, 1), -1)
    start, end = (np.take_along_axis(keypoint, at[..., None], axis=1) for at in (first, last))
    between = ((1 - way) * start + way * end).astype(keypoint.dtype)
    filled = missing & ever & ~missing.all(-1, keepdims=True)
    return np.where(filled[..., None], between, keypoint)
