"""A predictor's scores are those that the test door writes, for each stream."""

import numpy as np
import pytest
import torch

from stgcn_lightning.evaluation.scores import read_scores
from stgcn_lightning.jobs.backbones import build_model
from stgcn_lightning.jobs.cards import model_card
from stgcn_lightning.jobs.classes import class_names
from stgcn_lightning.jobs.testing import test as run_test
from stgcn_lightning.launching.composing import composed
from stgcn_lightning.predictor import load
from stgcn_lightning.settings.compose import settings_of
from stgcn_lightning.sources.mmaction2 import write_annotations
from stgcn_lightning.sources.synthetic import synthetic_annotations

STREAMS = ("joint", "bone", "joint_motion", "bone_motion", "k_bone", "k_bone_motion")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dimension", "streams", "more"),
    [
        ("2d", STREAMS, []),
        ("3d", STREAMS, []),
        ("3d", ("k_bone",), ["recipe=pyskl"]),  # centred alone, other clips
    ],
)
def test_a_predictor_has_the_scores_of_a_test_for_each_stream(
    dimension, streams, more, tmp_path, monkeypatch, shallow
):
    monkeypatch.chdir(tmp_path)
    annotations = synthetic_annotations(dimension, 18, 12, seed=3)
    write_annotations(tmp_path / "own.pkl", annotations)
    samples = {sample.id: sample for sample in annotations.samples}
    for stream in streams:
        common = [
            f"benchmark=ntu60_xsub_{dimension}", "benchmark.annotations=own.pkl",
            "benchmark.classes=12", "benchmark.train_split=train", "benchmark.val_split=val",
            f"stream={stream}", "model.base_channels=4", "data.clip_frames=12",
            "data.test_clips=3", "trainer=cpu", *more,
        ]  # fmt: skip
        settings = settings_of("train", composed("train", "run_dir=run", *common))
        names = class_names(settings.benchmark.classes)
        torch.manual_seed(0)
        model = build_model(settings.model, settings.skeleton, len(names), persons=2)
        model(torch.randn(2, 2, 12, settings.skeleton.num_joints, 3))
        with torch.no_grad():
            model.classify.weight.normal_(std=2)
        state = {f"model.{name}": value for name, value in model.state_dict().items()}
        card = model_card(settings, names)
        torch.save({"state_dict": state, "stgcn_lightning": card}, f"{stream}.ckpt")
        given = [*common, f"checkpoint={stream}.ckpt", f"scores={stream}.npz", "run_dir=tested"]
        run_test(settings_of("test", composed("test", *given)))
        tested = read_scores(tmp_path / f"{stream}.npz")
        ours = load(f"{stream}.ckpt")([samples[id] for id in tested.ids])
        np.testing.assert_allclose(ours, tested.scores, atol=1e-6)
        assert tested.scores.std(0).max() > 2e-5  # samples differ by more than the tolerance
