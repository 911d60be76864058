"""Hydra's and OmegaConf's errors in one sentence each, with the nearest names of a misspelt one."""

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml
from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from stgcn_lightning.errors import BadInput, nearest
from stgcn_lightning.evaluation.published import experiments
from stgcn_lightning.launching.composing import composed
from stgcn_lightning.settings.compose import keys_of
from stgcn_lightning.settings.trainer import OPEN, REFUSED
from stgcn_lightning.shipped import CONF

OBJECTS = ("logger", "callbacks")  # groups of objects, which take what their classes take
LISTS = ("logger", "trainer.devices")  # besides the keys whose fields say that they take a list
# lines of Hydra's and OmegaConf's texts that say nothing to a user, and the rest after them
NOISE = re.compile(
    r"\s*\n\s*(full_key: |object_type=|reference_type=|See https|Config search path|Search path).*",
    re.DOTALL,
)


def explain(error: Exception, door: str) -> str:
    """One sentence for the user, with the nearest names where one is misspelt."""
    if isinstance(error, BadInput):
        return str(error)
    if isinstance(error.__cause__, BadInput):
        return str(error.__cause__)
    if isinstance(error, yaml.YAMLError | UnicodeDecodeError):
        return _fault_in_yaml(error)
    if isinstance(error, OverrideParseException):
        return _unreadable(error.override)
    if isinstance(error, OSError) and error.filename:
        return (
            f"{error.filename} cannot be written: {error.strerror}; choose another folder, "
            "hydra.run.dir=FOLDER, of a sweep hydra.sweep.dir=FOLDER"
        )
    while not str(error) and error.__cause__:  # Hydra wraps OmegaConf's errors in empty ones
        error = error.__cause__  # pyright: ignore[reportAssignmentType]
    text = str(error)
    if text.startswith("Error merging override") and error.__cause__:
        text += f": {error.__cause__}"
    for pattern, sentence in SENTENCES.items():
        if found := re.search(pattern, text):
            return sentence(found, door)
    key = _key_of(text)
    lines = [" ".join(line.split()) for line in NOISE.sub("", text).splitlines()]
    short = "; ".join(line for line in lines if line).replace(":;", ":")
    return short + (f" ({key})" if key not in short else "")


def is_override(argument: str) -> bool:
    """Whether an argument is ``key=value`` rather than a flag or the value of one."""
    return "=" in argument and not argument.startswith("-")


def _no_option(found: re.Match[str], _: str) -> str:
    path, group, name = found["path"], found["group"], found["name"]
    if path.startswith("experiment/"):  # FAMILY/BENCHMARK_STREAM is one name
        group, _, name = path.partition("/")
    listed = _options(group)
    if not listed:
        return f"there is no {path}: no folder of configurations is called {group}"
    return f"there is no {path}: {nearest(name, listed)}"


def _no_key(found: re.Match[str], door: str) -> str:
    name = found["key"]
    group, _, rest = name.partition(".")
    above, _, last = name.rpartition(".")
    made: Any = None
    if group in OBJECTS and above:
        made = OmegaConf.select(_with_groups(door), above)
    if OmegaConf.is_dict(made) and "_target_" in made:
        kind = made["_target_"].rpartition(".")[2]
        near = get_close_matches(last, [str(key) for key in made], cutoff=0.75)
        meant = f"did you mean {above}.{near[0]}? or " if near else ""
        return f"there is no key {name}: {meant}+{name}=VALUE gives {kind} another argument"
    if group == "logger":
        return f"there is no key {name}: choose its logger first, logger=[csv,wandb,tensorboard]"
    first = rest.partition(".")[0]
    if group == "callbacks" and first in _options(group):
        return f"there is no key {name}: choose its callback first, callbacks=[default,{first}]"
    if group == "trainer" and rest in REFUSED:
        return f"{name} is not taken here: {REFUSED[rest]}"
    stated = {row.key for row in keys_of(door, _with_groups(door))} if rest else set[str]()
    if name in stated or (group == "trainer" and rest in OPEN):
        return f"there is no key {name} yet: +{name}=VALUE adds it"
    return f"there is no key {name}: {nearest(name, _keys(door))}"


