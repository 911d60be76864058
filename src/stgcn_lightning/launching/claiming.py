"""The folder of a run or a sweep, as Hydra learns of it.

Hydra itself makes a folder that may exist, and writes into it before it calls the door. Here a
folder is made, or refused, before that: `Folders` is called first of all, and not by `--cfg` or
`--help`, which leave no folder behind.
"""

import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf, read_write
from omegaconf.errors import OmegaConfBaseException

from stgcn_lightning import ranks
from stgcn_lightning.errors import BadInput
from stgcn_lightning.jobs.folders import hold, new_folder, refuse_overwriting
from stgcn_lightning.settings.compose import settings_of
from stgcn_lightning.settings.doors import DOORS

FIRST_SPECIAL_STEP = 1 << 31  # SLURM counts batch scripts and the like from the top down
SKEW = 3600.0  # seconds by which the clock of a file server may go before that of this machine
beginning = False  # a job begins: folders are made, not only named


class Refused(BaseException):
    """Settings or a folder that cannot be used; Hydra swallows an `Exception` of a callback.

    Args:
        error: what is wrong.
    """

    def __init__(self, error: Exception):
        super().__init__(str(error))
        self.error = error


class Folders(Callback):
    """Makes the folder of a run or a sweep when it begins, and holds it until the process ends."""

    def on_run_start(self, config: DictConfig, **_: Any) -> None:
        """Make and hold the run directory, in rank 0, if the settings can be used."""
        with refusing():
            check_settings(config)
            folder = Path(config.hydra.run.dir)
            if ranks.global_rank() > 0:
                hydra: Any = config.hydra
                with read_write(hydra):
                    hydra.output_subdir = None  # rank 0 alone writes the configuration
                return
            hold(folder)
            if OmegaConf.select(config, "resume", default="no training") is None:
                refuse_overwriting(folder)

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Make and hold the folder of a sweep."""
        with refusing():
            hold(Path(config.hydra.sweep.dir))


class NoFolder(Folders):
    """For a door that only reads: a single job has no folder of its own, a sweep has one."""

    def on_run_start(self, config: DictConfig, **_: Any) -> None:
        """Refuse settings that cannot be used."""
        with refusing():
            check_settings(config)


def check_settings(config: DictConfig) -> None:
    """Read the settings of a door before there is a folder, which a refused run need not leave.

    Raises:
        BadInput: a value cannot be used.
        OmegaConfBaseException: one cannot be computed.
    """
    HydraConfig.instance().set_config(config)
    running: Any = HydraConfig.get().runtime
    with read_write(running):
        running.output_dir = os.getcwd()  # any: Hydra sets it when it makes the folder
    door = str(config.hydra.job.config_name)
    if door not in DOORS:
        raise BadInput(
            f"--config-name={door} is the configuration of no door: leave it out, and add "
            "experiment=NAME for a file of yours, FOLDER/experiment/NAME.yaml, --config-dir FOLDER"
        )
    own = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
    settings_of(door, own)


@contextmanager
def refusing() -> Generator[None]:
    """Make the folders that are named within.

    Raises:
        Refused: a folder, or a value, cannot be used.
    """
    global beginning
    beginning = True
    try:
        yield
    except (BadInput, OSError, OmegaConfBaseException) as error:
        met = raised_within(error)
        raise Refused(_unwritable(met) if isinstance(met, OSError) else met) from error
    finally:
        beginning = False


def raised_within(error: Exception) -> Exception:
    """What a resolver of this package raised, where OmegaConf made another error of it; or that."""
    inner: BaseException | None = error
    while isinstance(inner, OmegaConfBaseException):
        inner = inner.__cause__ or inner.__context__
    return inner if isinstance(inner, BadInput | OSError) else error


def _unwritable(error: OSError) -> BadInput:
    where = error.filename or "the run directory"
    return BadInput(
        f"cannot write in {where}: {error.strerror}; choose another folder, hydra.run.dir=NEW"
    )


def named_by_time(root: str) -> str:
    """A new folder under `root` named by the time; made where a job begins."""
    return new_folder(root, make=beginning)


def run_dir(root: str, resume: str | None) -> str:
    """A new folder under `root` named by the time; with ``resume=auto`` the newest with a run.

    All ranks that torchrun started take the one that rank 0 chooses; in a job of SLURM it is named
    by the job, so that one that is put back in the queue finds it again.
    """
    if ranks.started_by_slurm():
        return _run_dir_in_slurm(root, resume)
    if ranks.world_size() == 1:
        return _run_dir(root, resume)
    from stgcn_lightning.distributed import key_value_store  # imports torch

    # torchrun's agent holds it
    store = key_value_store(os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]))
    key = f"stgcn_lightning/run_dir/{os.environ['TORCHELASTIC_RESTART_COUNT']}"
    if ranks.global_rank() == 0:
        store.set(key, _run_dir(root, resume))
    return store.get(key).decode()


def _run_dir(root: str, resume: str | None) -> str:
    newest = _newest_run(root, "*") if resume == "auto" else None
    return newest or named_by_time(root)


def _run_dir_in_slurm(root: str, resume: str | None) -> str:
    """`slurm_JOB`, and for a later step of the job `slurm_JOB_STEP`.

    A task of a job array is a job with a number of its own. With ``resume=auto`` a step goes on
    with a run of its own name, or with the job's newest: a script may start it again after a fault.
    """
    job, step = f"slurm_{os.environ['SLURM_JOB_ID']}", os.environ.get("SLURM_STEP_ID", "0")
    later = 0 < int(step) < FIRST_SPECIAL_STEP
    name = f"{job}_{step}" if later else job
    if resume == "auto":
        return _newest_run(root, name) or _newest_run(root, job, f"{job}_*") or f"{root}/{name}"
    # ranks cannot tell each other another name
    alone = ranks.world_size() == 1
    return new_folder(root, name, make=beginning) if alone and not resume else f"{root}/{name}"


def _newest_run(root: str, *names: str) -> str | None:
    """The run directory under `root` with the newest checkpoint, among those of these names.

    Raises:
        BadInput: the clock was set back since, so that it cannot be told.
    """
    changed: dict[Path, float] = {}
    for name in names:
        for file in Path(root).glob(f"{name}/checkpoints/*.ckpt"):
            run = file.parents[1]
            changed[run] = max(changed.get(run, 0.0), file.stat().st_mtime)
    if not changed:
        return None
    newest = max(changed, key=changed.__getitem__)
    if len(changed) > 1 and changed[newest] > time.time() + SKEW:
        raise BadInput(
            f"{newest} was written at a time that is still to come: the clock was set back, and "
            "resume=auto cannot tell which run is the newest; name it, hydra.run.dir=RUN"
        )
    return str(newest)
