"""The embedded data set: annotations of an articulated body that acts before a camera.

The actions are in `synthetic_actions`, the bodies in `synthetic_bodies`, camera and detector in
`synthetic_scenes`.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from stgcn_lightning.errors import BadInput
from stgcn_lightning.files.locks import alone
from stgcn_lightning.files.writing import explaining_where
from stgcn_lightning.sources.annotations import Annotations, Sample
from stgcn_lightning.sources.mmaction2 import write_annotations
from stgcn_lightning.sources.synthetic_actions import label_of
from stgcn_lightning.sources.synthetic_bodies import make_bodies
from stgcn_lightning.sources.synthetic_scenes import IMG_SHAPE, draw_scene, render

VERSION = 1  # of what is made: raise it whenever a seed gives other samples
_BATCH = 64  # samples computed at once; changes the speed alone


def synthetic_annotations(
    dimension: str,
    train_samples: int,
    val_samples: int,
    *,
    seed: int = 0,
    train_subjects: int = 40,
    val_subjects: int = 20,
    min_frames: int = 30,
    max_frames: int = 300,
    noise: float = 1.0,
) -> Annotations:
    """Make a data set with the splits `train` and `val`, which share no subject.

    A sample depends on the seed, its split and its place in the split, not on how many there are.
    Four samples in five hold one person; actions of one person are equally frequent, those of two
    as well. Ids are like NTU RGB+D's: setup, camera, (first) subject, repetition, action from 1.

    Args:
        dimension: "2d" for coco17, (x, y) in pixels of a 1080 x 1920 image, with scores; "3d" for
            ntu25, (x, y, z) in metres in the camera's space, without scores.
        train_samples: size of `train`, at most 1,000,000.
        val_samples: size of `val`, at most 1,000,000.
        seed: of everything random.
        train_subjects: how many different bodies there are in `train`; at least 2.
        val_subjects: how many there are in `val`; at least 2.
        min_frames: least length of a sample; at least 2.
        max_frames: greatest length; the mean is a fifth of the way up to it.
        noise: factor of the key points' errors: 0 gives every joint where it is, with score 1.

    Returns:
        Samples of `train`, then of `val`; key points and scores are float16.

    Raises:
        BadInput: an argument is out of its range.
    """
    if dimension not in ("2d", "3d"):
        raise BadInput(f"dimension is {dimension!r}: give '2d' or '3d'.")
    for name, value, least, greatest in (
        ("train_samples", train_samples, 0, 1_000_000),
        ("val_samples", val_samples, 0, 1_000_000),
        ("train_subjects", train_subjects, 2, 997),
        ("val_subjects", val_subjects, 2, 999 - train_subjects),
        ("min_frames", min_frames, 2, max_frames),
        ("noise", noise, 0, 10),
    ):
        if not least <= value <= greatest:
            raise BadInput(f"{name} is {value}: give a value from {least} to {greatest}.")

    bodies = make_bodies(seed, train_subjects + val_subjects)
    people = range(train_subjects), range(train_subjects, train_subjects + val_subjects)
    samples: list[Sample] = []
    splits: dict[str, list[str]] = {}
    for split, size, subjects in zip(
        ("train", "val"), (train_samples, val_samples), people, strict=True
    ):
        stream = 1 + len(splits)  # of random numbers; the bodies have stream 0
        splits[split] = []
        for start in range(0, size, _BATCH):
            indices = range(start, min(start + _BATCH, size))
            rngs = [np.random.default_rng([seed, stream, index]) for index in indices]
            scenes = [
                draw_scene(rng, label_of(index), subjects, min_frames, max_frames)
                for index, rng in zip(indices, rngs, strict=True)
            ]
            rendered = render(scenes, rngs, bodies, dimension, noise)
            for index, scene, (keypoint, score) in zip(indices, scenes, rendered, strict=True):
                name = (
                    f"S{1 + index // 1000:03}C{1 + scene.camera:03}P{1 + scene.subjects[0]:03}"
                    f"R{index % 1000:03}A{1 + scene.label:03}"
                )
                splits[split].append(name)
                kept = score if dimension == "2d" else None
                samples.append(Sample(name, scene.label, keypoint, kept, IMG_SHAPE))
    return Annotations(samples, splits)


def synthetic_file(
    dimension: str, folder: Path, say: Callable[[str], object], **sizes: int
) -> Path:
    """The embedded data set as an annotation file in `folder`, written if it is not there yet.

    Args:
        dimension: "2d" or "3d".
        folder: made if absent.
        say: is told for whom this process waits, if another one writes it.
        sizes: arguments of `synthetic_annotations`; they become part of the file's name.

    Raises:
        BadInput: an argument is out of its range, or the file cannot be written.
    """
    text = "_".join(str(value) for value in sizes.values())
    path = folder / f"synthetic_{dimension}_v{VERSION}_{text}.pkl"
    with explaining_where(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with alone(path, say):
            if not path.exists():
                write_annotations(path, synthetic_annotations(dimension, **sizes))
    return path
