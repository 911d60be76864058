"""Checkpoints and recordings that the tests of the predict door share."""

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from helpers import LEGACY

from stgcn_lightning.checkpoints.safetensors import safetensors_bytes
from stgcn_lightning.checkpoints.weights import load_model
from stgcn_lightning.data.batch import ClipGatherer
from stgcn_lightning.data.sampling import evaluation_indices
from stgcn_lightning.data.store import store_in_memory
from stgcn_lightning.data.streams import stream_named
from stgcn_lightning.predictor import Predictor
from stgcn_lightning.sources.annotations import Sample
from stgcn_lightning.sources.mmaction2 import write_annotations
from stgcn_lightning.sources.synthetic import synthetic_annotations

CHECKPOINT = LEGACY / "version_0_1_0_finished.ckpt"
BENCHMARK = ["benchmark.synthetic.train_samples=24", "benchmark.synthetic.val_samples=12"]


def write_checkpoint(path: Path, stream: str = "joint", **card: object) -> Path:
    """A checkpoint of a stream whose answers differ from sample to sample."""
    known = load_model(CHECKPOINT)[1]
    path.write_bytes(safetensors_bytes(decided(stream), known | {"stream": stream} | card))
    return path


@cache
def decided(stream: str) -> dict[str, torch.Tensor]:
    """Weights whose norms fit their input, as after a long training: answers are far apart."""
    predictor = Predictor(CHECKPOINT)
    samples = list(embedded().values())
    gather = ClipGatherer(store_in_memory(samples, predictor.spec), stream_named(stream), 2)
    tables = [evaluation_indices(s.keypoint.shape[1], predictor.clip_frames, 1) for s in samples]
    model = predictor.model
    for module in model.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.momentum = 1.0
    model.train()
    with torch.no_grad():
        clips = gather(torch.arange(len(samples)), torch.as_tensor(np.stack(tables)))
        model(clips.flatten(0, 1))
        model.classify.weight *= 100  # which a short training has left small
        model.classify.bias -= model.eval()(clips.flatten(0, 1)).mean(0)
    return model.state_dict()


def embedded() -> dict[str, Sample]:
    """The samples of the embedded data that tests answer for, by id."""
    annotations = synthetic_annotations("2d", 24, 12, seed=0)
    wanted = set(annotations.splits["val"])
    return {sample.id: sample for sample in annotations.samples if sample.id in wanted}


def write_embedded(path: Path, dtype: type = np.float16) -> Path:
    """The embedded data as annotations; key-point files hold it in float32."""
    annotations = synthetic_annotations("2d", 24, 12, seed=0)
    samples = [
        replace(one, keypoint=one.keypoint.astype(dtype), score=np.asarray(one.score, dtype))
        for one in annotations.samples
    ]
    write_annotations(path, replace(annotations, samples=samples))
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
