"""The four streams: joint, bone, and the motion of each.

Axes: R rows, the frames of many people end to end; V joints; C = 3 channels: (x, y, score) in 2D,
(x, y, z) in 3D. Sources: bones, Shi et al., 2s-AGCN, CVPR 2019 (arXiv:1805.07694); motions, Shi et
al., MS-AAGCN, TIP 2020 (arXiv:1912.06971); the score of a bone or motion is the mean of the two it
is made of, as in PYSKL.
"""

import torch
from torch import Tensor

from stgcn_lightning.errors import BadInput

STREAMS = ("joint", "bone", "joint_motion", "bone_motion")


def check_stream(stream: str) -> str:
    """Return `stream`, or raise BadInput with the names that there are."""
    if stream not in STREAMS:
        raise BadInput(f"stream {stream!r} is none of {', '.join(STREAMS)}")
    return stream


def stream_of(
    joints: Tensor, stream: str, *, parents: Tensor, last: Tensor, scored: bool
) -> Tensor:
    """Turn joints into one stream.

    Args:
        joints: (R, V, C) floating point, in the type they are stored in.
        stream: one of `STREAMS`.
        parents: (V,) int64, see `bone`.
        last: (any number,) int64, see `motion`.
        scored: the last channel is a score.

    Returns:
        (R, V, C) float32. Bones and joint motions are rounded to the type of `joints`, as the
        published weights saw them; bone motions are float32 differences of such bones.
    """
    result = joints.float()
    if stream in ("bone", "bone_motion"):
        result = bone(result, parents, scored=scored).to(joints.dtype).float()
    if stream == "joint_motion":
        result = motion(result, last, scored=scored).to(joints.dtype).float()
    if stream == "bone_motion":
        result = motion(result, last, scored=scored)
    return result


def bone(joints: Tensor, parents: Tensor, *, scored: bool) -> Tensor:
    """Vector from each joint's parent to the joint.

    Args:
        joints: (R, V, C) floating point, in the unit of the input; an absent person is all zero.
        parents: (V,) int64; the root is its own parent, so its bone is zero.
        scored: the last channel is a score, and is averaged.

    Returns:
        New tensor of the same shape, type and unit.
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
    """
    result = torch.empty_like(frames)
    _difference(frames[1:], frames[:-1], scored, out=result[:-1])
    result[last] = 0
    return result


def _difference(end: Tensor, start: Tensor, scored: bool, out: Tensor | None = None) -> Tensor:
    """`end` - `start` in every coordinate; where there is a score, the mean of the two."""
    result = torch.sub(end, start, out=out)
    if scored:
        result[..., -1] = (end[..., -1] + start[..., -1]) / 2
    return result
