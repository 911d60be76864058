"""The four streams: joint, bone, and the motion of each.

Axes: T frames, V joints, C = 3 channels: (x, y, score) in 2D, (x, y, z) in 3D. Sources: bones, Shi et
al., 2s-AGCN, CVPR 2019 (arXiv:1805.07694); motions, Shi et al., MS-AAGCN, TIP 2020
(arXiv:1912.06971); the score of a bone or motion is the mean of the two it is made of, as in PYSKL.
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


def bone(joints: Tensor, parents: Tensor, *, scored: bool) -> Tensor:
    """Vector from each joint's parent to the joint.

    Args:
        joints: (..., V, C) floating point, in the unit of the input; an absent person is all zero.
        parents: (V,) int64; the root is its own parent, so its bone is zero.
        scored: the last channel is a score, and is averaged.

    Returns:
        New tensor of the same shape, type and unit.
    """
    return difference(joints, joints.index_select(-2, parents), scored=scored)


def difference(end: Tensor, start: Tensor, *, scored: bool) -> Tensor:
    """`end` - `start` in every coordinate; with `scored` the mean of the two in the last channel.

    Args:
        end, start: (..., C) of one type, in which the result is rounded.
        scored: the last channel is a score.

    Returns:
        New tensor of the same shape and type.
    """
    result = end - start
    if scored:
        result[..., -1] = (end[..., -1] + start[..., -1]) / 2
    return result


def stream_of(
    now: Tensor, following: Tensor | None, parents: Tensor, stream: str, scored: bool
) -> Tensor:
    """Turn gathered joints into one stream.

    Args:
        now: (..., V, C) joints of each frame, in the type of the store.
        following: (..., V, C) joints of the frame after each; None for streams without motion.
        parents: (V,) int64.
        stream: one of `STREAMS`.
        scored: the last channel is a score.

    Returns:
        (..., V, C) float32. Bones and joint motions are rounded to the type of the store first, bone
        motions are float32 differences of such bones.
    """
    if stream in ("bone", "bone_motion"):
        now = bone(now, parents, scored=scored).float()
    if following is None:
        return now.float()
    if stream == "bone_motion":
        following = bone(following, parents, scored=scored).float()
    return difference(following, now, scored=scored).float()
