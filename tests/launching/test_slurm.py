"""A real SLURM of one node: ranks by srun, a requeued job, a sweep through sbatch."""

import os
import re
import shlex
import sys
import tempfile
import time
from pathlib import Path

import pytest
import torch
from helpers import CHECKOUT
from one_node_slurm import Slurm, missing

from stgcn_lightning.launching.table import runs_in, table

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(missing()), reason=missing())]
TINY = [
    "benchmark.synthetic.train_samples=400",
    "benchmark.synthetic.val_samples=8",
    "model.base_channels=4",
    "data.clip_frames=8",
    "data.batch_size=4",
    "recipe.epochs=2",
    "recipe.train_passes_per_epoch=2",
    "recipe.dropout=0.5",
]
CPUS = ["trainer=slurm", "trainer.accelerator=cpu"]
STEPS = 100  # of an epoch: 400 samples twice, 2 ranks with 4 of them each
FEW = ["benchmark.synthetic.train_samples=40", "recipe.epochs=1"]


@pytest.fixture(scope="module")
def slurm():
    with tempfile.TemporaryDirectory() as folder, Slurm(Path(folder)) as running:
        paths = os.pathsep.join([str(CHECKOUT / "src"), os.environ.get("PYTHONPATH", "")])
        running.environment |= {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
        yield running


def wait_for(condition, seconds=120):
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)
    return value


class BatchJob:
    """Two ranks that train in `folder`, by a batch script as docs/sweeps.md has it."""

    def __init__(self, slurm, folder):
        folder.mkdir()
        train = [sys.executable, "-m", "stgcn_lightning.train", *TINY, *CPUS, "resume=auto",
                 "callbacks.last.every_n_steps=5"]  # fmt: skip
        (folder / "job.sh").write_text(
            "#!/bin/sh\n#SBATCH --ntasks-per-node=2 --requeue --open-mode=append --output=out.txt\n"
            f"srun --kill-on-bad-exit=1 {shlex.join(train)}\n"
        )
        self.slurm, self.folder = slurm, folder
        self.id = slurm.run("sbatch", "--parsable", "job.sh", cwd=folder).strip()
        self.run = folder / "runs" / "synthetic_joint" / f"slurm_{self.id}"

    def text(self):
        return (self.folder / "out.txt").read_text()

    def finish(self):
        """The last checkpoint of the job, once it has ended well."""

        def ended():
            state = self.slurm.run("scontrol", "show", "job", self.id)
            assert "JobState=FAILED" not in state, self.text()
            return "JobState=COMPLETED" in state

        wait_for(ended)
        return torch.load(self.run / "checkpoints" / "last.ckpt", weights_only=True)


def test_srun_starts_the_ranks_of_a_training_on_cpus(slurm, tmp_path):
    out = slurm.run(
        "srun", "--ntasks-per-node=2", "-n2", sys.executable, "-m", "stgcn_lightning.train",
        *TINY, *CPUS, *FEW, "trainer.strategy.process_group_backend=gloo", "test_after=true",
        cwd=tmp_path,
    )  # fmt: skip
    assert out.count("epoch 1/1: loss") == 1, "rank 0 alone prints"
    assert "(batch 128 -> 8)" in out
    (run,) = (tmp_path / "runs" / "synthetic_joint").iterdir()
    assert re.fullmatch(r"slurm_\d+", run.name)
    assert (run / "scores.npz").exists()
    state = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    assert state["global_step"] == 10
    assert len(state["ranks"]) == 2


def test_a_job_put_back_into_the_queue_ends_with_the_same_weights(slurm, tmp_path):
    whole = BatchJob(slurm, tmp_path / "whole").finish()
    job = BatchJob(slurm, tmp_path / "requeued")
    wait_for(lambda: list(job.run.glob("checkpoints/step_*.ckpt")))
    slurm.run("scontrol", "requeue", job.id)
    wait_for(lambda: "JobState=PENDING" in slurm.run("scontrol", "show", "job", job.id))
    saved = torch.load(job.run / "checkpoints" / "last.ckpt", weights_only=True)["global_step"]
    assert saved % STEPS, "within an epoch"
    slurm.run("scontrol", "update", f"JobId={job.id}", "StartTime=now")  # not in two minutes
    state = job.finish()
    assert "resuming from" in job.text()
    assert [run.name for run in job.run.parent.iterdir()] == [f"slurm_{job.id}"]
    assert state["global_step"] == whole["global_step"] == 2 * STEPS
    for name, value in whole["state_dict"].items():
        assert torch.equal(state["state_dict"][name], value), name
    for ours, expected in zip(state["ranks"], whole["ranks"], strict=True):
        assert torch.equal(ours["generator"], expected["generator"])


@pytest.mark.parametrize(
    ("trainer", "tasks"), [(["trainer=cpu"], 1), (CPUS, 2)], ids=["one task", "two tasks"]
)
def test_a_sweep_sends_its_jobs_to_slurm_and_ends_with_their_table(slurm, tmp_path, trainer, tasks):
    pytest.importorskip("submitit", reason="needs the extra stgcn_lightning[slurm]")
    out = slurm.run(
        sys.executable, "-m", "stgcn_lightning.train", *TINY, *trainer, *FEW, "-m",
        "hydra/launcher=submitit_slurm", f"hydra.launcher.tasks_per_node={tasks}",
        "hydra.launcher.timeout_min=3", "seed=0,1", cwd=tmp_path,
    )  # fmt: skip
    (sweep,) = (tmp_path / "runs" / "sweeps").iterdir()
    runs = runs_in(sweep)
    assert [run.name for run in runs] == ["0_synthetic_joint", "1_synthetic_joint"]
    assert "standard deviation" in table(runs)
    assert table(runs) in out
    assert (sweep / "sweep.txt").read_text().strip() == table(runs)
    for run in runs:
        state = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
        assert len(state["ranks"]) == tasks
