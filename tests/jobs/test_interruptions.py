"""A run that is killed anywhere and resumed ends with the weights of the undisturbed one."""

import csv
import random
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
import torch
from interrupted_run import Run

from stgcn_lightning.callbacks.checkpoint_files import CheckpointFiles
from stgcn_lightning.errors import BadInput

SEED = 5  # of the random moments
KILLS = 5  # of a chain
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=[1, 2], ids=["1 process", "2 processes"])
def undisturbed(request, tmp_path_factory):
    """(ranks, final state, seconds) of a run that nothing disturbs."""
    folder = tmp_path_factory.mktemp("undisturbed")
    Run(folder, 1, None, ["--help"]).end()  # the fork server has imported everything
    started = time.monotonic()
    run = Run(folder, request.param)
    assert set(run.end()) == {0}, run.text()
    return request.param, run.state(), time.monotonic() - started, folder


def assert_same(ours, theirs):
    assert ours["global_step"] == theirs["global_step"]
    assert (
        ours["optimizer_states"][0]["state"].keys() == theirs["optimizer_states"][0]["state"].keys()
    )
    for name, value in theirs["state_dict"].items():
        assert torch.equal(ours["state_dict"][name], value), name
    for mine, other in zip(ours["ranks"], theirs["ranks"], strict=True):
        assert torch.equal(mine["generator"], other["generator"])
        for name, value in other["buffers"].items():
            assert torch.equal(mine["buffers"][name], value), name
    (best, other) = (
        next(v for k, v in content["callbacks"].items() if k.startswith("ModelCheckpoint"))
        for content in (ours, theirs)
    )
    assert best["best_model_score"] == other["best_model_score"]


@pytest.mark.parametrize("place", ["step", "write", "rename", "validation"])
def test_killed_at_five_moments_inside(undisturbed, place, tmp_path):
    ranks, expected, *_ = undisturbed
    moments = {"step": (0, 3, 2, 5, 4), "validation": (1, 0, 2, 1, 2)}.get(place, (1, 0, 2, 3, 1))
    died = 0
    for passed in moments:
        run = Run(tmp_path, ranks, (place, passed, signal.SIGKILL))
        died += -signal.SIGKILL in run.end()
    assert died == len(moments), run.text()
    run = Run(tmp_path, ranks)
    assert set(run.end()) == {0}, run.text()
    assert_same(run.state(), expected)


