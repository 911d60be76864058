"""Which of several processes this one is, by its environment.

The variables are those of torchrun, which this package sets for the ranks that it starts, or those
of SLURM's srun. A process that was started alone is rank 0 of 1.
"""

import os

MEETING = "STGCN_LIGHTNING_MEETING"  # the file in which ranks meet that this package started


def world_size() -> int:
    """Processes that train together; 1 without torchrun and srun."""
    if "TORCHELASTIC_RUN_ID" in os.environ:
        return int(os.environ["WORLD_SIZE"])
    return int(os.environ["SLURM_NTASKS"]) if started_by_slurm() else 1


def global_rank() -> int:
    """The number of this process among them; rank 0 alone prints, logs and writes."""
    if "TORCHELASTIC_RUN_ID" in os.environ:
        return int(os.environ["RANK"])
    return int(os.environ["SLURM_PROCID"]) if started_by_slurm() else 0


def local_world_size() -> int:
    """Processes of the training on this machine."""
    if "TORCHELASTIC_RUN_ID" in os.environ:
        return int(os.environ["LOCAL_WORLD_SIZE"])
    nodes = int(os.environ.get("SLURM_NNODES", "1"))
    return world_size() // nodes if started_by_slurm() else 1


def started_by_slurm() -> bool:
    """Whether srun started this process; not an interactive shell of an allocation."""
    interactive = os.environ.get("SLURM_JOB_NAME") in ("bash", "interactive")
    return "SLURM_PROCID" in os.environ and "SLURM_NTASKS" in os.environ and not interactive
