"""The data pipeline taken literally: one whole sample at a time, step by step.

Normalise the whole sample, make the stream of the whole sequence, sample frames, pad persons. The
tests compare the package's pipeline with this one, and scripts/bench/data.py times both; so nothing
here is shared with the package, and nothing is slow on purpose.

Axes: N clips, M persons, T frames, V joints, C channels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from stgcn_lightning.skeleton import Normalisation, Skeleton
from stgcn_lightning.sources.annotations import Sample

Array = NDArray[Any]


@dataclass(frozen=True)
class NaivePipeline:
    """From annotated samples to batches.

    Args:
        skeleton: the bodies' joints.
        normalise: `2d`, `3d` or `none`.
        stream: one of ours.
        clip_frames: T.
        persons: M.
    """

    skeleton: Skeleton
    normalise: str
    stream: str
    clip_frames: int = 100
    persons: int = 2

    def train_batch(self, samples: Sequence[Sample], rng: np.random.RandomState) -> torch.Tensor:
        """One random clip of each sample, (B, 1, M, T, V, C) float32; draws from `rng` in order."""
        batch: list[Array] = []
        for sample in samples:
            sequence = self.sequence(sample)
            indices = train_indices(sequence.shape[1], self.clip_frames, rng)
            batch.append(self.clips(sequence, indices[None]))
        return torch.from_numpy(np.stack(batch))

    def test_batch(self, samples: Sequence[Sample], clips: int) -> torch.Tensor:
        """The fixed clips of each sample, (B, N, M, T, V, C) float32."""
        batch: list[Array] = []
        for sample in samples:
            sequence = self.sequence(sample)
            indices = test_indices(sequence.shape[1], self.clip_frames, clips)
            batch.append(self.clips(sequence, indices))
        return torch.from_numpy(np.stack(batch))

    def sequence(self, sample: Sample) -> Array:
        """Normalised stream of the whole sample, (M, T, V, C)."""
        keypoint = sample.keypoint
        if self.normalise == "2d":
            assert sample.img_shape is not None
            keypoint = normalise_2d(keypoint, sample.img_shape)
        if self.normalise == "3d":
            assert self.skeleton.normalise is not None
            keypoint = normalise_3d(keypoint, self.skeleton.normalise)
        scored = keypoint.shape[-1] == 2
        if scored:
            score = sample.score
            if score is None:
                score = np.ones(keypoint.shape[:-1], keypoint.dtype)
            keypoint = np.concatenate([keypoint, score[..., None]], axis=-1)
        parents = self.skeleton.k_parents if "k_" in self.stream else self.skeleton.bone_parents
        if "bone" in self.stream:
            keypoint = bones(keypoint, parents, scored)
        if "bone_motion" in self.stream:
            keypoint = keypoint.astype(np.float32)
        if "motion" in self.stream:
            keypoint = motions(keypoint, scored)
        return keypoint

    def clips(self, sequence: Array, indices: Array) -> Array:
        """Frames `indices` (N, T) of a sequence, persons cut or padded: (N, M, T, V, C) float32."""
        people = sequence[: self.persons]
        _, _, V, C = sequence.shape
        clips = np.zeros((len(indices), self.persons, self.clip_frames, V, C), np.float32)
        clips[:, : len(people)] = people[:, indices].swapaxes(0, 1)
        return clips


def normalise_2d(keypoint: Array, img_shape: tuple[int, int]) -> Array:
    """Pixels to [-1, 1], every step rounded to the stored type."""
    height, width = img_shape
    keypoint = keypoint.copy()
    keypoint[..., 0] = (keypoint[..., 0] - width / 2) / (width / 2)
    keypoint[..., 1] = (keypoint[..., 1] - height / 2) / (height / 2)
    return keypoint


def normalise_3d(keypoint: Array, joints: Normalisation) -> Array:
    """Two persons at most: the longer seen first, its frames alone, centred, turned upright."""
    people = keypoint[:2]
    seen = (people != 0).any((2, 3))
    if len(people) == 2 and seen[1].sum() > seen[0].sum():
        people, seen = people[[1, 0]], seen[[1, 0]]
    if not seen[0].any():
        return people.astype(np.float32)
    people = people[:, seen[0]]
    placed = (people != 0).any(-1)
    people = np.where(placed[..., None], people - people[0, 0, joints.centre], people)
    for (start, end), target in (
        (joints.body, np.array([0.0, 0.0, 1.0])),
        (joints.shoulders, np.array([1.0, 0.0, 0.0])),
    ):
        line = people[0, 0, end] - people[0, 0, start]
        people = people.astype(np.float64) @ turn(line, target).T
    return people.astype(np.float32)


def turn(line: Array, target: Array) -> Array:
    """Rotation matrix of `line` onto `target`, by the Euler-Rodrigues formula."""
    axis = np.cross(line.astype(np.float64), target)
    unit = line / np.linalg.norm(line) if line.any() else line  # both in the stored type
    angle = np.arccos(np.clip(unit.astype(np.float64) @ target, -1, 1))
    if min(np.abs(line).sum(), np.abs(axis).sum(), angle) < 1e-6:
        return np.eye(3)
    a = np.cos(angle / 2)
    b, c, d = np.sin(angle / 2) * axis / np.sqrt(axis @ axis)
    return np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )


def bones(joints: Array, parents: Sequence[int], scored: bool) -> Array:
    """Each joint less its parent, and the mean of their scores."""
    parent = joints[:, :, list(parents)]
    result = joints - parent
    if scored:
        result[..., 2] = (joints[..., 2] + parent[..., 2]) / 2
    return result


def motions(frames: Array, scored: bool) -> Array:
    """The next frame less this one, and the mean of their scores; nothing follows the last."""
    result = np.zeros_like(frames)
    result[:, :-1] = frames[:, 1:] - frames[:, :-1]
    if scored:
        result[:, :-1, :, 2] = (frames[:, 1:, :, 2] + frames[:, :-1, :, 2]) / 2
    return result


def train_indices(T: int, L: int, rng: np.random.RandomState) -> Array:
    """Random frames of one clip, (L,)."""
    if T < L:
        return (rng.randint(0, T) + np.arange(L)) % T
    if T < 2 * L:
        skip = np.zeros(L + 1, np.int64)
        skip[rng.choice(L + 1, T - L, replace=False)] = 1
        return np.arange(L) + np.cumsum(skip)[:-1]
    bounds = np.arange(L + 1) * T // L
    return bounds[:-1] + rng.randint(bounds[1:] - bounds[:-1])


def test_indices(T: int, L: int, N: int) -> Array:
    """Fixed frames of N clips, (N, L)."""
    if T < L:
        starts = [i if T < N else i * T // N for i in range(N)]
        return np.stack([(start + np.arange(L)) % T for start in starts])
    rng = np.random.RandomState(255)
    return np.stack([train_indices(T, L, rng) for _ in range(N)])
