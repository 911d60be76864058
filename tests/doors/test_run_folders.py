"""Doors that are opened at once, or in one folder."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from forked import held_by_another
from forked import run as run_forked
from small_runs import TINY, refused

from stgcn_lightning.files.archives import read_checkpoint


@pytest.mark.parametrize(
    "question", [["--cfg", "job"], ["--cfg", "all", "--resolve"], ["--help"], ["recipe.epohcs=1"]]
)
def test_what_needs_no_job_leaves_no_folder(door, tmp_path, question):
    door("train", *question)
    assert not [*tmp_path.iterdir()]


@pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty")
def test_a_run_in_progress_is_neither_resumed_nor_written_to(door):
    assert door("train", *TINY, "recipe.epochs=1")[0] == 0
    (run,) = Path("runs/synthetic_joint").iterdir()
    files = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    del files[run / ".lock"]
    with held_by_another(run) as process:
        for more in (["resume=auto"], ["resume=auto", f"hydra.run.dir={run}"]):
            refused(
                door("train", *TINY, "recipe.epochs=2", "recipe.lr=0.5", *more),
                f"another process is at work in {run} (process {process.pid}",
                "hydra.run.dir=NEW",
            )
        refused(door("test", *TINY, f"hydra.run.dir={run}"), "another process is at work")
    refused(door("train", *TINY, "seed=1", f"hydra.run.dir={run}"), "already holds checkpoints")
    assert all(path.read_bytes() == content for path, content in files.items())
    status, out, err = door("train", *TINY, "recipe.epochs=2", "resume=auto")
    assert status == 0, err
    assert f"resuming from {run}" in out


def test_a_sweep_in_the_folder_of_one_in_progress_is_refused(door, tmp_path):
    (tmp_path / "sweep").mkdir()
    with held_by_another(tmp_path / "sweep"):
        refused(
            door("train", "-m", "seed=0,1", "hydra.sweep.dir=sweep"),
            "another process is at work in sweep",
            "hydra.sweep.dir=NEW",
        )
    assert [path.name for path in (tmp_path / "sweep").iterdir()] == [".lock"]


def test_trainings_that_begin_at_once_share_nothing(tmp_path):
    def train(seed):
        return run_forked(tmp_path, "train", *TINY, "recipe.epochs=1", f"seed={seed}").returncode

    with ThreadPoolExecutor() as pool:
        assert [*pool.map(train, range(3))] == [0, 0, 0]
    runs = [*(tmp_path / "runs/synthetic_joint").iterdir()]
    seeds = [read_checkpoint(run / "checkpoints/last.ckpt")["stgcn_lightning"] for run in runs]
    assert sorted(card["order"]["seed"] for card in seeds) == [0, 1, 2]
    for run, card in zip(runs, seeds, strict=True):
        overrides = (run / ".hydra/overrides.yaml").read_text().splitlines()
        assert overrides[-1] == f"- seed={card['order']['seed']}"
