"""Persons from people without tracks: who in one frame is who in the next.

Pose estimators that look at single frames list people in any order. Persons are made of them in two
steps, both by the assignment whose sum of distances is least (Hungarian, Kuhn 1955, by SciPy).
Distances are in units of the body's size: the root of the mean square distance of its joints from
their centre, of which a body that stands is about four high.

1. Pieces (`pieces`). Frame by frame the people of a frame are assigned to the pieces that end no
   more than `NEAR` frames before. The distance is the mean over the joints that both have, from
   where the piece is expected; plus the difference in size, as a logarithm. A piece moves on as a
   whole with its velocity, which is smoothed over some frames. Farther than `GATE`, a detection is
   somebody else, with whom a piece begins. Pieces of fewer than `LEAST_FRAMES` frames are ghosts of
   the detector and are left out, unless there are no others.
2. Joins (`joined`). The end of a piece is assigned to the beginning of another one that comes after
   it within `reading.gap` frames of absence. The distance is that of the two bodies' centres in the
   middle of the gap, where both are taken by the velocities that they have there; plus the
   difference in size. It may be as great as `JOIN_GATE`, and more the longer the gap is.

Axes: M detections in a frame, later persons; P tracks, T frames, V joints, C coordinates.
"""

# NumPy's stubs lose the element type when an array is transposed or reduced, and SciPy has none:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stgcn_lightning.errors import BadInput
from stgcn_lightning.sources.detections import most_values
from stgcn_lightning.sources.recordings import Reading, Recording

MOST_PEOPLE = 1000  # in a frame: each is compared with each
NEAR = 8  # frames without a detection within a piece
GATE = 0.75  # body sizes, a third of a metre: about 10 m/s at 30 frames a second, 3 at 10
SIZE_WEIGHT = 0.5  # of the logarithm of two sizes' ratio, against a distance of one body size
SMOOTHING = 0.25  # share of a new frame in velocity and size
LEAST_FRAMES = 5
JOIN_GATE = 1.0  # body sizes
JOIN_GROWTH = 0.05  # body sizes for every frame of absence
JOIN_FRAMES = 8  # of a piece from which velocity and size at its end are taken
JOIN_BLOCK = 1000  # pieces joined at once: bounds memory

Floats = NDArray[np.floating[Any]]
Bools = NDArray[np.bool_]
Integers = NDArray[np.int64]


def linked(recording: Recording, reading: Reading) -> Recording:
    """The recording with one person in every place of M, those who move most first.

    Recordings that have tracks keep them; of these, too, `reading.persons` keeps those who move
    most (see `movement`).

    Args:
        recording: settled or not.
        reading: `gap` and `persons` are used.

    Raises:
        BadInput: so many people come and go that the persons do not fit into memory, or so many
            are there at once that it takes too long.
    """
    seen = seen_joints(recording)
    if not seen.any():
        score = recording.score
        return replace(
            recording,
            keypoint=recording.keypoint[:1],
            score=None if score is None else score[:1],
            tracked=True,
            persons=recording.persons[:1],
            remarks=(*recording.remarks, "nobody was found in any frame"),
        )
    if recording.tracked:
        kept = reading.persons
        if kept is None or len(recording.keypoint) <= kept:
            return recording
        track = np.broadcast_to(np.arange(len(seen))[:, None], seen.shape[:2])
        return _gathered(recording, seen, np.where(seen.any(2), track, -1), reading)
    if len(seen) > MOST_PEOPLE:
        raise BadInput(
            f"{recording.id}: {len(seen):,} people are in a frame, and {MOST_PEOPLE:,} are too "
            "many to be followed: give a recording with tracks, or fewer people"
        )
    return _gathered(recording, seen, tracks(recording, seen, reading.gap), reading)


def seen_joints(recording: Recording) -> Bools:
    """(M, T, V): joints that were found."""
    keypoint = recording.keypoint
    seen = np.all(np.isfinite(keypoint), axis=-1) & np.any(keypoint, axis=-1)
    if recording.score is not None:
        seen &= recording.score > 0
    return seen


