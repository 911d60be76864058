"""The jobs of a multirun: each in processes of its own, and a table of them all.

Hydra composes the jobs and gives them to us one after the other. Each starts from its composed
configuration, so that nothing leaks from one into the next, and one that fails takes no other
along. With ``sweep.devices_per_job`` several run side by side, each on devices of its own. A
launcher of SLURM (``hydra/launcher=submitit_slurm``) runs them elsewhere; wherever a job ran, its
run directory holds what it reached in ``result.json``.

    python -m stgcn_lightning.sweeps FOLDER

prints the table of the jobs that have ended so far.
"""

import contextlib
import json
import os
import re
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from stgcn_lightning.errors import BadInput
from stgcn_lightning.files.writing import write_atomically
from stgcn_lightning.launching.processes import (
    PAUSE,
    SIGNALLED,
    Failure,
    Job,
    Task,
    check_devices,
    devices_of,
    passing_on,
    run,
)
from stgcn_lightning.ranks import global_rank, world_size
from stgcn_lightning.terminal import shown

RESULT = "result.json"


@dataclass
class Running:
    """A job on its way."""

    run: Path  # its run directory
    overrides: list[str]
    job: Job
    slot: int  # which part of the devices it has
    started: float


class Sweep:
    """What a multirun has started."""

    def __init__(self) -> None:
        self.folder: Path | None = None
        self.runs: list[Path] = []
        self.running: list[Running] = []
        self.failures: list[Failure] = []
        self.jobs: list[Job] = []
        self.signals: list[int] = []  # that have come; the jobs have them too
        self.listening = contextlib.ExitStack()

    def add(self, task: Task, cfg: DictConfig, door: str | None = None) -> Any:
        """Start the job that Hydra has composed, when there are devices for it.

        In a job of submitit we are the job, and run it.
        """
        hydra = HydraConfig.get()
        overrides = [str(part) for part in hydra.overrides.task]
        run_directory = Path(cfg.run_dir)
        if "submitit" in hydra.launcher._target_:
            return here(task, cfg, door, overrides)
        if world_size() > 1:
            raise BadInput("-m starts the ranks of each job itself: leave torchrun or srun away")
        if run_directory in self.runs:  # the table would show one's figures as the other's
            raise BadInput(
                f"two jobs of this sweep would share {run_directory}: tell them apart by what "
                "differs, 'hydra.sweep.subdir=job_${seed}'; reproduce itself takes seeds=[0,1]"
            )
        if self.folder is None:
            self.folder = Path(hydra.sweep.dir)
            self.signals = self.listening.enter_context(passing_on(self.jobs))
        parts, each = parts_of(cfg)
        self._wait(parts - 1)
        slot = min(set(range(parts)) - {one.slot for one in self.running})
        log, environment = None, {}
        if each:
            cfg.trainer.devices = each
        if parts > 1:
            log, environment = run_directory / "output.log", environment_of(cfg, slot, each)
        devices = devices_of(cfg)
        check_devices(cfg, devices)
        job = Job(task, cfg, devices, door=door, log=log, environment=environment)
        self.jobs.append(job)
        self.running.append(Running(run_directory, overrides, job, slot, time.monotonic()))
        self.runs.append(run_directory)
        chosen = [part for part in overrides if part.split("=")[0] in swept_keys(sys.argv)]
        where = f", prints to {shown(log)}" if log else ""
        print(f"\njob {run_directory.name}: {' '.join(chosen)}{where}", flush=True)
        if parts == 1:
            self._wait(0)
        return None

    def finish(self) -> None:
        """Wait for all jobs and print what they reached.

        Raises:
            Failure: some failed; its status is that of the first of them.
        """
        if self.folder is None:
            return
        with self.listening:
            self._wait(0)
        self._show()
        if self.failures:
            count = "1 job" if len(self.failures) == 1 else f"{len(self.failures)} jobs"
            raise Failure(self.failures[0].status, f"{count} failed, as told above")

    def _wait(self, most: int) -> None:
        """Until at most so many jobs run; after a signal until none does, and then no further."""
        while len(self.running) > (0 if self.signals else most):
            for one in [one for one in self.running if not one.job.running()]:
                self.running.remove(one)
                self._ended(one)
            time.sleep(PAUSE)
        if self.signals:
            self._show()
            raise Failure(
                SIGNALLED + self.signals[0],
                f"stopped by {signal.Signals(self.signals[0]).name}; the same command with "
                f"resume=auto hydra.sweep.dir={shown(self.folder or Path())} goes on",
            )

    def _show(self) -> None:
        """Print the table, and keep it."""
        assert self.folder is not None
        ended = [run for run in self.runs if (run / RESULT).exists()]
        if not ended:
            return
        text = table(ended)
        print(f"\n{text}", flush=True)
        with write_atomically(self.folder / "sweep.txt") as file:
            file.write(f"{text}\n".encode())

    def _ended(self, one: Running) -> None:
        try:
            figures = one.job.result() or {}
        except Failure as failure:
            keep_result(one.run, one.overrides, {}, failure.message)
            print(f"job {one.run.name} failed: {failure.message}", flush=True)
            self.failures.append(failure)
        else:
            keep_result(one.run, one.overrides, figures, None)
            minutes = (time.monotonic() - one.started) / 60
            told = [f"{name} {100 * value:.2f} %" for name, value in figures.items()]
            print(f"job {one.run.name}: {minutes:.1f} min {', '.join(told)}".rstrip(), flush=True)


