"""What all front doors share: where the configuration lies, and how they end.

A door ends with status 0, with 2 and one sentence on standard error for bad input, or with 130
after Ctrl-C. ``debug=true`` shows the traceback instead of the sentence.
"""

import functools
import logging
import os
import re
import sys
from collections.abc import Callable, Mapping
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn

import hydra
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, InstantiationException, OverrideParseException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from stgcn_lightning import ranks
from stgcn_lightning.errors import BadInput, nearest
from stgcn_lightning.launching.processes import Failure, run
from stgcn_lightning.sweeps import Sweep

PACKAGE = Path(__file__).parents[1]
# the wheel carries conf/ inside the package, a checkout has it at its top
CONF = PACKAGE / "conf" if (PACKAGE / "conf").exists() else PACKAGE.parents[1] / "conf"


def open_door(task: Callable[[Any], Any], config_name: str) -> None:
    """Compose `config_name` from the command line, run `task` on it, and leave with its status."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # exceptions come to us instead of being printed by Hydra
    register_resolvers()
    logging.getLogger("hydra").setLevel(logging.WARNING)  # we say which job of a sweep starts
    # argparse takes no flags between overrides: a=1 -m b=2
    sys.argv[1:] = sorted(sys.argv[1:], key=is_override)
    debugging = any(argument.lower() == "debug=true" for argument in sys.argv)
    composing = True
    sweep = Sweep()

    @functools.wraps(task)
    def job(cfg: DictConfig) -> Any:
        nonlocal composing
        composing = False
        try:
            if HydraConfig.get().mode == RunMode.MULTIRUN:
                return sweep.add(task, cfg, config_name)
            if OmegaConf.select(cfg, "sweep.devices_per_job") is not None:
                raise BadInput("sweep.devices_per_job divides the devices of a sweep: add -m")
            return run(task, cfg, config_name)
        except Failure as failure:
            leave(failure.message, failure.status)
        except (BadInput, HydraException, OmegaConfBaseException) as error:
            if debugging:
                raise
            leave(explain(error, config_name), 2)
        except RuntimeError as error:
            if debugging or not (ranks.together() and ranks.lost(error)):
                raise
            leave(ranks.LOST.format(str(error).splitlines()[0]), 1)

    main = hydra.main(version_base="1.3", config_path=str(CONF), config_name=config_name)
    try:
        main(job)()
        sweep.finish()
    except Failure as failure:
        leave(failure.message, failure.status)
    except KeyboardInterrupt:
        leave("interrupted", 130)
    except BrokenPipeError:  # `--help | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except (HydraException, OmegaConfBaseException, ValueError, OSError) as error:
        if debugging or not composing:
            raise
        leave(explain(error, config_name), 2)


def is_override(argument: str) -> bool:
    """Whether an argument is ``key=value`` rather than a flag or the value of one."""
    return "=" in argument and not argument.startswith("-")


def composed(config_name: str, *overrides: str) -> DictConfig:
    """The configuration of a door, for use from Python: a notebook, a test."""
    register_resolvers()
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose(config_name, list(overrides))


def leave(message: str, status: int) -> NoReturn:
    """Print one line, or a traceback, on standard error and exit."""
    if not message:  # the user was told
        sys.exit(status)
    if "Traceback" not in message:
        message = " ".join(message.split())
    print(f"{Path(sys.argv[0]).stem}: {message}", file=sys.stderr)
    sys.exit(status)


def explain(error: Exception, config_name: str) -> str:
    """One sentence for the user, with the nearest names where one is misspelt."""
    text = str(error)
    if isinstance(error, BadInput):
        return text
    if isinstance(error, OverrideParseException):
        return f"cannot read {error.override}: quote the value, \"key='value'\""
    if isinstance(error.__cause__, BadInput):
        return str(error.__cause__)
    if isinstance(error, InstantiationException):
        key = re.search(r"full_key: (\S+)", text)
        return f"{key[1] if key else 'trainer'} cannot be built: {error.__cause__ or text}"
    if missing := re.search(r"Could not find '([^']+)'\s+Available options in '([^']+)'", text):
        name, group = missing.groups()
        return f"there is no {name}: {nearest(name.split('/')[-1], _options(group))}"
    if missing := re.search(r"Could not load '([^']+)/([^'/]+)'", text):
        group, name = missing.groups()
        return f"there is no {group}={name}: {nearest(name, _options(group))}"
    if text.startswith("Config group override must be"):
        return "a group takes a name or a list of names, and [] for none: logger=[]"
    if key := re.search(r"Could not override '([^']+)'|Key '([^']+)' is not", text):
        name = key[1] or key[2]
        if name.startswith("logger."):
            return (
                f"there is no key {name}: choose its logger first, logger=[csv,wandb,tensorboard]"
            )
        return f"there is no key {name}: {nearest(name, _keys(config_name))}"
    full_key = re.search(r"full_key: (\S+)", text)
    where = f" ({full_key[1]})" if full_key and full_key[1] not in text.splitlines()[0] else ""
    return text.splitlines()[0] + where


def _options(group: str) -> list[str]:
    folders = [CONF, *(Path(b) for a, b in pairwise(sys.argv) if a in ("--config-dir", "-cd"))]
    files = (file.stem for folder in folders for file in (folder / group).glob("*.yaml"))
    return sorted(name for name in files if not name.startswith("_"))


def _keys(config_name: str) -> list[str]:
    """All keys of the configuration with the groups that the user chose."""
    groups = [a for a in sys.argv[1:] if is_override(a) and (CONF / a.split("=")[0]).is_dir()]
    try:
        config = composed(config_name, *groups)
    except (HydraException, OmegaConfBaseException):  # one of those is misspelt as well
        config = composed(config_name)
    keys: list[str] = []

    def collect(node: Any, prefix: str) -> None:
        if isinstance(node, Mapping):
            for key, value in node.items():
                keys.append(f"{prefix}{key}")
                collect(value, f"{prefix}{key}.")

    collect(OmegaConf.to_container(config, resolve=False), "")
    return sorted(keys)


def register_resolvers() -> None:
    """Make the resolvers of conf/ known: `first`, `run_dir`, `cache_folder`, `no_wandb_account`."""
    OmegaConf.register_new_resolver("first", lambda n, items: items[:n], replace=True)
    OmegaConf.register_new_resolver("run_dir", run_dir, replace=True, use_cache=True)
    OmegaConf.register_new_resolver("cache_folder", cache_folder, replace=True)
    OmegaConf.register_new_resolver("no_wandb_account", no_wandb_account, replace=True)


def run_dir(root: str, resume: str | None) -> str:
    """A new folder under `root` named by the time; with ``resume=auto`` the newest with a run.

    All ranks that torchrun started take the one that rank 0 chooses; in a job of SLURM it is named
    by the job, so that one that is put back in the queue finds it again.
    """
    if ranks.started_by_slurm():
        return f"{root}/slurm_{os.environ['SLURM_JOB_ID']}"
    if ranks.world_size() == 1:
        return _run_dir(root, resume)
    # torchrun's agent holds it
    meeting = ranks.meeting(
        os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), is_master=False
    )
    key = f"stgcn_lightning/run_dir/{os.environ['TORCHELASTIC_RESTART_COUNT']}"
    if ranks.global_rank() == 0:
        meeting.set(key, _run_dir(root, resume))
    return meeting.get(key).decode()


def _run_dir(root: str, resume: str | None) -> str:
    if resume == "auto":
        runs = Path(root).glob("*/checkpoints/*.ckpt")
        newest = max(runs, key=lambda file: file.stat().st_mtime, default=None)
        if newest:
            return str(newest.parents[1])
    name = folder = f"{root}/{datetime.now():%Y-%m-%d_%H-%M-%S}"
    while Path(folder).exists():  # two runs in one second
        folder = f"{name}_{len(list(Path(root).glob(f'{Path(name).name}*'))) + 1}"
    return folder


def cache_folder() -> str:
    """Where this package keeps what it downloaded, by the XDG Base Directory Specification."""
    root = os.environ.get("XDG_CACHE_HOME", "")
    # which ignores a folder that is not absolute
    return str((Path(root) if Path(root).is_absolute() else Path.home() / ".cache") / PACKAGE.name)


def no_wandb_account() -> bool:
    """Whether W&B would have to ask who we are: then runs are kept offline."""
    if os.environ.get("WANDB_API_KEY"):
        return False
    netrc = Path(os.environ.get("NETRC", Path.home() / ".netrc"))
    return not (netrc.exists() and "wandb" in netrc.read_text())
