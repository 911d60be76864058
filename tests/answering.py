"""Checkpoints and recordings that the tests of the predict door share."""

import json
from pathlib import Path

import numpy as np
from helpers import LEGACY

from stgcn_lightning.checkpoints.safetensors import safetensors_bytes
from stgcn_lightning.checkpoints.weights import load_model
from stgcn_lightning.sources.annotations import Sample
from stgcn_lightning.sources.mmaction2 import write_annotations
from stgcn_lightning.sources.synthetic import synthetic_annotations

CHECKPOINT = LEGACY / "version_0_1_0_finished.ckpt"
BENCHMARK = ["benchmark.synthetic.train_samples=24", "benchmark.synthetic.val_samples=12"]


def write_checkpoint(path: Path, stream: str = "joint", **card: object) -> Path:
    """A checkpoint of a stream whose answers differ from sample to sample."""
    model, known = load_model(CHECKPOINT)
    state = model.state_dict()
    state["classify.weight"] *= 20
    path.write_bytes(safetensors_bytes(state, known | {"stream": stream} | card))
    return path


def embedded() -> dict[str, Sample]:
    """The samples of the embedded data that tests answer for, by id."""
    annotations = synthetic_annotations("2d", 24, 12, seed=0)
    wanted = set(annotations.splits["val"])
    return {sample.id: sample for sample in annotations.samples if sample.id in wanted}


def write_embedded(path: Path) -> Path:
    """The embedded data as annotations."""
    write_annotations(path, synthetic_annotations("2d", 24, 12, seed=0))
    return path


def write_recording(path: Path, sample: Sample, frames: int | None = None, **more: object) -> Path:
    """A sample as a recording of a format of our own, .npz or .json, without a label."""
    content = {
        "keypoint": sample.keypoint[:, :frames],
        "score": None if sample.score is None else sample.score[:, :frames],
        "img_shape": sample.img_shape,
        "fps": 30.0,
        **more,
    }
    content = {key: np.asarray(value) for key, value in content.items() if value is not None}
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npz":
        np.savez(path, **content)  # pyright: ignore[reportArgumentType]
    else:
        path.write_text(json.dumps({key: value.tolist() for key, value in content.items()}))
    return path