def swept_keys(arguments: list[str]) -> set[str]:
    """The keys that a command line gives several values: a,b or glob(...)."""
    split = (argument.partition("=") for argument in arguments)
    return {key for key, _, value in split if value[:1] not in "[{" and re.search(r"[,(]", value)}


def here(task: Task, cfg: DictConfig, door: str | None, overrides: list[str]) -> Any:
    """Run a job in this process, or as one of its ranks, and keep what it reached."""
    figures, failure = {}, None
    try:
        figures = run(task, cfg, door) or {}
    except BaseException as error:
        failure = str(error) or type(error).__name__
        raise
    finally:
        if global_rank() == 0:
            keep_result(Path(cfg.run_dir), overrides, figures, failure)
    return figures


def keep_result(
    run_directory: Path, overrides: list[str], figures: dict[str, float], failure: str | None
) -> None:
    """Write what a job reached into its run directory; figures are never replaced by none."""
    kept = run_directory / RESULT
    if not figures and kept.exists() and json.loads(kept.read_text())["figures"]:
        return
    told = {"overrides": overrides, "figures": figures, "failure": failure}
    with write_atomically(kept) as file:
        file.write(json.dumps(told, indent=2).encode())


def parts_of(cfg: DictConfig) -> tuple[int, int]:
    """Into how many parts the devices of this machine are divided, and how large one is."""
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


def gpus_of(cfg: DictConfig) -> int:
    """GPUs that the jobs of a configuration can have."""
    return torch.cuda.device_count() if cfg.trainer.accelerator != "cpu" else 0


def environment_of(cfg: DictConfig, slot: int, each: int) -> dict[str, str]:
    """Variables that give a job its part of the GPUs, or of the cores."""
    gpus = gpus_of(cfg)
    if not gpus:
        return {"OMP_NUM_THREADS": "1"}
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = visible.split(",") if visible else [str(i) for i in range(gpus)]
    return {"CUDA_VISIBLE_DEVICES": ",".join(names[slot * each : (slot + 1) * each])}


def runs_in(folder: Path) -> list[Path]:
    """The run directories of a sweep's jobs that have ended.

    Raises:
        BadInput: there are none.
    """
    runs = [file.parent for file in folder.glob(f"*/{RESULT}")]
    if not runs:
        raise BadInput(f"{folder} holds no results of a sweep: give the folder of one")
    return sorted(runs, key=lambda run: (int(number_of(run)), run.name))


def number_of(run: Path) -> str:
    """The number that begins the name of a sweep's run directory; 0 where there is none."""
    number = run.name.split("_")[0]
    return number if number.isdigit() else "0"


def table(runs: list[Path]) -> str:
    """The figures of these jobs; those that differ in their seed alone get a mean as well."""
    jobs = [json.loads((run / RESULT).read_text()) for run in runs]
    constant = set.intersection(*(set(job["overrides"]) for job in jobs))
    names = list(dict.fromkeys(name for job in jobs for name in job["figures"]))
    groups: dict[str, list[dict[str, float]]] = {}
    rows: list[tuple[str, dict[str, float], str]] = []
    for job in jobs:
        told = [part for part in job["overrides"] if part not in constant]
        lines = (job["failure"] or "").strip().splitlines()  # of a traceback the last one counts
        failed = f"failed: {lines[-1]}" if lines else ""
        rows.append((" ".join(told) or "all as given", job["figures"], failed))
        if job["figures"]:
            unseeded = " ".join(part for part in told if not part.startswith("seed="))
            groups.setdefault(unseeded, []).append(job["figures"])
    for told, several in groups.items():
        if len(several) > 1:
            for title, statistic in (("mean", np.mean), ("standard deviation", _deviation)):
                figures = {
                    name: float(statistic([one[name] for one in several]))
                    for name in names
                    if all(name in one for one in several)
                }
                rows.append((f"{title} {told}".strip(), figures, ""))
    width = max(3, *(len(title) for title, _, _ in rows))
    columns = [max(len(name), 8) for name in names]
    head = [f"{name:>{size}}" for name, size in zip(names, columns, strict=True)]
    lines = [f"{'job':<{width}}  " + "  ".join(head)]
    for title, figures, failed in rows:
        cells = [
            f"{100 * figures[name]:>{size - 2}.2f} %" if name in figures else " " * size
            for name, size in zip(names, columns, strict=True)
        ]
        lines.append(f"{title:<{width}}  " + (failed or "  ".join(cells)))
    return "\n".join(line.rstrip() for line in lines)


def _deviation(values: list[float]) -> float:
    return float(np.std(values, ddof=1))


def main() -> None:
    """Print the table of a sweep."""
    if len(sys.argv) != 2:
        sys.exit("usage: python -m stgcn_lightning.sweeps FOLDER")
    try:
        print(table(runs_in(Path(sys.argv[1]))))
    except BadInput as error:
        print(f"sweeps: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
