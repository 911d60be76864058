"""Persons of people without tracks, while they come: `linking` where the future is not known yet.

A person goes on with the people of the next frame by the same distances and gates as the pieces of
`linking`; away for longer, up to `reading.gap` frames, by those of its joins. What `linking` leaves
out as ghosts of the detector cannot be known here at once: who comes while others are there is
somebody after `LEAST_FRAMES` frames.

Axes: M people in a frame, V joints, C coordinates.
"""

import numpy as np
from numpy.typing import NDArray

from stgcn_lightning.sources.linking import LEAST_FRAMES, Live


class Following:
    """Names of people, frame by frame.

    Args:
        gap: most frames for which a person may be away and remain the same.
        most: persons; more are left out, those who came last. None: all.
    """

    def __init__(self, gap: int, most: int | None = None):
        self.gap, self.most, self.time = gap, most, 0
        self.live: Live | None = None
        self.times: dict[int, int] = {}  # frames in which each was seen
        self.known: dict[int, str] = {}  # persons, in the order in which they became known

    def __call__(self, keypoint: NDArray[np.float32]) -> list[str | None]:
        """Name of each of the people of the next frame; None of those who may be nobody.

        Args:
            keypoint: (M, V, C), all zero where not found; the people in any order.
        """
        self.time += 1
        if self.live is None:
            self.live = Live(*keypoint.shape[1:])
        self.live.drop_older_than(self.time - self.gap - 1)
        alive = set(self.live.name.tolist())
        self.times = {name: times for name, times in self.times.items() if name in alive}
        self.known = {name: person for name, person in self.known.items() if name in alive}
        names: list[str | None] = [None] * len(keypoint)
        seen = np.any(keypoint, axis=-1)  # M, V
        there = np.flatnonzero(seen.any(1))
        if not len(there):
            return names
        points, seen = keypoint[there], seen[there]
        tracks = self.live.take(self.time, points, seen, _sizes(points, seen)).tolist()
        for track in tracks:
            self.times[track] = self.times.get(track, 0) + 1
        alone = not self.known
        for track in sorted(tracks):
            if alone or self.times[track] >= LEAST_FRAMES:
                self.known.setdefault(track, str(track + 1))
        kept = [*self.known][: self.most]
        for place, track in zip(there.tolist(), tracks, strict=True):
            names[place] = self.known[track] if track in kept else None
        return names


def _sizes(points: NDArray[np.float32], seen: NDArray[np.bool_]) -> NDArray[np.float32]:
    """(M,) root of the mean square distance of joints from their centre."""
    count = seen.sum(1, dtype=np.float32)[:, None]
    spread = points - (points.sum(1) / count)[:, None]
    squares = np.where(seen[..., None], spread, 0) ** 2
    return np.sqrt(squares.sum((1, 2)) / count[:, 0])
