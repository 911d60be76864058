"""Several processes that train as one: started by us, by torchrun, on one machine and on two."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import forked
import numpy as np
import pytest
import torch
from helpers import CHECKOUT
from omegaconf import OmegaConf

from stgcn_lightning import ranks
from stgcn_lightning.data.store import open_store
from stgcn_lightning.errors import BadInput
from stgcn_lightning.evaluation.scores import read_scores
from stgcn_lightning.files.archives import read_checkpoint
from stgcn_lightning.jobs.description import share_batch
from stgcn_lightning.jobs.trainers import devices_of_ranks
from stgcn_lightning.launching import processes as launch
from stgcn_lightning.launching.composing import composed
from stgcn_lightning.launching.devices import devices_of
from stgcn_lightning.settings.compose import settings_of

TINY = [
    "benchmark.synthetic.train_samples=27",
    "model.base_channels=4",
    "data.clip_frames=8",
    "data.test_clips=2",
    "recipe.epochs=2",
    "recipe.train_passes_per_epoch=2",
    "recipe.lr=0.05",
    "trainer.log_every_n_steps=1",
]
PYTHON = sys.executable


def start(folder, *arguments, program=(PYTHON, "-m", "stgcn_lightning.train"), prefix=(), **env):
    """Start a door in `folder`, in a session of its own."""
    paths = os.pathsep.join([str(CHECKOUT / "src"), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [*prefix, *program, *TINY, *arguments],
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": paths} | env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(process, timeout=120):
    """(status, standard output, standard error) of a process that ends in time."""
    out, err = process.communicate(timeout=timeout)
    return process.returncode, out, err


def processes_of(folder) -> list[int]:
    """Processes that work in `folder`."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if Path(os.readlink(entry / "cwd")) == folder.resolve():
                found.append(int(entry.name))
    return found


def wait_for(condition, seconds=90):
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)
    return value


def column(run, name) -> list[float]:
    with (run / "metrics.csv").open() as file:
        return [float(row[name]) for row in csv.DictReader(file) if row.get(name)]


@pytest.mark.slow
@pytest.mark.parametrize(
    "family",
    [
        ["model=stgcn"],
        # with the learning rate of the other, 14 steps of ST-GCN++ turn rounding, 4e-16, into 1e-2
        ["model=stgcnpp", "model.base_channels=12", "recipe.lr=0.001"],
    ],
    ids=["stgcn", "stgcnpp"],
)
def test_two_processes_train_as_one_with_twice_the_batch(tmp_path, family):
    """In float64; of 54 draws the last batch holds 6, half of them for each rank or norm group."""
    double = ["trainer.precision=64-true", "benchmark.synthetic.val_samples=1", "test_after=true"]
    double += family
    two = start(
        tmp_path, "trainer=ddp_cpu", "data.batch_size=4", "model.norm_group=4", *double,
        "hydra.run.dir=two",
    )  # fmt: skip
    one = forked.run(
        tmp_path, "train", *TINY, "trainer=cpu", "data.batch_size=8", "model.norm_group=4", *double,
        "hydra.run.dir=one",
    )  # fmt: skip
    for status, out, err in (one, finish(two)):
        assert status == 0, out + err
        assert err == ""
    assert out.count("made-up actions") == 1, "rank 0 alone speaks"
    for name in ("train/loss", "val/loss", "val/top1", "train/top1", "lr"):
        ours, theirs = column(tmp_path / "two", name), column(tmp_path / "one", name)
        assert len(ours) == len(theirs) > 1
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9, err_msg=name)
    state, expected = (
        read_checkpoint(tmp_path / run / "checkpoints" / "last.ckpt")["state_dict"]
        for run in ("two", "one")
    )
    for name, tensor in expected.items():
        torch.testing.assert_close(state[name], tensor, rtol=1e-9, atol=1e-9, msg=name)
    assert len(read_scores(tmp_path / "two" / "scores.npz").labels) == 1


@pytest.mark.slow
def test_torchrun_s_processes_share_a_run_and_see_each_sample_once(tmp_path):
    process = start(
        tmp_path, "trainer=ddp_cpu", "benchmark.synthetic.val_samples=13", "test_after=true",
        "data.batch_size=4", "recipe.epochs=1",
        program=(PYTHON, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=3",
                 "-m", "stgcn_lightning.train"),
    )  # fmt: skip
    status, out, err = finish(process)
    assert status == 0, err
    assert " x 12 clips per epoch" in out
    runs = list((tmp_path / "runs" / "synthetic_joint").iterdir())
    assert len(runs) == 1
    scores = read_scores(runs[0] / "scores.npz")
    (store,) = (tmp_path / "stores").glob("*/manifest.json")
    opened = open_store(store.parent)
    assert scores.ids.tolist() == opened.ids[opened.split("val").numpy()].tolist()
    assert len(scores.ids) == 13


