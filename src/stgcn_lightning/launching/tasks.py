"""The front doors: what each of them does, and the function that does it.

A function is named as text and imported when its job runs, so that `--help` and a misspelt key
are answered without PyTorch, and the list of the doors without Hydra.
"""

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from omegaconf import DictConfig


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
        "train, test and fuse the streams of a benchmark, beside the published figures",
    ),
    "prepare": Task(
        "stgcn_lightning.jobs.preparing:prepare",
        "build the store of a benchmark and print what is in it",
    ),
    "export": Task(
        "stgcn_lightning.jobs.exporting:export",
        "give a checkpoint to other programs: ONNX, safetensors, MMAction2 or PYSKL",
    ),
    "inspect": Task(
        "stgcn_lightning.jobs.inspecting:inspect",
        "say what a file or folder is, what is in it, and what will hurt",
    ),
    "zoo": Task(
        "stgcn_lightning.jobs.listing:list_zoo", "list the published checkpoints, zoo:NAME"
    ),
    "predict": Task("stgcn_lightning.jobs.predicting:predict", "say which actions key points show"),
}


def job_of(door: str, cfg: "DictConfig", folders: Sequence[str]) -> Callable[[], Any]:
    """The job of a door, ready to be called in this process, the only one or one of several ranks.

    Args:
        door: a name of `TASKS`.
        cfg: the composed configuration of that door; here it becomes settings.
        folders: of configuration besides conf/.

    Returns:
        A function without arguments, which returns figures by name, or None.

    Raises:
        BadInput: a value is not what its setting allows; then nothing heavy was imported.
    """
    from stgcn_lightning.settings.compose import settings_of

    module, _, function = TASKS[door].job.partition(":")
    settings = settings_of(door, cfg, folders)
    return partial(getattr(importlib.import_module(module), function), settings)