def _several_values(found: re.Match[str], door: str) -> str:
    key, _, value = found["override"].partition("=")
    if _takes_list(key.lstrip("+"), door) and "(" not in value:
        return f"{key} takes a list in brackets: {key}=[{value}]; to sweep over the values, add -m"
    group = (CONF / key).is_dir()
    quoted = (
        "" if group or "(" in value else f", or quote it if it is one text: \"{key}='{value}'\""
    )
    return f"{found['override']} is a sweep: add -m{quoted}"


def _present(found: re.Match[str], _: str) -> str:
    return f"there is a key {found['key']} already: leave out the +, {found['same']}"


def _choose(found: re.Match[str], _: str) -> str:
    key = found["key"]
    return f"choose {key}={'|'.join(_options(key)) or 'NAME'}"


def _missing(found: re.Match[str], _: str) -> str:
    key = _key_of(found.string) or found["key"]
    return f"{key} is ???, which must be given: {key}=VALUE"


def _broken_reference(found: re.Match[str], door: str) -> str:
    key = found["key"]
    return f"${{{key}}}{_at(found)} refers to no key: {nearest(key, _keys(door))}"


def _at(found: re.Match[str]) -> str:
    key = _key_of(found.string)
    return f" of {key}" if key else ""


def _key_of(text: str) -> str:
    """The key that a text of OmegaConf or Hydra is about; empty where it names none."""
    key = re.search(r"full_key: (\S+)", text)
    return key[1] if key else ""


# a pattern in the text of an error -> the sentence
SENTENCES: Mapping[str, Callable[[re.Match[str], str], str]] = {
    r"Ambiguous value for argument '(?P<override>[^\n]+)'\n": _several_values,
    r"Sweep parameters '(?P<override>[^\n]+)' requires --multirun": _several_values,
    r"Could not (find|load) '(?P<path>(?P<group>[^']+)/(?P<name>[^'/]+))'":
        _no_option,
    r"^Config group override must be": lambda *_:
        "a group takes a name or a list of names, and [] for none: logger=[]",
    r"Could not append to config.* at '(?P<key>[^']+)'[^:]*: '(?P<same>[^\n]+)'\n":
        _present,
    r"^force-add of config groups is not supported: '\+\+(?P<override>[^\n]+)'": lambda found, _:
        f"a group is chosen without plus signs: {found['override']}",
    r"^Could not override '(?P<key>[^']+)'|Key '(?P<name>[^']+)' is not": lambda found, door:
        _no_key(re.match("(?P<key>.*)", found["key"] or found["name"]) or found, door),
    r"^You must specify '(?P<key>[^']+)'": _choose,
    r"Missing mandatory value: (?P<key>[\w.]+)": _missing,
    r"Interpolation key '(?P<key>[^']+)' not found": _broken_reference,
    r"Unsupported interpolation type (?P<name>\w+)": lambda found, _:
        f"${{{found['name']}:...}}{_at(found)} is no resolver: write \\${{ for a plain ${{",
    r"Recursive interpolation detected|recursion": lambda found, _:
        f"the value{_at(found)} refers to itself through ${{...}}: give it a value of its own",
    r"^(no viable alt|mismatched input|token recognition|extraneous input)": lambda found, _:
        f"the value{_at(found)} has a ${{ that begins no reference: write \\${{ for a plain ${{",
    r"In '(?P<file>[^']+)': Could not override '(?P<group>\w+)@": lambda found, _:
        f"{found['file']}.yaml overrides a group below itself: write "
        f"override /{found['group']}@_global_.{found['group']}: NAME",
    r"does not support sweep type : (?P<kind>\w+)_SWEEP": lambda found, _:
        f"{found['kind'].lower()}(...) cannot be swept over here: list the values, key=a,b,c",
    r"Environment variable '(?P<name>\w+)' not found": lambda found, _:
        f"the environment variable {found['name']}{_at(found)} is not set: set it, or give the key "
        "a value",
}  # fmt: skip


