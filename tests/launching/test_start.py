"""How fast the doors answer, and the smallest jobs run: by what they leave unimported."""

import os
import re
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
from helpers import CHECKOUT, LEGACY

from stgcn_lightning.evaluation.published import experiments
from stgcn_lightning.launching.tasks import TASKS
from stgcn_lightning.sources.annotations import Annotations, Sample
from stgcn_lightning.sources.mmaction2 import write_annotations

# what Lightning and torchmetrics bring along is what a user may have besides
LIGHTNING = ("lightning", "torchmetrics", "scipy", "matplotlib", "pandas", "wandb", "tensorboard")
HEAVY = (*LIGHTNING, "torch", "numpy", "rich", "PIL", "jinja2", "filelock", "submitit", "optuna")
DOOR = """
import runpy, sys
sys.argv = ["{door}.py", *{arguments}]
try:
    runpy.run_module("stgcn_lightning.{door}", run_name="__main__", alter_sys=True)
except SystemExit as end:
    print("status", end.code or 0, file=sys.stderr)
print("imported:", *sorted(set(sys.modules) & set({heavy})), file=sys.stderr)
"""


def python(folder, *arguments):
    paths = os.pathsep.join([str(CHECKOUT / "src"), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("door", "arguments", "status"),
    [
        *((door, ["--help"], 0) for door in TASKS),
        *((door, ["--cfg", "job"], 0) for door in TASKS),
        *((door, ["debgu=true"], 2) for door in TASKS),
        ("train", ["--cfg", "job", "experiment=ntu60_xsub_2d_bone", "trainer=ddp"], 0),
        ("train", ["recipe.epohcs=1"], 2),
        ("train", ["recipe.epochs=-1"], 2),
        ("train", ["experiment=quickstrt"], 2),
        ("predict", ["top=0"], 2),
        ("train", ["-m", "seed=0,1", "stream=bnoe"], 2),
        ("train", ["trainer.devices=0"], 2),
        ("sweeps", ["."], 2),
    ],
)
def test_what_needs_no_job_is_answered_without_pytorch(tmp_path, door, arguments, status):
    done = python(tmp_path, "-c", DOOR.format(door=door, arguments=arguments, heavy=HEAVY))
    lines = done.stderr.strip().splitlines()
    assert lines[-1] == "imported:", done.stderr
    if status:
        assert lines[-2] == f"status {status}"
        assert len(lines) == 3, "one sentence"
    else:
        assert done.stdout


@pytest.mark.parametrize("door", TASKS)
def test_help_is_that_of_hydra_without_private_options(tmp_path, door):
    """With another flag beside it, Hydra answers itself, and lists each published experiment."""
    ours, hydras = (
        python(tmp_path, "-m", f"stgcn_lightning.{door}", "--help", *more).stdout
        for more in ([], ["--run"])
    )
    files = re.sub(r", \w+/\w+(?=, |$)", "", hydras, flags=re.MULTILINE)
    rest, families = re.subn(r"experiment=\w+/BENCHMARK_STREAM: .*\n", "", ours)
    private = r"(?<=: )(?:_\w+, )+|, _\w+(?=, |$)"
    assert rest == re.sub(private, "", files, flags=re.MULTILINE)
    assert families == len({one["model"] for one in experiments().values()})


def test_help_shows_the_values_that_are_given_and_explains_what_is_misspelt(tmp_path):
    shown = python(tmp_path, "-m", "stgcn_lightning.train", "-h", "stream=bone", "seed=7").stdout
    assert "stream:\n  name: bone\n" in shown
    assert "\nseed: 7\n" in shown
    refused = python(tmp_path, "-m", "stgcn_lightning.train", "--help", "stream=bnoe")
    assert refused.stderr == "train: there is no stream/bnoe: did you mean bone?\n"
    assert refused.returncode == 2


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Scores of two streams, a checkpoint, a recording of one person, and annotations."""
    folder = tmp_path_factory.mktemp("files")
    for name in ("joint.npz", "again.npz"):
        shutil.copy(LEGACY / "version_0_1_0_scores.npz", folder / name)
    shutil.copy(LEGACY / "version_0_1_0_finished.ckpt", folder / "best.ckpt")
    walk = np.random.default_rng(0).uniform(100, 200, (1, 1, 17, 2)) + np.arange(40)[:, None, None]
    np.savez(folder / "walk.npz", keypoint=walk.astype(np.float32), img_shape=[480, 640])
    samples = [Sample(f"s{i}", i % 2, walk + i, img_shape=(480, 640)) for i in range(4)]
    splits = {"train": ["s0", "s1"], "val": ["s2", "s3"]}
    write_annotations(folder / "annotations.pkl", Annotations(samples, splits))
    return folder


@pytest.mark.parametrize(
    ("door", "arguments", "unneeded"),
    [
        ("fuse", ["streams={joint: joint.npz, again: again.npz}"], (*LIGHTNING, "torch")),
        ("inspect", ["source=joint.npz"], (*LIGHTNING, "torch")),
        ("inspect", ["source=walk.npz"], (*LIGHTNING, "torch")),
        ("inspect", ["source=annotations.pkl"], (*LIGHTNING, "torch")),
        ("inspect", ["source=best.ckpt"], LIGHTNING),
        ("prepare", ["annotations=annotations.pkl", "benchmark=ntu60_xsub_2d"], LIGHTNING),
        ("predict", ["checkpoint=best.ckpt", "source=walk.npz"], LIGHTNING),
        ("export", ["checkpoint=best.ckpt", "format=safetensors"], LIGHTNING),
    ],
)
def test_a_job_imports_only_what_it_needs(files, door, arguments, unneeded):
    done = python(files, "-c", DOOR.format(door=door, arguments=arguments, heavy=unneeded))
    assert done.returncode == 0, done.stderr
    assert done.stderr.strip().splitlines()[-1] == "imported:", done.stderr


@pytest.mark.parametrize(
    ("code", "unneeded"),
    [
        ("sl.fuse({'joint': sl.read_scores('joint.npz')}, {'joint': 1})", (*LIGHTNING, "torch")),
        ("sl.adjacency(sl.skeleton_named('coco17'), 'spatial')", (*LIGHTNING, "torch")),
        ("sl.load('best.ckpt')", LIGHTNING),
    ],
)
def test_python_code_imports_only_what_it_needs(files, code, unneeded):
    end = f"print(*set(sys.modules) & set({unneeded}))"
    done = python(files, "-c", f"import sys, stgcn_lightning as sl; {code}; {end}")
    assert done.stdout == "\n", done.stdout + done.stderr


def test_importing_the_package_costs_nothing(tmp_path):
    code = (
        "import sys, time; before = set(sys.modules); start = time.perf_counter()\n"
        "import stgcn_lightning\n"
        "print(time.perf_counter() - start, *set(sys.modules) - before)"
    )
    seconds, *modules = min(
        (python(tmp_path, "-c", code).stdout.split() for _ in range(3)), key=lambda w: float(w[0])
    )
    assert float(seconds) < 0.05
    assert not set(modules) & set(HEAVY)


def test_the_console_command_lists_the_doors(tmp_path):
    code = "from stgcn_lightning.__main__ import main; main()"
    done = python(tmp_path, "-X", "importtime", "-c", code)
    assert done.returncode == 0
    assert not re.search(rf"\| +({'|'.join(HEAVY)}|hydra|omegaconf|yaml)\n", done.stderr)
    for door in [*TASKS, "sweeps"]:
        assert f"\n  {door} " in done.stdout
    assert python(tmp_path, "-m", "stgcn_lightning", "--version").stdout.count(".") == 2
    unknown = python(tmp_path, "-m", "stgcn_lightning", "trian", "seed=1")
    assert unknown.returncode == 2
    assert unknown.stderr == "stgcn: there is no door trian: did you mean train?\n"


@pytest.mark.parametrize(
    "arguments",
    [["train", "--cfg", "job"], ["train", "stream=bnoe"], ["sweeps", "absent"], ["sweeps"]],
)
def test_the_console_command_does_what_python_m_does(tmp_path, arguments):
    door, *rest = arguments
    ours = python(tmp_path, "-m", "stgcn_lightning", *arguments)
    expected = python(tmp_path, "-m", f"stgcn_lightning.{door}", *rest)
    assert (ours.returncode, ours.stdout, ours.stderr) == (
        expected.returncode, expected.stdout, expected.stderr
    )  # fmt: skip


def test_a_module_of_the_working_directory_is_found_as_with_python_m(tmp_path):
    """Also by the console script, whose `sys.path` begins with its own folder."""
    (tmp_path / "mine.py").write_text("def callback(): raise ValueError('mine was called')")
    code = "import sys; from stgcn_lightning.__main__ import main; sys.path.pop(0); main()"
    arguments = ["train", "trainer=cpu", "+callbacks.mine._target_=mine.callback"]
    done = python(tmp_path, "-c", code, *arguments)
    assert done.returncode == 2
    assert "mine was called" in done.stderr


@pytest.mark.slow
def test_help_is_answered_in_a_third_of_what_importing_the_job_takes(tmp_path):
    """Before, a door imported its job first: 4.1 s on the machine where this takes 0.6 s."""

    def seconds(*arguments):
        start = time.perf_counter()
        assert python(tmp_path, *arguments).returncode == 0
        return time.perf_counter() - start

    job = "import stgcn_lightning.jobs.training"
    slow = min(seconds("-c", job) for _ in range(3))
    for question in (["--help"], ["--cfg", "job"]):
        command = ["-m", "stgcn_lightning.train", *question]
        assert min(seconds(*command) for _ in range(3)) < slow / 3
