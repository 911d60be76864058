"""The six streams (joint, bone, k-bone, and the motion of each), and streams of the user's own.

A stream is a function of all frames of some samples::

    def my_stream(joints: Tensor, sequences: Sequences) -> Tensor

- `joints` is (R, V, C) float32, the normalised frames of whole samples end to end: sample by
  sample, person by person, frame by frame, so that row r + 1 is the same person's next frame unless
  r is in `sequences.last`. C = 3: (x, y, score) in 2D, (x, y, z) in 3D. A person who is absent in a
  frame is all zero in 3D; in 2D the normalised coordinates of an absent person are (-1, -1).
- The result is (R, V, C) floating point, a new tensor: one row for every row of `joints`.
- `sequences` holds the parents of the bones and the last row of each person, and has the arithmetic
  of our own streams: `sequences.bone(x)`, `sequences.k_bone(x)`, `sequences.motion(x)`.

Clips are picked from the result afterwards, so that a stream sees the frames between those of a
clip, too. A person who is absent in a whole sample is zero in every stream, whatever the function
returns. The function runs on the device on which the frames lie, and must not depend on which
samples come together in a batch.

The configuration names a stream of the user's own in ``conf/stream/NAME.yaml`` (in a folder that is
given with ``--config-dir``); `own_stream` builds it::

    name: acceleration
    _target_: my_project.streams.acceleration  # acceleration(joints, sequences)
    scale: 10                                  # further keys are keyword arguments

Axes: R rows, the frames of many persons end to end; V joints; C = 3 channels.

Sources: bones, Shi et al., 2s-AGCN, CVPR 2019 (arXiv:1805.07694); motions, Shi et al., MS-AAGCN,
TIP 2020 (arXiv:1912.06971); k-bones, Liu et al., ProtoGCN, CVPR 2025; the score of a bone or motion
is the mean of the two scores that it is made of, as in PYSKL.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, cast

import torch
from torch import Tensor

from stgcn_lightning.data.names import STREAMS
from stgcn_lightning.errors import BadInput
from stgcn_lightning.skeleton import Skeleton


@dataclass(frozen=True)
class Sequences:
    """What a stream may need to know of the frames that it is given.

    Attributes:
        skeleton: names, edges and bone parents of the joints.
        parents: (V,) int64, `skeleton.bone_parents` where the frames lie.
        k_parents: (V,) int64, `skeleton.k_parents` there.
        last: (any number,) int64, the rows that no frame of the same person follows, the last of
            all rows among them.
        scored: the last channel is a score (2D).
    """

    skeleton: Skeleton
    parents: Tensor
    k_parents: Tensor
    last: Tensor
    scored: bool

    def bone(self, joints: Tensor) -> Tensor:
        """Vector from each joint's parent to the joint, see `bone`."""
        return bone(joints, self.parents, scored=self.scored)

    def k_bone(self, joints: Tensor) -> Tensor:
        """Vector from each joint's k-parent to the joint, see `bone`."""
        return bone(joints, self.k_parents, scored=self.scored)

    def motion(self, frames: Tensor) -> Tensor:
        """What changes from each frame to the next of the same person, see `motion`."""
        return motion(frames, self.last, scored=self.scored)


@dataclass(frozen=True)
class Stream:
    """A stream with its name.

    Attributes:
        name: what reports, scores and checkpoints call it.
        make: (joints (R, V, C) in the type they are stored in, sequences) -> (R, V, C) float32;
            None for the joints themselves.
        reads: which frames of a person decide what a frame of the stream is: the same ``frame``,
            also the ``next`` one, or any of the ``sequence``. Where all of those are zero, the
            stream is zero.
    """

    name: str
    make: Callable[[Tensor, Sequences], Tensor] | None
    reads: Literal["frame", "next", "sequence"]


def check_stream(stream: str) -> str:
    """Return `stream`, or raise BadInput with the names that there are."""
    if stream not in STREAMS:
        raise BadInput(
            f"stream {stream!r} is none of {', '.join(STREAMS)}; one of your own needs the "
            "configuration that names its function: stream=NAME --config-dir=FOLDER"
        )
    return stream


def stream_named(name: str) -> Stream:
    """One of the six streams.

    Raises:
        BadInput: the name is not one of `STREAMS`.
    """
    return _OURS[check_stream(name)]


def own_stream(name: str, make: Callable[..., Tensor], **options: Any) -> Stream:
    """A stream of the user's own.

    Args:
        name: not one of `STREAMS`.
        make: ``make(joints, sequences, **options)``, see the head of this file; a function of a
            module, so that loader processes can be given it.
        options: keyword arguments.

    Raises:
        BadInput: the name is one of ours. When clips are made, also if the function returns
            another shape or type.
    """
    if not name or name in STREAMS:
        raise BadInput(
            f"stream.name={name} cannot be the name of a stream of your own: give another name "
            f"than {', '.join(STREAMS)}"
        )
    return Stream(name, partial(_own, name, partial(make, **options)), "sequence")


