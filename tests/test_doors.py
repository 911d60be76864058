"""The front doors as a user opens them, on a data set of a few samples."""

import csv
import json
import logging
import os
import pickle
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from filelock import FileLock
from forked import run as run_forked
from helpers import body_at, shared
from helpers import write_skeleton_file as write

from stgcn_lightning.errors import nearest
from stgcn_lightning.evaluation.scores import read_scores
from stgcn_lightning.files.archives import read_checkpoint
from stgcn_lightning.files.dumps import read_test_dump
from stgcn_lightning.jobs import reproducing, training
from stgcn_lightning.launching.doors import open_door
from stgcn_lightning.launching.resolvers import run_dir
from stgcn_lightning.sources.mmaction2 import read_annotations

TINY = [
    "trainer=cpu",
    "benchmark.synthetic.train_samples=40",
    "benchmark.synthetic.val_samples=20",
    "model.base_channels=4",
    "data.clip_frames=12",
    "data.test_clips=2",
    "recipe.epochs=2",
    "recipe.train_passes_per_epoch=1",
]


@pytest.fixture
def door(monkeypatch, capsys, tmp_path):
    """Open a door in this process: (arguments) -> (status, standard output, standard error)."""
    monkeypatch.chdir(tmp_path)

    def run(name, *arguments):
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *map(str, arguments)])
        status = 0
        try:
            open_door(name)
        except SystemExit as end:
            status = end.code
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


def refused(result, *parts):
    """The door ended with status 2 and one sentence that holds all `parts`."""
    status, _, err = result
    assert status == 2, err
    assert len(err.strip().splitlines()) == 1, err
    for part in parts:
        assert part in err


@pytest.mark.slow
def test_the_whole_road_trains_resumes_tests_and_fuses(tmp_path):
    def run(name, *arguments):
        command = [sys.executable, "-m", f"stgcn_lightning.{name}", *arguments]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

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

    refused(door("test", *TINY, "checkpoint=run0/checkpoints/best.ckpt"), "stream=bone")
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


RAW = ["benchmark=ntu60_xsub_3d", "raw=raw"]


@pytest.fixture
def raw(tmp_path):
    """A folder of four .skeleton files of 3 frames, one of them listed as missing."""
    for name in (
        "S001C001P001R001A001",
        "S001C001P003R001A060",
        "S001C002P005R002A008",
        "S018C001P008R001A061",
    ):
        write(tmp_path / "raw", [{1: body_at(0), 2: body_at(2)}] * 3, name)
    return tmp_path / "raw"