@pytest.mark.parametrize("chain", range(20 // KILLS))
def test_killed_at_random_moments(undisturbed, chain, tmp_path):
    ranks, expected, seconds, _ = undisturbed
    moments = random.Random(SEED + 100 * ranks + chain)
    waited = []
    for _ in range(KILLS):
        run = Run(tmp_path, ranks)
        waited.append(moments.uniform(0.3, 1) * seconds)
        time.sleep(waited[-1])
        run.send(signal.SIGKILL)
        run.end()
    print(f"killed after {waited} s (seed {SEED}, chain {chain})")
    run = Run(tmp_path, ranks)
    assert set(run.end()) == {0}, run.text()
    assert_same(run.state(), expected)


@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGUSR1, 138), (signal.SIGUSR2, 140)],
)
def test_signals_save_first(undisturbed, number, status, tmp_path):
    """The signal reaches one rank; all of them leave at the same step."""
    ranks, expected, _, undisturbed_in = undisturbed
    for place, passed in (("step", 2), ("step", 5), ("validation", 1)):
        run = Run(tmp_path, ranks, (place, passed, number), ["callbacks.last.every_n_steps=1000"])
        assert set(run.end()) == {status}, run.text()
        saved = int(re.findall(r"is saved up to step (\d+)", run.text())[-1])
        assert run.state()["global_step"] == saved
    run = Run(tmp_path, ranks)
    assert set(run.end()) == {0}, run.text()
    assert_same(run.state(), expected)
    lines = [r for r in run.text().splitlines() if r.startswith("epoch 3/3")]
    whole = [
        r
        for r in (undisturbed_in / "rank0.txt").read_text().splitlines()
        if r.startswith("epoch 3/3")
    ]
    assert lines[0].split(", val")[0] == whole[0].split(", val")[0]  # loss and accuracy
    with (tmp_path / "run/metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    steps = [int(row["step"]) for row in rows if row["train/loss"]]
    assert steps == sorted(set(steps))
    assert sum(bool(row["val/top1"]) for row in rows) == 3


def test_loader_processes_resume_as_exactly(tmp_path):
    arguments = ["data.workers=2"]
    whole = Run(tmp_path / "whole", 1, None, arguments)
    assert whole.end() == [0], whole.text()
    for fault, status in (
        (("step", 3, signal.SIGKILL), -signal.SIGKILL),
        (("validation", 1, signal.SIGTERM), 143),
    ):
        run = Run(tmp_path / "cut", 1, fault, arguments)
        assert run.end() == [status], run.text()
    run = Run(tmp_path / "cut", 1, None, arguments)
    assert run.end() == [0], run.text()
    assert_same(run.state(), whole.state())


@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 2)])
def test_another_number_of_processes_goes_on_after_an_epoch(before, after, tmp_path):
    """With the weights, statistics and momentum that one and the same number goes on with."""
    first = Run(tmp_path, before, None, ["recipe.epochs=1"])
    assert set(first.end()) == {0}, first.text()
    ended = first.state()
    run = Run(tmp_path, after, ("step", 2, signal.SIGTERM))
    assert set(run.end()) == {143}, run.text()
    assert f"{before} -> {after} process" in run.text()
    assert "random generators of dropout are seeded anew" in run.text()
    within = run.state()
    assert within["global_step"] > ended["global_step"]
    assert len(within["ranks"]) == after
    generators = [rank["generator"] for rank in within["ranks"] + ended["ranks"]]
    seeds = [int.from_bytes(bytes(generator[:8].tolist()), "little") for generator in generators]
    assert len(set(seeds)) == before + after
    refused = Run(tmp_path, before)
    assert set(refused.end()) == {2}, refused.text()
    assert f"lies within an epoch begun with processes {after}, not {before}" in refused.text()
    last = Run(tmp_path, after)
    assert set(last.end()) == {0}, last.text()
    assert last.state()["epoch"] == 2


def test_a_torn_checkpoint_is_never_chosen(tmp_path):
    run = Run(tmp_path, 1, ("step", 5, signal.SIGTERM))
    assert run.end() == [143], run.text()
    folder = tmp_path / "run/checkpoints"
    last = folder / "last.ckpt"
    content = last.read_bytes()
    earlier = sorted(folder.glob("step_*.ckpt"))
    assert len(earlier) == 1
    for torn in (content[: len(content) // 2], bytes(len(content)), content[:-1], b""):
        last.write_bytes(torn)
        run = Run(tmp_path, 1, ("step", 0, signal.SIGKILL))
        assert run.end() == [-signal.SIGKILL], run.text()
        assert "last.ckpt is torn: it is left out" in run.text()
        assert f"resuming from run/checkpoints/{earlier[0].name}" in run.text()
    for path in folder.glob("*.ckpt"):
        path.write_bytes(content[:100])
    run = Run(tmp_path)
    assert run.end() == [2]
    assert "are torn" in run.text()


def test_a_second_ctrl_c_ends_at_once(tmp_path):
    run = Run(tmp_path, 1, ("step", 3, signal.SIGSTOP))
    process = run.processes[0]
    until = time.monotonic() + 60
    while (
        time.monotonic() < until
        and "T" not in Path(f"/proc/{process.pid}/stat").read_text().split(")")[1]
    ):
        time.sleep(0.05)
    run.send(signal.SIGINT)
    run.send(signal.SIGCONT)
    assert run.end() == [130]
    assert Run(tmp_path).end() == [0]


def test_a_full_disk_spares_the_last_checkpoint(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=250k", "tmpfs", str(disk)], check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a small disk takes root")
    try:
        run = Run(tmp_path, 1, None, [f"hydra.run.dir={disk}/run"])
        assert run.end() == [2], run.text()
        assert "no space left in" in run.text()
        assert "free some" in run.text()
        kept = torch.load(disk / "run/checkpoints/last.ckpt", weights_only=True)
        assert kept["global_step"] >= 2
        assert not list((disk / "run/checkpoints").glob(".*"))
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match="choose another folder"):
        CheckpointFiles().save_checkpoint({}, tmp_path / "file" / "last.ckpt")
