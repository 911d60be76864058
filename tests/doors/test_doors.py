"""The front doors as a user opens them, on a data set of a few samples."""

import csv
import json
import logging
import os
import re
import shutil
import signal
from pathlib import Path

import forked
import numpy as np
import pytest
import torch
from helpers import shared
from small_runs import RAW, TINY, refused

from stgcn_lightning.evaluation.scores import read_scores
from stgcn_lightning.files.archives import read_checkpoint
from stgcn_lightning.files.dumps import read_test_dump
from stgcn_lightning.jobs import training
from stgcn_lightning.sources.mmaction2 import read_annotations


@pytest.mark.slow
def test_the_whole_road_trains_resumes_tests_and_fuses(tmp_path):
    def run(name, *arguments):
        return forked.succeed(tmp_path, name, *arguments)

    for stream in ("joint", "bone"):
        out = run("train", *TINY, f"stream={stream}", "recipe.epochs=1", f"hydra.run.dir={stream}")
        assert "lr 0.1 -> 0.0125 (batch 128 -> 16)" in out
        assert "epoch 1/1: loss" in out
    again = run("train", *TINY, "stream=joint", "hydra.run.dir=joint", "resume=auto")
    assert "resuming from joint/checkpoints/last.ckpt" in again.replace(f"{tmp_path}/", "")
    assert "epoch 2/2" in again
    assert "epoch 1/2" not in again
    training = (tmp_path / "joint" / "train_report.html").read_text()
    assert "validation top-1, last epoch (2)" in training
    assert "clips per second over epochs" in training

    for stream in ("joint", "bone"):
        out = run(
            "test",
            *TINY,
            f"stream={stream}",
            f"scores={stream}.npz",
            f"checkpoint={stream}/checkpoints/best.ckpt",
        )
        assert "mean class accuracy" in out
        assert "GMAC per clip" in out
        report = (tmp_path / f"{stream}_test_report.html").read_text()
        assert f"<h1>synthetic, {stream} stream</h1>" in report
        top1 = re.search(r"top-1 +│ +([0-9.]+) │", out)
        assert f'<th>top-1</th><td class="number">{top1[1]} %</td>' in report
    out = run(
        "fuse",
        "streams={joint: joint.npz, bone: bone.npz}",
        "preset=two_stream",
        "scores=fused.npz",
    )
    assert "95 % interval" in out
    with np.load(tmp_path / "fused.npz") as fused, np.load(tmp_path / "joint.npz") as joint:
        assert fused["scores"].shape == (20, 12)
        np.testing.assert_array_equal(fused["ids"], joint["ids"])
    with (tmp_path / "joint" / "metrics.csv").open() as file:
        assert any(row["val/top1"] for row in csv.DictReader(file))


# the package silences it, pytest turns it into an error: a resumed run has checkpoints
@pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty")
def test_a_finished_run_says_so_and_goes_on_with_more_epochs(door):
    arguments = [*TINY, "hydra.run.dir=run", "resume=auto"]
    assert door("train", *arguments, "recipe.epochs=1")[0] == 0
    before = Path("run/checkpoints/last.ckpt").read_bytes()
    status, out, err = door("train", *arguments, "recipe.epochs=1")
    assert status == 0, err
    assert "the run is finished: 1 epoch done; recipe.epochs=2 or more goes on" in out
    assert Path("run/checkpoints/last.ckpt").read_bytes() == before
    assert list(Path("run").glob("metrics*.csv")) == [Path("run/metrics.csv")]
    assert "epoch 2/2" in door("train", *arguments, "recipe.epochs=2")[1]
    assert "finished: 2 epochs done; recipe.epochs=3" in door("train", *arguments)[1]


def test_debug_fast_marks_its_scores(door):
    arguments = [*TINY, "data.batch_size=4", "hydra.run.dir=run", "stream=joint"]
    status, out, err = door("train", *arguments, "debug=fast", "test_after=true")
    assert status == 0, err
    assert "partial scores: 8 of 20 samples, because of debug=fast" in out
    with np.load("run/scores.npz") as scores:
        assert json.loads(str(scores["meta"]))["partial"] == "8 of 20 samples"
    checkpoint = "checkpoint=run/checkpoints/best.ckpt"
    status, out, _ = door("test", *TINY, checkpoint, "scores=whole.npz")
    assert status == 0
    assert "partial" not in out
    with np.load("whole.npz") as scores:
        assert "partial" not in json.loads(str(scores["meta"]))


