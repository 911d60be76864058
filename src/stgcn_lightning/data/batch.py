"""A batch of clips at once: the streams of whole sequences, and the clips picked from them.

Every frame of a sample is turned into the stream once, however many of its clips show it, and with
no loop over samples or frames. Absent persons are read from the empty row 0.

A batch is made in two steps. A *plan* says which rows of the store are read and where they go: it
needs the samples' sizes alone, is small, and is always made on the CPU, where its shapes are known
without waiting for a device. *Reading* happens where the frames lie; to a GPU only the plan is
copied.

Axes: B samples, N clips, M persons, T frames, V joints, C channels; R rows, the frames of the
persons of all samples end to end.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from stgcn_lightning.data.augment import UNCHANGED, Changes, changed
from stgcn_lightning.data.store import Store
from stgcn_lightning.data.streams import Sequences, Stream, rows_of_present, stream_named


class Plan(NamedTuple):
    """What to read of a store for a batch of clips.

    Attributes:
        picked: (B, N, M, T) int64 rows of the sequences, or of the store where there are none; 0 is
            empty.
        sequences: (R,) int64 rows of the store, whole samples end to end, whose stream is
            computed; None for the joints, which the store holds.
        last: (any number,) int64 rows of the sequences that no frame of the same person follows,
            row 0 among them; None for the joints.
        turns, joints: what becomes of the bodies, as in `augment.Changes`, of B samples.
        sample: (R,) int64, of B samples the one of each row of the sequences; None where there are
            none, or nothing becomes of the bodies.
    """

    picked: Tensor
    sequences: Tensor | None
    last: Tensor | None
    turns: Tensor | None = None
    joints: Tensor | None = None
    sample: Tensor | None = None


class ClipGatherer:
    """Turns sample numbers and frame indices into clips.

    Args:
        store: opened store.
        stream: the name of one of the six, or a stream of your own (`streams.own_stream`).
        persons: M; persons beyond it are cut, missing ones are zero.

    Raises:
        BadInput: there is no stream of this name.
    """

    def __init__(self, store: Store, stream: str | Stream, persons: int):
        self.store = store
        self.parents = torch.tensor(store.skeleton.bone_parents)
        self.k_parents = torch.tensor(store.skeleton.k_parents)
        self.stream = stream_named(stream) if isinstance(stream, str) else stream
        self.persons = persons
        self._moved: Tensor | None = None  # frames on another device
        self._filled: Tensor | None = None  # (rows of the store,) bool

    def move_to(self, device: torch.device) -> None:
        """Copy all frames to `device`, and keep on the CPU in which of them the stream is not zero.

        The second is an upper bound: a stream may be zero in further frames.
        """
        if self._moved is not None and self._moved.device == device:
            return
        self._moved = self.store.frames.to(device)
        self.parents, self.k_parents = self.parents.to(device), self.k_parents.to(device)
        if self.stream.reads == "sequence":
            last = self.store.last_rows().to(device)
            self._filled = rows_of_present(self._moved, last).cpu()
            return
        filled = self._moved.flatten(1).any(1).cpu()
        if self.stream.reads == "next":
            filled[1:-1] = filled[1:-1] | filled[2:]
        self._filled = filled

    def __call__(self, samples: Tensor, indices: Tensor) -> Tensor:
        """Gather clips.

        Args:
            samples: (B,) int64 sample numbers.
            indices: (B, N, T) int64 frame indices of each clip.

        Returns:
            (B, N, M, T, V, C) float32.

        Raises:
            BadInput: a stream of the user's own returns another shape or type.
        """
        return self.read(self.plan(samples, indices))

    def plan(self, samples: Tensor, indices: Tensor, changes: Changes = UNCHANGED) -> Plan:
        """What to read, by the arguments of a call, and what becomes of the samples' bodies."""
        frames = self.store.num_frames[samples, None]  # B, 1
        persons = self.store.num_persons[samples, None].clamp(max=self.persons)  # B, 1
        first = self.store.first_row[samples, None]  # B, 1
        person = torch.arange(self.persons)  # M
        exists = person < persons  # B, M

        sequences = last = sample = None
        if self.stream.make is not None:
            size = frames * persons
            ends = size.cumsum(0) + 1  # row 0 is empty
            begins = ends - size
            sequences = torch.arange(int(ends[-1]) if len(ends) else 1)
            sequences[1:] += (first - begins).repeat_interleave(size.flatten())
            last = ((begins + (person + 1) * frames - 1) * exists).flatten()  # B M
            last = torch.cat([last.new_zeros(1), last])
            if changes.any:
                sample = torch.arange(len(samples)).repeat_interleave(size.flatten())
                sample = torch.cat([sample.new_zeros(1), sample])
            first = begins
        begins = first + person * frames  # B, M
        picked = begins[:, None, :, None] + indices[:, :, None]  # B, N, M, T
        picked *= exists[:, None, :, None]
        return Plan(picked, sequences, last, *changes, sample)

    def read(self, plan: Plan) -> Tensor:
        """The clips (B, N, M, T, V, C) float32 of a plan that is where the frames are."""
        rows = self.store.frames if self._moved is None else self._moved  # which are the joints
        if self.stream.make is not None:
            assert plan.sequences is not None
            assert plan.last is not None
            rows = _take(rows, plan.sequences)  # R, V, C
            if plan.sample is not None:
                changes = Changes(plan.turns, plan.joints).of(plan.sample)
                rows = changed(rows[:, None], changes)[:, 0]
            store = self.store
            sequences = Sequences(
                store.skeleton, self.parents, self.k_parents, plan.last, store.scored
            )
            return _take(self.stream.make(rows, sequences), plan.picked).float()
        clips = _take(rows, plan.picked).float()  # B, N, M, T, V, C
        shown = changed(clips.flatten(1, 3), Changes(plan.turns, plan.joints))
        return shown.view_as(clips)

    def present(self, plan: Plan) -> Tensor:
        """(B, N, M) bool: persons who may be other than zero in a plan's clips; after `move_to`."""
        assert self._filled is not None
        filled = self._filled if plan.sequences is None else self._filled[plan.sequences]
        return filled[plan.picked].any(-1)


def _take(frames: Tensor, rows: Tensor) -> Tensor:
    """The frames (R, V, C) in these rows, (*rows, V, C)."""
    taken = frames.flatten(1).index_select(0, rows.flatten())  # whole rows are the fastest to copy
    return taken.view(*rows.shape, *frames.shape[1:])