@pytest.fixture
def running(tmp_path):
    """Two ranks that train for long: (process, {rank: process id})."""
    process = start(
        tmp_path, "trainer=ddp_cpu", "data.batch_size=4", "recipe.epochs=100000",
        "benchmark.synthetic.val_samples=3", "hydra.run.dir=run",
    )  # fmt: skip
    wait_for((tmp_path / "run" / "checkpoints" / "last.ckpt").exists)
    children = {}
    for pid in processes_of(tmp_path):
        environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        settings = dict(entry.split(b"=", 1) for entry in environment if b"=" in entry)
        if b"RANK" in settings:
            children[int(settings[b"RANK"])] = pid
    assert len(children) == 2
    yield process, children
    process.kill()
    process.communicate()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
def test_a_rank_that_dies_takes_the_run_down_with_its_message(running, tmp_path):
    process, children = running
    os.kill(children[1], signal.SIGKILL)
    status, _, err = finish(process, timeout=60)
    assert status == 128 + signal.SIGKILL
    assert "rank 1 was ended by SIGKILL" in err
    assert "Traceback" not in err
    wait_for(lambda: not processes_of(tmp_path))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
def test_ranks_end_with_the_process_that_started_them(running, tmp_path):
    process, _ = running
    process.kill()
    wait_for(lambda: not processes_of(tmp_path), 20)


@pytest.mark.slow
def test_bad_input_in_ranks_is_one_sentence(tmp_path):
    process = start(
        tmp_path, "trainer=ddp_cpu", "data.batch_size=4", "recipe.lr=1e30",
        "benchmark.synthetic.val_samples=3",
    )  # fmt: skip
    status, _, err = finish(process)
    assert status == 2
    assert len(err.strip().splitlines()) == 1, err
    assert "the loss of step" in err


HOSTS = {"stgcn0": "10.231.7.1", "stgcn1": "10.231.7.2"}


def ip(*words) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@contextmanager
def two_hosts():
    """Two network namespaces with a cable between them: how a program starts in each, and the cut.

    Where they cannot be made, both are this machine, and there is no cable to cut.
    """
    try:
        for name in HOSTS:
            ip("netns", "add", name)
        ip("link", "add", "stgcnv0", "netns", "stgcn0", "type", "veth", "peer", "stgcnv1",
           "netns", "stgcn1")  # fmt: skip
        for i, (name, address) in enumerate(HOSTS.items()):
            ip("-n", name, "addr", "add", f"{address}/24", "dev", f"stgcnv{i}")
            ip("-n", name, "link", "set", f"stgcnv{i}", "up")
            ip("-n", name, "link", "set", "lo", "up")
        yield (
            [("ip", "netns", "exec", name) for name in HOSTS],
            [f"stgcnv{i}" for i in range(2)],
            lambda: ip("-n", "stgcn1", "link", "set", "stgcnv1", "down"),
        )
    except (FileNotFoundError, subprocess.CalledProcessError):
        print("no network namespaces here: two nodes on the loopback interface")
        yield [(), ()], ["lo", "lo"], None
    finally:
        for name in HOSTS if shutil.which("ip") else ():
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


@pytest.mark.slow
def test_two_machines_train_together_and_survive_a_cut_cable(tmp_path):
    common = [
        "trainer=ddp_cpu", "data.batch_size=4", "trainer.strategy.timeout.seconds=5",
        "benchmark.synthetic.val_samples=3", "hydra.run.dir=run", "resume=auto",
    ]  # fmt: skip
    with two_hosts() as (prefixes, interfaces, cut):
        address = HOSTS["stgcn0"] if cut else "127.0.0.1"

        def both(port, *arguments):
            return [
                start(
                    tmp_path, *common, *arguments, prefix=prefix, GLOO_SOCKET_IFNAME=interface,
                    program=(PYTHON, "-m", "torch.distributed.run", "--nnodes=2",
                             f"--node-rank={node}", "--nproc-per-node=1",
                             f"--master-addr={address}", f"--master-port={port}",
                             "-m", "stgcn_lightning.train"),
                )
                for node, (prefix, interface) in enumerate(zip(prefixes, interfaces, strict=True))
            ]  # fmt: skip

        nodes = both(29611, "recipe.epochs=100000")
        wait_for((tmp_path / "run" / "checkpoints" / "last.ckpt").exists)
        if cut:
            cut()
        else:
            os.killpg(nodes[1].pid, signal.SIGKILL)
        status, _, err = finish(nodes[0])
        assert status not in (0, None)
        assert "another rank does not answer" in err
        with suppress(ProcessLookupError):
            os.killpg(nodes[1].pid, signal.SIGKILL)
        nodes[1].communicate()
        if cut:
            ip("-n", "stgcn1", "link", "set", "stgcnv1", "up")
        progress = read_checkpoint(tmp_path / "run" / "checkpoints" / "last.ckpt")
        epochs = progress["epoch"] + 3
        for process in both(29612, f"recipe.epochs={epochs}"):
            status, _, err = finish(process)
            assert status == 0, err
        last = read_checkpoint(tmp_path / "run" / "checkpoints" / "last.ckpt")
        assert last["epoch"] == epochs - 1


