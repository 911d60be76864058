"""What Hydra accepts of a command line and this package would not use, refused before it composes.

A list of options of a group is one of them: Hydra merges them, and the last one wins in silence.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from stgcn_lightning.errors import BadInput, nearest
from stgcn_lightning.settings.compose import KNOWN, classes_of
from stgcn_lightning.settings.doors import DOORS
from stgcn_lightning.settings.fields import describe, statements
from stgcn_lightning.shipped import CONF

QUOTES = "'\""
TEXTS = {"data": "recordings", "out": "out", "subject": "subject"}  # of prepare -> Hydra's key
SEVERAL = ("logger", "callbacks")  # groups of which several options are chosen together
FLAGS = (  # Hydra's; a longer one may be shortened
    "help", "hydra-help", "version", "cfg", "resolve", "package", "run", "multirun",
    "shell-completion", "config-path", "config-name", "config-dir", "experimental-rerun", "info",
)  # fmt: skip
KEY_AS_FLAG = re.compile(r"--?(?!(cd|cn|cp)$)(?P<key>[A-Za-z_][\w.-]+)")
ADDED = re.compile(r"\+{1,2}(?P<key>\w+)(\.[\w.]+)?=")


def with_recordings(door: str, arguments: Sequence[str]) -> list[str]:
    """The arguments of `prepare` as Hydra reads them: recordings=PATH for data=PATH, and quotes.

    `data` is a group of keys: an option of it stays what it is. Paths and patterns need not be
    quoted within the quotes of the shell.

    Args:
        door: its name; the arguments of others stay as they are.
        arguments: of the command line.

    Raises:
        BadInput: a benchmark is chosen beside recordings, of which one is made.
    """
    found = [*arguments]
    if door != "prepare":
        return found
    for place, argument in enumerate(arguments):
        key, _, text = argument.partition("=")
        if key not in TEXTS or not text or text == "null":
            continue
        if key == "data" and _is_option(key, text, arguments):
            continue
        quoted = text if text[0] in QUOTES and text[-1] == text[0] else f"'{_escaped(text)}'"
        found[place] = f"{TEXTS[key]}={quoted}"
        chosen = next((one for one in arguments if one.startswith("benchmark=")), None)
        if key == "data" and chosen:
            raise BadInput(
                f"{chosen} is another benchmark than the one that is made of {argument}: leave one "
                "of the two out"
            )
    return found


def _is_option(group: str, name: str, arguments: Sequence[str]) -> bool:
    """Whether a group has an option of this name, here or in the folder of --config-dir."""
    folders = [CONF]
    for place, argument in enumerate(arguments):
        flag, equals, value = argument.partition("=")
        if flag in ("--config-dir", "-cd"):
            folders += [Path(one) for one in ([value] if equals else arguments[place + 1 :][:1])]
    return any((folder / group / f"{name}.yaml").is_file() for folder in folders)


def _escaped(text: str) -> str:
    """Text as Hydra reads it between quotes: backslashes before a quote are written twice."""
    return re.sub(r"(\\*)('|$)", lambda found: found[1] * 2 + "\\'" * bool(found[2]), text)


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
