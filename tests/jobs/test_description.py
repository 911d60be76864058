"""What is derived from the settings, by hand; sharing a batch is in tests/test_ranks.py."""

from dataclasses import FrozenInstanceError, replace

import pytest

from stgcn_lightning import ranks
from stgcn_lightning.errors import BadInput
from stgcn_lightning.jobs.backbones import build_model
from stgcn_lightning.jobs.building import build
from stgcn_lightning.jobs.cards import model_card, training_card
from stgcn_lightning.jobs.continuing import samples_of
from stgcn_lightning.jobs.description import Batch, learning_rate, share_batch
from stgcn_lightning.launching.composing import composed
from stgcn_lightning.settings.compose import settings_of
from stgcn_lightning.settings.frozen import frozen

TINY = [
    "trainer=cpu",
    "benchmark.synthetic.train_samples=40",
    "benchmark.synthetic.val_samples=20",
    "model.base_channels=4",
    "data.clip_frames=12",
]


def settings(*overrides):
    return settings_of("train", composed("train", "run_dir=run", *overrides))


def test_the_learning_rate_says_how_it_was_found():
    recipe, batch = settings().recipe, Batch(1, 16, None)
    assert learning_rate(recipe, batch).lr == 0.0125
    assert learning_rate(recipe, batch).line == "lr 0.1 -> 0.0125 (batch 128 -> 16)"
    given = replace(recipe, lr=0.3)
    assert (learning_rate(given, batch).lr, learning_rate(given, batch).line) == (
        0.3,
        "lr 0.3 (as given, batch 16)",
    )
    unscaled = replace(recipe, scale_lr=False)
    assert learning_rate(unscaled, batch).line == "lr 0.1 (not scaled, batch 16)"


def test_the_learning_rate_is_that_of_all_accumulated_clips():
    rate = learning_rate(settings().recipe, Batch(2, 4, None, accumulated=8))
    assert rate.lr == 0.05
    assert rate.line == "lr 0.1 -> 0.05 (batch 128 -> 64 = 8 x 8 accumulated)"


def test_the_line_of_a_shared_batch(monkeypatch):
    assert share_batch(settings("trainer=cpu")).line == ""
    monkeypatch.setattr(ranks, "world_size", lambda: 2)
    shared = share_batch(settings("trainer=ddp"))
    assert shared.line == "batch 128 = 2 devices x 64 clips in norm groups of 16"
    assert shared.together == 128
    monkeypatch.setattr(ranks, "world_size", lambda: 8)
    assert share_batch(settings("trainer=ddp")).line == "batch 128 = 8 devices x 16 clips"
    given = share_batch(settings("trainer=ddp", "data.batch_size=4"))
    assert (given.line, given.together) == ("", 32)
    shared = share_batch(settings("trainer=ddp", "recipe.accumulate=4"))
    assert shared.line == "batch 128 = 8 devices x 4 clips x 4 accumulated"
    assert (shared.at_once, shared.together) == (32, 128)
    with pytest.raises(BadInput, match=r"8 devices cannot share a batch of 128 .* 32 accumulated"):
        share_batch(settings("trainer=ddp", "recipe.accumulate=32"))


def test_a_run_is_described_once_and_kept_with_its_checkpoints(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    chosen = settings(*TINY, "data.holdout_subjects=0.3")
    built = build(chosen)
    run = built.run
    assert run.batch.per_device == built.data.feed.batch_size == 16
    assert run.held_out_subjects
    assert len(built.data.held_out)
    assert run.parameters == sum(p.numel() for p in built.model.parameters())
    printed = capsys.readouterr().out
    assert f"stgcn, 4 base channels: {run.parameters:,} parameters, {run.gmac:.3g} GMAC" in printed
    with pytest.raises(FrozenInstanceError):
        run.epochs = 3

    card = training_card(chosen, built.classes, run, samples_of(built.data))
    assert card["run"] == {
        "devices": 1, "batch_per_device": 16, "global_batch": 16, "accumulated": 1,
        "norm_group": None, "lr": 0.0125,
        "epochs": 16, "held_out_subjects": list(run.held_out_subjects),
        "parameters": run.parameters, "gmac": run.gmac,
    }  # fmt: skip
    assert card["held_out_subjects"] == list(run.held_out_subjects)
    assert set(card) - {"run", "order", "training"} == set(model_card(chosen, built.classes))
    assert chosen.data.batch_size is None, "nothing is written to the settings"
    assert chosen.data.holdout_subjects == 0.3


def test_an_option_that_the_backbone_does_not_have_is_refused_with_those_it_has():
    chosen = settings()
    model = replace(chosen.model, options=frozen({"base_chanels": 4}))
    with pytest.raises(BadInput, match=r"model\.base_chanels.*base_channels"):
        build_model(model, chosen.skeleton, 3, persons=2)