def test_prepare_reads_skeleton_files_once(door, raw):
    status, out, err = door("prepare", *RAW)
    assert status == 0, err
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
    refused(door("prepare", *RAW), "'S001C001P001R001A001' has no persons", "on_bad_sample=drop")


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["benchmark=ntu60_xsub_2d", "raw=raw"], ["ntu60_xsub_2d is 2D", "pose estimator"]),
        (["benchmark=msr_action3d_xsub", "raw=raw"], ["is not made of NTU RGB+D's .skeleton"]),
        (["benchmark=ntu60_xsub_3d", "raw=absent"], ["there is no folder absent"]),
        ([*RAW, "annotations=a.pkl"], ["give one of the two"]),
        (
            ["benchmark=ntu60_xsub_3d", "benchmark.annotations=null"],
            ["say where the annotations of ntu60_xsub_3d are", "raw=DIR"],
        ),
    ],
)
def test_wrong_input_of_prepare_is_one_sentence_and_status_2(door, raw, arguments, parts):
    refused(door("prepare", *arguments), *parts)


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["experiment=ntu60_xsub_2d_bonee"], ["did you mean ntu60_xsub_2d_bone"]),
        (["recipe.learning_rate=1"], ["there is no key recipe.learning_rate", "did you mean"]),
        (["dat.batch_size=4"], ["did you mean data.batch_size"]),
        (["recipe.epochs=0"], ["recipe.epochs=0 must be a whole number of at least 1"]),
        (["recipe.lr=fast"], ["recipe.lr=fast must be a number"]),
        (["model.base_channels=1.5"], ["model.base_channels=1.5 must be a whole number"]),
        (["stream=bnoe"], ["there is no stream/bnoe: did you mean bone"]),
        (["benchmark.train_split=trian"], ["no split 'trian'", "did you mean train"]),
        (["benchmark.classes=3"], ["label", "benchmark.classes"]),
        (["benchmark.classes=names.txt"], ["names.txt is no file"]),
        (["skeleton=ntu25"], ["17", "25"]),
        (["data.batch_size=0"], ["data.batch_size=0 must be a whole number of at least 1"]),
        (["data.batch_size=many"], ["data.batch_size=many must be a whole number"]),
        (["data.workers=-1"], ["data.workers=-1"]),
        (["data.frame_order=reversed"], ["ordered, shuffled, single"]),
        (["model.graph=spatail"], ["spatail"]),
        (["checkpoint=absent.pth"], ["absent.pth"]),
        (["resume=absent.ckpt"], ["absent.ckpt"]),
        (["recipe.lr=1e30"], ["the loss of step", "lower recipe.lr"]),
    ],
)
def test_wrong_input_of_train_is_one_sentence_and_status_2(door, arguments, parts):
    refused(door("train", *TINY, *arguments), *parts)


def test_missing_annotations_say_where_to_get_them(door):
    refused(
        door("train", "experiment=ntu60_xsub_2d_bone", "downloads.folder=empty"),
        "no annotation file empty/ntu60_2d.pkl: ",
        "stgcn_lightning.prepare benchmark=ntu60_xsub_2d downloads the published one",
        "set benchmark.annotations=FILE",
    )
    refused(
        door("train", "benchmark=ntu60_xsub_3d", "downloads.folder=empty"),
        "set benchmark.annotations=FILE, or make it from NTU RGB+D's .skeleton files",
        "raw=DIR",
    )
    refused(
        door("train", "benchmark=jhmdb14_split1"), "say where the annotations of jhmdb14_split1"
    )


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ([], ["streams='{joint: a.npz, bone: b.npz}'"]),
        (["streams={joint: absent.npz}"], ["absent.npz"]),
        (["streams={joint: a.npz}", "preset=three_stream"], ["two_stream, four_stream"]),
        (["streams={joint: a.npz}", "preset=two_stream", "weights={joint: 1}"], ["give one"]),
        (["streams={joint: a.npz}", "weights=best"], ["weights=best", "weights=learned"]),
        (["streams={joint: a.npz}", "tuning={joint: b.npz}"], ["weights=learned alone"]),
        (["streams={joint: a.npz}", "apply_softmax=1"], ["neither true nor false"]),
        (["streams={}"], ["say what to fuse"]),
        (["streams={joint: a.npz}", "weights={joint: true}"], ["are no weights"]),
        (["streams={joint: a.npz}", "scores=a.npz"], ["would overwrite an input"]),
        (["streams={joint: a.npz}", "scores=a.txt"], ["must end in .npz"]),
        (["streams={joint: a.npz}", "scores=/proc/no/a.npz"], ["choose another folder"]),
    ],
)
def test_wrong_input_of_fuse_is_one_sentence_and_status_2(door, arguments, parts):
    refused(door("fuse", *arguments), *parts)


def test_test_without_a_checkpoint_says_so(door):
    refused(door("test", *TINY), "checkpoint=FILE")


class MakesFolder:
    def __reduce__(self):
        return os.mkdir, ("executed",)


def test_a_hostile_pickle_is_named_and_executes_nothing(door, tmp_path):
    hostile = tmp_path / "hostile.pkl"
    hostile.write_bytes(pickle.dumps(MakesFolder()))
    refused(
        door("train", *TINY, "benchmark.synthetic=null", f"benchmark.annotations={hostile}"),
        "hostile.pkl",
        "nothing in it was executed",
    )
    torch.save({"state_dict": MakesFolder()}, "hostile.pth")
    refused(
        door("test", *TINY, "checkpoint=hostile.pth"), "hostile.pth", "nothing in it was executed"
    )
    assert not Path("executed").exists()


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