def _unreadable(override: str) -> str:
    if "=" not in override:
        return f"cannot read {override}: keys are set by key=value, and flags begin with -"
    key, _, value = override.partition("=")
    quoted = "key='value'" if "'" in value else f"{key}='{value}'"
    return f'cannot read {override}: quote the value, within the quotes of the shell: "{quoted}"'


def _fault_in_yaml(error: Exception) -> str:
    """Where a YAML file cannot be read: its name and line, and what is wrong there."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        problem = (error.problem or error.context or "").replace("'\\t'", "a tab")
        remedy = ": indent with spaces" if "a tab" in problem else ""
        return f"{mark.name}, line {mark.line + 1}, is no YAML: {problem}{remedy}"
    for file in _own_files().values():
        try:
            yaml.compose(file.read_bytes().decode())
        except UnicodeDecodeError as fault:
            line = file.read_bytes()[: fault.start].count(b"\n") + 1
            return f"{file}, line {line}, is not UTF-8 text: save it as UTF-8"
        except yaml.YAMLError as fault:
            line = file.read_text()[: getattr(fault, "position", 0)].count("\n") + 1
            return f"{file}, line {line}, is no YAML: {' '.join(str(fault).split())}"
    return " ".join(str(error).split())


def _options(group: str) -> list[str]:
    folders = [folder / group for folder in (CONF, *_own_folders())]
    names = [file.stem for folder in folders for file in folder.glob("*.yaml")]
    published = experiments() if group == "experiment" else ()
    return sorted(name for name in [*names, *published] if not name.startswith("_"))


def _own_folders() -> list[Path]:
    """Folders that the user's command line adds to conf/."""
    found = [Path(b) for a, b in pairwise(sys.argv) if a in ("--config-dir", "-cd")]
    return found + [Path(a.split("=", 1)[1]) for a in sys.argv if a.startswith("--config-dir=")]


def _own_files() -> dict[str, Path]:
    """The configurations in these folders, by the names that Hydra gives them."""
    return {
        str(file.relative_to(folder).with_suffix("")): file
        for folder in _own_folders()
        for file in sorted(folder.rglob("*.yaml"))
    }


def _with_groups(door: str) -> DictConfig:
    """The door's configuration with the groups that the user chose, where they can be read."""
    groups = [a for a in sys.argv[1:] if is_override(a) and (CONF / a.split("=")[0]).is_dir()]
    if folders := _own_folders():
        path = ",".join(f"'file://{folder.resolve()}'" for folder in folders)
        groups.append(f"hydra.searchpath=[{path}]")
    return _readable(door, *groups)


@cache
def _readable(door: str, *groups: str) -> DictConfig:
    try:
        return composed(door, *groups)
    except (HydraException, OmegaConfBaseException, yaml.YAMLError, ValueError):
        return composed(door)  # one of those is misspelt as well


def _keys(door: str) -> list[str]:
    """All keys of the configuration with the groups that the user chose."""

    def below(node: Any, prefix: str) -> Iterator[str]:
        if isinstance(node, Mapping):
            for key, value in node.items():
                yield f"{prefix}{key}"
                yield from below(value, f"{prefix}{key}.")

    return sorted(below(OmegaConf.to_container(_with_groups(door), resolve=False), ""))


def _takes_list(key: str, door: str) -> bool:
    """Whether a key takes a list, by what its field says or by the value that it has."""
    if key in LISTS:
        return True
    if (CONF / key).is_dir():
        return False
    config = _with_groups(door)
    allowed = {row.key: row.allowed for row in keys_of(door, config)}
    return "list" in allowed.get(key, "") or OmegaConf.is_list(OmegaConf.select(config, key))
