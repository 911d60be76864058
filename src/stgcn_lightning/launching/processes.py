"""Starts the ranks of a job on this machine, and ends them.

Lightning would start the other ranks itself by running the command line again, which under a Hydra
multirun starts the sweep again, and lets every rank choose a run directory of its own. Here a job
is composed once; its ranks read the composed configuration from a file and are told who they are by
torchrun's environment variables, so that Lightning sees no difference to torchrun. torchrun's own
agent was not taken: it ends with a status and a report of its own, where a door promises 2 and one
sentence, and it leaves its ranks behind when it is killed.

    python -m stgcn_lightning.launching.processes FOLDER

is one rank of the job described in FOLDER.
"""

import contextlib
import ctypes
import importlib
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any

import torch
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from stgcn_lightning import ranks
from stgcn_lightning.errors import BadInput
from stgcn_lightning.files.writing import write_atomically
from stgcn_lightning.settings.compose import settings_of

GRACE = 5.0  # seconds for other ranks to end by themselves, after one has failed
CLOSING = 30.0  # the same, after one was told to stop: rank 0 has files and loggers to close
PAUSE = 0.05  # seconds between looks at them
SIGNALLED = 128  # a status above it is that and the number of a signal
PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
PARENT = "STGCN_LIGHTNING_PARENT"  # process that started us, with whom we end
Task = Callable[[Any], Any]  # it takes the settings of its door


class Failure(Exception):  # noqa: N818 - it carries a status, and is not always an error
    """A job whose processes did not all end well.

    Args:
        status: to leave with.
        message: what to tell the user; empty if they were told.
    """

    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status, self.message = status, message


def devices_of(cfg: DictConfig) -> int:
    """Devices of this machine that a configuration asks for; fuse and export need none of them."""
    if "trainer" not in cfg:
        return 1
    trainer = cfg.trainer
    asked: Any = trainer.get("devices", 1)
    if OmegaConf.is_list(asked):
        return len(asked)
    if asked in ("auto", -1, "-1"):
        gpu = trainer.accelerator in ("gpu", "cuda", "auto") and torch.cuda.is_available()
        return torch.cuda.device_count() if gpu else 1
    if isinstance(asked, bool) or not isinstance(asked, int) or asked < 1:
        asked = "null" if asked is None else asked
        raise BadInput(f"trainer.devices={asked} must be a whole number of at least 1, or auto")
    return asked


def check_devices(cfg: DictConfig, devices: int) -> None:
    """Refuse what cannot be started.

    Raises:
        BadInput: there is no GPU, no strategy for several devices, or no such number of machines.
    """
    trainer = OmegaConf.select(cfg, "trainer")
    if trainer is None:
        return
    if trainer.get("accelerator") in ("gpu", "cuda") and not torch.accelerator.is_available():
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


def run(task: Task, cfg: DictConfig, door: str | None = None) -> Any:
    """Run a job in as many processes as it asks for: this one, or ranks of its own.

    Args:
        task: the job.
        cfg: its configuration, composed.
        door: whose settings the job takes; None: it takes the configuration as it is.

    Returns:
        What the task returned, in rank 0.

    Raises:
        Failure: one of the ranks did not end well.
        BadInput: it cannot be started so.
    """
    devices = devices_of(cfg)
    check_devices(cfg, devices)
    if ranks.world_size() > 1 or devices == 1:
        return task(settings_of(door, cfg) if door else cfg)
    job = Job(task, cfg, devices, door=door)
    with passing_on([job]):
        while job.running():
            time.sleep(PAUSE)
    return job.result()


