"""Environments that describe several processes, completely or not."""

import os

import pytest

from stgcn_lightning.errors import BadInput
from stgcn_lightning.launching.surroundings import TRAINING, check_surroundings, wait_briefly
from stgcn_lightning.launching.tasks import TASKS

TORCHRUN = {
    "TORCHELASTIC_RUN_ID": "none", "RANK": 0, "WORLD_SIZE": 2, "LOCAL_RANK": 0,
    "LOCAL_WORLD_SIZE": 2, "TORCHELASTIC_RESTART_COUNT": 0,
}  # fmt: skip
SBATCH = {"SLURM_JOB_ID": 7, "SLURM_PROCID": 0, "SLURM_NTASKS": 2, "SLURM_JOB_NAME": "mine"}
SRUN = SBATCH | {"SLURM_STEP_ID": 0}


@pytest.fixture
def environment(monkeypatch):
    """Only these variables of torchrun, SLURM and MPI: (variables)."""

    def only(variables):
        for name in list(os.environ):
            if name.startswith(("SLURM", "TORCHELASTIC")) or name in TORCHRUN:
                monkeypatch.delenv(name)
        for name, value in variables.items():
            monkeypatch.setenv(name, str(value))

    return only


@pytest.mark.parametrize(
    "variables",
    [
        {}, TORCHRUN, SRUN, SBATCH | {"SLURM_NTASKS": 1}, SBATCH | {"SLURM_JOB_NAME": "bash"},
        {"SLURM_JOB_ID": 7}, {"SLURM_JOB_ID": 7, "SLURM_NTASKS": 4},  # of salloc
        {"WORLD_SIZE": 4}, {"RANK": 0, "WORLD_SIZE": 1}, {"RANK": 0}, {"LOCAL_RANK": 1},
    ],
)  # fmt: skip
@pytest.mark.parametrize("door", TASKS)
def test_processes_that_are_started_and_one_alone_are_left_alone(environment, door, variables):
    environment(variables)
    check_surroundings(door)


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"RANK": 1, "WORLD_SIZE": 2}, "each process would train by itself"),
        ({"OMPI_COMM_WORLD_RANK": 0, "OMPI_COMM_WORLD_SIZE": 2}, "OMPI_COMM_WORLD_SIZE=2"),
        (SBATCH, "no srun has started them: begin the command with srun, or .* --ntasks=1"),
        (SBATCH | {"SLURM_STEP_ID": 4294967291}, "no srun has started them"),
    ],
)
def test_others_that_nobody_has_started_are_not_waited_for(environment, variables, said):
    environment(variables)
    for door in TASKS:
        if door in TRAINING:
            with pytest.raises(BadInput, match=said):
                check_surroundings(door)
        else:
            check_surroundings(door)


@pytest.mark.parametrize(
    ("whole", "name", "value"),
    [(TORCHRUN, name, value) for name in sorted(TORCHRUN.keys() - {"TORCHELASTIC_RUN_ID"})
        for value in (None, "x")]
    + [(SRUN, "SLURM_JOB_ID", None), (SRUN, "SLURM_NTASKS", "x"), (SRUN, "SLURM_STEP_ID", "x")],
)  # fmt: skip
def test_a_variable_that_is_missing_or_no_number_is_named(environment, whole, name, value):
    environment({key: one for key, one in whole.items() if key != name})
    if value is not None:
        os.environ[name] = value
    try:
        with pytest.raises(BadInput, match=f"(^{name}=x|and {name} is not)"):
            check_surroundings("fuse")
    finally:
        os.environ.pop(name, None)


@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, "1000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "active"}, None)],
)
def test_threads_sleep_soon_unless_the_environment_says_how_they_wait(given, expected, monkeypatch):
    monkeypatch.setattr(os, "environ", dict(given))
    wait_briefly()
    assert os.environ.get("GOMP_SPINCOUNT") == expected
