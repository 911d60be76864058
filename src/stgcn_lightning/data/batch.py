"""A batch of clips at once: the streams of whole sequences, and the clips picked from them.

Every frame of a sample is turned into the stream once, however many of its clips show it, and with
no loop over samples or frames. Persons who do not exist are read from an empty row.

Axes: B samples, N clips, M persons, T frames, V joints, C channels; R rows, the frames of the
persons of all samples end to end.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from stgcn_lightning.data.store import Store
from stgcn_lightning.data.streams import check_stream, stream_of


class ClipGatherer:
    """Turns sample numbers and frame indices into clips.

    Args:
        store: opened store.
        bone_parents: one parent per joint.
        stream: joint, bone, joint_motion or bone_motion.
        persons: M; persons beyond it are cut, missing ones are zero.
    """

    def __init__(self, store: Store, bone_parents: Sequence[int], stream: str, persons: int):
        self.store = store
        self.parents = torch.tensor(bone_parents)
        self.stream = check_stream(stream)
        self.persons = persons

    def __call__(self, samples: Tensor, indices: Tensor) -> Tensor:
        """Gather clips.

        Args:
            samples: (B,) int64 sample numbers.
            indices: (B, N, T) int64 frame indices of each clip.

        Returns:
            (B, N, M, T, V, C) float32.
        """
        frames = self.store.num_frames[samples, None]  # B, 1
        persons = self.store.num_persons[samples, None].clamp(max=self.persons)  # B, 1
        first = self.store.first_row[samples, None]  # B, 1
        person = torch.arange(self.persons)  # M
        exists = person < persons  # B, M

        rows = self.store.frames  # which are the joints
        if self.stream != "joint":
            rows, first = self._sequences(first, frames, persons)
        begins = first + person * frames  # B, M
        picked = begins[:, None, :, None] + indices[:, :, None]  # B, N, M, T
        picked *= exists[:, None, :, None]
        return _take(rows, picked).float()

    def _sequences(self, first: Tensor, frames: Tensor, persons: Tensor) -> tuple[Tensor, Tensor]:
        """The stream of all frames of these samples.

        Args:
            first: (B, 1) row of the store at which each sample begins.
            frames: (B, 1) of each sample.
            persons: (B, 1) of each sample that are kept.

        Returns:
            (R, V, C) float32, of which row 0 is empty, and (B, 1) where each sample begins in it.
        """
        size = frames * persons
        ends = size.cumsum(0) + 1
        begins = ends - size
        rows = torch.arange(int(ends[-1]))
        rows[1:] += (first - begins).repeat_interleave(size.flatten())  # now of the store
        person = torch.arange(self.persons)
        last = (begins + (person + 1) * frames - 1) * (person < persons)  # B, M
        stream = stream_of(
            _take(self.store.frames, rows),
            self.stream,
            parents=self.parents,
            last=last.flatten(),
            scored=self.store.scored,
        )
        return stream, begins


def _take(frames: Tensor, rows: Tensor) -> Tensor:
    """The frames (R, V, C) in these rows, (*rows, V, C)."""
    taken = frames.flatten(1).index_select(0, rows.flatten())  # whole rows are the fastest to copy
    return taken.view(*rows.shape, *frames.shape[1:])