def test_a_run_leaves_no_empty_log_and_still_warns(door, monkeypatch):
    train = training.train

    def warning(cfg):
        logging.getLogger("lightning.pytorch").warning("mind the gap")
        return train(cfg)

    monkeypatch.setattr(training, "train", warning)
    status, out, _ = door("train", *TINY, "debug=fast", "hydra.run.dir=run")
    assert status == 0
    assert "mind the gap" in out
    assert "1 epoch of 1 pass" in out
    assert "run      run\n" in out
    assert not list(Path("run").glob("*.log"))


def test_the_home_directory_may_be_a_tilde_everywhere(door, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    home = tmp_path / "home"
    home.mkdir()
    names = [f"class {i}" for i in range(12)]
    (home / "names.txt").write_text("\n".join(names))
    tiny = [*TINY, "benchmark.classes='~/names.txt'", "recipe.epochs=1"]
    assert door("train", *tiny, "data.store_dir='~/stores'", "hydra.run.dir=home/run")[0] == 0
    assert (home / "stores").exists()
    checkpoint = "'~/run/checkpoints/last.ckpt'"
    status, out, err = door("test", *tiny, f"checkpoint={checkpoint}", "scores='~/scores.npz'")
    assert status == 0, err
    assert "scores: home/scores.npz" in out
    status, _, err = door("fuse", "streams={joint: '~/scores.npz'}", "scores='~/fused.npz'")
    assert status == 0, err
    assert (home / "fused.npz").exists()
    status, out, err = door("train", *tiny, f"resume={checkpoint}")
    assert status == 0, err
    assert "resuming from home/run/checkpoints/last.ckpt" in out
    assert not Path("~").exists()
    refused(door("test", *tiny, "checkpoint='~nobody_here/x.ckpt'"), "there is no such user")


@pytest.mark.slow
def test_a_sweep_ends_with_mean_and_standard_deviation(door):
    status, out, err = door(
        "train", *TINY, "-m", "seed=0,1", "recipe.epochs=1", "test_after=true",
        "sweep.devices_per_job=1",
    )  # fmt: skip
    assert status == 0, err
    assert "seed=0" in out
    assert "mean" in out
    assert "standard deviation" in out
    runs = [path.parent for path in Path().rglob("scores.npz")]
    assert len(runs) == 2
    assert all((run / "checkpoints" / "best.ckpt").exists() for run in runs)


def test_training_is_repeatable_and_the_checkpoint_carries_its_card(door):
    weights = []
    for i in range(2):
        assert door("train", *TINY, f"hydra.run.dir=run{i}", "stream=bone", "seed=3")[0] == 0
        content = torch.load(f"run{i}/checkpoints/last.ckpt", weights_only=True)
        weights.append(content["state_dict"])
    for name, value in weights[0].items():
        assert torch.equal(value, weights[1][name]), name
    card = content["stgcn_lightning"]
    assert card["stream"] == "bone"
    assert card["skeleton"]["name"] == "coco17"
    assert len(card["classes"]) == 12
    assert read_checkpoint(Path("run0/checkpoints/best.ckpt"))["stgcn_lightning"] == card

    other = ["stream=joint", "checkpoint=run0/checkpoints/best.ckpt"]
    refused(door("test", *TINY, *other), "stream bone, not joint: set stream=bone")
    refused(
        door(
            "test",
            *TINY,
            "stream=bone",
            "checkpoint=run0/checkpoints/best.ckpt",
            "model.base_channels=8",
        ),
        "set model.base_channels=4",
    )
    fine_tuned = door(
        "train",
        *TINY,
        "stream=bone",
        "checkpoint=run0/checkpoints/best.ckpt",
        "benchmark.classes=13",
        "debug=fast",
    )
    assert fine_tuned[0] == 0, fine_tuned[2]
    assert "skipped: classify.weight, classify.bias" in fine_tuned[1]


def test_prepare_prints_what_is_in_the_store(door):
    status, out, err = door("prepare", *TINY)
    assert status == 0, err
    assert "20" in out
    assert "coco17" in out
    assert list(Path("stores").glob("*/manifest.json"))


def test_prepare_verifies_the_frames_if_it_is_asked_to(door):
    assert "every part of the store is what was written" in door("prepare", *TINY, "verify=true")[1]
    (frames,) = Path().glob("**/frames.bin")
    content = frames.read_bytes()
    frames.write_bytes(content[:-9000] + b"\xff\x7f" * 4500)  # NaN
    assert "is damaged" not in door("prepare", *TINY)[1]
    refused(
        door("train", *TINY, "hydra.run.dir=run"),
        "lower recipe.lr",
        "is damaged (the frames of",
        "prepare with verify=true",
        "run/checkpoints keeps",
    )
    status, out, _ = door("prepare", *TINY, "verify=true")
    assert status == 0
    assert " is damaged (the frames of " in " ".join(out.split())
    assert door("train", *TINY)[0] == 0


def test_prepare_reads_skeleton_files_once(door, raw):
    status, out, err = door("prepare", *RAW)
    assert status == 0, err
    assert re.search(r"reading 2 \.skeleton files of raw, \d+\.\d MB, in 1 process", out)
    assert (
        "2 .skeleton files read, 1 body dropped; 1 skipped as missing or "
        "incomplete, 1 of actions that ntu60 does not have"
    ) in out
    (made,) = Path("stores").glob("ntu60_3d_*.pkl")
    assert f"for other doors benchmark.annotations={made}" in out
    found = read_annotations(made)
    assert [(s.id, s.label, s.keypoint.shape) for s in found.samples] == [
        ("S001C001P001R001A001", 0, (1, 3, 25, 3)),
        ("S001C001P003R001A060", 59, (2, 3, 25, 3)),
    ]
    changed = made.stat().st_mtime_ns
    assert "unchanged since they were read" in door("prepare", *RAW)[1]
    assert made.stat().st_mtime_ns == changed
    (raw / "S001C001P001R001A001.skeleton").write_text("0\n")
    # the only sample of its split, which cannot be left out
    refused(door("prepare", *RAW), "'S001C001P001R001A001' has no persons; correct it")


def test_ctrl_c_saves_and_ends_with_130(door, monkeypatch):
    from stgcn_lightning.recognizer import Recognizer

    step = Recognizer.training_step

    def interrupted(self, batch):
        if self.global_step == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return step(self, batch)

    monkeypatch.setattr(Recognizer, "training_step", interrupted)
    assert door("train", *TINY, "hydra.run.dir=run")[0] == 130
    saved = read_checkpoint(Path("run/checkpoints/last.ckpt"))
    assert saved["global_step"] == 4  # the step was finished


def test_against_mmaction2_a_published_style_checkpoint_reproduces_its_dump(door, tmp_path):
    checkpoint = shared("interop/mmaction2_stgcn_tiny_bone_2d.pth")
    arguments = [
        "experiment=ntu60_xsub_2d_bone",
        f"benchmark.annotations={shared('interop/tiny_2d.pkl')}",
        "benchmark.classes=4",
        "model.base_channels=8",
        f"checkpoint={checkpoint}",
        "trainer=cpu",
    ]
    expected = read_test_dump(shared("interop/mmaction2_test_dump.pkl"))
    for out in ("out.npz", "out.pkl"):
        status, _, err = door("test", *arguments, f"scores={out}")
        assert status == 0, err
    with np.load("out.npz") as file:
        np.testing.assert_allclose(
            file["scores"], [entry["pred_score"] for entry in expected], atol=1e-4
        )
    ours = read_test_dump(tmp_path / "out.pkl")
    assert [int(o["gt_label"].item()) for o in ours] == [
        int(e["gt_label"].item()) for e in expected
    ]
    shutil.copy(shared("interop/mmaction2_test_dump.pkl"), "theirs.pkl")
    status, out, err = door("fuse", "streams={ours: out.npz, theirs: theirs.pkl}")
    assert status == 0, err
    assert "joined by order" in out


@pytest.mark.parametrize(
    ("model", "file"),
    [
        ("agcn", "mmaction2_agcn_tiny_bone_2d.pth"),
        ("ctrgcn", "pyskl_ctrgcn_tiny_bone_2d.pth"),
    ],
)
def test_checkpoints_of_mmaction2_and_pyskl_give_the_scores_that_these_dumped(door, model, file):
    status, _, err = door(
        "test",
        "experiment=ntu60_xsub_2d_bone",
        f"model={model}",
        f"benchmark.annotations={shared('interop/tiny_2d.pkl')}",
        "benchmark.classes=4",
        "model.base_channels=8",
        f"checkpoint={shared(f'interop-families/{file}')}",
        "trainer=cpu",
        "scores=out.npz",
    )
    assert status == 0, err
    name = file.partition("_tiny")[0]
    with np.load("out.npz") as ours, np.load(shared("interop-families/scores.npz")) as theirs:
        assert ours["ids"].tolist() == theirs["frame_dir"].tolist()
        assert ours["labels"].tolist() == theirs["labels"].tolist()
        np.testing.assert_allclose(ours["scores"], theirs[name], atol=1e-4)


def test_relative_paths_belong_to_the_folder_of_the_command_with_chdir_too(door):
    arguments = [*TINY, "hydra.job.chdir=true", "hydra.run.dir=run", "data.store_dir=mine"]
    status, out, err = door("prepare", *arguments)
    assert status == 0, err
    assert "mine/" in out
    assert Path("mine").is_dir()
    assert not Path("run/mine").exists()


def test_flags_may_stand_between_overrides(door):
    assert door("prepare", TINY[0], "--config-dir", ".", *TINY[1:])[0] == 0


def test_held_out_subjects_select_the_checkpoint_and_learn_the_weights_of_a_fusion(door):
    for stream in ("joint", "bone"):
        common = [*TINY, f"stream={stream}"]
        status, out, err = door(
            "train",
            *common,
            "data.holdout_subjects=0.3",
            "test_after=true",
            f"hydra.run.dir={stream}",
        )
        assert status == 0, err
        for line in ("nothing: the last epoch", "itself (optimistic)", "subjects (honest)"):
            assert line in out
        best = f"checkpoint={stream}/checkpoints/best.ckpt"
        status, _, err = door("test", *common, best, "split=holdout", f"scores={stream}_held.npz")
        assert status == 0, err
        with Path(stream, "metrics.csv").open() as file:
            rows = [row for row in csv.DictReader(file) if row["holdout/top1"]]
        assert len(rows) == 2
        selected = read_checkpoint(Path(stream, "checkpoints/best.ckpt"))
        assert selected["epoch"] == np.argmax([float(row["holdout/top1"]) for row in rows])
    held, tested = read_scores(Path("bone_held.npz")), read_scores(Path("bone/scores.npz"))
    assert held.meta["held_out"]
    subjects = {name[8:12] for name in held.ids}
    assert subjects
    assert subjects.isdisjoint({name[8:12] for name in tested.ids})

    streams = "streams={joint: joint/scores.npz, bone: bone/scores.npz}"
    tuning = "tuning={joint: joint_held.npz, bone: bone_held.npz}"
    status, out, err = door("fuse", streams, "weights=learned", tuning)
    assert status == 0, err
    assert f"weights learned on {len(held.labels)} held-out" in out
    assert "exact McNemar test" in out
    refused(
        door("fuse", streams, "weights=learned", tuning.replace("bone_held", "bone/scores")),
        "tuning scores of bone are not of held-out training samples",
    )
    refused(door("fuse", streams, "weights=learned"), "say what to learn the weights on")
    common = [*TINY, "stream=bone", "recipe.epochs=1", "hydra.run.dir=bone"]
    refused(door("train", *common, "resume=auto"), "data.holdout_subjects=[", "keeps it")


@pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty")
@pytest.mark.filterwarnings("ignore:You're resuming from a checkpoint that ended before")
def test_an_interrupt_during_validation_can_be_resumed(door, monkeypatch):
    from stgcn_lightning.recognizer import Recognizer

    validate = Recognizer.validation_step

    def interrupted(self, batch, batch_idx, dataloader_idx=0):
        raise KeyboardInterrupt

    monkeypatch.setattr(Recognizer, "validation_step", interrupted)
    assert door("train", *TINY, "hydra.run.dir=run")[0] == 130
    monkeypatch.setattr(Recognizer, "validation_step", validate)
    status, out, err = door("train", *TINY, "hydra.run.dir=run", "resume=auto")
    assert status == 0, err
    assert "epoch 2/2: loss" in out


def test_ctrl_c_during_a_test_ends_with_130(door, monkeypatch):
    from stgcn_lightning.recognizer import Recognizer

    assert door("train", *TINY, "recipe.epochs=1", "hydra.run.dir=run")[0] == 0

    def interrupted(self, batch):
        raise KeyboardInterrupt

    monkeypatch.setattr(Recognizer, "test_step", interrupted)
    assert door("test", *TINY, "checkpoint=run/checkpoints/best.ckpt")[0] == 130


def test_what_export_writes_is_tested_like_the_checkpoint(door):
    assert door("train", *TINY, "recipe.epochs=1", "hydra.run.dir=run")[0] == 0
    best = "checkpoint=run/checkpoints/best.ckpt"
    status, out, err = door("export", best, "format=safetensors")
    assert status == 0, err
    (exported,) = Path("runs/export").rglob("synthetic_joint.safetensors")
    assert str(exported) in out
    assert door("test", *TINY, best, "scores=a.npz")[0] == 0
    assert door("test", *TINY, f"checkpoint={exported}", "scores=b.npz")[0] == 0
    with np.load("a.npz") as a, np.load("b.npz") as b:
        np.testing.assert_array_equal(a["scores"], b["scores"])
