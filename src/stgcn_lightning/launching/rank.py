"""One rank of a job that another process has started and described in a folder.

python -m stgcn_lightning.launching.rank FOLDER
"""

import ctypes
import json
import os
import signal
import sys
import time
import traceback
from pathlib import Path

from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from stgcn_lightning import ranks
from stgcn_lightning.errors import BadInput
from stgcn_lightning.files.writing import write_atomically
from stgcn_lightning.launching.machine import end_of
from stgcn_lightning.launching.resolvers import register_resolvers
from stgcn_lightning.launching.sentences import explain
from stgcn_lightning.launching.tasks import job_of
from stgcn_lightning.terminal import complain, prepare_streams

PARENT = "STGCN_LIGHTNING_PARENT"  # process that started a rank, with which the rank ends
SIGNALLED = 128  # a status above it is that and the number of a signal


def main() -> None:
    """Do the job of the folder as one of its ranks, and leave result and status there."""
    folder, rank = Path(sys.argv[1]), ranks.global_rank()
    _end_with_parent()
    prepare_streams()
    job = json.loads((folder / "job.json").read_text())
    sys.argv[0] = job["program"]
    register_resolvers()
    cfg = OmegaConf.load(folder / "config.yaml")
    assert isinstance(cfg, DictConfig)
    status, message, result = 0, "", None
    try:
        result = job_of(job["door"], cfg, job["folders"])()
    except KeyboardInterrupt:
        status, message = 130, "interrupted"
    except (BadInput, HydraException, OmegaConfBaseException) as error:
        status, message = 2, explain(error, job["door"])
        if cfg.get("debug") is True:
            message = traceback.format_exc()
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
        if status > SIGNALLED:
            message = f"ended by {signal.Signals(status - SIGNALLED).name}"
    except Exception as error:
        failed = f"rank {rank} failed:\n{traceback.format_exc()}", 1
        message, status = end_of(error, job["door"]) or failed
    # this clock is one for all ranks of a machine, and never set
    end = {"status": status, "message": message, "result": result, "time": time.monotonic()}
    try:
        with write_atomically(folder / f"rank_{rank}.json") as file:
            file.write(json.dumps(end).encode())
    except BadInput as error:  # the disk is full: the process that started this one has no more
        status = status or 2
        complain(f"{Path(sys.argv[0]).stem}: {message or error}")
    if status:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)  # an orderly end would wait for peers that are gone


def _end_with_parent() -> None:
    """Be killed when the process that started this one ends, however it does (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != int(os.environ[PARENT]):
        os._exit(1)


if __name__ == "__main__":
    main()
