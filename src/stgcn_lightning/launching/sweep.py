"""The jobs of a sweep: each in processes of its own, side by side if the devices are divided.

Each job starts from its composed configuration, so that nothing leaks from one into the next, and
one that fails does not end the others.
"""

import re
import signal
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from stgcn_lightning.errors import BadInput
from stgcn_lightning.files.writing import write_atomically
from stgcn_lightning.jobs.folders import hold
from stgcn_lightning.launching.devices import (
    check_devices,
    devices_of,
    environment_of,
    parts_of,
)
from stgcn_lightning.launching.processes import PAUSE, Failure, Job, passing_on
from stgcn_lightning.launching.rank import SIGNALLED
from stgcn_lightning.launching.table import RESULT, ended_in, keep_result, say_table, table
from stgcn_lightning.ranks import world_size
from stgcn_lightning.terminal import say, shown


@dataclass
class Started:
    """A job that was started, and later what it reached."""

    run: Path  # its run directory
    overrides: list[str]
    job: Job
    slot: int  # which part of the devices it has
    since: float
    figures: dict[str, float] = field(default_factory=dict[str, float])
    failure: Failure | None = None


class Sweep:
    """What a multirun has started.

    Args:
        door: name of the front door.
        folder: that of the sweep.

    Raises:
        BadInput: this process is one of several ranks itself.
    """

    def __init__(self, door: str, folder: Path):
        if world_size() > 1:
            raise BadInput("-m starts the ranks of each job itself: leave out torchrun or srun")
        self.door, self.folder = door, folder
        self.started: list[Started] = []
        self.running: list[Started] = []
        self.jobs: list[Job] = []
        self.signals: list[int] = []  # that have come

    @contextmanager
    def passing_on_signals(self) -> Generator[None]:
        """Pass the signals that this process receives on to the jobs; then end the jobs."""
        with passing_on(self.jobs) as self.signals:
            yield

    def start(self, cfg: DictConfig) -> Started:
        """Start the job that Hydra has composed, when there are devices for it.

        Without ``sweep.devices_per_job`` it has ended when this returns.

        Raises:
            BadInput: it cannot be started so.
        """
        run_directory = Path(cfg.run_dir)
        overrides = [str(part) for part in HydraConfig.get().overrides.task]
        if any(one.run == run_directory for one in self.started):
            raise BadInput(  # the table would show the figures of one as those of the other
                f"two jobs of this sweep would share {run_directory}: tell them apart by what "
                "differs, 'hydra.sweep.subdir=job_${seed}'; reproduce itself takes seeds=[0,1]"
            )
        hold(run_directory)
        parts, each = parts_of(cfg)
        self.wait(parts - 1)
        slot = min(set(range(parts)) - {one.slot for one in self.running})
        log, environment = None, {}
        if each:
            cfg.trainer.devices = each
        if parts > 1:
            log, environment = run_directory / "output.log", environment_of(cfg, slot, each)
        devices = devices_of(cfg)
        check_devices(cfg, devices)
        job = Job(self.door, cfg, devices, log=log, environment=environment)
        self.jobs.append(job)
        one = Started(run_directory, overrides, job, slot, time.monotonic())
        self.running.append(one)
        self.started.append(one)
        chosen = [part for part in overrides if part.split("=")[0] in swept_keys(sys.argv)]
        where = f", prints to {shown(log)}" if log else ""
        say("")
        say(f"job {run_directory.name}: {' '.join(chosen)}{where}")
        if parts == 1:
            self.wait(0)
        return one

    def wait(self, most: int) -> None:
        """Wait until at most `most` jobs run; after a signal, until none does.

        Raises:
            Failure: a signal has come, which ends the sweep.
        """
        while len(self.running) > (0 if self.signals else most):
            for one in [one for one in self.running if not one.job.running()]:
                self.running.remove(one)
                self._ended(one)
            time.sleep(PAUSE)
        if self.signals:
            raise Failure(
                SIGNALLED + self.signals[0],
                f"stopped by {signal.Signals(self.signals[0]).name}; the same command with "
                f"resume=auto hydra.sweep.dir={shown(self.folder)} goes on",
            )

    def refuse_none(self, jobs: Sequence[Any]) -> None:
        """Refuse a sweep without jobs, which a pattern makes that matches nothing.

        Raises:
            BadInput: with the pattern.
        """
        if not jobs:
            patterns = [part for part in sys.argv if "glob(" in part]
            raise BadInput(
                f"there is nothing that {' and '.join(patterns)} matches: "
                f"python -m stgcn_lightning.{self.door} --help lists the names"
            )

    def check(self) -> None:
        """Refuse to call a sweep good in which a job has failed.

        Raises:
            Failure: its status is that of the first job that failed.
        """
        failures = [one.failure for one in self.started if one.failure]
        if failures:
            count = "1 job" if len(failures) == 1 else f"{len(failures)} jobs"
            raise Failure(failures[0].status, f"{count} failed, as printed above")

    def _ended(self, one: Started) -> None:
        try:
            one.figures = one.job.result() or {}
        except Failure as failure:
            one.failure = failure
            keep_result(one.run, one.overrides, {}, failure.message)
            for line in f"job {one.run.name} failed: {failure.message}".splitlines():
                say(line)
        else:
            keep_result(one.run, one.overrides, one.figures, None)
            minutes = (time.monotonic() - one.since) / 60
            figures = [f"{name} {100 * value:.2f} %" for name, value in one.figures.items()]
            say(f"job {one.run.name}: {minutes:.1f} min {', '.join(figures)}".rstrip())


class SweepTable(Callback):
    """At the end of a multirun, print the table of its jobs and keep it as `sweep.txt`.

    A launcher that runs the jobs elsewhere (`hydra/launcher=submitit_slurm`) starts none of them in
    this process: then the table has all jobs that lie in the sweep's folder.
    """

    def __init__(self) -> None:
        self.runs: list[Path] = []

    def on_job_start(self, config: DictConfig, **_: Any) -> None:
        """Note the run directory of a job."""
        self.runs.append(Path(config.hydra.runtime.output_dir))

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        """Print the table, and keep it."""
        folder = Path(config.hydra.sweep.dir)
        ended = (
            [run for run in self.runs if (run / RESULT).exists()] if self.runs else ended_in(folder)
        )
        if not ended:
            return
        say("")
        say_table(ended)
        with write_atomically(folder / "sweep.txt") as file:
            file.write(f"{table(ended)}\n".encode())


def swept_keys(arguments: list[str]) -> set[str]:
    """The keys that a command line gives several values: a,b or glob(...)."""
    split = (argument.partition("=") for argument in arguments)
    return {key for key, _, value in split if value[:1] not in "[{" and re.search(r"[,(]", value)}
