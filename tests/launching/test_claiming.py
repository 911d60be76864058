"""By which name a run directory goes, and when it is made."""

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from stgcn_lightning.jobs.folders import release
from stgcn_lightning.launching.claiming import Folders, Refused, run_dir
from stgcn_lightning.launching.resolvers import register_resolvers
from stgcn_lightning.launching.tasks import TASKS
from stgcn_lightning.shipped import CONF


@pytest.fixture
def begin(monkeypatch, tmp_path):
    """Begin a job of a door: its overrides -> its folder; a sweep's with ``sweep=True``."""
    monkeypatch.chdir(tmp_path)
    register_resolvers()

    def job(door, *overrides, sweep=False):
        with initialize_config_dir(str(CONF), version_base="1.3"):
            config = compose(door, list(overrides), return_hydra_config=True)
        called = Folders()
        called.on_multirun_start(config) if sweep else called.on_run_start(config)
        return Path((config.hydra.sweep if sweep else config.hydra.run).dir)

    yield job
    release()


@pytest.fixture
def in_slurm(monkeypatch):
    """Set the variables of a task of SLURM."""

    def task(job, step=None, tasks=1):
        monkeypatch.setenv("SLURM_PROCID", "0")
        monkeypatch.setenv("SLURM_NTASKS", str(tasks))
        monkeypatch.setenv("SLURM_JOB_ID", str(job))
        monkeypatch.delenv("SLURM_STEP_ID", raising=False)
        if step is not None:
            monkeypatch.setenv("SLURM_STEP_ID", str(step))

    return task


def keep_a_checkpoint(folder):
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "checkpoints" / "last.ckpt").touch()


# reproduce is made of runs; inspect and zoo write nothing, and have no folder
@pytest.mark.parametrize("door", sorted(TASKS.keys() - {"reproduce", "inspect", "zoo"}))
def test_each_job_of_a_second_has_a_folder_of_its_own(begin, door):
    jobs = [begin(door) for _ in range(3)]
    assert len(set(jobs)) == 3
    assert all(folder.is_dir() for folder in jobs)
    sweeps = {begin(door, sweep=True) for _ in range(3)}
    assert len(sweeps) == 3
    assert {folder.parent for folder in sweeps} == {Path("runs/sweeps")}


def test_preparing_leaves_nothing_among_the_runs_of_a_benchmark(begin):
    assert begin("prepare").parent == Path("runs/prepare")
    assert begin("train").parent == Path("runs/synthetic_joint")


def test_resume_auto_finds_the_newest_run(tmp_path):
    assert run_dir(str(tmp_path), "auto").startswith(f"{tmp_path}/20")
    keep_a_checkpoint(tmp_path / "run")
    assert run_dir(str(tmp_path), "auto") == f"{tmp_path}/run"
    assert run_dir(str(tmp_path), None) != f"{tmp_path}/run"
    assert [path.name for path in tmp_path.iterdir()] == ["run"], "they are only named"


def test_a_new_run_in_a_folder_with_checkpoints_is_refused_before_anything_is_written(begin):
    keep_a_checkpoint(Path("run"))
    with pytest.raises(Refused, match="run already holds checkpoints"):
        begin("train", "hydra.run.dir=run")
    assert begin("train", "hydra.run.dir=run", "resume=auto") == Path("run")
    assert begin("test", "hydra.run.dir=run") == Path("run")


def test_a_folder_that_cannot_be_made_is_refused_in_a_sentence(begin):
    Path("file").touch()
    with pytest.raises(Refused, match=r"cannot write in file/run: .*hydra\.run\.dir=NEW"):
        begin("train", "hydra.run.dir=file/run")


def test_a_folder_that_a_resolver_cannot_make_is_refused_in_the_same_sentence(begin):
    Path("runs").touch()
    with pytest.raises(Refused, match=r"^cannot write in runs/prepare/.*hydra\.run\.dir=NEW"):
        begin("prepare")


def test_a_job_of_slurm_that_is_queued_again_finds_its_folder(begin, in_slurm):
    root = Path("runs/synthetic_joint")
    for tasks in (1, 2):
        in_slurm(70 + tasks, tasks=tasks)
        first = begin("train", "resume=auto")
        assert first == root / f"slurm_{70 + tasks}"
        keep_a_checkpoint(first)
        assert begin("train", "resume=auto") == first
    in_slurm(7)
    assert begin("train", "resume=auto") == root / "slurm_7", "and not that of job 71"


def test_runs_of_one_job_of_slurm_are_apart(begin, in_slurm):
    in_slurm(7)
    assert [begin("train").name for _ in range(3)] == ["slurm_7", "slurm_7_2", "slurm_7_3"]
    in_slurm(8, step=0, tasks=2)
    assert begin("train").name == "slurm_8"
    in_slurm(8, step=1, tasks=2)
    assert begin("train").name == "slurm_8_1"
    in_slurm(8, step=4294967291)  # that of a batch script
    assert begin("train", "resume=auto").name == "slurm_8"


def test_a_step_of_slurm_that_is_tried_again_goes_on_with_the_job_s_run(begin, in_slurm):
    in_slurm(8, step=0, tasks=2)
    first = begin("train", "resume=auto")
    keep_a_checkpoint(first)
    in_slurm(8, step=1, tasks=2)
    assert begin("train", "resume=auto") == first


def test_a_further_rank_begins_and_makes_no_folder(begin, in_slurm, monkeypatch):
    in_slurm(7, step=0, tasks=2)
    monkeypatch.setenv("SLURM_PROCID", "1")
    assert not begin("train", "trainer=ddp_cpu").exists()
