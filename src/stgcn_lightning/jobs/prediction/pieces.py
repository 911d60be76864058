"""What is answered: a recording, or a part of it by persons and windows.

Axes: M persons, T frames, V joints, C coordinates.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from stgcn_lightning.errors import BadInput
from stgcn_lightning.sources.annotations import Sample


@dataclass(frozen=True, eq=False)
class Asked:
    """A recording to answer for.

    Attributes:
        sample: its key points, with the joints of the checkpoint.
        label: name of its class; None where it is not known.
        fps: frames per second; None where it is not known.
        persons: M names; empty where persons have none.
        remarks: what was decided about the recording, a sentence each.
        up: y grows upwards.
    """

    sample: Sample
    label: str | None = None
    fps: float | None = None
    persons: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    up: bool = False

    @property
    def id(self) -> str:
        """Its name, which no other recording of a source has."""
        return self.sample.id

    @property
    def frames(self) -> int:
        """T."""
        return self.sample.keypoint.shape[1]

    def name_of(self, person: int) -> str:
        """What a person is called, by its number from 0."""
        return self.persons[person] if self.persons else str(person + 1)


@dataclass(frozen=True, eq=False)
class Piece:
    """A part of a recording that gets an answer of its own.

    Attributes:
        sample: its key points.
        start: number of its first frame in the recording.
        person: number of the person in the recording; None: all persons.
    """

    sample: Sample
    start: int
    person: int | None = None

    @property
    def stop(self) -> int:
        """Number of the frame after its last."""
        return self.start + self.sample.keypoint.shape[1]


@dataclass(frozen=True, eq=False)
class Answered:
    """A recording and its answers.

    Attributes:
        asked: the recording.
        pieces: its parts.
        scores: (pieces, classes) float32, rows sum to 1.
        live: more of the recording is to come; `asked` holds its last frames.
    """

    asked: Asked
    pieces: list[Piece]
    scores: NDArray[np.float32]
    live: bool = False


def pieces_of(
    asked: Asked, *, window: int | None, stride: int | None, per_person: bool
) -> list[Piece]:
    """The parts of a recording that get answers.

    Args:
        asked: the recording.
        window: frames of a part; None: all frames. A recording that is shorter is one part.
        stride: frames from one window to the next; None: a quarter of the window.
        per_person: each person by itself, from the first to the last frame with the person.

    Raises:
        BadInput: there is nobody in it.
    """
    sample = asked.sample
    present = (np.nan_to_num(sample.keypoint) != 0).any((2, 3))  # M, T
    if not present.any():
        raise BadInput(f"{asked.id} is empty: no frame of it holds a joint; leave it out")
    if not per_person:
        return list(_windows(Piece(sample, 0), window, stride))
    found: list[Piece] = []
    for person in np.flatnonzero(present.any(1)).tolist():
        first, *_, last = (np.flatnonzero(present[person])[[0, 0, -1]]).tolist()
        alone = Piece(_part(sample, first, last + 1, person), first, person)
        found += _windows(alone, window, stride)
    return found


def starts(frames: int, window: int, stride: int) -> list[int]:
    """First frames of the windows: one every `stride`, and one that ends with the last frame.

    Example:
        >>> starts(frames=12, window=5, stride=3)
        [0, 3, 6, 7]
    """
    last = max(frames - window, 0)
    return [*range(0, last, stride), last]


def _windows(piece: Piece, window: int | None, stride: int | None) -> Iterator[Piece]:
    frames = piece.sample.keypoint.shape[1]
    if window is None or frames <= window:
        yield piece
        return
    for start in starts(frames, window, stride or max(1, window // 4)):
        part = _part(piece.sample, start, start + window)
        yield Piece(part, piece.start + start, piece.person)


def _part(sample: Sample, start: int, stop: int, person: int | None = None) -> Sample:
    persons = slice(None) if person is None else slice(person, person + 1)
    score = None if sample.score is None else sample.score[persons, start:stop]
    return replace(sample, keypoint=sample.keypoint[persons, start:stop], score=score)
