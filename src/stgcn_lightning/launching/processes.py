"""Starts the ranks of a job on this machine, and ends them.

Lightning would start the other ranks itself by running the command line again, which under a Hydra
multirun starts the sweep again, and lets every rank choose a run directory of its own. Here a job
is composed once; its ranks (`launching.rank`) read the composed configuration from a file and find
their numbers in torchrun's environment variables, so that Lightning sees no difference to torchrun.
torchrun's own agent was not taken: it ends with a status and a report of its own, where a door
promises 2 and one sentence, and it leaves its ranks behind when it is killed.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from stgcn_lightning import ranks
from stgcn_lightning.files.writing import write_atomically
from stgcn_lightning.launching.composing import config_folders
from stgcn_lightning.launching.devices import check_devices, devices_of
from stgcn_lightning.launching.rank import PARENT, SIGNALLED
from stgcn_lightning.launching.tasks import job_of
from stgcn_lightning.settings.compose import settings_of

GRACE = 5.0  # seconds for other ranks to end by themselves, after one has failed
CLOSING = 30.0  # the same, after one was asked to stop: rank 0 has files and loggers to close
PAUSE = 0.05  # seconds between looks at them
LOOPBACK = "lo0" if sys.platform == "darwin" else "lo"
PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)


class Failure(Exception):  # noqa: N818 - it carries a status, and is not always an error
    """A job whose processes did not all end well.

    Args:
        status: to leave with.
        message: what to print for the user; empty if the job has printed it.
    """

    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status, self.message = status, message


def run(door: str, cfg: DictConfig) -> Any:
    """Run a job in as many processes as it asks for: this one, or ranks of its own.

    Returns:
        What the job returned, in rank 0.

    Raises:
        Failure: one of the ranks did not end well.
        BadInput: it cannot be started so.
    """
    devices = devices_of(cfg)
    check_devices(cfg, devices)
    if ranks.world_size() > 1 or devices == 1:
        return job_of(door, cfg, config_folders())()
    settings_of(door, cfg)  # a mistake in them starts no process
    job = Job(door, cfg, devices)
    with passing_on([job]):
        while job.running():
            time.sleep(PAUSE)
    return job.result()


class Job:
    """A job that runs in processes of its own; it is described in `.hydra/ranks` of its run.

    Args:
        door: name of the front door.
        cfg: its configuration, composed.
        processes: how many ranks.
        log: file for what they print; None lets them print here.
        environment: further variables.
    """

    def __init__(
        self,
        door: str,
        cfg: DictConfig,
        processes: int,
        *,
        log: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ):
        self.folder = Path(cfg.run_dir) / ".hydra" / "ranks"
        self.folder.mkdir(parents=True, exist_ok=True)
        for old in self.folder.glob("rank_*.json"):
            old.unlink()
        with write_atomically(self.folder / "config.yaml") as file:
            placed = cfg.copy()
            placed.run_dir = cfg.run_dir  # other values keep following it: `reproduce` changes it
            file.write(OmegaConf.to_yaml(placed).encode())
        with write_atomically(self.folder / "job.json") as file:
            job = {"door": door, "program": sys.argv[0], "folders": config_folders()}
            file.write(json.dumps(job).encode())
        shared: dict[str, object] = {PARENT: os.getpid()}
        if processes > 1:
            shared |= self._meeting_point(processes)
        self._children: list[subprocess.Popen[bytes]] = []
        self._ended: list[int | None] = []  # statuses of the ranks that ended by themselves
        self._deadline: float | None = None
        command = [sys.executable, "-m", "stgcn_lightning.launching.rank", str(self.folder)]
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

    def _meeting_point(self, processes: int) -> dict[str, object]:
        """Torchrun's variables, but a file in place of its port: only this user can open it."""
        place = self.folder / "meeting"
        place.unlink(missing_ok=True)  # of ranks that were killed
        os.close(os.open(place, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        variables: dict[str, object] = {
            ranks.MEETING: place.resolve(),
            "WORLD_SIZE": processes,
            "LOCAL_WORLD_SIZE": processes,
            "GROUP_RANK": 0,
            "TORCHELASTIC_RUN_ID": "launch",
            "TORCHELASTIC_RESTART_COUNT": 0,
            # what the ranks then listen on is not seen from other machines
            "GLOO_SOCKET_IFNAME": LOOPBACK,
            "NCCL_SOCKET_IFNAME": LOOPBACK,
        }
        if "OMP_NUM_THREADS" not in os.environ:
            variables["OMP_NUM_THREADS"] = max(1, (os.cpu_count() or 1) // processes)
        return variables

    def running(self) -> bool:
        """Whether it has not ended; when one rank has left, the others have a while to follow."""
        statuses = [child.poll() for child in self._children]
        late = self._deadline is not None and time.monotonic() > self._deadline
        if None in statuses and not late:
            if self._deadline is None and any(statuses):
                stops = [SIGNALLED + number for number in PASSED_ON]
                stopped = all(status in stops for status in statuses if status)
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
        """What the job returned in rank 0, once it has ended.

        Raises:
            Failure: that of the rank that failed first.
        """
        return result_of(self.folder, self._ended)


@contextlib.contextmanager
def passing_on(jobs: Sequence[Job]) -> Generator[list[int]]:
    """Pass the signals that this process receives on to all jobs, which save; then end the jobs.

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


def result_of(folder: Path, ended: Sequence[int | None]) -> Any:
    """What rank 0 returned, or the failure of the rank that failed first.

    Args:
        folder: where the ranks left their results.
        ended: statuses of the ranks; None of a rank that was ended after another one's failure.

    Raises:
        Failure: a rank was ended by a signal, or left with another status than 0.
    """
    for rank, status in enumerate(ended):
        if status is not None and status < 0:  # it left no message: the others speak of its loss
            cause = f"rank {rank} was ended by {signal.Signals(-status).name}"
            if status == -signal.SIGKILL:
                cause += ": if it was for want of memory, lower data.batch_size"
            raise Failure(SIGNALLED - status, cause)
    failed = {rank: folder / f"rank_{rank}.json" for rank, status in enumerate(ended) if status}
    if not failed:
        return json.loads((folder / "rank_0.json").read_text())["result"]
    failures = [json.loads(file.read_text()) for file in failed.values() if file.exists()]
    if not failures:
        rank, status = next((rank, status) for rank, status in enumerate(ended) if status)
        raise Failure(status, f"rank {rank} ended with status {status}")
    first = min(failures, key=lambda failure: failure["time"])
    raise Failure(first["status"], first["message"])
