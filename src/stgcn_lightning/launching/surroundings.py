"""What the environment says of the processes that train together, before anybody waits for them.

Lightning and PyTorch read the same variables. Where some are missing, each process would train a
model of its own, or wait for others that nobody has started.
"""

import os

from stgcn_lightning import ranks
from stgcn_lightning.errors import BadInput
from stgcn_lightning.launching.claiming import FIRST_SPECIAL_STEP

TRAINING = ("train", "test", "reproduce")  # doors whose processes wait for each other
TORCHRUN = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "TORCHELASTIC_RESTART_COUNT")
# of programs that start processes of which this package would know nothing
OTHERS = ("WORLD_SIZE", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE")
THEIR_RANKS = ("RANK", "OMPI_COMM_WORLD_RANK", "PMI_RANK")

SPINS = "1000"  # turns of a waiting loop, some microseconds


def check_surroundings(door: str) -> None:
    """Refuse an environment that describes several processes incompletely.

    Args:
        door: its name.

    Raises:
        BadInput: a variable is missing or no number, or the others would not be there.
    """
    if "TORCHELASTIC_RUN_ID" in os.environ:
        for name in TORCHRUN:
            _number(name, "TORCHELASTIC_RUN_ID", "torchrun")
        return
    if ranks.started_by_slurm():
        _check_slurm(door)
        return
    if door not in TRAINING:
        return
    for size, rank in zip(OTHERS, THEIR_RANKS, strict=True):
        if rank in os.environ and os.environ.get(size, "1") not in ("", "0", "1"):
            raise BadInput(
                f"{size}={os.environ[size]} and {rank}={os.environ[rank]} of the environment are "
                "of no torchrun and no srun, and each process would train by itself: start them "
                f"with one of these, or unset {rank}"
            )


def _check_slurm(door: str) -> None:
    for name in ("SLURM_JOB_ID", "SLURM_NTASKS", "SLURM_PROCID"):
        _number(name, "SLURM_PROCID", "srun")
    step = os.environ.get("SLURM_STEP_ID")
    by_srun = step is not None and _number("SLURM_STEP_ID", "", "srun") < FIRST_SPECIAL_STEP
    if door in TRAINING and ranks.world_size() > 1 and not by_srun:
        raise BadInput(
            f"SLURM's job has {ranks.world_size()} tasks (SLURM_NTASKS), and no srun has started "
            "them: begin the command with srun, or ask sbatch for --ntasks=1"
        )


def _number(name: str, because: str, program: str) -> int:
    """A whole number of the environment.

    Raises:
        BadInput: there is none of that name.
    """
    value = os.environ.get(name)
    if value is None:
        raise BadInput(
            f"{because} of the environment is set and {name} is not: start the command with "
            f"{program}, or unset {because}"
        )
    try:
        return int(value)
    except ValueError:
        raise BadInput(
            f"{name}={value} of the environment is no whole number: start the command with "
            f"{program}, or unset it"
        ) from None


def wait_briefly() -> None:
    """Let PyTorch's threads sleep soon while they wait for each other; before torch is imported.

    By default they spin for milliseconds. Beside another busy process a training step then takes
    six times as long, since a thread that spins has no right left to run when its work comes.
    `GOMP_SPINCOUNT` and `OMP_WAIT_POLICY` of the user's environment go before.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPINS)
