"""Random changes of training bodies: scaled, turned, their sides exchanged, a limb removed.

What is drawn for a clip is a function of (seed, epoch, pass, sample), as its frames are
(`sampling.py`). It is drawn on the CPU and carried out where the frames lie, to all persons and
frames of a sample alike, before the stream is made of them. Zeros, which stand for persons and
joints that are not there, stay zeros.

Axes: B samples; S of them, or rows of frames; K frames; V joints; C = 3 channels.

Sources: scale and rotation, PYSKL's RandomScale and RandomRot (Duan et al., arXiv:2205.09443);
sides and limbs, Liu et al., ProtoGCN, CVPR 2025.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from stgcn_lightning.data.sampling import uniform_numbers
from stgcn_lightning.errors import BadInput
from stgcn_lightning.skeleton import Skeleton


class Changes(NamedTuple):
    """What becomes of the bodies of some samples.

    Attributes:
        turns: (S, 3, 3) float32; a joint x goes to turns @ x. None: it stays.
        joints: (S, V) int64; the joint whose place each joint takes, V for none: it is zero. None:
            each has its own.
    """

    turns: Tensor | None
    joints: Tensor | None

    @property
    def any(self) -> bool:
        """Whether anything becomes of them."""
        return self.turns is not None or self.joints is not None

    def of(self, samples: Tensor) -> "Changes":
        """Those of `samples` (any number,) int64, one of these after the other."""
        turns, joints = (part if part is None else part[samples] for part in self)
        return Changes(turns, joints)


UNCHANGED = Changes(None, None)


@dataclass(frozen=True)
class Augmentation:
    """How much the bodies of training clips are changed; the default is not at all.

    Attributes:
        scale: each axis of space is scaled by a factor within 1 - scale and 1 + scale.
        rotate: bodies are turned about each axis by an angle within -rotate and rotate, in radians.
        flip: probability that left and right joints exchange their places; coordinates are not
            mirrored.
        drop_limb: probability that a limb, any of `limbs_of`, is zero.
    """

    scale: float = 0.0
    rotate: float = 0.0
    flip: float = 0.0
    drop_limb: float = 0.0


AS_THEY_ARE = Augmentation()


class Augmenter:
    """Draws what becomes of samples.

    Args:
        augmentation: how much.
        skeleton: says which joints are left and right.
        scored: key points are 2D.

    Raises:
        BadInput: bodies of this kind cannot be changed so.
    """

    def __init__(self, augmentation: Augmentation, skeleton: Skeleton, *, scored: bool):
        self.much, self.V = augmentation, skeleton.num_joints
        spatial = {
            key: value for key in ("scale", "rotate") if (value := getattr(augmentation, key))
        }
        if scored and spatial:
            given = " and ".join(f"recipe.{key}={value:g}" for key, value in spatial.items())
            raise BadInput(
                f"{given} {'change' if len(spatial) > 1 else 'changes'} bodies in space, and these "
                f"key points are 2D: set {' and '.join(f'recipe.{key}=0' for key in spatial)}, or "
                "train on a 3D benchmark"
            )
        for key in ("flip", "drop_limb"):
            if not skeleton.left_right and (value := getattr(augmentation, key)):
                raise BadInput(
                    f"recipe.{key}={value:g} needs joints of two sides, and skeleton "
                    f"{skeleton.name} has no left_right pairs: add them, or set recipe.{key}=0"
                )
        self.own = torch.arange(self.V)
        self.mirrored = self.own.clone()
        for left, right in skeleton.left_right:
            self.mirrored[left], self.mirrored[right] = right, left
        limbs = limbs_of(skeleton)
        self.limbs = torch.zeros(len(limbs), self.V, dtype=torch.bool)
        for limb, joints in zip(self.limbs, limbs, strict=True):
            limb[joints] = True

    def __call__(self, keys: Tensor) -> Changes:
        """Changes of one clip per sample.

        Args:
            keys: (B,) int64 of `sampling.draw_keys`.
        """
        much = self.much
        numbers = uniform_numbers(keys, 9)  # B, 9
        turns = joints = None
        if much.scale or much.rotate:
            factors = 1 + much.scale * (2 * numbers[:, :3] - 1)  # B, 3
            turns = rotations(much.rotate * (2 * numbers[:, 3:6] - 1))  # B, 3, 3
            turns = (turns * factors[:, None]).float()  # scaled first
        if much.flip or much.drop_limb:
            flipped, without = (numbers[:, 6] < much.flip, numbers[:, 7] < much.drop_limb)
            joints = torch.where(flipped[:, None], self.mirrored, self.own)  # B, V
            limb = self.limbs[(numbers[:, 8] * len(self.limbs)).long()]  # B, V
            joints[limb & without[:, None]] = self.V
        return Changes(turns, joints)


def changed(frames: Tensor, changes: Changes) -> Tensor:
    """Carry changes out; float32 where bodies are turned.

    Element by element, so that what becomes of a sample is the same in any batch and on any device.

    Args:
        frames: (S, K, V, C).
        changes: of S samples.
    """
    turns, joints = changes
    if turns is not None:
        frames, ends = frames.float(), turns.mT[:, :, None, None]  # S, 3, 1, 1, 3: of each axis
        x, y, z = frames[..., :1], frames[..., 1:2], frames[..., 2:]  # S, K, V, 1
        frames = x * ends[:, 0] + y * ends[:, 1] + z * ends[:, 2]
    if joints is not None:
        S, K, V, C = frames.shape
        frames = torch.cat([frames, frames.new_zeros(S, K, 1, C)], 2)
        frames = frames.gather(2, joints[:, None, :, None].expand(S, K, V, C))
    return frames


def rotations(angles: Tensor) -> Tensor:
    """The rotations Rz Ry Rx by angles about x, y and z.

    Args:
        angles: (B, 3) in radians.

    Returns:
        (B, 3, 3) of the same type.

    Example:
        >>> quarter = torch.tensor([[0.0, 0.0, torch.pi / 2]])  # about z
        >>> (rotations(quarter) @ torch.tensor([1.0, 0.0, 0.0])).round().tolist()
        [[0.0, -1.0, 0.0]]
    """
    about = [_about(axis, angles[:, axis]) for axis in range(3)]
    return _product(about[2], _product(about[1], about[0]))


def _about(axis: int, angle: Tensor) -> Tensor:
    """(B, 3, 3)."""
    i, j = (axis + 1) % 3, (axis + 2) % 3
    turn = torch.eye(3, dtype=angle.dtype).repeat(len(angle), 1, 1)
    turn[:, i, i] = turn[:, j, j] = angle.cos()
    turn[:, i, j] = angle.sin()
    turn[:, j, i] = -turn[:, i, j]
    return turn


def _product(left: Tensor, right: Tensor) -> Tensor:
    """Matrix products, whose rounding does not depend on how many there are."""
    return (left[..., None] * right[:, None]).sum(2)


def limbs_of(skeleton: Skeleton) -> list[list[int]]:
    """The joints of each limb: what bones join of the left joints, and of the right ones.

    An arm or a leg where hips and shoulders hang from the trunk, as in ntu25; where hips hang from
    shoulders, as in openpose18, a whole side is one.

    Example:
        >>> from stgcn_lightning import skeleton_named
        >>> limbs_of(skeleton_named("ntu25"))[:2]
        [[4, 5, 6, 7, 21, 22], [12, 13, 14, 15]]
    """
    limbs: dict[int, list[int]] = {}
    pairs = skeleton.left_right
    for side in ([left for left, _ in pairs], [right for _, right in pairs]):
        for joint in side:
            first = joint
            while (parent := skeleton.bone_parents[first]) in side and parent != first:
                first = parent
            limbs.setdefault(first, []).append(joint)
    return list(limbs.values())
