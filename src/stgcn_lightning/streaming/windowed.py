"""Answers for the last frames of each person, computed anew: those of the recording of these.

Axes: M persons, T frames, V joints, C channels.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Frames = NDArray[np.float32]


class Window:
    """The last frames of a person, end to end in memory.

    Args:
        frames: T, most of them.
        shape: (V, C) of each.
    """

    def __init__(self, frames: int, shape: tuple[int, ...]):
        self.most, self.end = frames, 0
        self.memory = np.zeros((2 * frames, *shape), np.float32)

    def push(self, frame: Frames | None) -> None:
        """Append a frame; None: the person was not seen."""
        if self.end == len(self.memory):
            self.memory[: self.most] = self.memory[self.most :]
            self.end = self.most
        self.memory[self.end] = 0 if frame is None else frame
        self.end += 1

    def frames(self) -> Frames:
        """(T, V, C), which the next push changes."""
        return self.memory[max(0, self.end - self.most) : self.end]


class Windowed:
    """Recomputes every window.

    Args:
        answer: recordings (M, T, V, C) -> scores (B, classes).
        window: frames of one.
        every: frames from one answer to the next.
        together: all persons are one recording.

    Attributes:
        delay: frames by which an answer is late: none.
    """

    delay = 0

    def __init__(
        self,
        answer: Callable[[list[Frames]], NDArray[np.float32]],
        window: int,
        every: int,
        together: bool,
    ):
        self.answer, self.window, self.every, self.together = answer, window, every, together
        self.time = 0
        self.windows: dict[Hashable, Window] = {}
        self.due: dict[Hashable, int] = {}  # time of the next answer

    def leave(self, person: Hashable) -> None:
        """Forget a person."""
        del self.windows[person]
        self.due.pop(self._whose(person), None)

    def _whose(self, person: Hashable) -> Hashable:
        """Who has a time of the next answer: each person, or all together."""
        return None if self.together else person

    def step(
        self, bodies: Mapping[Hashable, Frames], wanted: Sequence[Hashable]
    ) -> dict[Hashable, NDArray[np.float32]]:
        """Take a frame; scores of the persons `wanted`, in the order of their arrival."""
        for person, body in bodies.items():
            if person not in self.windows:
                self.windows[person] = Window(self.window, body.shape)
        for person, window in self.windows.items():
            window.push(bodies.get(person))
        self.time += 1
        wanted = [one for one in wanted if self.time >= self.due.get(self._whose(one), 0)]
        if not wanted:
            return {}
        self.due |= {self._whose(one): self.time + self.every for one in wanted}
        if not self.together:
            scores = self.answer([self.windows[person].frames()[None] for person in wanted])
            return dict(zip(wanted, scores, strict=True))
        scene = [self.windows[person].frames() for person in wanted]
        T = max(len(frames) for frames in scene)
        padded = [np.pad(one, [(T - len(one), 0), (0, 0), (0, 0)]) for one in scene]
        (scores,) = self.answer([np.stack(padded)])
        return {person: scores for person in wanted}  # noqa: C420, whose type is another
