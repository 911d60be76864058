"""The front doors: what each of them does, and the function that does it.

A function is named as text and imported when its job runs, so that `--help` and a misspelt key
are answered without PyTorch.
"""

import importlib
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig

from stgcn_lightning.settings.compose import settings_of


@dataclass(frozen=True)
class Task:
    """What stands behind a front door.

    Args:
        job: ``module:function``; the function takes the settings of the door, and returns
            figures by name, or None.
        about: one line for the list of the doors.
    """

    job: str
    about: str


TASKS = {
    "train": Task("stgcn_lightning.jobs.training:train", "train one stream of one benchmark"),
    "test": Task(
        "stgcn_lightning.jobs.testing:test", "test a checkpoint with several clips per sample"
    ),
    "fuse": Task("stgcn_lightning.jobs.fusing:fuse_scores", "fuse the scores of several streams"),
    "reproduce": Task(
        "stgcn_lightning.jobs.reproducing:reproduce",
        "train, test and fuse the four streams of a benchmark, beside the published figures",
    ),
    "prepare": Task(
        "stgcn_lightning.jobs.preparing:prepare",
        "build the store of a benchmark and print what is in it",
    ),
    "export": Task(
        "stgcn_lightning.jobs.exporting:export",
        "give a checkpoint to other programs: ONNX, safetensors or MMAction2",
    ),
}


def perform(door: str, cfg: DictConfig) -> Any:
    """Do the job of a door in this process, as its only process or as one of several ranks.

    Args:
        door: a name of `TASKS`.
        cfg: the composed configuration of that door.

    Returns:
        What the job returned: figures by name, or None.
    """
    module, _, function = TASKS[door].job.partition(":")
    settings = settings_of(door, cfg)
    return getattr(importlib.import_module(module), function)(settings)