def test_debug_shows_the_traceback(door):
    from stgcn_lightning.errors import BadInput

    with pytest.raises(BadInput, match="say where the annotations"):
        door("train", "benchmark=jhmdb14_split1", "debug=true")


def test_resume_auto_finds_the_newest_run(tmp_path):
    assert run_dir(str(tmp_path), "auto").startswith(f"{tmp_path}/20")
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    (tmp_path / "run" / "checkpoints" / "last.ckpt").touch()
    assert run_dir(str(tmp_path), "auto") == f"{tmp_path}/run"
    assert run_dir(str(tmp_path), None) != f"{tmp_path}/run"


def test_nearest_offers_all_names_where_none_is_near():
    assert nearest("bnoe", ["bone", "joint"]) == "did you mean bone?"
    assert nearest("zzz", ["bone", "joint"]) == "choose from bone, joint"


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


def test_flags_may_stand_between_overrides(door):
    assert door("prepare", TINY[0], "--config-dir", ".", *TINY[1:])[0] == 0


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["data.on_bad_sample=eror"], ["data.on_bad_sample=eror is none of error, drop"]),
        (["benchmark.annotations=mine.pkl"], ["choose the benchmark that mine.pkl belongs to"]),
        (["seed=abc"], ["seed=abc must be a whole number"]),
        (["recipe.dropout=2"], ["recipe.dropout=2 must be a number of at most 1"]),
        (["benchmark.classes=null"], ["benchmark.classes=None is no number"]),
        (["benchmark.annotations=a=b.pkl"], ["quote the value"]),
        (["stream=null"], ["a group takes a name or a list of names"]),
        (["benchmark.train_split=null"], ["benchmark.train_split=null is no name: give one"]),
        (["benchmark.val_split=3"], ["benchmark.val_split=3 is no name"]),
        (["data.store_dir=null"], ["data.store_dir=null is no name"]),
        (["benchmark.synthetic=5"], ["benchmark.synthetic=5 is no table of sizes"]),
        (["benchmark.synthetic.train_samples=x"], ["train_samples=x must be a whole number"]),
        (["checkpoint=5"], ["checkpoint=5 is no path"]),
        (["resume=false"], ["resume=False is neither auto nor a checkpoint"]),
    ],
)
def test_more_wrong_input_of_train(door, arguments, parts):
    refused(door("train", *TINY, *arguments), *parts)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_gpu_that_is_not_there_is_named(door):
    refused(door("train", *TINY[1:], "trainer=gpu"), "trainer.accelerator=gpu", "finds no GPU")


def test_a_run_is_never_overwritten_nor_resumed_as_another(door):
    arguments = [*TINY, "recipe.epochs=1", "hydra.run.dir=run", "logger=[]"]
    assert door("train", *arguments)[0] == 0
    before = Path("run/checkpoints/best.ckpt").read_bytes()
    refused(door("train", *arguments), "run already holds checkpoints", "resume=auto")
    refused(door("train", *arguments, "resume=auto", "stream=bone"), "set stream=joint")
    refused(
        door("train", *arguments, "resume=auto", "model.base_channels=8"), "model.base_channels=4"
    )
    assert Path("run/checkpoints/best.ckpt").read_bytes() == before


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
    refused(door("train", *common, "resume=auto"), "keeps them")


