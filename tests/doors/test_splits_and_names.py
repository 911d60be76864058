"""Which splits a door needs, samples without labels, and classes by their names."""

import csv
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from small_runs import TINY, refused

from stgcn_lightning.evaluation.scores import read_scores
from stgcn_lightning.sources.annotations import Annotations
from stgcn_lightning.sources.mmaction2 import read_annotations, write_annotations

RUN = [*TINY, "recipe.epochs=1", "hydra.run.dir=run"]
BEST = "checkpoint=run/checkpoints/best.ckpt"


def names(folder="run"):
    return {file.name for file in Path(folder, "checkpoints").iterdir()}


def succeeded(result):
    status, out, err = result
    assert status == 0, err
    return out


def own_files():
    """The validation samples of the embedded data in files of their own: labelled, and not."""
    (made,) = Path("stores").glob("*.pkl")
    whole = read_annotations(made)
    members = set(whole.splits["val"])
    samples = [sample for sample in whole.samples if sample.id in members]
    ids = {"val": [sample.id for sample in samples]}
    write_annotations("tested.pkl", Annotations(samples, ids))
    bare = [replace(sample, label=None) for sample in samples]
    write_annotations("bare.pkl", Annotations(bare, ids))
    write_annotations("mixed.pkl", Annotations([*samples[:1], *bare[1:]], ids))
    write_annotations("trained.pkl", Annotations(bare, {"train": ids["val"], **ids}))


def test_a_test_needs_one_split_and_no_labels_and_goes_by_names(door):
    succeeded(door("train", *RUN, "data.holdout_subjects=0.2", "test_after=true"))
    own_files()
    test = ["test", *TINY, "benchmark.synthetic=null", BEST]
    out = succeeded(door(*test, "benchmark.annotations=tested.pkl", "scores=tested.npz"))
    assert "there is no" not in out
    tested, expected = read_scores("tested.npz"), read_scores("run/scores.npz")
    np.testing.assert_allclose(tested.scores, expected.scores, atol=1e-6)

    out = succeeded(door(*test, "benchmark.annotations=bare.pkl", "scores=bare.npz"))
    bare = read_scores("bare.npz")
    assert not bare.labelled
    np.testing.assert_array_equal(bare.scores, tested.scores)
    first, best = bare.ids[0], bare.classes[bare.answers[0]]
    assert f"{first}: {best} {100 * bare.scores[0].max():.1f} %, " in out
    assert "and 10 more" in out
    assert "top-1" not in out
    out = succeeded(door("fuse", "streams={joint: bare.npz}", "scores=fused.npz"))
    assert f"{first}: {best}" in out
    annotations = "benchmark.annotations=mixed.pkl"
    refused(
        door(*test, annotations),
        "has no label, as 19 of 20",
        "test: sample '",
        "label all of them or none",
    )
    refused(door(*test, annotations, "split=test"), "there are: val; split=NAME tests another")
    refused(
        door("train", *RUN[:-1], "benchmark.synthetic=null", "benchmark.annotations=trained.pkl"),
        "has no label, as 20 of 20 samples; training needs one",
    )

    order = [*tested.classes[::-1]]
    swapped = f"benchmark.classes=[{', '.join(order)}]"
    refused(door(*test, swapped, "benchmark.annotations=bare.pkl"), "calls class 0", "=mapped")
    mapped = [*test, swapped, "benchmark.annotations=bare.pkl", "scores=mapped.npz"]
    succeeded(door(*mapped, "classes=mapped"))
    again = read_scores("mapped.npz")
    assert again.classes.tolist() == order
    np.testing.assert_allclose(again.scores[:, ::-1], bare.scores, atol=1e-6)
    out = succeeded(door("test", *TINY, BEST, "benchmark.classes=12", "scores=number.npz"))
    assert "classes are named as run/checkpoints/best.ckpt does" in out
    assert read_scores("number.npz").classes.tolist() == tested.classes.tolist()
    refused(door("test", *TINY, BEST, "data.persons=1"), "set data.persons=2")
    assert "clips have 10 frames" in succeeded(door("test", *TINY, BEST, "data.clip_frames=10"))


def test_a_run_without_validation_keeps_its_last_checkpoint(door):
    none = "benchmark.val_split=null"
    refused(door("train", *RUN, none, "test_after=true"), "nothing to test on", "holdout_subjects")
    out = succeeded(door("train", *RUN, none))
    assert "no epoch is validated (benchmark.val_split=null)" in out
    assert names() == {"last.ckpt", "step_000000002.ckpt"}
    assert "validation" not in Path("run/train_report.html").read_text().split("<h2>Settings")[0]
    refused(
        door("train", *RUN, "benchmark.val_split=vall", "resume=auto"), "val_split=null on none"
    )
    last = "checkpoint=run/checkpoints/last.ckpt"
    refused(door("test", *TINY, none, last), "say which split to test, split=NAME of train, val")
    refused(door("reproduce", *TINY, none), "reproduce tests benchmark.val_split")


def test_a_share_of_the_subjects_or_samples_is_the_validation(door):
    arguments = [*RUN, "benchmark.val_split=null", "data.holdout_subjects=0.25", "test_after=true"]
    out = succeeded(door("train", *arguments, "benchmark.subject=null"))
    assert "a share of the samples is held out" in out
    assert "30 to train on, 10 to validate on, of subjects " in out
    assert {"best.ckpt", "last.ckpt"} <= names()
    scores = read_scores("run/scores.npz")
    assert scores.meta["held_out"]
    with Path("run/metrics.csv").open() as file:
        assert [row for row in csv.DictReader(file) if row["val/top1"]]
    again = [*TINY, "benchmark.subject=null", "benchmark.val_split=null", BEST, "split=holdout"]
    succeeded(door("test", *again, "scores=again.npz"))
    assert read_scores("again.npz").ids.tolist() == scores.ids.tolist()


def test_the_last_checkpoint_is_tested_where_no_epoch_is_validated(door):
    seldom = "+trainer.check_val_every_n_epoch=5"
    out = succeeded(door("train", *RUN, seldom, "test_after=true"))
    assert "no epoch is validated (trainer.check_val_every_n_epoch=5, recipe.epochs=1)" in out
    assert "last.ckpt is tested" in out
    assert read_scores("run/scores.npz").labelled


@pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty")
def test_a_run_that_diverges_keeps_what_it_had(door):
    succeeded(door("train", *RUN))
    before = {file.name: file.read_bytes() for file in Path("run/checkpoints").glob("best.ckpt")}
    longer = [*TINY, "recipe.epochs=4", "hydra.run.dir=run", "resume=auto", "test_after=true"]
    content = torch.load("run/checkpoints/last.ckpt", weights_only=True)
    for state in content["optimizer_states"][0]["state"].values():
        state["momentum_buffer"] += 1e30
    torch.save(content, "run/checkpoints/last.ckpt")
    refused(
        door("train", *longer),
        "(epoch 2, learning rate",
        "lower recipe.lr",
        "run/checkpoints keeps best.ckpt and last.ckpt from before, and test_after tests nothing",
    )
    assert Path("run/train_report.html").exists()
    assert Path("run/checkpoints/best.ckpt").read_bytes() == before["best.ckpt"]
    content["state_dict"]["model.classify.bias"][0] = math.nan
    torch.save(content, "run/checkpoints/last.ckpt")
    for arguments in (longer, [*TINY, "checkpoint=run/checkpoints/last.ckpt"]):
        refused(door("train", *arguments), "holds NaN or infinity in `classify.bias`")