def bone(joints: Tensor, parents: Tensor, *, scored: bool) -> Tensor:
    """Vector from each joint's parent to the joint.

    Args:
        joints: (R, V, C) floating point, in the unit of the input; an absent person is all zero.
        parents: (V,) int64; a joint that is its own parent has the bone zero.
        scored: the last channel is a score, and is averaged.

    Returns:
        New tensor of the same shape, type and unit.

    Source:
        Shi et al., 2s-AGCN, CVPR 2019 (arXiv:1805.07694).

    Example:
        >>> joints = torch.tensor([[[0.0, 0, 0], [1, 2, 0], [1, 5, 0]]])  # one frame of a chain
        >>> bone(joints, torch.tensor([0, 0, 1]), scored=False).tolist()
        [[[0.0, 0.0, 0.0], [1.0, 2.0, 0.0], [0.0, 3.0, 0.0]]]
    """
    _, V, C = joints.shape
    channels = torch.arange(C, device=parents.device)
    columns = (parents[:, None] * C + channels).flatten()  # faster than to select joints
    starts = joints.view(-1, V * C).index_select(1, columns).view(-1, V, C)
    return _difference(joints, starts, scored)


def motion(frames: Tensor, last: Tensor, *, scored: bool) -> Tensor:
    """What changes from each frame to the next.

    Args:
        frames: (R, V, C) floating point, each row followed by the next frame of the same person.
        last: (any number,) int64, the rows that no frame follows, the last of all among them;
            their motion is zero.
        scored: the last channel is a score, and is averaged.

    Returns:
        New tensor of the same shape, type and unit.

    Source:
        Shi et al., MS-AAGCN, TIP 2020 (arXiv:1912.06971).

    Example:
        >>> frames = torch.tensor([1.0, 2, 4]).view(3, 1, 1)  # one joint, one channel
        >>> motion(frames, torch.tensor([2]), scored=False).flatten().tolist()
        [1.0, 2.0, 0.0]
    """
    result = torch.empty_like(frames)
    _difference(frames[1:], frames[:-1], scored, out=result[:-1])
    result[last] = 0
    return result


def rows_of_present(frames: Tensor, last: Tensor) -> Tensor:
    """Which rows are of a sequence that is not all zero.

    Args:
        frames: (R, V, C).
        last: (any number,) int64, the last rows of the sequences, in any order and more than once.

    Returns:
        (R,) bool.
    """
    ends = torch.zeros(len(frames), dtype=torch.int64, device=frames.device)
    ends[last] = 1
    sequence = ends.cumsum(0) - ends  # R, from 0
    filled = ends.new_zeros(len(last) + 1)
    filled.index_add_(0, sequence, frames.flatten(1).any(1).long())
    return filled.index_select(0, sequence) > 0


def _bone(joints: Tensor, sequences: Sequences) -> Tensor:
    """Rounded to the type of `joints`, as the published weights saw it."""
    return sequences.bone(joints.float()).to(joints.dtype).float()


def _joint_motion(joints: Tensor, sequences: Sequences) -> Tensor:
    """Rounded as `_bone` is."""
    return sequences.motion(joints.float()).to(joints.dtype).float()


def _bone_motion(joints: Tensor, sequences: Sequences) -> Tensor:
    """The float32 differences of rounded bones."""
    return sequences.motion(_bone(joints, sequences))


def _k_bone(joints: Tensor, sequences: Sequences) -> Tensor:
    """Rounded as `_bone` is."""
    return sequences.k_bone(joints.float()).to(joints.dtype).float()


def _k_bone_motion(joints: Tensor, sequences: Sequences) -> Tensor:
    """As `_bone_motion`."""
    return sequences.motion(_k_bone(joints, sequences))


def _own(
    name: str, make: Callable[[Tensor, Sequences], Tensor], joints: Tensor, sequences: Sequences
) -> Tensor:
    made = cast(object, make(joints.float(), sequences))
    if not isinstance(made, Tensor) or made.shape != joints.shape or not made.is_floating_point():
        found = type(made).__name__
        if isinstance(made, Tensor):
            found = f"{made.dtype} of shape {tuple(made.shape)}"
        raise BadInput(
            f"stream {name} returns {found} for joints of shape {tuple(joints.shape)}; return a "
            "floating point tensor of that shape"
        )
    present = rows_of_present(joints, sequences.last)
    return torch.where(present[:, None, None], made.float(), 0.0)


def _difference(end: Tensor, start: Tensor, scored: bool, out: Tensor | None = None) -> Tensor:
    """`end` - `start` in every coordinate; where there is a score, the mean of the two."""
    result = torch.sub(end, start, out=out)
    if scored:
        result[..., -1] = (end[..., -1] + start[..., -1]) / 2
    return result


_OURS = {
    "joint": Stream("joint", None, "frame"),
    "bone": Stream("bone", _bone, "frame"),
    "joint_motion": Stream("joint_motion", _joint_motion, "next"),
    "bone_motion": Stream("bone_motion", _bone_motion, "next"),
    "k_bone": Stream("k_bone", _k_bone, "frame"),
    "k_bone_motion": Stream("k_bone_motion", _k_bone_motion, "next"),
}
