"""What ranks exchange: objects, a barrier, the running statistics of batch norms.

Before the process group exists, and where there is none, a process is alone and all of this
returns at once. Which rank a process is, is in `ranks`.
"""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

LOST = "another rank does not answer; its own message says why, and resume=auto goes on ({})"


def key_value_store(address: str, port: int, **settings: Any) -> Any:
    """A store of keys and values that processes share, at `port` of `address`."""
    return dist.TCPStore(address, port, **settings)  # pyright: ignore[reportPrivateImportUsage]


def together() -> bool:
    """Whether several ranks have found each other."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def gathered(value: Any, group: Any = None) -> list[Any]:
    """The values of all ranks, in their order; all of them must call this.

    Args:
        value: what pickles.
        group: process group to exchange through; None is that of the training.
    """
    if not together():
        return [value]
    values: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(values, value, group=group)
    return values


def wait_for_all() -> None:
    """Go on when all ranks have called this: the others can then read what rank 0 wrote before."""
    if together():
        dist.barrier()


def lost(error: BaseException) -> bool:
    """Whether an error says that another rank is gone, or does not answer."""
    text = str(error).lower()
    return isinstance(error, dist.DistError) or (
        isinstance(error, RuntimeError) and any(name in text for name in ("gloo", "nccl"))
    )


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
    """The running statistics averaged over ranks, as the reference saves them.

    Every rank must call this; the model keeps its own.
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
    """Set the running statistics of every rank's model to the average of all ranks."""
    averages = averaged_statistics(model)
    for name, value in running_statistics(model).items():
        if value is not averages[name]:
            value.copy_(averages[name])