def test_a_split_that_no_checkpoint_held_out_is_refused(door):
    assert door("train", *TINY, "recipe.epochs=1", "hydra.run.dir=run")[0] == 0
    checkpoint = "checkpoint=run/checkpoints/best.ckpt"
    refused(door("test", *TINY, checkpoint, "split=holdout"), "without holding subjects out")
    refused(door("test", *TINY, checkpoint, "split=vall"), "vall")
    refused(door("train", *TINY, "data.holdout_subjects=2"), "a share of them")
    status, _, err = door("test", *TINY, checkpoint, "split=train", "scores=train.npz")
    assert status == 0, err
    assert read_scores(Path("train.npz")).meta["split"] == "train"


def test_a_reproduction_trains_fuses_and_does_nothing_twice(door, monkeypatch):
    arguments = ["benchmark=synthetic", *TINY, "recipe.epochs=1"]
    status, out, err = door("reproduce", *arguments, "seeds=[0,1]")
    assert status == 0, err
    folder = Path("runs/reproduce/synthetic")
    found = json.loads((folder / "reproduction.json").read_text())
    assert [row["name"] for row in found["rows"]] == [
        "joint", "bone", "joint_motion", "bone_motion", "two_stream", "four_stream"
    ]  # fmt: skip
    for row in found["rows"]:
        runs = [read_scores(folder / row["name"] / f"seed_{n}" / "scores.npz") for n in (0, 1)]
        top1 = [(run.scores.argmax(1) == run.labels).mean() for run in runs]
        assert row["seeds"] == pytest.approx(top1)
        assert row["top1"] == pytest.approx(np.mean(top1))
    markdown = (folder / "reproduction.md").read_text()
    assert "joint:joint_motion:bone:bone_motion 2:1:2:1" in markdown

    def never(cfg):
        raise AssertionError("trained again")

    monkeypatch.setattr(reproducing, "train", never)
    status, out, err = door("reproduce", *arguments, "seeds=[0,1]")
    assert status == 0, err
    assert out.count("done, ") == 8
    assert (folder / "reproduction.md").read_text() == markdown
    refused(
        door("reproduce", *arguments, "recipe.lr=0.2"),
        "recipe.lr=0.1, not 0.2",
        "hydra.run.dir=NEW",
    )

    shutil.copy(folder / "bone/seed_0/scores.npz", folder / "joint/seed_1/scores.npz")
    refused(
        door("reproduce", *arguments, "seeds=[0,1]"),
        "joint/seed_1/scores.npz was made with stream bone, not joint",
        "delete it",
    )
    assert door("reproduce", *arguments, "seeds=[0]")[0] == 0
    assert (folder / "reproduction_seeds_0_1.md").read_text() == markdown
    with FileLock(folder / ".lock"):
        refused(door("reproduce", *arguments), "another process is at work")
    (folder / "settings.json").write_text("{")
    refused(door("reproduce", *arguments), "settings.json is damaged")

    checkpoint = folder / "joint/seed_0/checkpoints/best.ckpt"
    given = [*arguments, f"checkpoints={{joint: {checkpoint}}}", "hydra.run.dir=given"]
    status, out, err = door("reproduce", *given)
    assert status == 0, err
    (row,) = json.loads(Path("given/reproduction.json").read_text())["rows"]
    assert row["top1"] == found["rows"][0]["seeds"][0]


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["seeds=[0,0]"], ["seeds=[0, 0]", "different whole numbers"]),
        (["seeds=3"], ["seeds=3 are no list"]),
        (["checkpoint=a.ckpt"], ["checkpoints='{joint: FILE, bone: FILE}'"]),
        (["checkpoints=a.ckpt"], ["checkpoints=a.ckpt is neither zoo nor a mapping"]),
        (["checkpoints=zoo"], ["publishes no checkpoints for synthetic", "leave out checkpoints"]),
        (["checkpoints={limb: a.ckpt}"], ["limb is none of the streams joint"]),
        (["checkpoints={joint: a.ckpt}"], ["no checkpoint a.ckpt"]),
        (["checkpoints={joint: a.ckpt}", "seeds=[0,1]"], ["leave out seeds"]),
        (["checkpoints={}"], ["neither zoo nor a mapping"]),
        (["debug=fast"], ["use it with train or test"]),
        (["benchmark=syntetic"], ["did you mean synthetic"]),
    ],
)
def test_wrong_input_of_reproduce_is_one_sentence_and_status_2(door, arguments, parts):
    refused(door("reproduce", *TINY, *arguments), *parts)


