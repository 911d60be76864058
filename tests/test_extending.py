"""What docs/extending.md says, done: its files, its commands; and ST-GCN++ through all doors."""

import json
import re
import shlex
import subprocess
import sys

import forked
import numpy as np
import pytest
from helpers import CHECKOUT

PAGE = (CHECKOUT / "docs" / "extending.md").read_text()
TINY = ["trainer=cpu", "data.clip_frames=12", "data.test_clips=2"]
SMALL = [
    "benchmark.synthetic.train_samples=40",
    "benchmark.synthetic.val_samples=20",
    "recipe.train_passes_per_epoch=1",
]
RUNS = ("train", "test")  # doors whose commands are made tiny


def section(title):
    """The page from a heading to the next one of its level."""
    return re.search(rf"^(#+) {re.escape(title)}\n(.*?)(?=^\1 |\Z)", PAGE, re.M | re.S)[2]


def write_files(folder):
    """Every file of the page: a fence whose first line is a comment with a name."""
    for name, content in re.findall(r"^```\w+\n# (\S+)\n(.*?)^```", PAGE, re.M | re.S):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def run(folder, command, *more, started=False):
    """Run a command line of the page, in `folder`; returns its standard output.

    Its door is forked from a server that has imported everything; `started` starts Python.
    """
    words = shlex.split(command)
    assert words[0] == "python"
    door = words[2].removeprefix("stgcn_lightning.") if words[1] == "-m" else ""
    said = {word.split("=")[0] for word in words}
    tiny = [one for one in more if door in RUNS and one.split("=")[0] not in said]
    if door and not started:
        assert words[2] == f"stgcn_lightning.{door}"
        done = forked.run(folder, door, *words[3:], *tiny)
    else:
        done = subprocess.run(
            [sys.executable, *words[1:], *tiny],
            cwd=folder, capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    assert done.stderr == "", command
    return done.stdout


def run_all(folder, text, *more, started=False):
    """Run all commands of a part of the page; returns what each of them printed."""
    commands = [
        line for block in re.findall(r"^```sh\n(.*?)^```", text, re.M | re.S)
        for line in block.splitlines()
    ]  # fmt: skip
    assert commands
    return [run(folder, command, *more, started=started) for command in commands]


@pytest.fixture
def folder(tmp_path):
    write_files(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_a_backbone_from_outside_trains_resumes_tests_and_exports(folder):
    first, resumed, tested, _, onnx, folded = run_all(
        folder, section("A backbone").replace("recipe.epochs=20", "recipe.epochs=3"),
        *TINY, *SMALL, "recipe.epochs=2",
    )  # fmt: skip
    assert "toy: 787 parameters" in first
    assert "resuming from runs/toy/checkpoints/last.ckpt" in resumed
    assert "mean class accuracy" in tested
    assert "16 clips of 300 frames" in onnx
    assert "mean class accuracy" in folded
    for name in ("toy.safetensors", "toy_onnx.onnx", "toy_test_report.html"):
        assert (folder / name).exists()
    with np.load(folder / "toy.npz") as plain, np.load(folder / "folded.npz") as same:
        np.testing.assert_allclose(same["scores"], plain["scores"], rtol=0, atol=1e-6)
        assert (same["scores"] != plain["scores"]).any(), "the folded form has answered"


@pytest.mark.slow
def test_a_stream_from_outside_trains_tests_fuses_and_exports(folder):
    *_, fused, _ = run_all(
        folder, section("A stream"), *TINY, *SMALL, "recipe.epochs=1", "model.base_channels=4"
    )
    assert re.search(r"acceleration .* 1 ", fused)
    about = json.loads((folder / "acceleration.json").read_text())
    assert about["prepare"]["2 stream"].startswith("my_streams.acceleration(joints, sequences, sc")


@pytest.mark.slow
def test_a_source_from_outside_is_prepared_and_all_three_work_together(folder):
    _, prepared, trained, tested, _ = run_all(
        folder, section("A source"), "trainer=cpu", started=True
    )
    assert "90 samples, 5 joints (stick5)" in prepared
    assert "waves, acceleration stream" in trained
    assert float(re.search(r"top-1 +│ +([0-9.]+) │", tested)[1]) > 80, tested
    # two ranks find the modules, too; the sentences of a mistake know the user's own keys
    train = "python -m stgcn_lightning.train --config-dir conf_mine benchmark=waves model=toy "
    ranks = "trainer=ddp_cpu data.batch_size=4 recipe.epochs=1 hydra.run.dir=runs/two"
    assert "2 x CPU" in run(folder, train + ranks, started=True)
    for mistake, sentence in {
        "model.widht=4": "there is no key model.widht: did you mean model.width",
        "model._target_=my_models.Tyo": "_target_=my_models.Tyo cannot be imported: module 'my_mo",
        "model=stgcn checkpoint=runs/waves/checkpoints/best.ckpt": "holds another model: set mo",
    }.items():
        _, _, _, *words = shlex.split(train + mistake)
        if "model=stgcn" in words:
            words.remove("model=toy")
        done = forked.run(folder, "train", *words)
        assert done.returncode == 2, done.stderr
        assert len(done.stderr.splitlines()) == 1, done.stderr
        assert sentence in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(("model", "width"), [("stgcnpp", 6), ("aagcn", 8)])
def test_a_family_goes_through_all_doors(model, width, tmp_path):
    def door(name, *arguments):
        ended = forked.run(tmp_path, name, *arguments)
        assert (ended.returncode, ended.stderr) == (0, ""), arguments
        return ended.stdout

    tiny = [*TINY, *SMALL, f"model={model}", f"model.base_channels={width}"]
    at_joint, at_bone = "hydra.run.dir=joint", "hydra.run.dir=bone"
    assert f"{model}, {width} base channels" in door("train", *tiny, "recipe.epochs=1", at_joint)
    assert "epoch 2/2" in door("train", *tiny, "recipe.epochs=2", at_joint, "resume=auto")
    grouped = ["trainer.precision=bf16-mixed", "model.norm_group=4", "recipe.epochs=1"]
    door("train", *tiny, *grouped, "stream=bone", at_bone)
    best = "checkpoint=joint/checkpoints/best.ckpt"
    door("test", *tiny, best, "scores=joint.npz")
    door("test", *tiny, "stream=bone", "checkpoint=bone/checkpoints/best.ckpt", "scores=bone.npz")
    streams = "streams={joint: joint.npz, bone: bone.npz}"
    assert "fused" in door("fuse", streams, "preset=two_stream")
    assert "16 clips of 300 frames" in door("export", best, "format=onnx", "out=onnx.onnx")
    for form, suffix in {"mmaction2": "pth", "safetensors": "safetensors"}.items():
        door("export", best, f"format={form}", f"out={form}.{suffix}")
        door("test", *tiny, f"checkpoint={form}.{suffix}", f"scores={form}.npz")
        with np.load(tmp_path / "joint.npz") as ours, np.load(tmp_path / f"{form}.npz") as again:
            np.testing.assert_array_equal(again["scores"], ours["scores"])
    report = (tmp_path / "joint_test_report.html").read_text()
    assert "Learned importance" in report
    assert "four_stream" in door("reproduce", *tiny, "recipe.epochs=1")


@pytest.mark.parametrize(
    ("door", "more"),
    [
        ("test", ["checkpoint=zoo:ntu60_xsub_2d_joint"]),
        ("train", ["checkpoint=zoo:ntu60_xsub_2d_joint", "benchmark=synthetic", *SMALL]),
        ("export", ["checkpoint=zoo:ntu60_xsub_2d_joint", "format=safetensors"]),
        ("reproduce", ["checkpoints={joint: zoo:ntu60_xsub_2d_joint}"]),
    ],
)
def test_the_zoo_is_refused_for_another_family_before_anything_is_fetched(tmp_path, door, more):
    nowhere = ["downloads.address=http://127.0.0.1:9", "benchmark=ntu60_xsub_2d"]
    done = forked.run(tmp_path, door, "model=stgcnpp", *nowhere, *more)
    assert done.returncode == 2
    assert "zoo:ntu60_xsub_2d_joint is of stgcn, not stgcnpp: set model=stgcn, or " in done.stderr
    assert "take zoo:stgcnpp/ntu60_xsub_2d_joint" in done.stderr
