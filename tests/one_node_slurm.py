"""A SLURM of one node on this machine, for as long as a test needs it."""

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "srun", "sbatch", "scontrol", "scancel")
SETTINGS = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
StateSaveLocation={folder}/state
FirstJobId={first_job}
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ReturnToService=2
SchedulerParameters=batch_sched_delay=0,sched_interval=1
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> str:
    """Why there can be no SLURM here; empty if there can."""
    absent = [name for name in PROGRAMS if not shutil.which(name)]
    if absent:
        return f"needs slurm-wlm and munge: no {', '.join(absent)} here"
    return "" if os.geteuid() == 0 else "starting SLURM takes root"


class Slurm:
    """Munge, controller and node, with all of their files in `folder`."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.environment = os.environ | {"SLURM_CONF": str(folder / "slurm.conf")}
        self.daemons: list[subprocess.Popen] = []

    def __enter__(self) -> "Slurm":
        self.folder.chmod(0o755)  # munged refuses a folder that others could write
        (self.folder / "state").mkdir()
        (self.folder / "spool").mkdir()
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        sockets = [socket.socket() for _ in range(2)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        ports = [one.getsockname()[1] for one in sockets]
        for one in sockets:
            one.close()
        host = socket.gethostname().split(".")[0]
        # ranks meet at a port that Lightning makes of the job's number: another one for every SLURM
        first_job = 1000 + ports[0] % 8000
        settings = SETTINGS.format(host=host, ports=ports, folder=self.folder, first_job=first_job)
        (self.folder / "slurm.conf").write_text(settings)
        try:
            munge = [
                f"--{name}-file={self.folder}/munge.{name}"
                for name in ("key", "pid", "log", "seed")
            ]
            self._start("munged", "--foreground", "--force", *munge,
                        f"--socket={self.folder}/munge.socket")  # fmt: skip
            self._wait((self.folder / "munge.socket").exists)
            self._start("slurmctld", "-D", "-i")
            self._start("slurmd", "-D")
            self._wait(lambda: "idle" in self.run("sinfo", "--noheader", "--format=%t"))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_) -> None:
        if len(self.daemons) == 3 and not any(one.poll() for one in self.daemons):
            subprocess.run(["scancel", "--user=root"], env=self.environment, check=False)
            self._wait(lambda: not self.run("squeue", "--noheader"))
        for one in reversed(self.daemons):
            one.terminate()
            try:
                one.wait(20)
            except subprocess.TimeoutExpired:
                one.kill()
                one.wait()

    def run(self, *command: str, **more) -> str:
        """What a command of SLURM prints; its errors are left to the test's own output."""
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, check=False, **more
        )
        sys.stderr.write(done.stderr)
        return done.stdout

    def _start(self, *command: str) -> None:
        with (self.folder / f"{command[0]}.txt").open("w") as log:
            self.daemons.append(
                subprocess.Popen(command, env=self.environment, stdout=log, stderr=log)
            )

    def _wait(self, condition, seconds=30) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                texts = [file.read_text()[-2000:] for file in sorted(self.folder.glob("*.txt"))]
                raise TimeoutError("\n".join(["SLURM did not come up", *texts]))
            time.sleep(0.1)
