"""How fast the doors answer what needs no job: by what they leave unimported."""

import os
import subprocess
import sys
import time

import pytest
from helpers import CHECKOUT

from stgcn_lightning.launching.tasks import TASKS

HEAVY = ("torch", "lightning", "numpy", "wandb", "torchmetrics", "submitit", "optuna", "rich")
DOOR = """
import runpy, sys
sys.argv = ["train.py", *{arguments}]
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
        ("train", ["--cfg", "job", "experiment=ntu60_xsub_2d_bone", "trainer=ddp"], 0),
        ("train", ["recipe.epohcs=1"], 2),
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
    done = python(tmp_path, "-m", "stgcn_lightning")
    assert done.returncode == 0
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
