"""One pass over the samples of a store while it is built: what `plausible` judges is counted here.

Samples are counted some thousand frames at a time, in arrays whose last axis is the frames of all
persons of these samples end to end.

Axes: C coordinates, V joints, R rows (frames of a person), R' those that are not all zero, B
samples.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stgcn_lightning.data.normalise import not_zero
from stgcn_lightning.data.thresholds import BODIES, BORDER, SCORE_LEAST, SCORE_MOST
from stgcn_lightning.sources.annotations import Sample

AT_ONCE = 1 << 13  # rows: 17 joints in 2D fill 1 MB, which stays in the cache
COUNTED = np.dtype(
    [
        ("frames", "<i8"),
        ("empty", "<i8"),  # frames without anyone
        ("found", "<i8"),  # joints of present persons
        ("nan", "<i8"),  # joints of present persons that are missing, by how they are marked
        ("zero", "<i8"),
        ("minus", "<i8"),
        ("farthest", "<f4"),  # largest coordinate, positive or negative
        ("side", "<f4"),  # longer one of the picture; 0 where key points are not scaled to it
        ("reach", "<f4"),  # largest coordinate in parts of the picture's side
        ("outside", "<i8"),  # joints outside the picture
        ("outside_exchanged", "<i8"),  # the same if its width were its height
        ("assumed", "?"),  # the picture's size is a default
        ("steps", "<i8"),  # from one frame of a person to the next
        ("repeated", "<i8"),  # steps in which nothing moves at all
        ("scores", "<i8"),
        ("high", "<i8"),  # scores above what there is
        ("low", "<i8"),
        ("score", "<f4"),  # largest one
        ("digest", "<i8"),  # of the key points; 0 where there are none
    ]
)


class Survey:
    """Counts of the samples that are given to `add`, one after the other.

    Args:
        joints: V.
        coordinates: C.
        pictures: key points are scaled to the picture, whose size therefore matters.
        samples: how many there will be.
        first: number of the first one that is given to this survey, of several (`join`).

    Attributes:
        missing: (V,) in how many rows with a person each joint is missing.
        rows: how many rows hold a person.
        least, most: (C,) extremes of the coordinates.
        bodies: some (V, C) of which every joint was found, from samples all over the set.
    """

    def __init__(
        self, joints: int, coordinates: int, *, pictures: bool, samples: int, first: int = 0
    ):
        self.pictures = pictures
        self.missing = np.zeros(joints, np.int64)
        self.rows = 0
        self.least, self.most = np.full(coordinates, np.inf), np.full(coordinates, -np.inf)
        self.bodies: list[NDArray[np.float32]] = []
        self._every, self._first = -(-samples // BODIES), first
        self._waiting: list[Sample] = []
        self._rows_waiting = 0
        self._done: list[NDArray[Any]] = []

    def add(self, sample: Sample) -> None:
        """Count a checked sample; its joints that are missing may be NaN."""
        self._waiting.append(sample)
        self._rows_waiting += sample.keypoint.shape[0] * sample.keypoint.shape[1]
        if self._rows_waiting >= AT_ONCE:
            self._count()

    def counts(self) -> NDArray[Any]:
        """(B,) `COUNTED` of all samples, in their order."""
        if self._waiting:
            self._count()
        return np.concatenate([np.empty(0, COUNTED), *self._done])

    def join(self, following: "Survey") -> None:
        """Add the counts of a survey whose samples follow the ones of this survey."""
        self._done.append(following.counts())
        self.missing += following.missing
        self.rows += following.rows
        self.least = np.minimum(self.least, following.least)
        self.most = np.maximum(self.most, following.most)
        self.bodies += following.bodies

    def _count(self) -> None:
        samples, self._waiting, self._rows_waiting = self._waiting, [], 0
        table = np.zeros(len(samples), COUNTED)
        shapes = [sample.keypoint.shape[:2] for sample in samples]
        persons, frames = (np.array(column) for column in zip(*shapes, strict=True))  # B each
        rows = persons * frames
        begins = rows.cumsum() - rows

        planes, place = _planes(samples)

        def spread(of_some: NDArray[Any]) -> NDArray[Any]:
            """(..., R) of (..., R'), 0 in rows that are all zero."""
            if len(place) == of_some.shape[-1]:
                return of_some
            of_all = np.zeros((*of_some.shape[:-1], len(place)), of_some.dtype)
            of_all[..., place >= 0] = of_some
            return of_all

        def summed(of_some: NDArray[Any]) -> NDArray[np.int64]:
            return np.add.reduceat(spread(of_some), begins, dtype=np.int64)

        low, high = _extremes(planes)  # C, R'; NaN where a joint is
        nan = None
        if np.isnan(low).any():
            nan = np.any(marks := np.isnan(planes), axis=0)  # V, R'
            planes[marks] = 0
            low, high = _extremes(planes)
        found, present = map(spread, self._joints(table, planes, nan, low, high, summed))
        low, high = spread(low), spread(high)
        if present.any():
            self.least = np.minimum(self.least, low[:, present].min(1))
            self.most = np.maximum(self.most, high[:, present].max(1))
        farthest = np.maximum(np.abs(low), np.abs(high)).max(0)
        table["farthest"] = np.maximum.reduceat(farthest, begins)
        if self.pictures:
            _count_outside(table, samples, planes, place, low, high, rows, begins)
        _count_frames(table, persons, frames, begins, planes, place, present)
        _count_scores(table, samples)
        table["digest"] = [
            _digest(sample) if some else 0
            for sample, some in zip(samples, table["found"] > 0, strict=True)
        ]
        number = self._first + sum(map(len, self._done)) + np.arange(len(samples))
        middle = (begins + frames // 2)[number % self._every == 0]
        whole = middle[found[middle] == len(self.missing)]
        self.bodies += list(np.transpose(planes[:, :, place[whole]]))
        self._done.append(table)

    def _joints(
        self,
        table: NDArray[Any],
        planes: NDArray[np.float32],
        nan: NDArray[np.bool_] | None,
        low: NDArray[np.float32],
        high: NDArray[np.float32],
        summed: Any,
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """How many joints were found in each row, and whether a row holds a person."""
        V, R = planes.shape[1:]
        found, present = np.full(R, V), np.ones(R, np.bool_)
        within = [((low <= mark) & (high >= mark)).all(0) for mark in (0, -1)]
        if nan is not None:
            within.append(np.any(nan, axis=0))
        suspects = np.flatnonzero(np.any(within, axis=0))
        part = planes[:, :, suspects]
        marks = {"zero": (part == 0).all(0), "minus": (part == -1).all(0)}  # V, suspects
        if nan is not None:
            marks["nan"] = nan[:, suspects]
            marks["zero"] &= ~marks["nan"]  # they were set to zero
        missing = np.any(list(marks.values()), axis=0)
        absent = missing.all(0)
        present[suspects[absent]] = False
        found[suspects] -= missing.sum(0)
        for name, mark in marks.items():
            of_rows = np.zeros(R, np.int64)
            of_rows[suspects] = np.where(absent, 0, mark.sum(0))
            table[name] = summed(of_rows)
        table["found"] = summed(found)
        self.missing += missing[:, ~absent].sum(1)
        self.rows += int(present.sum())
        return found, present


def _planes(samples: Sequence[Sample]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Key points (C, V, R') in the rows that are not all zero, and which of these each row is.

    Of a row that is all zero, that is -1. Each sample is turned alone, while it is in the cache.
    """
    V, C = samples[0].keypoint.shape[2:]
    tracks = [np.reshape(sample.keypoint, (-1, V, C)) for sample in samples]
    seen = [not_zero(np.reshape(track, (-1, V * C))) for track in tracks]
    counts = [int(np.count_nonzero(some)) for some in seen]
    planes = np.empty((C, V, sum(counts)), np.float32)
    end = 0
    for track, some, count in zip(tracks, seen, counts, strict=True):
        part = track if count == len(track) else track[some]
        start, end = end, end + count
        with np.errstate(over="ignore"):
            planes[:, :, start:end] = np.transpose(part.astype(np.float32))
    together = np.concatenate(seen)
    return planes, np.where(together, together.cumsum() - 1, -1)


def _extremes(planes: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Least and largest coordinates (C, R) of all joints."""
    if not planes.size:
        none = np.empty((len(planes), 0), np.float32)
        return none, none
    return planes.min(1), planes.max(1)


def _count_outside(
    table: NDArray[Any],
    samples: Sequence[Sample],
    planes: NDArray[np.float32],
    place: NDArray[np.int64],
    low: NDArray[np.float32],
    high: NDArray[np.float32],
    rows: NDArray[np.int64],
    begins: NDArray[np.int64],
) -> None:
    """Joints outside the picture, as its size is given and with the sides exchanged."""
    sides = np.array([sample.img_shape or (0, 0) for sample in samples], np.float32)  # h, w
    table["side"] = sides.max(1)
    table["assumed"] = [sample.img_shape_assumed for sample in samples]
    height, width = (np.repeat(sides[:, side], rows) for side in (0, 1))  # R
    reach = np.maximum(high[0] / width, high[1] / height)
    table["reach"] = np.maximum.reduceat(reach, begins)
    for name, w, h in (("outside", width, height), ("outside_exchanged", height, width)):
        size = np.stack([w, h])  # 2, R
        if name == "outside_exchanged" and not table["outside"].any():
            break
        beyond = np.any((low < -BORDER * size) | (high > (1 + BORDER) * size), axis=0)
        some = np.flatnonzero(beyond)
        part, of = planes[:, :, place[some]], size[:, None, some]
        outside = np.zeros(len(width), np.int64)
        outside[some] = ((part < -BORDER * of) | (part > (1 + BORDER) * of)).any(0).sum(0)
        table[name] = np.add.reduceat(outside, begins)


def _count_frames(
    table: NDArray[Any],
    persons: NDArray[np.int64],
    frames: NDArray[np.int64],
    begins: NDArray[np.int64],
    planes: NDArray[np.float32],
    place: NDArray[np.int64],
    present: NDArray[np.bool_],
) -> None:
    """Frames, those without anyone, and those in which no one moves."""
    table["frames"] = frames
    for i in np.flatnonzero(np.add.reduceat(~present, begins, dtype=np.int64)):
        rows = present[begins[i] : begins[i] + persons[i] * frames[i]]
        table["empty"][i] = frames[i] - np.reshape(rows, (persons[i], -1)).any(0).sum()
    lengths = frames.repeat(persons)  # of each person's track
    step = np.array(present)
    step[lengths.cumsum() - lengths] = False
    alike = np.zeros(len(step), np.bool_)
    pairs = np.flatnonzero(step[1:] & (place[:-1] >= 0)) + 1
    first = planes[0, 0]  # most frames differ in the first number already
    candidates = pairs[first[place[pairs]] == first[place[pairs - 1]]]
    here, before = planes[:, :, place[candidates]], planes[:, :, place[candidates - 1]]
    alike[candidates] = (here == before).all((0, 1))
    table["steps"] = np.add.reduceat(step, begins, dtype=np.int64)
    table["repeated"] = np.add.reduceat(alike, begins, dtype=np.int64)


def _count_scores(table: NDArray[Any], samples: Sequence[Sample]) -> None:
    scores = [sample.score for sample in samples]
    scored = np.array([score is not None for score in scores])
    if not scored.any():
        return
    flat = [score.ravel() for score in scores if score is not None]
    sizes = np.array([len(score) for score in flat])
    begins = sizes.cumsum() - sizes
    together = np.concatenate(flat, dtype=np.float32)
    table["scores"][scored] = sizes
    table["score"][scored] = np.fmax.reduceat(together, begins)
    for name, odd in (("high", together > SCORE_MOST), ("low", together < SCORE_LEAST)):
        if odd.any():
            table[name][scored] = np.add.reduceat(odd, begins, dtype=np.int64)


def _digest(sample: Sample) -> int:
    """A number that differs for other key points."""
    data = np.ascontiguousarray(sample.keypoint)
    short = hashlib.sha1(data.data, usedforsecurity=False).digest()[:8]
    return int.from_bytes(short, "little", signed=True)
