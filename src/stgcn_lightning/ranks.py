"""Who we are among the processes that train together, and what they tell each other.

A rank is told who it is by the environment: by torchrun's variables, which `launch` sets as well,
or by SLURM's. Before the process group exists, and where there is none, a process is alone.
"""

import os
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn


def world_size() -> int:
    """Processes that train together, by the environment: 1 if nobody started several."""
    if "TORCHELASTIC_RUN_ID" in os.environ:
        return int(os.environ["WORLD_SIZE"])
    return int(os.environ["SLURM_NTASKS"]) if started_by_slurm() else 1


def global_rank() -> int:
    """Which of them we are; rank 0 alone prints, logs and writes."""
    if "TORCHELASTIC_RUN_ID" in os.environ:
        return int(os.environ["RANK"])
    return int(os.environ["SLURM_PROCID"]) if started_by_slurm() else 0


def local_world_size() -> int:
    """Processes on this machine."""
    if "TORCHELASTIC_RUN_ID" in os.environ:
        return int(os.environ["LOCAL_WORLD_SIZE"])
    nodes = int(os.environ.get("SLURM_NNODES", "1"))
    return world_size() // nodes if started_by_slurm() else 1


def started_by_slurm() -> bool:
    """Whether srun started this process; not an interactive shell of an allocation."""
    interactive = os.environ.get("SLURM_JOB_NAME") in ("bash", "interactive")
    return "SLURM_PROCID" in os.environ and "SLURM_NTASKS" in os.environ and not interactive


def meeting(address: str, port: int, **settings: Any) -> Any:
    """A store of keys and values that processes share, at `port` of `address`."""
    return dist.TCPStore(address, port, **settings)  # pyright: ignore[reportPrivateImportUsage]


def together() -> bool:
    """Whether several ranks have found each other."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def gathered(value: Any, group: Any = None) -> list[Any]:
    """What every rank gave, in their order; all of them must call this.

    Args:
        value: what pickles.
        group: of processes through which they talk; None is that of the training.
    """
    if not together():
        return [value]
    values: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(values, value, group=group)
    return values


def wait_for_all() -> None:
    """Go on when all ranks are here: what rank 0 wrote before can be read by the others then."""
    if together():
        dist.barrier()


def lost(error: BaseException) -> bool:
    """Whether an error says that another rank is gone, or does not answer."""
    text = str(error).lower()
    return isinstance(error, dist.DistError) or (
        isinstance(error, RuntimeError) and any(name in text for name in ("gloo", "nccl"))
    )


LOST = "another rank does not answer; its own message says why, and resume=auto goes on ({})"


def running_statistics(model: nn.Module) -> dict[str, Tensor]:
    """The running means and variances of all batch norms, by name."""
    return {
        f"{name}.{kind}": getattr(module, kind)
        for name, module in model.named_modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm)
        for kind in ("running_mean", "running_var")
        if getattr(module, kind) is not None
    }


@torch.no_grad()
def averaged_statistics(model: nn.Module) -> dict[str, Tensor]:
    """Those, averaged over ranks, as the reference saves them; the model keeps its own.

    Every rank must call this.
    """
    statistics = running_statistics(model)
    if not together() or not statistics:
        return statistics
    flat = torch.cat([value.flatten() for value in statistics.values()])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    parts = flat.split([value.numel() for value in statistics.values()])
    return {
        name: part.view_as(value)
        for (name, value), part in zip(statistics.items(), parts, strict=True)
    }


@torch.no_grad()
def average_statistics(model: nn.Module) -> None:
    """Give every rank's model the average of all."""
    averages = averaged_statistics(model)
    for name, value in running_statistics(model).items():
        if value is not averages[name]:
            value.copy_(averages[name])
