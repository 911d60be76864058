"""Hydra's and OmegaConf's errors in one sentence each, with the nearest names of a misspelt one."""

import re
import sys
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from hydra.errors import HydraException, InstantiationException, OverrideParseException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from stgcn_lightning.errors import BadInput, nearest
from stgcn_lightning.launching.composing import composed
from stgcn_lightning.shipped import CONF


def explain(error: Exception, door: str) -> str:
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
        return f"there is no key {name}: {nearest(name, _keys(door))}"
    full_key = re.search(r"full_key: (\S+)", text)
    where = f" ({full_key[1]})" if full_key and full_key[1] not in text.splitlines()[0] else ""
    return text.splitlines()[0] + where


def peer_lost(error: BaseException) -> str | None:
    """The sentence of an error that another rank is gone or does not answer; None of any other."""
    if "torch" not in sys.modules:  # such an error is one of its process group
        return None
    from stgcn_lightning.distributed import LOST, lost, together

    return LOST.format(str(error).splitlines()[0]) if together() and lost(error) else None


def is_override(argument: str) -> bool:
    """Whether an argument is ``key=value`` rather than a flag or the value of one."""
    return "=" in argument and not argument.startswith("-")


def _options(group: str) -> list[str]:
    folders = [folder / group for folder in (CONF, *_own_folders())]
    names = (file.stem for folder in folders for file in folder.glob("*.yaml"))
    return sorted(name for name in names if not name.startswith("_"))


def _own_folders() -> list[Path]:
    """Folders that the user's command line adds to conf/."""
    found = [Path(b) for a, b in pairwise(sys.argv) if a in ("--config-dir", "-cd")]
    return found + [Path(a.split("=", 1)[1]) for a in sys.argv if a.startswith("--config-dir=")]


def _keys(door: str) -> list[str]:
    """All keys of the configuration with the groups that the user chose."""
    groups = [a for a in sys.argv[1:] if is_override(a) and (CONF / a.split("=")[0]).is_dir()]
    if folders := _own_folders():
        path = ",".join(f"'file://{folder.resolve()}'" for folder in folders)
        groups.append(f"hydra.searchpath=[{path}]")
    try:
        config = composed(door, *groups)
    except (HydraException, OmegaConfBaseException):  # one of those is misspelt as well
        config = composed(door)
    keys: list[str] = []

    def collect(node: Any, prefix: str) -> None:
        if isinstance(node, Mapping):
            for key, value in node.items():
                keys.append(f"{prefix}{key}")
                collect(value, f"{prefix}{key}.")

    collect(OmegaConf.to_container(config, resolve=False), "")
    return sorted(keys)
