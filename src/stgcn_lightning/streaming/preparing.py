"""One frame of everybody -> what the network takes of it, as far as a single frame allows.

As in the training, but for two things that need the whole recording: a missing joint stays where it
was last found (in the training, data.missing=interpolate also looks ahead), and a 3D body is
centred and turned by its first frame in the stream.

Axes: R persons, V joints, C coordinates.
"""

from collections.abc import Hashable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stgcn_lightning.data.missing import not_found
from stgcn_lightning.data.normalise import Anchor, scale_to_picture
from stgcn_lightning.data.store import StoreSpec
from stgcn_lightning.data.streams import Sequences, Stream
from stgcn_lightning.errors import BadInput

Frame = NDArray[np.float32]


class Preparing:
    """Normalises frames and makes the stream of them.

    Args:
        spec: how recordings are normalised.
        stream: which the model was trained on.
        img_shape: (height, width) of the pictures, which scaling to them needs.
        together: all persons are placed by the first of them (3D).

    Attributes:
        delay: frames for which the stream waits: 1 for a motion.

    Raises:
        BadInput: the stream needs the whole sequence.
    """

    def __init__(
        self, spec: StoreSpec, stream: Stream, img_shape: tuple[int, int] | None, together: bool
    ):
        if stream.reads == "sequence":
            raise BadInput(
                f"stream {stream.name} reads the whole sequence, which a continual form does not "
                "have: answer for windows of frames, continual=False"
            )
        self.spec, self.stream, self.img_shape, self.together = spec, stream, img_shape, together
        self.delay = int(stream.reads == "next")
        self.parents = torch.tensor(spec.skeleton.bone_parents)
        self.k_parents = torch.tensor(spec.skeleton.k_parents)
        self.found: dict[Hashable, Frame] = {}  # where each joint was last found
        self.anchors: dict[Hashable, Anchor] = {}
        self.before: dict[Hashable, Frame] = {}  # normalised

    def leave(self, person: Hashable) -> None:
        """Forget a person."""
        for part in (self.found, self.anchors, self.before):
            part.pop(person, None)
        if self.together and not self.found:
            self.anchors.clear()

    def __call__(self, people: Sequence[Hashable], frame: Frame) -> tuple[list[Hashable], Tensor]:
        """The stream (R', V, 3) of a frame (R, V, C), and whose it is.

        Absent persons are all zero. A motion leaves out who came with this frame.
        """
        joints = self._normalised(people, self._filled(people, frame))
        if self.stream.make is None:
            return list(people), torch.from_numpy(joints)
        if not self.delay:
            return list(people), self._made(torch.from_numpy(joints), len(people))
        there = [i for i, person in enumerate(people) if person in self.before]
        pairs = [one for i in there for one in (self.before[people[i]], joints[i])]
        self.before |= dict(zip(people, joints, strict=True))
        whose = [people[i] for i in there]
        if not pairs:
            return [], torch.empty(0, *joints.shape[1:])
        return whose, self._made(torch.from_numpy(np.stack(pairs)), len(pairs), 2)[::2]

    def _made(self, joints: Tensor, rows: int, length: int = 1) -> Tensor:
        last = torch.arange(length - 1, rows, length)
        scored = self.spec.dimension == "2d"
        assert self.stream.make is not None
        body = self.spec.skeleton
        sequences = Sequences(body, self.parents, self.k_parents, last, scored)
        return self.stream.make(joints, sequences)

    def _filled(self, people: Sequence[Hashable], frame: Frame) -> Frame:
        """(R, V, 3) with a score in 2D; no joint is missing any more."""
        dimensions = 2 if self.spec.dimension == "2d" else 3
        keypoint, score = frame[..., :dimensions], frame[..., dimensions:]
        if dimensions == 2 and not score.shape[-1]:
            score = np.ones((*frame.shape[:-1], 1), np.float32)
        missing = not_found(keypoint) | np.isnan(score).any(-1)
        if self.spec.missing != "error" and missing.any():
            score = np.where(missing[..., None], np.float32(0), score)
        held = self.spec.missing == "interpolate" or self.spec.dimension == "3d"
        if not held and not missing.any():
            return np.concatenate([keypoint, score], -1)
        keypoint = np.where(missing[..., None] & (self.spec.missing != "error"), 0, keypoint)
        keypoint = np.nan_to_num(keypoint.astype(np.float32))
        for row, person in enumerate(people) if held else ():
            last = self.found.setdefault(person, np.zeros_like(keypoint[row]))
            if not missing[row].all():
                last[:] = np.where(missing[row][:, None], last, keypoint[row])
                if self.spec.missing == "interpolate":
                    keypoint[row] = last
                else:
                    last[missing[row]] = keypoint[row][missing[row]]
            elif self.spec.dimension == "3d":  # the training drops such a frame
                keypoint[row] = last
        return np.concatenate([keypoint, score], -1)

    def _normalised(self, people: Sequence[Hashable], frame: Frame) -> Frame:
        if self.spec.normalise == "2d":
            assert self.img_shape is not None
            frame[..., :2] = scale_to_picture(frame[..., :2], self.img_shape)
        if self.spec.normalise.startswith("3d"):
            joints = self.spec.skeleton.normalise
            assert joints is not None
            for row, person in enumerate(people):
                key = None if self.together else person
                if key not in self.anchors and frame[row].any():
                    turned = self.spec.normalise == "3d"
                    self.anchors[key] = Anchor.of(frame[row], joints, turned=turned)
                if key in self.anchors:
                    frame[row] = self.anchors[key].placed(frame[row])
        return frame