def tracks(recording: Recording, seen: Bools, gap: int) -> Integers:
    """(M, T): for each detection the number of its person, in order of appearance; -1 for nobody.

    Args:
        recording: of people in any order.
        seen: (M, T, V) joints that were found.
        gap: most frames for which a person may be away.
    """
    T = seen.shape[1]
    number = recording.frames if recording.frames is not None else np.arange(T)
    points = np.where(seen[..., None], recording.keypoint, 0).astype(np.float32)
    count = np.maximum(seen.sum(2, dtype=np.float32), 1)[..., None]
    centre = points.sum(2) / count  # M, T, C
    spread = np.where(seen[..., None], points - centre[:, :, None], 0)
    size = np.sqrt((spread**2).sum((2, 3)) / count[..., 0])  # M, T
    found = pieces(points, seen, size, number, min(gap, NEAR))
    lengths = np.bincount(found[found >= 0])
    if (lengths >= LEAST_FRAMES).any():
        found[(found >= 0) & (lengths[found] < LEAST_FRAMES)] = -1
    return joined(found, centre, size, number, gap)


def pieces(points: Floats, seen: Bools, size: Floats, number: Integers, gap: int) -> Integers:
    """(M, T): for each detection the number of its piece, in order of appearance; -1 for nobody.

    Args:
        points: (M, T, V, C), zero where not seen.
        seen: (M, T, V).
        size: (M, T) of bodies.
        number: (T,) of frames.
        gap: most frames without a detection within a piece.
    """
    there = np.any(seen, axis=2)
    found = np.full(there.shape, -1, np.int64)
    live = Live(*points.shape[2:])
    for t in np.flatnonzero(there.any(0)):
        who = np.flatnonzero(there[:, t])
        live.drop_older_than(int(number[t]) - gap - 1)
        found[who, t] = live.take(int(number[t]), points[who, t], seen[who, t], size[who, t])
    return found


def assigned(distance: Floats, gate: Floats) -> tuple[Integers, Integers]:
    """Rows and columns that belong together: least sum of distances, all below their gates.

    To leave a row and a column alone costs as much as their gate.
    """
    if distance.size == 1:  # most frames of most recordings, which need not wait for SciPy
        rows = columns = np.zeros(1, np.int64)
    else:
        from scipy.optimize import linear_sum_assignment

        rows, columns = linear_sum_assignment(np.minimum(distance, gate))
    near = distance[rows, columns] < gate[rows, columns]
    return rows[near], columns[near]


def joined(found: Integers, centre: Floats, size: Floats, number: Integers, gap: int) -> Integers:
    """(M, T): pieces that are one person get one number, in order of appearance.

    Args:
        found: (M, T) the piece of each detection, -1 for nobody.
        centre: (M, T, C) of bodies.
        size: (M, T) of bodies.
        number: (T,) of frames.
        gap: most frames for which a person may be away.
    """
    at = places(found)
    begins = [_state(centre, size, number, (m[:JOIN_FRAMES], t[:JOIN_FRAMES]), 0) for m, t in at]
    ends = [_state(centre, size, number, (m[-JOIN_FRAMES:], t[-JOIN_FRAMES:]), -1) for m, t in at]
    order = np.argsort([begin[0] for begin in begins], kind="stable")
    person = np.arange(len(at))
    free = set(range(len(at)))  # pieces that nobody follows yet
    for block in range(0, len(order), JOIN_BLOCK):
        later = order[block : block + JOIN_BLOCK]
        first, last = begins[later[0]][0], begins[later[-1]][0]
        earlier = np.array(
            [piece for piece in sorted(free) if first - gap - 1 <= ends[piece][0] < last], np.int64
        )
        if not len(earlier):
            continue
        distance, gate = _join_distance(
            [ends[piece] for piece in earlier], [begins[piece] for piece in later], gap
        )
        rows, columns = assigned(distance, gate)
        for before, after in zip(earlier[rows], later[columns], strict=True):
            person[after] = before
            free.discard(int(before))
    for piece in order:  # those before have their person already
        person[piece] = person[person[piece]]
    _, person = np.unique(person, return_inverse=True)
    result = np.full(found.shape, -1, np.int64)
    for name, (m, t) in zip(person, at, strict=True):
        result[m, t] = name
    return result


State = tuple[float, NDArray[np.float64], NDArray[np.float64], float]


def _state(
    centre: Floats, size: Floats, number: Integers, at: tuple[Integers, Integers], end: int
) -> State:
    """Frame, place, velocity and size at one end of a piece."""
    frames = number[at[1]].astype(np.float64)
    where = centre[at].astype(np.float64)
    velocity = np.polyfit(frames - frames[end], where, 1)[0] if len(frames) > 1 else 0 * where[0]
    return float(frames[end]), where[end], velocity, float(np.median(size[at]))


