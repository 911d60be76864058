"""Sweeps: each job in processes of its own, a failed one alone, a table of all."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from helpers import CHECKOUT
from omegaconf import OmegaConf

from stgcn_lightning.checkpoints.zoo import zoo_entries
from stgcn_lightning.errors import BadInput
from stgcn_lightning.launching.composing import composed
from stgcn_lightning.launching.devices import environment_of, parts_of
from stgcn_lightning.launching.sweep import Sweep
from stgcn_lightning.launching.table import keep_result, runs_in, table
from stgcn_lightning.shipped import CONF

TINY = [
    "benchmark.synthetic.train_samples=27",
    "benchmark.synthetic.val_samples=3",
    "model.base_channels=4",
    "data.clip_frames=8",
    "recipe.epochs=1",
    "recipe.train_passes_per_epoch=1",
    "data.batch_size=4",
]


def train(folder, *arguments):
    paths = os.pathsep.join([str(CHECKOUT / "src"), os.environ.get("PYTHONPATH", "")])
    env = {name: value for name, value in os.environ.items() if not name.startswith("WANDB")}
    return subprocess.run(
        [sys.executable, "-m", "stgcn_lightning.train", *TINY, *arguments],
        cwd=folder,
        env=env | {"OMP_NUM_THREADS": "1", "PYTHONPATH": paths, "HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


@pytest.mark.slow
def test_two_jobs_of_two_processes_of_which_the_first_fails(tmp_path):
    done = train(
        tmp_path, "trainer=ddp_cpu", "logger=[csv,wandb]", "-m", "recipe.lr=1e30,0.1"
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "train: 1 job failed" in done.stderr
    (sweep,) = (tmp_path / "runs" / "sweeps").iterdir()
    runs = sorted(path.name for path in sweep.iterdir() if path.is_dir())
    assert runs == ["0_synthetic_joint", "1_synthetic_joint"]
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["sweeps"], "no sweep in it"
    for run in runs:
        assert len(list((sweep / run / "wandb").glob("offline-run-*"))) == 1
    first, second = (json.loads((sweep / run / "result.json").read_text()) for run in runs)
    assert "the loss of step" in first["failure"]
    assert second["failure"] is None
    assert 0 <= second["figures"]["val/top1"] <= 1
    assert (sweep / runs[1] / "checkpoints" / "best.ckpt").exists()
    told = (sweep / "sweep.txt").read_text()
    assert told.strip() in done.stdout
    assert told.splitlines()[1].startswith("recipe.lr=1e+30  failed: the loss of step")


@pytest.mark.slow
def test_a_job_of_submitit_runs_where_it_is_sent_and_keeps_its_result(tmp_path):
    pytest.importorskip("submitit", reason="needs the extra stgcn_lightning[slurm]")
    done = train(
        tmp_path, "trainer=cpu", "-m", "hydra/launcher=submitit_local", "seed=0,1",
        "hydra.launcher.timeout_min=3",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (sweep,) = (tmp_path / "runs" / "sweeps").iterdir()
    runs = runs_in(sweep)
    assert [run.name for run in runs] == ["0_synthetic_joint", "1_synthetic_joint"]
    assert "standard deviation" in table(runs)
    assert table(runs) in done.stdout
    assert (sweep / "sweep.txt").read_text().strip() == table(runs)


@pytest.mark.slow
def test_ctrl_c_lets_all_jobs_side_by_side_save(tmp_path):
    paths = os.pathsep.join([str(CHECKOUT / "src"), os.environ.get("PYTHONPATH", "")])
    sweep = subprocess.Popen(
        [sys.executable, "-m", "stgcn_lightning.train", *TINY, "trainer=cpu", "-m", "seed=0,1",
         "recipe.epochs=100000", "sweep.devices_per_job=1", "hydra.sweep.dir=sweep"],
        cwd=tmp_path,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": paths},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )  # fmt: skip
    runs = [tmp_path / "sweep" / f"{i}_synthetic_joint" for i in range(2)]
    deadline = time.monotonic() + 120
    while not all((run / "checkpoints" / "last.ckpt").exists() for run in runs):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    sweep.send_signal(signal.SIGINT)
    out, err = sweep.communicate(timeout=60)
    assert sweep.returncode == 130
    assert err.strip().endswith("with resume=auto hydra.sweep.dir=sweep goes on")
    assert len(err.strip().splitlines()) == 1
    for run in runs:
        assert "SIGINT: the run is saved up to step" in (run / "output.log").read_text()
        assert json.loads((run / "result.json").read_text())["failure"]
    assert (tmp_path / "sweep" / "sweep.txt").read_text().strip() in out


def test_devices_are_divided_among_jobs(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert parts_of(composed("train", "trainer=cpu")) == (1, 0)
    assert parts_of(composed("train", "trainer=cpu", "sweep.devices_per_job=2")) == (3, 2)
    for wrong in ("0", "7", "two", "true"):
        with pytest.raises(BadInput, match="from 1 to 6, the cores of this machine"):
            parts_of(composed("train", "trainer=cpu", f"sweep.devices_per_job={wrong}"))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 8)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    gpu = composed("train", "trainer=gpu", "sweep.devices_per_job=2")
    assert parts_of(gpu) == (4, 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert environment_of(gpu, 3, 2) == {"CUDA_VISIBLE_DEVICES": "6,7"}
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6,7")
    assert environment_of(gpu, 1, 2) == {"CUDA_VISIBLE_DEVICES": "6,7"}
    cpu = composed("train", "trainer=cpu")
    assert environment_of(cpu, 1, 2) == {"OMP_NUM_THREADS": "1"}, "whatever GPUs there are"


@pytest.fixture
def started(tmp_path, monkeypatch):
    """A sweep, and the jobs it has started, without processes: (devices, processes, log)."""
    jobs = []

    class Started:
        def __init__(self, door, cfg, processes, *, log, environment):
            jobs.append((cfg.trainer.devices, processes, log and Path(log).name))

        def running(self):
            return False

        def send(self, number): ...

        def kill(self): ...

        def result(self):
            return {}

    monkeypatch.setattr("stgcn_lightning.launching.sweep.Job", Started)
    hydra = OmegaConf.create({"overrides": {"task": []}})
    monkeypatch.setattr("stgcn_lightning.launching.sweep.HydraConfig.get", lambda: hydra)
    return Sweep("train", tmp_path), jobs


def job_in(folder, *overrides):
    folder.mkdir(exist_ok=True)
    cfg = composed("train", "trainer=ddp_cpu", *overrides)
    cfg.run_dir = str(folder)
    return cfg


@pytest.mark.parametrize(("cores", "log"), [(2, None), (4, "output.log")])
def test_a_job_has_the_devices_that_the_sweep_gives_it(tmp_path, monkeypatch, started, cores, log):
    """Also where one job takes all of them."""
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    cfg = job_in(tmp_path / "0_x", "trainer.devices=1", "sweep.devices_per_job=2")
    sweep, jobs = started
    sweep.start(cfg)
    assert jobs == [(2, 2, log)]


def test_jobs_that_would_share_a_run_directory_are_refused(tmp_path, started):
    sweep, jobs = started
    sweep.start(job_in(tmp_path / "x", "seed=0"))
    with pytest.raises(BadInput, match=r"two jobs of this sweep would share .*/x: tell them apart"):
        sweep.start(job_in(tmp_path / "x", "seed=1"))
    assert len(jobs) == 1


def test_a_pattern_that_matches_nothing_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["train", "-m", "experiment=glob(agcnn/*)"])
    with pytest.raises(BadInput, match=r"nothing that experiment=glob\(agcnn/\*\) matches: python"):
        Sweep("train", tmp_path).refuse_none([])


def test_a_table_averages_seeds_and_names_failures(tmp_path):
    for i, (seed, top1) in enumerate(((0, 0.5), (1, 0.7), (2, None))):
        run = tmp_path / f"{i}_x"
        run.mkdir()
        figures = {} if top1 is None else {"val/top1": top1}
        keep_result(run, ["a=1", f"seed={seed}"], figures, None if figures else "no\nway")
    lines = table(runs_in(tmp_path)).splitlines()
    assert [" ".join(line.split()) for line in lines] == [
        "job val/top1", "seed=0 50.00 %", "seed=1 70.00 %", "seed=2 failed: way",
        "mean 60.00 %", "standard deviation 14.14 %",
    ]  # fmt: skip
    with pytest.raises(BadInput, match="holds no results of a sweep"):
        runs_in(tmp_path / "0_x")


@pytest.mark.parametrize("name", ["grid_8gpu", "grid_slurm"])
def test_launch_lines_name_the_sixteen_published_cells(tmp_path, name):
    stub = tmp_path / "python"
    stub.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    stub.chmod(0o755)
    words = subprocess.run(
        ["bash", str(CHECKOUT / "scripts" / f"{name}.sh"), "recipe.epochs=2"],
        env=os.environ | {"PYTHON": str(stub)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert words[:4] == ["-m", "stgcn_lightning.train", "-m", "experiment=glob(ntu*_xsub_*)"]
    cells = sorted(path.stem for path in (CONF / "experiment").glob("ntu*_xsub_*.yaml"))
    published = [one for one in zoo_entries().values() if one.source == "mmaction2"]
    assert cells == sorted(one.experiment for one in published if one.model == "stgcn")
    own = [word for word in words[4:] if not word.startswith("hydra")]
    for cell in cells:
        cfg = composed("train", f"experiment={cell}", *own)
        assert (cfg.data.batch_size, cfg.model.norm_group, cfg.recipe.epochs) == (128, 16, 2)


@pytest.mark.slow
def test_a_search_goes_on_where_it_was_stopped(tmp_path):
    pytest.importorskip("optuna", reason="needs the extra stgcn_lightning[search]")
    paths = os.pathsep.join([str(CHECKOUT / "src"), os.environ.get("PYTHONPATH", "")])
    for trials in (1, 2):
        done = subprocess.run(
            [
                sys.executable,
                CHECKOUT / "scripts" / "search.py",
                f"--trials={trials}",
                "trainer=cpu",
                *TINY,
                "benchmark.synthetic.train_samples=60",
            ],
            cwd=tmp_path,
            env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": paths},
            capture_output=True,
            text=True,
            check=False,
        )
        assert not done.returncode, done.stderr
        assert done.stdout.count("holdout/top1 ") == 2, "one trial each, and the best"
        assert f"best of {trials}: trial" in done.stdout
    assert len(list((tmp_path / "runs" / "search").glob("trial_*"))) == 2
