"""The front doors as a user opens them, on a data set of a few samples."""

import csv
import os
import pickle
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import shared

from stgcn_lightning.doors import nearest, open_door, run_dir
from stgcn_lightning.files import read_checkpoint, read_test_dump
from stgcn_lightning.jobs import fusing, preparing, testing, training

TASKS = {
    "train": training.train,
    "test": testing.test,
    "fuse": fusing.fuse_scores,
    "prepare": preparing.prepare,
}
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
            open_door(TASKS[name], name)
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


@pytest.mark.slow
def test_a_sweep_ends_with_mean_and_standard_deviation(door):
    status, out, err = door("train", *TINY, "-m", "seed=0,1", "recipe.epochs=1", "test_after=true")
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
        door("train", "experiment=ntu60_xsub_2d_bone"),
        "no annotation file data/ntu60_2d.pkl: download https://",
        "set benchmark.annotations=FILE",
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
        if self.current_epoch == 1:
            raise KeyboardInterrupt
        return step(self, batch)

    monkeypatch.setattr(Recognizer, "training_step", interrupted)
    assert door("train", *TINY, "hydra.run.dir=run")[0] == 130
    saved = read_checkpoint(Path("run/checkpoints/last.ckpt"))
    assert saved["epoch"] == 1


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
        (["stream=null"], ["group override must be a string"]),
        (["resume=false"], ["resume=False is neither auto nor a checkpoint"]),
    ],
)
def test_more_wrong_input_of_train(door, arguments, parts):
    refused(door("train", *TINY, *arguments), *parts)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_gpu_that_is_not_there_is_named(door):
    refused(door("train", *TINY[1:], "trainer=gpu"), "trainer cannot be built", "gpu")


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


def test_ctrl_c_during_a_test_ends_with_130(door, monkeypatch):
    from stgcn_lightning.recognizer import Recognizer

    assert door("train", *TINY, "recipe.epochs=1", "hydra.run.dir=run")[0] == 0

    def interrupted(self, batch):
        raise KeyboardInterrupt

    monkeypatch.setattr(Recognizer, "test_step", interrupted)
    assert door("test", *TINY, "checkpoint=run/checkpoints/best.ckpt")[0] == 130