def settings(*overrides):
    return settings_of("train", composed("train", "run_dir=run", *overrides))


def test_devices_share_the_recipe_s_batch(monkeypatch):
    ddp = settings("experiment=ntu60_xsub_2d_joint", "trainer=ddp")
    alone = share_batch(settings("experiment=ntu60_xsub_2d_joint", "trainer=cpu"))
    assert (alone.per_device, alone.norm_group) == (16, None)
    for devices, batch, group in ((8, 16, None), (4, 32, 16), (2, 64, 16), (1, 128, 16)):
        monkeypatch.setattr(ranks, "world_size", lambda devices=devices: devices)
        shared = share_batch(ddp)
        assert (shared.per_device, shared.norm_group) == (batch, group)
    monkeypatch.setattr(ranks, "world_size", lambda: 3)
    with pytest.raises(BadInput, match="3 devices cannot share a batch of 128 evenly"):
        share_batch(ddp)
    given = settings("experiment=ntu60_xsub_2d_joint", "trainer=ddp", "data.batch_size=20")
    assert share_batch(given).per_device == 20


def test_several_devices_need_a_strategy_and_several_machines_a_launcher(monkeypatch):
    cfg = composed("train", "trainer=cpu", "trainer.num_nodes=2")
    with pytest.raises(BadInput, match=r"trainer\.num_nodes=2 takes several machines"):
        launch.run("train", cfg)
    monkeypatch.setattr(ranks, "world_size", lambda: 2)
    with pytest.raises(BadInput, match="2 devices train together with trainer=ddp"):
        devices_of_ranks(settings("trainer=cpu", "trainer.devices=2").trainer)
    with pytest.raises(BadInput, match=r"trainer\.devices=0 must be a whole number"):
        devices_of(composed("train", "trainer=cpu", "trainer.devices=0"))


def test_who_we_are_is_read_from_the_environment(monkeypatch):
    assert (ranks.world_size(), ranks.global_rank(), ranks.local_world_size()) == (1, 0, 1)
    for name, value in {"SLURM_PROCID": 5, "SLURM_NTASKS": 16, "SLURM_NNODES": 2}.items():
        monkeypatch.setenv(name, str(value))
    assert (ranks.world_size(), ranks.global_rank(), ranks.local_world_size()) == (16, 5, 8)
    monkeypatch.setenv("SLURM_JOB_NAME", "interactive")
    assert ranks.world_size() == 1


SLOW_TO_LEAVE = """
import os, time
from functools import partial
from pathlib import Path

from stgcn_lightning.launching import tasks

def leave_slowly(cfg):
    if os.environ["RANK"] == "0":
        time.sleep(3)
        (Path(cfg.run_dir) / "closed").touch()
    raise SystemExit(cfg.status)

tasks.job_of = lambda door, cfg, folders: partial({"slow": leave_slowly}[door], cfg)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("status", "closes"), [(143, True), (1, False)])
def test_rank_0_may_close_what_it_holds_if_it_was_told_to_stop(
    tmp_path, monkeypatch, status, closes
):
    # every rank imports this first, and does another job than those of the doors
    (tmp_path / "sitecustomize.py").write_text(SLOW_TO_LEAVE)
    paths = [str(tmp_path), str(CHECKOUT / "src"), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    monkeypatch.setattr(launch, "GRACE", 0.1)
    monkeypatch.setattr(launch, "settings_of", lambda door, cfg: None)  # it is no door's job
    trainer = {"devices": 2, "accelerator": "cpu", "strategy": "ddp"}
    cfg = OmegaConf.create({"run_dir": str(tmp_path), "status": status, "trainer": trainer})
    with pytest.raises(launch.Failure) as caught:
        launch.run("slow", cfg)
    assert caught.value.status == status
    assert (tmp_path / "closed").exists() == closes


def test_a_rank_that_says_nothing_is_told_by_its_signal(tmp_path):
    (tmp_path / "rank_0.json").write_text(
        json.dumps({"status": 1, "message": "peer lost", "time": 1, "result": None})
    )
    with pytest.raises(launch.Failure, match="rank 1 was ended by SIGKILL") as caught:
        launch.result_of(tmp_path, [1, -signal.SIGKILL])
    assert caught.value.status == 137
    with pytest.raises(launch.Failure, match="peer lost"):
        launch.result_of(tmp_path, [1, None])
    with pytest.raises(launch.Failure, match="rank 1 ended with status 3"):
        launch.result_of(tmp_path, [0, 3])
