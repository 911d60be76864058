"""A batch of clips at once: the streams of whole sequences, and the clips picked from them.

Every frame of a sample is turned into the stream once, however many of its clips show it, and with
no loop over samples or frames. Persons who do not exist are read from an empty row.

It happens in two steps. A *plan* says which rows of the store are read and where they go: it
takes the samples' sizes alone, is small, and is always made on the CPU, where its shapes are known
without waiting. *Reading* it happens where the frames lie; on a GPU nothing but the plan crosses
the bus.

Axes: B samples, N clips, M persons, T frames, V joints, C channels; R rows, the frames of the
persons of all samples end to end.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from stgcn_lightning.data.store import Store
from stgcn_lightning.data.streams import check_stream, stream_of


class Plan(NamedTuple):
    """What to read of a store for a batch of clips.

    Attributes:
        picked: (B, N, M, T) int64 rows of the sequences, or of the store where there are none; 0 is
            empty.
        sequences: (R,) int64 rows of the store, whole samples end to end, whose stream is
            computed; None for the joints, which the store holds.
        last: (any number,) int64 rows of the sequences that no frame follows; None for the joints.
    """

    picked: Tensor
    sequences: Tensor | None
    last: Tensor | None


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
        self._moved: Tensor | None = None  # not kept here before: a store travels as a path
        self._filled: Tensor | None = None

    def move_to(self, device: torch.device) -> None:
        """Keep a copy of all frames on `device`, and which of them are not empty on the CPU."""
        if self._moved is not None and self._moved.device == device:
            return
        self._moved, self.parents = self.store.frames.to(device), self.parents.to(device)
        filled = self._moved.flatten(1).any(1).cpu()
        if self.stream.endswith("motion"):  # a frame moves if it or the next one is there
            filled[1:-1] = filled[1:-1] | filled[2:]
        self._filled = filled

    def __call__(self, samples: Tensor, indices: Tensor) -> Tensor:
        """Gather clips.

        Args:
            samples: (B,) int64 sample numbers.
            indices: (B, N, T) int64 frame indices of each clip.

        Returns:
            (B, N, M, T, V, C) float32.
        """
        return self.read(self.plan(samples, indices))

    def plan(self, samples: Tensor, indices: Tensor) -> Plan:
        """What to read, by the arguments of a call."""
        frames = self.store.num_frames[samples, None]  # B, 1
        persons = self.store.num_persons[samples, None].clamp(max=self.persons)  # B, 1
        first = self.store.first_row[samples, None]  # B, 1
        person = torch.arange(self.persons)  # M
        exists = person < persons  # B, M

        sequences = last = None
        if self.stream != "joint":
            size = frames * persons
            ends = size.cumsum(0) + 1  # row 0 is empty
            begins = ends - size
            sequences = torch.arange(int(ends[-1]) if len(ends) else 1)
            sequences[1:] += (first - begins).repeat_interleave(size.flatten())
            last = ((begins + (person + 1) * frames - 1) * exists).flatten()  # B M
            first = begins
        begins = first + person * frames  # B, M
        picked = begins[:, None, :, None] + indices[:, :, None]  # B, N, M, T
        picked *= exists[:, None, :, None]
        return Plan(picked, sequences, last)

    def read(self, plan: Plan) -> Tensor:
        """The clips (B, N, M, T, V, C) float32 of a plan that lies where the frames do."""
        rows = self.store.frames if self._moved is None else self._moved  # which are the joints
        if plan.sequences is not None and plan.last is not None:
            rows = stream_of(
                _take(rows, plan.sequences),
                self.stream,
                parents=self.parents,
                last=plan.last,
                scored=self.store.scored,
            )
        return _take(rows, plan.picked).float()

    def present(self, plan: Plan) -> Tensor:
        """(B, N, M) bool: who may be other than zero in the clips of a plan; after `move_to`."""
        assert self._filled is not None
        filled = self._filled if plan.sequences is None else self._filled[plan.sequences]
        return filled[plan.picked].any(-1)


def _take(frames: Tensor, rows: Tensor) -> Tensor:
    """The frames (R, V, C) in these rows, (*rows, V, C)."""
    taken = frames.flatten(1).index_select(0, rows.flatten())  # whole rows are the fastest to copy
    return taken.view(*rows.shape, *frames.shape[1:])
