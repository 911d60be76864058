"""A batch of clips at once: gather rows of the store, turn them into a stream.

There is no loop over samples or frames. Whatever does not exist is read from the store's empty row:
persons who are not there, and the motion after a sample's last frame.

Axes: B samples, N clips, M persons, T frames, V joints, C channels.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from stgcn_lightning.data.store import Store
from stgcn_lightning.data.streams import check_stream, stream_of


class ClipGatherer:
    """Turns sample numbers and frame indices into clips.

    Works on whatever device the store's frames are on.

    Args:
        store: opened store.
        bone_parents: one parent per joint.
        stream: joint, bone, joint_motion or bone_motion.
        persons: M; persons beyond it are cut, missing ones are zero.
    """

    def __init__(self, store: Store, bone_parents: Sequence[int], stream: str, persons: int):
        self.store = store
        self.stream = check_stream(stream)
        self.parents = torch.tensor(bone_parents)
        self.person = torch.arange(persons)[:, None]  # M, 1
        self.flat = store.frames.flatten(1)  # rows, V C

    def __call__(self, samples: Tensor, indices: Tensor) -> Tensor:
        """Gather clips.

        Args:
            samples: (B,) int64 sample numbers.
            indices: (B, N, T) int64 frame indices of each clip.

        Returns:
            (B, N, M, T, V, C) float32.
        """

        def per_sample(column: Tensor) -> Tensor:
            return column[samples][:, None, None, None]  # B, 1, 1, 1

        frames = per_sample(self.store.num_frames)
        rows = per_sample(self.store.first_row) + self.person * frames + indices[:, :, None]
        exists = self.person < per_sample(self.store.num_persons)
        if not self.stream.endswith("motion"):
            return self._stream(rows * exists, None)
        rows = rows * (exists & (indices[:, :, None] < frames - 1))
        return self._stream(rows, rows + (rows > 0))

    def _stream(self, rows: Tensor, following: Tensor | None) -> Tensor:
        clips = stream_of(
            self._take(rows),
            None if following is None else self._take(following),
            self.parents,
            self.stream,
            self.store.scored,
        )
        return clips.unflatten(0, rows.shape)

    def _take(self, rows: Tensor) -> Tensor:
        """The frames in these rows, (rows, V, C)."""
        return self.flat.index_select(0, rows.flatten()).unflatten(1, self.store.frames.shape[1:])
