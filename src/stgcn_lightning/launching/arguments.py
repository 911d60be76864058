"""What Hydra accepts of a command line and this package would not use, refused before it composes.

A list of options of a group is one of them: Hydra merges them, and the last one wins in silence.
"""

import re
from collections.abc import Sequence

from stgcn_lightning.errors import BadInput, nearest
from stgcn_lightning.settings.compose import KNOWN, classes_of
from stgcn_lightning.settings.doors import DOORS
from stgcn_lightning.settings.fields import describe, statements
from stgcn_lightning.shipped import CONF

SEVERAL = ("logger", "callbacks")  # groups of which several options are chosen together
FLAGS = (  # Hydra's; a longer one may be shortened
    "help", "hydra-help", "version", "cfg", "resolve", "package", "run", "multirun",
    "shell-completion", "config-path", "config-name", "config-dir", "experimental-rerun", "info",
)  # fmt: skip
KEY_AS_FLAG = re.compile(r"--?(?!(cd|cn|cp)$)(?P<key>[A-Za-z_][\w.-]+)")
ADDED = re.compile(r"\+{1,2}(?P<key>\w+)(\.[\w.]+)?=")


def refuse_unused(door: str, arguments: Sequence[str]) -> None:
    """Refuse overrides that Hydra takes and nothing would use.

    Args:
        door: its name.
        arguments: of the command line.

    Raises:
        BadInput: with the remedy.
    """
    for argument in arguments:
        key, _, value = argument.partition("=")
        if argument.startswith("-"):
            _refuse_dashes(door, key)
        if key.lstrip("+") == "run_dir":  # the folder that is held would be another
            raise BadInput(f"{argument} follows hydra.run.dir: set hydra.run.dir={value}")
        if key in ("hydra.run.dir", "hydra.sweep.dir") and not value:
            raise BadInput(f"{argument} names no folder: give one, {key}=FOLDER, or leave it out")
        group = key.lstrip("+")
        if group not in SEVERAL and re.match(r"\[.*,.*\]", value) and (CONF / group).is_dir():
            swept = value.strip("[] ")
            raise BadInput(
                f"{argument} is a list, and {group} takes one name: of several, the last would be "
                f"used; {group}={swept} with -m sweeps over them"
            )
        if key.startswith("+") and (CONF / group).is_dir() and group not in SEVERAL:
            raise BadInput(f"a group is chosen without plus signs: {group}={value}")
        added = ADDED.match(argument)
        own = {key for cls in classes_of(door) for key in statements(cls)}
        if added and added["key"] in KNOWN - own - {"sweep"}:
            others = ", ".join(name for name in DOORS if added["key"] in statements(DOORS[name]))
            near = nearest(added["key"], [*own])
            raise BadInput(f"{argument} is nothing that {door} uses, but {others}: {near}")


def _refuse_dashes(door: str, flag: str) -> None:
    """Refuse a key that is written as other programs have their options."""
    found = KEY_AS_FLAG.fullmatch(flag)
    if not found or (flag[1] == "-" and any(one.startswith(found["key"]) for one in FLAGS)):
        return
    key = found["key"].replace("-", "_")
    known = [row.key for row in describe(DOORS[door], {})]
    raise BadInput(
        f"there is no flag {flag}: keys are set without dashes, key=value; {nearest(key, known)}"
    )