@pytest.mark.slow
def test_a_reproduction_killed_at_three_moments_ends_with_the_same_table(tmp_path):
    arguments = ["benchmark=synthetic", *TINY, "benchmark.synthetic.train_samples=200"]

    def reproduce(name, seconds=None):
        folders = [f"hydra.run.dir={tmp_path / name}", f"data.store_dir={tmp_path / 'stores'}"]
        started = time.monotonic()
        ended = run_forked(tmp_path, "reproduce", *arguments, *folders, kill_after=seconds)
        return ended.returncode, ended.stdout, time.monotonic() - started

    run_forked(tmp_path, "train", "--help")  # the fork server has imported everything
    status, whole, seconds = reproduce("whole")
    assert status == 0
    assert whole.count("epoch 2/2") == 4
    rng = random.Random(0)
    killed = [reproduce("killed", rng.uniform(0.35, 0.6) * seconds) for _ in range(3)]
    status, last, _ = reproduce("killed")
    assert status == 0
    assert any(status == -signal.SIGKILL for status, _, _ in killed)
    tables = [(tmp_path / name / "reproduction.md").read_text() for name in ("whole", "killed")]
    assert tables[0] == tables[1]
    for stream in ("joint", "bone", "joint_motion", "bone_motion"):
        scores = [tmp_path / name / stream / "seed_0/scores.npz" for name in ("whole", "killed")]
        with np.load(scores[0]) as a, np.load(scores[1]) as b:
            np.testing.assert_array_equal(a["scores"], b["scores"])
    # a stream that had its scores was never begun again
    everything = "".join(out for _, out, _ in killed) + last
    assert everything.count("epoch 2/2") <= 4 + len(killed)


def test_a_start_that_failed_does_not_bind_the_folder(door):
    missing = ["benchmark=jhmdb14_split1", "trainer=cpu", "hydra.run.dir=run"]
    refused(door("reproduce", *missing), "say where the annotations")
    refused(
        door("reproduce", *missing, "benchmark.annotations=absent.pkl"), "no annotation file absent"
    )


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


def test_scores_never_overwrite_a_checkpoint(door):
    assert door("train", *TINY, "recipe.epochs=1", "hydra.run.dir=run")[0] == 0
    checkpoint = Path("run/checkpoints/best.ckpt")
    before = checkpoint.read_bytes()
    for target in (checkpoint, "result.txt"):
        refused(
            door("test", *TINY, f"checkpoint={checkpoint}", f"scores={target}"), "must end in .npz"
        )
    assert checkpoint.read_bytes() == before


def test_scores_under_the_name_of_another_stream_are_refused(door):
    assert door("train", *TINY, "recipe.epochs=1", "test_after=true", "hydra.run.dir=run")[0] == 0
    refused(door("fuse", "streams={bone: run/scores.npz}"), "holds scores of the stream joint")


def test_a_published_checkpoint_of_another_stream_is_refused_before_it_is_downloaded(door):
    arguments = ["experiment=ntu60_xsub_2d_joint", "checkpoint=zoo:ntu60_xsub_2d_bone"]
    refused(door("test", *arguments), "stream bone in 2d", "set experiment=ntu60_xsub_2d_bone")


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


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ([], ["format=onnx, safetensors, mmaction2"]),
        (["format=onxn"], ["did you mean onnx"]),
        (["fromat=onnx"], ["there is no key fromat: did you mean format"]),
        (["format=onnx", "checkpoint=absent.ckpt"], ["there is no file absent.ckpt"]),
    ],
)
def test_wrong_input_of_export_is_one_sentence_and_status_2(door, arguments, parts):
    refused(door("export", *arguments), *parts)
