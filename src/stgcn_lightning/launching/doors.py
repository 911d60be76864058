"""How all front doors open, and how they end.

A door ends with status 0, with 2 and one sentence on standard error for bad input, or with 130
after Ctrl-C. ``debug=true`` shows the traceback instead of the sentence.
"""

import logging
import os
import sys
from pathlib import Path
from typing import Any, NoReturn

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from stgcn_lightning.errors import BadInput
from stgcn_lightning.jobs.folders import hold, release
from stgcn_lightning.launching.arguments import refuse_unused, with_recordings
from stgcn_lightning.launching.claiming import Refused
from stgcn_lightning.launching.helping import asks_for_help, help_of
from stgcn_lightning.launching.machine import end_of
from stgcn_lightning.launching.processes import Failure, run
from stgcn_lightning.launching.resolvers import register_resolvers
from stgcn_lightning.launching.sentences import explain, is_override
from stgcn_lightning.launching.surroundings import check_surroundings, wait_briefly
from stgcn_lightning.launching.table import keep_result
from stgcn_lightning.ranks import global_rank
from stgcn_lightning.shipped import CONF
from stgcn_lightning.terminal import (
    answer,
    complain,
    fitting,
    outliving,
    plain,
    prepare_streams,
    refuse_lost,
)


def open_door(name: str) -> None:
    """Compose the configuration of a door from the command line, and leave with its job's status.

    Args:
        name: of the door, one of `launching.tasks.TASKS`, and of its configuration in conf/.
    """
    prepare_streams()
    os.environ["HYDRA_FULL_ERROR"] = "1"  # exceptions come to us instead of being printed by Hydra
    wait_briefly()
    register_resolvers()
    logging.getLogger("hydra").setLevel(logging.WARNING)  # we say which job of a sweep starts
    # argparse takes no flags between overrides: a=1 -m b=2
    sys.argv[1:] = sorted(sys.argv[1:], key=is_override)
    debugging = any(argument.lower() == "debug=true" for argument in sys.argv)
    door = Door(name, debugging)
    try:
        sys.argv[1:] = with_recordings(name, sys.argv[1:])
        refuse_unused(name, sys.argv[1:])
        check_surroundings(name)
    except BadInput as error:
        leave(str(error), 2)
    main = hydra.main(version_base="1.3", config_path=str(CONF), config_name=name)
    try:
        if asks_for_help(sys.argv[1:]):
            answer(help_of(name, [*filter(is_override, sys.argv[1:])]) + "\n")
        else:
            main(door)()
            with outliving(sys.stdout):
                sys.stdout.flush()
            if not door.entered:  # what Hydra prints: --cfg, --info
                refuse_lost()
    except Failure as failure:
        leave(failure.message, failure.status)
    except Refused as refused:
        if debugging:
            raise
        leave(explain(refused.error, name), 2)
    except KeyboardInterrupt:
        leave("interrupted", 130)
    except BrokenPipeError:  # `--help | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except (HydraException, OmegaConfBaseException, YAMLError, ValueError, OSError) as error:
        end = end_of(error, name)  # also of what Hydra itself writes
        if debugging or (door.entered and not end):
            raise
        if end:
            leave(*end)
        leave(explain(error, name), 2)
    finally:
        release()


class Door:
    """What Hydra calls with the composed configuration of a job.

    Args:
        door: its name.
        debugging: show tracebacks instead of sentences.
    """

    def __init__(self, door: str, debugging: bool):
        self.door, self.debugging = door, debugging
        self.entered = False  # Hydra has composed, what goes wrong now is the job's

    def __call__(self, cfg: DictConfig) -> Any:
        """Run the job, and leave with its status if it is not good."""
        self.entered = True
        try:
            hydra_cfg = HydraConfig.get()
            # with hydra.job.chdir, too: all that a run writes goes to the run directory anyway
            os.chdir(hydra_cfg.runtime.cwd)
            if hydra_cfg.mode == RunMode.MULTIRUN:  # a launcher has sent the job here
                return self._job_of_sweep(cfg, [str(part) for part in hydra_cfg.overrides.task])
            if OmegaConf.select(cfg, "sweep.devices_per_job") is not None:
                raise BadInput("sweep.devices_per_job divides the devices of a sweep: add -m")
            return run(self.door, cfg)
        except Failure as failure:
            leave(failure.message, failure.status)
        except (BadInput, HydraException, OmegaConfBaseException) as error:
            if self.debugging:
                raise
            leave(explain(error, self.door), 2)
        except (OSError, MemoryError, RuntimeError) as error:
            end = end_of(error, self.door)
            if self.debugging or not end:
                raise
            leave(*end)

    def _job_of_sweep(self, cfg: DictConfig, overrides: list[str]) -> Any:
        """Run a job of a sweep here, or as one of its ranks, and keep what it reached."""
        figures, failure = {}, None
        if global_rank() == 0:
            hold(Path(cfg.run_dir))
        try:
            figures = run(self.door, cfg) or {}
        except BaseException as error:
            failure = str(error) or type(error).__name__
            raise
        finally:
            if global_rank() == 0:
                keep_result(Path(cfg.run_dir), overrides, figures, failure)
        return figures


def leave(message: str, status: int) -> NoReturn:
    """Print one line, or a traceback, on standard error and exit."""
    if not message:  # it was printed before
        sys.exit(status)
    text = f"{Path(sys.argv[0]).stem}: {message}"
    if "Traceback" in message:
        text = "\n".join(plain(line) for line in text.splitlines())
    else:
        text = fitting(" ".join(text.split()), sys.stderr)
    complain(text)
    sys.exit(status)