def _join_distance(
    ends: list[State], begins: list[State], gap: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Distances of ends from beginnings, infinite where one is not after the other, and gates."""
    frame, place, velocity, size = (np.array(part) for part in zip(*ends, strict=True))
    frame_, place_, velocity_, size_ = (np.array(part) for part in zip(*begins, strict=True))
    away = frame_[None] - frame[:, None]  # 1: no frame between them
    half = away[..., None] / 2
    middle = place[:, None] + velocity[:, None] * half
    middle_ = place_[None] - velocity_[None] * half
    least = np.maximum(np.maximum(size[:, None], size_[None]), 1e-6)
    apart = np.linalg.norm(middle - middle_, axis=-1) / least
    sizes = np.abs(np.log(np.maximum(size, 1e-6)[:, None] / np.maximum(size_, 1e-6)[None]))
    distance = np.where((away > 0) & (away <= gap + 1), apart + SIZE_WEIGHT * sizes, np.inf)
    return distance, JOIN_GATE + JOIN_GROWTH * np.clip(away - 1, 0, gap)


class Live:
    """Tracks that have not ended, one row each: where they are, how they move, when last seen."""

    def __init__(self, joints: int, coordinates: int) -> None:
        self.begun = 0
        self.name = np.empty(0, np.int64)
        self.at = np.empty((0, joints, coordinates), np.float32)
        self.known = np.empty((0, joints), np.bool_)  # joints that were seen ever
        self.velocity = np.empty((0, coordinates), np.float32)  # of the body, a frame
        self.size = np.empty(0, np.float32)
        self.last = np.empty(0, np.int64)  # number of the frame

    def drop_older_than(self, frame: int) -> None:
        """Forget the tracks that were last seen before a frame."""
        if len(self.last) and (self.last < frame).any():
            self._keep(np.flatnonzero(self.last >= frame))

    def _keep(self, rows: Integers) -> None:
        self.name, self.at, self.known = self.name[rows], self.at[rows], self.known[rows]
        self.velocity, self.size, self.last = self.velocity[rows], self.size[rows], self.last[rows]

    def take(self, frame: int, points: Floats, seen: Bools, size: Floats) -> Integers:
        """Names of the tracks that the people of a frame belong to, new ones for the others."""
        names = np.full(len(points), -1, np.int64)
        away = (frame - self.last).astype(np.float32)  # P
        moving = np.minimum(away, NEAR + 1)[:, None]  # how long a velocity is believed
        expected = self.at + (self.velocity * moving)[:, None]
        distance = self._distance(expected, points, seen, size)  # P, M
        gate = np.where(away > NEAR + 1, JOIN_GATE + JOIN_GROWTH * (away - 1), GATE)
        rows, columns = assigned(distance, np.broadcast_to(gate[:, None], distance.shape))
        self._move(rows, frame, (expected[rows], points[columns]), seen[columns], size[columns])
        names[columns] = self.name[rows]
        new = np.flatnonzero(names < 0)
        names[new] = self._begin(frame, points[new], seen[new], size[new])
        return names

    def _distance(self, expected: Floats, points: Floats, seen: Bools, size: Floats) -> Floats:
        """(P, M) in body sizes; infinite where no joint was seen in both."""
        apart = np.sqrt(((expected[:, None] - points[None]) ** 2).sum(-1))  # P, M, V
        both = self.known[:, None] & seen[None]
        shared = both.sum(-1)
        apart = (apart * both).sum(-1) / np.maximum(shared, 1)
        own = np.maximum(self.size, 1e-6)[:, None]
        other = np.maximum(size, 1e-6)[None]
        sizes = np.abs(np.log(own / other))
        return np.where(shared > 0, apart / np.maximum(own, other) + SIZE_WEIGHT * sizes, np.inf)

    def _move(
        self,
        rows: Integers,
        frame: int,
        positions: tuple[Floats, Floats],
        seen: Bools,
        size: Floats,
    ) -> None:
        """Take over where tracks are now; `positions` are the expected ones and those found."""
        expected, points = positions
        away = (frame - self.last[rows])[:, None].astype(np.float32)
        both = (self.known[rows] & seen)[..., None]
        error = np.where(both, points - expected, 0).sum(1) / np.maximum(both.sum(1), 1)
        body = expected + error[:, None]
        self.at[rows] = np.where(seen[..., None], points, body)
        self.velocity[rows] += SMOOTHING * error / away
        self.size[rows] += SMOOTHING * (size - self.size[rows])
        self.known[rows] |= seen
        self.last[rows] = frame

    def _begin(self, frame: int, points: Floats, seen: Bools, size: Floats) -> Integers:
        names = self.begun + np.arange(len(points))
        self.begun += len(points)
        self.name = np.concatenate([self.name, names])
        self.at = np.concatenate([self.at, points])
        self.known = np.concatenate([self.known, seen])
        self.velocity = np.concatenate([self.velocity, np.zeros_like(points[:, 0])])
        self.size = np.concatenate([self.size, size])
        self.last = np.concatenate([self.last, np.full(len(points), frame)])
        return names


def places(found: Integers) -> list[tuple[Integers, Integers]]:
    """For each number in `found` (M, T) but -1, in order: detections and frames, by frame."""
    M = len(found)
    order = np.argsort(found.T, axis=None, kind="stable")
    names, starts = np.unique(found.T.ravel()[order], return_index=True)
    parts = np.split(order, starts[1:])
    return [(part % M, part // M) for name, part in zip(names, parts, strict=True) if name >= 0]


def movement(points: Floats, seen: Bools, frames: int) -> float:
    """How much a person moves: what `reading.persons` ranks persons by.

    How far joints stray from their own mean places (standard deviation, mean over joints) in body
    sizes, times the share of all frames in which the person was seen: who passes by for a moment
    moves less than who acts all the time.

    Args:
        points: (frames in which the person was seen, V, C).
        seen: (the same frames, V) joints that were found.
        frames: of the whole recording.
    """
    seen_points = np.where(seen[..., None], points, np.nan).astype(np.float64)
    often = seen.sum(0) > 1
    if not often.any():
        return 0.0
    stray = np.sqrt(np.nanvar(seen_points[:, often], axis=0).sum(-1)).mean()
    centre = np.nanmean(seen_points, axis=1, keepdims=True)
    size = np.sqrt(np.nanmean(((seen_points - centre) ** 2).sum(-1)))
    return float(stray / max(float(size), 1e-6) * len(points) / frames)


def _gathered(recording: Recording, seen: Bools, found: Integers, reading: Reading) -> Recording:
    """The recording with a person for each track that is kept, and what was decided, said.

    Args:
        recording: as it was read.
        seen: (M, T, V) joints that were found.
        found: (M, T) the track of each detection, -1 for nobody.
        reading: how many persons are kept.
    """
    T = found.shape[1]
    at = dict(zip(np.unique(found[found >= 0]).tolist(), places(found), strict=True))
    remarks = list(recording.remarks)
    if not recording.tracked:
        ghosts = int((seen.any(2) & (found < 0)).sum())
        remarks.append(
            f"people without tracks: {len(at)} persons were linked, who may be away for "
            f"{reading.gap} frames (reading.gap)"
            + (
                f"; {ghosts} detections that last for less than {LEAST_FRAMES} frames are left out"
                if ghosts
                else ""
            )
        )
    moving = {
        name: movement(recording.keypoint[m, t], seen[m, t], T) for name, (m, t) in at.items()
    }
    ranked = sorted(at, key=lambda name: -moving[name])
    if reading.persons is not None and len(ranked) > reading.persons:
        remarks.append(
            f"the {reading.persons} of {len(ranked)} persons who move most are kept "
            f"(reading.persons={reading.persons})"
        )
        ranked = ranked[: reading.persons]
    called = recording.persons if recording.tracked else ()
    V, C = recording.keypoint.shape[2:]
    if len(ranked) * T * V * C > most_values(int(seen.sum()) * C):
        raise BadInput(
            f"{recording.id}: {len(ranked)} persons come and go in {T} frames, too many to keep: "
            "give reading.persons=2, or how many there are"
        )
    blank = 0.0 if recording.settled else np.nan
    keypoint = np.full((len(ranked), T, V, C), blank, np.float32)
    score = None if recording.score is None else np.zeros(keypoint.shape[:3], np.float32)
    for person, name in enumerate(ranked):
        m, t = at[name]
        keypoint[person, t] = recording.keypoint[m, t]
        if score is not None and recording.score is not None:
            score[person, t] = recording.score[m, t]
    return replace(
        recording,
        keypoint=keypoint,
        score=score,
        tracked=True,
        persons=tuple(called[name] if called else str(name + 1) for name in ranked),
        remarks=tuple(remarks),
    )
