"""A door's composed configuration to its settings: the last place that knows OmegaConf."""

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from stgcn_lightning.settings.doors import DOORS, Settings, Trained
from stgcn_lightning.settings.fields import Row, describe, read, refuse_unknown, statements
from stgcn_lightning.settings.frozen import frozen, thawed

if TYPE_CHECKING:
    from omegaconf import DictConfig

GIVEN = ("model", "benchmark", "stream", "data")  # groups in which a user describes a checkpoint
# what a configuration may hold whatever its door is: an experiment is used by several
KNOWN = {"sweep", "reference"}.union(*(statements(cls) for cls in DOORS.values()))


def settings_of(door: str, cfg: "DictConfig") -> Any:
    """The settings of a door, an instance of `doors.DOORS[door]`.

    The settings of a reproduction can make those of the runs that are its parts. These are composed
    anew, because other values follow the run directory: ``${run_dir}/checkpoints``.

    Raises:
        BadInput: a key is unknown, or a value is not what its field allows.
    """
    from omegaconf import OmegaConf

    plain: Any = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    for cls in (DOORS[door], Trained) if door == "export" else (DOORS[door],):
        refuse_unknown(cls, plain, besides=KNOWN)
    more: dict[str, Any] = {"composed": frozen(plain)}
    if door == "reproduce":
        more["part"] = partial(part_of, cfg)
    if door == "export":
        more |= {"reference": frozen(plain["reference"]), "given": frozen(given(plain))}
    return read(DOORS[door], plain, **more)


def part_of(whole: "DictConfig", door: str, values: Mapping[str, Any]) -> Settings:
    """The settings of another door with the configuration `whole`, but for some values."""
    from omegaconf import OmegaConf

    part = whole.copy()
    for key, value in values.items():
        OmegaConf.update(part, key, value, force_add=True)
    return settings_of(door, part)


def given(plain: Mapping[str, Any]) -> dict[str, Any]:
    """What the user of the export door states about the checkpoint: the keys that are not null."""
    found = {
        name: {key: value for key, value in plain[name].items() if value is not None}
        for name in GIVEN
    }
    return found | ({"skeleton": plain["skeleton"]} if plain["skeleton"] else {})


def merged(known: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """`known`, in which the values of `given` replace others, group by group."""
    both = thawed(known)
    for key, value in given.items():
        before = both.get(key)
        deeper = isinstance(before, Mapping) and isinstance(value, Mapping)
        both[key] = merged(before, value) if deeper else thawed(value)
    return both


def trained(whole: Mapping[str, Any]) -> Trained:
    """What a checkpoint was trained on, from a description that may be incomplete.

    Raises:
        BadInput: a value that is there is not what its field allows.
    """
    return read(Trained, whole, lenient=True)


def keys_of(door: str, defaults: "DictConfig") -> list[Row]:
    """The documentation of a door's keys, with the values of a composed configuration."""
    from omegaconf import OmegaConf

    plain: Any = OmegaConf.to_container(defaults, resolve=False)
    if "recipe" in plain:  # what its values are by default depends on recipe.optimizer
        plain["recipe"] = OmegaConf.to_container(defaults["recipe"], resolve=True)
    rows = describe(DOORS[door], plain)
    if door == "export":  # its groups describe the checkpoint, and hold a part of the keys
        rows += [row for row in describe(Trained, plain) if _has(plain, row.key)]
    return rows


def _has(plain: Mapping[str, Any], key: str) -> bool:
    group, _, name = key.partition(".")
    return group in plain and (not name or name in plain[group])