class Job:
    """A task that runs in processes of its own; it is described in `.hydra/ranks` of its run.

    Args:
        task: a function of a module.
        cfg: its configuration, composed.
        processes: how many ranks.
        door: as in `run`.
        log: file for what they print; None lets them print here.
        environment: further variables.
    """

    def __init__(
        self,
        task: Task,
        cfg: DictConfig,
        processes: int,
        *,
        door: str | None = None,
        log: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ):
        self.folder = Path(cfg.run_dir) / ".hydra" / "ranks"
        self.folder.mkdir(parents=True, exist_ok=True)
        for old in self.folder.glob("rank_*.json"):
            old.unlink()
        with write_atomically(self.folder / "config.yaml") as file:
            placed = cfg.copy()
            placed.run_dir = cfg.run_dir  # all else goes on to follow it: `reproduce` moves it
            file.write(OmegaConf.to_yaml(placed).encode())
        with write_atomically(self.folder / "job.json") as file:
            name = f"{task.__module__}:{task.__name__}"
            job = {"task": name, "door": door, "program": sys.argv[0]}
            file.write(json.dumps(job).encode())
        # they meet at a port that we hold from the beginning: nobody can take it before them
        self._meeting = ranks.meeting("127.0.0.1", 0, is_master=True, wait_for_workers=False)
        shared: dict[str, object] = {PARENT: os.getpid()}
        if processes > 1:
            shared |= {
                "WORLD_SIZE": processes,
                "LOCAL_WORLD_SIZE": processes,
                "GROUP_RANK": 0,
                "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": self._meeting.port,
                "TORCHELASTIC_RUN_ID": "launch",
                "TORCHELASTIC_USE_AGENT_STORE": True,
                "TORCHELASTIC_RESTART_COUNT": 0,
            }
        if processes > 1 and "OMP_NUM_THREADS" not in os.environ:
            shared["OMP_NUM_THREADS"] = max(1, (os.cpu_count() or 1) // processes)
        command = [sys.executable, "-m", "stgcn_lightning.launching.processes", str(self.folder)]
        self._children: list[subprocess.Popen[bytes]] = []
        self._ended: list[int | None] = []  # statuses of those who ended by themselves
        self._deadline: float | None = None
        with contextlib.ExitStack() as stack:
            out = stack.enter_context(log.open("ab")) if log else None
            for rank in range(processes):
                own = shared | {"RANK": rank, "LOCAL_RANK": rank} | dict(environment or {})
                env = os.environ | {name: str(value) for name, value in own.items()}
                # a session of its own: the terminal's Ctrl-C comes through us, and once
                child = subprocess.Popen(
                    command, env=env, start_new_session=True, stdout=out,
                    stderr=subprocess.STDOUT if log else None,
                )  # fmt: skip
                self._children.append(child)

    def running(self) -> bool:
        """Whether it has not ended; when one rank has left, the others have a while to follow."""
        statuses = [child.poll() for child in self._children]
        late = self._deadline is not None and time.monotonic() > self._deadline
        if None in statuses and not late:
            if self._deadline is None and any(statuses):
                told = [SIGNALLED + number for number in PASSED_ON]
                stopped = all(status in told for status in statuses if status)
                self._deadline = time.monotonic() + (CLOSING if stopped else GRACE)
            return True
        if not self._ended:
            self._ended = statuses
            self.kill()
        return False

    def send(self, number: int) -> None:
        """Give its processes a signal."""
        for child in self._children:
            if child.poll() is None:
                child.send_signal(number)

    def kill(self) -> None:
        """End its processes at once."""
        for child in self._children:
            child.kill()
            child.wait()

    def result(self) -> Any:
        """What the task returned in rank 0, once it has ended.

        Raises:
            Failure: that of the rank that failed first.
        """
        return result_of(self.folder, self._ended)


@contextlib.contextmanager
def passing_on(jobs: list[Job]) -> Generator[list[int]]:
    """Give the signals that we get to all jobs, who know what to save; in the end none is left.

    Yields:
        The signals that have come.
    """
    received: list[int] = []

    def pass_on(number: int, _: Any) -> None:
        received.append(number)
        for job in jobs:
            job.send(number)

    before = {number: signal.signal(number, pass_on) for number in PASSED_ON}
    try:
        yield received
    finally:
        for job in jobs:
            job.kill()
        for number, handler in before.items():
            signal.signal(number, handler)


def result_of(folder: Path, ended: list[int | None]) -> Any:
    """What rank 0 returned, or the failure of the rank that failed first.

    Args:
        folder: where the ranks left their results.
        ended: their statuses; None of those that had to be ended after another's failure.
    """
    for rank, status in enumerate(ended):
        if status is not None and status < 0:  # it could say nothing: the others speak of its loss
            cause = f"rank {rank} was ended by {signal.Signals(-status).name}"
            if status == -signal.SIGKILL:
                cause += ": if it was for want of memory, lower data.batch_size"
            raise Failure(SIGNALLED - status, cause)
    told = {rank: folder / f"rank_{rank}.json" for rank, status in enumerate(ended) if status}
    if not told:
        return json.loads((folder / "rank_0.json").read_text())["result"]
    failures = [json.loads(file.read_text()) for file in told.values() if file.exists()]
    if not failures:
        rank, status = next((rank, status) for rank, status in enumerate(ended) if status)
        raise Failure(status, f"rank {rank} ended with status {status}")
    first = min(failures, key=lambda failure: failure["time"])
    raise Failure(first["status"], first["message"])


def main() -> None:
    """Be one rank."""
    folder, rank = Path(sys.argv[1]), ranks.global_rank()
    _end_with_parent()
    job = json.loads((folder / "job.json").read_text())
    sys.argv[0] = job["program"]
    doors = importlib.import_module("stgcn_lightning.launching.doors")  # which imports us
    doors.register_resolvers()
    module, _, name = job["task"].partition(":")
    cfg = OmegaConf.load(folder / "config.yaml")
    assert isinstance(cfg, DictConfig)
    status, message, result = 0, "", None
    try:
        task = getattr(importlib.import_module(module), name)
        result = task(settings_of(job["door"], cfg) if job["door"] else cfg)
    except KeyboardInterrupt:
        status, message = 130, "interrupted"
    except (BadInput, HydraException, OmegaConfBaseException) as error:
        status, message = 2, doors.explain(error, Path(sys.argv[0]).stem)
        if cfg.get("debug") is True:
            message = traceback.format_exc()
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
        if status > SIGNALLED:
            message = f"ended by {signal.Signals(status - SIGNALLED).name}"
    except Exception as error:
        status, message = 1, f"rank {rank} failed:\n{traceback.format_exc()}"
        if ranks.together() and ranks.lost(error):
            message = ranks.LOST.format(str(error).splitlines()[0])
    told = {"status": status, "message": message, "result": result, "time": time.time()}
    with write_atomically(folder / f"rank_{rank}.json") as file:
        file.write(json.dumps(told).encode())
    if status:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)  # an orderly end would wait for peers that are gone


def _end_with_parent() -> None:
    """Be killed when the process that started us ends, however it does (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != int(os.environ[PARENT]):
        os._exit(1)


if __name__ == "__main__":
    main()
