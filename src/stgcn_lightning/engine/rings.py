"""The last frames of a sequence, in memory that a matrix product reads as it is.

Axes: P phases, R rows (persons), V joints, L frames in memory, C channels.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class Views(NamedTuple):
    """Where one step writes, and what it reads.

    Attributes:
        newest: (R, V, C), the place of the frame that comes now.
        frames: (R, V, taps, C), the last frames, the newest one last.
        matrix: (R V, taps C), the same as a matrix.
    """

    newest: Tensor
    frames: Tensor
    matrix: Tensor


class Ring:
    """The last `taps` of every `dilation`-th frame.

    Frames of one phase (step modulo dilation) follow each other in memory, with room for as many
    again; where that is used up, the last ones move to the beginning. So the window is always one
    block, and nothing is gathered before a product.

    Args:
        taps: how many frames a window has, 2 or more.
        dilation: steps from one of them to the next.
        joints: V.
        channels: C.
        like: a tensor of the type and device of the frames.
    """

    def __init__(self, taps: int, dilation: int, joints: int, channels: int, like: Tensor):
        self.kept, self.dilation = taps - 1, dilation
        self.memory = like.new_zeros(dilation, 0, joints, 2 * self.kept, channels)
        self.rows = 0
        self._views: dict[tuple[int, int], Views] = {}

    def resize(self, rows: int) -> None:
        """Use the first `rows` rows from now on; their content stays, that of new ones is any."""
        P, room, *frame = self.memory.shape
        if rows > room:
            larger = self.memory.new_zeros(P, max(rows, 2 * room), *frame)
            larger[:, :room] = self.memory
            self.memory = larger
        self.rows = rows
        self._views.clear()

    def clear(self, row: int) -> None:
        """Let all frames before the next one be zero, as a convolution pads."""
        self.memory[:, row] = 0

    def move(self, source: int, target: int) -> None:
        """Let the row `target` be what the row `source` is."""
        self.memory[:, target] = self.memory[:, source]

    def at(self, step: int) -> Views:
        """The views of a step; steps come one after the other, from 0."""
        turn, phase = divmod(step, self.dilation)
        start = turn % self.kept
        if not start:
            block = self.memory[phase, : self.rows]
            block[:, :, : self.kept] = block[:, :, self.kept :]
        views = self._views.get((phase, start))
        if views is None:
            views = self._views[phase, start] = self._view(phase, start)
        return views

    def _view(self, phase: int, start: int) -> Views:
        block = self.memory[phase, : self.rows]
        frames = block[:, :, start : start + self.kept + 1]
        return Views(block[:, :, start + self.kept], frames, frames.flatten(2).flatten(0, 1))


class RunningMean:
    """The mean of the last features of each row; a sum in float64 forgets as exactly as it adds.

    Args:
        most: how many features count.
        features: F of each.
        like: a tensor of their type and device.
    """

    def __init__(self, most: int, features: int, like: Tensor):
        self.most, self.step = most, 0
        self.memory = like.new_zeros(most, 0, features)
        self.total = torch.zeros(0, features, dtype=torch.float64, device=like.device)
        self.count = torch.zeros(0, 1, dtype=torch.float64, device=like.device)

    def resize(self, rows: int) -> None:
        """Use `rows` rows from now on; new ones are cleared before they count."""
        more = rows - len(self.total)
        if more <= 0:
            self.memory, self.total = self.memory[:, :rows], self.total[:rows]
            self.count = self.count[:rows]
            return
        self.memory = torch.cat([self.memory, self.memory.new_zeros(
            self.most, more, self.memory.shape[2])], 1)  # fmt: skip
        self.total = torch.cat([self.total, self.total.new_zeros(more, self.total.shape[1])])
        self.count = torch.cat([self.count, self.count.new_zeros(more, 1)])

    def clear(self, row: int) -> None:
        """Forget what a row has been."""
        self.memory[:, row] = 0
        self.total[row] = 0
        self.count[row] = 0

    def move(self, source: int, target: int) -> None:
        """Let the row `target` be what the row `source` is."""
        self.memory[:, target] = self.memory[:, source]
        self.total[target] = self.total[source]
        self.count[target] = self.count[source]

    def push(self, features: Tensor) -> Tensor:
        """Means (R, F) after these features (R, F) have come."""
        oldest = self.memory[self.step % self.most]
        self.total += features - oldest
        oldest.copy_(features)
        self.count = (self.count + 1).clamp_(max=self.most)
        self.step += 1
        return (self.total / self.count).to(features.dtype)
