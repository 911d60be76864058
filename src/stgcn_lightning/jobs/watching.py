"""Loggers around a job: what they show about it, and their end."""

import json
import subprocess
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from lightning.pytorch.loggers import Logger, WandbLogger

import stgcn_lightning.jobs.announcements  # noqa: F401 - it takes effect when it is imported
from stgcn_lightning.errors import BadInput
from stgcn_lightning.evaluation.scores import Scores
from stgcn_lightning.settings.doors import (
    Common,
    FuseSettings,
    ReproduceSettings,
    TestSettings,
    TrainSettings,
)
from stgcn_lightning.settings.frozen import thawed
from stgcn_lightning.terminal import console

if TYPE_CHECKING:  # it imports wandb, which takes a second
    from stgcn_lightning.callbacks.dashboard import RunLogger

HERE = Path(__file__).parent
Watched = TrainSettings | TestSettings | FuseSettings | ReproduceSettings


@contextmanager
def watching(
    settings: Watched, job: str, *, group: str | None = None, name: str | None = None, **facts: Any
) -> Generator[list[Logger]]:
    """The configured loggers, closed at the end of the job with its status.

    Args:
        settings: of the job's door.
        job: train, test or fuse.
        group: of a W&B run; None is the benchmark.
        name: of a W&B run; None is the benchmark with stream and seed.
        facts: shown beside the configuration.
    """
    loggers = loggers_of(settings)
    if dashboards := dashboards_of(loggers):
        tags: list[str] = []
        if isinstance(settings, Common):
            benchmark, stream = settings.benchmark, settings.stream
            tags = [settings.model.name, benchmark.dimension]
            group = group or benchmark.name
            if name is None:
                tags.append(stream.name)
                name = f"{benchmark.name}_{stream.name}_seed{settings.seed}"
        if sweep := sweep_of(settings.run_dir):
            tags.append(sweep)
        config = thawed(settings.composed) | {"code": code_version(), "sweep": sweep} | facts
        assert name is not None
        for dashboard in dashboards:
            dashboard.describe(job, group=group, name=name, tags=tags, config=config)
    status = 1
    try:
        yield loggers
        status = 0
    except BadInput:
        status = 2
        raise
    except KeyboardInterrupt:
        status = 130
        raise
    finally:
        for dashboard in dashboards:
            dashboard.close(status)


def loggers_of(settings: Watched) -> list[Logger]:
    """The configured loggers; one of W&B that WANDB_MODE disables would keep no run."""
    loggers: list[Logger] = [one.make() for one in (settings.logger or {}).values()]
    disabled = [one for one in dashboards_of(loggers) if one.disabled]
    if disabled:
        console.print("W&B: disabled by WANDB_MODE, no run is kept")
    return [one for one in loggers if one not in disabled]


def dashboards_of(loggers: Sequence[Logger]) -> "list[RunLogger]":
    """The loggers that show more than curves."""
    return [cast("RunLogger", logger) for logger in loggers if isinstance(logger, WandbLogger)]


def run_of(checkpoint: Path) -> Any:
    """The W&B run that trained a checkpoint, if its run directory names one."""
    file = checkpoint.resolve().parents[1] / "wandb_train.json"
    return json.loads(file.read_text()) if file.exists() else None


def runs_of(streams: Mapping[str, Scores]) -> dict[str, Any]:
    """The W&B runs that score files come from."""
    return {name: scores.meta.get("wandb_run") for name, scores in streams.items()}


def sweep_of(run: Path) -> str | None:
    """The name of the sweep that a run directory lies in."""
    return run.parent.name if (run.parent / "multirun.yaml").exists() else None


def code_version() -> str:
    """Version of this package and, in a checkout, its commit; ``-dirty`` where files differ."""
    name = version("stgcn_lightning")
    if not (HERE.parents[2] / ".git").exists():
        return name
    command = ["git", "-C", str(HERE), "describe", "--always", "--dirty", "--abbrev=40"]
    git = subprocess.run(command, capture_output=True, text=True, check=False)
    return f"{name}+{git.stdout.strip()}" if git.returncode == 0 else name
