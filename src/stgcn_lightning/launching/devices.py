"""The devices that a configuration asks for, and those that this machine has."""

import os
from typing import Any

from omegaconf import DictConfig, OmegaConf

from stgcn_lightning import ranks
from stgcn_lightning.errors import BadInput


def devices_of(cfg: DictConfig) -> int:
    """Devices of this machine that a configuration asks for; fuse and export need none of them.

    Raises:
        BadInput: `trainer.devices` is neither a whole number of at least 1, nor a list, nor auto.
    """
    if "trainer" not in cfg:
        return 1
    trainer = cfg.trainer
    asked: Any = trainer.get("devices", 1)
    if OmegaConf.is_list(asked):
        return len(asked)
    if asked in ("auto", -1, "-1"):
        return max(1, gpus_of(cfg))
    if isinstance(asked, bool) or not isinstance(asked, int) or asked < 1:
        asked = "null" if asked is None else asked
        raise BadInput(f"trainer.devices={asked} must be a whole number of at least 1, or auto")
    return asked


def gpus_of(cfg: DictConfig) -> int:
    """GPUs that the jobs of a configuration can have."""
    if cfg.trainer.accelerator not in ("gpu", "cuda", "auto"):
        return 0
    import torch  # takes seconds, and only this case needs it

    return torch.cuda.device_count()


def check_devices(cfg: DictConfig, devices: int) -> None:
    """Refuse what cannot be started.

    Raises:
        BadInput: there is no GPU, no strategy for several devices, or no such number of machines.
    """
    trainer = OmegaConf.select(cfg, "trainer")
    if trainer is None:
        return
    if trainer.get("accelerator") in ("gpu", "cuda") and not _accelerator():
        raise BadInput(
            f"trainer.accelerator={trainer.accelerator}, but PyTorch finds no GPU here: choose "
            "trainer=cpu, or trainer=ddp_cpu for several processes"
        )
    nodes = trainer.get("num_nodes", 1)
    if isinstance(nodes, bool) or not isinstance(nodes, int) or nodes < 1:
        raise BadInput(f"trainer.num_nodes={nodes} must be a whole number of at least 1")
    if ranks.world_size() > 1:
        return
    if nodes > 1:
        raise BadInput(
            f"trainer.num_nodes={nodes} takes several machines: start this command on each of them "
            "with torchrun --nnodes, or with srun"
        )
    if devices > 1 and trainer.get("strategy", "auto") == "auto":
        raise BadInput(
            f"trainer.devices={trainer.devices} needs a trainer for several devices: choose "
            "trainer=ddp, or trainer=ddp_cpu"
        )


def parts_of(cfg: DictConfig) -> tuple[int, int]:
    """Into how many parts the devices of this machine are divided, and how large one is.

    Raises:
        BadInput: `sweep.devices_per_job` is no number of devices that this machine has.
    """
    each: Any = OmegaConf.select(cfg, "sweep.devices_per_job")
    if each is None:
        return 1, 0
    gpus = gpus_of(cfg)
    devices = gpus or os.cpu_count() or 1
    if isinstance(each, bool) or not isinstance(each, int) or not 1 <= each <= devices:
        raise BadInput(
            f"sweep.devices_per_job={each} must be a whole number from 1 to {devices}, the "
            f"{'GPUs' if gpus else 'cores'} of this machine"
        )
    return devices // each, each


def environment_of(cfg: DictConfig, slot: int, each: int) -> dict[str, str]:
    """Variables that give a job its part of the GPUs, or of the cores.

    Args:
        cfg: configuration of the job.
        slot: number of the part.
        each: devices in a part.
    """
    gpus = gpus_of(cfg)
    if not gpus:
        return {"OMP_NUM_THREADS": "1"}
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = visible.split(",") if visible else [str(i) for i in range(gpus)]
    return {"CUDA_VISIBLE_DEVICES": ",".join(names[slot * each : (slot + 1) * each])}


def _accelerator() -> bool:
    import torch

    return torch.accelerator.is_available()
