"""A door's composed configuration to its settings: the last place that knows OmegaConf."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from stgcn_lightning.settings.doors import DOORS, FindBenchmark, Settings, TestSettings, Trained
from stgcn_lightning.settings.fields import Row, describe, read, statements
from stgcn_lightning.settings.frozen import frozen, thawed
from stgcn_lightning.settings.references import (
    DESCRIBED,
    benchmark_named,
    defaults_of,
    groups_of,
)
from stgcn_lightning.settings.unknown import refuse_unknown

if TYPE_CHECKING:
    from omegaconf import DictConfig

LED = ("test", "export")  # doors whose checkpoint says what the user does not
MISSING = "???"  # how OmegaConf has a key that nobody has given
# what a configuration may hold whatever its door is: an experiment is used by several
KNOWN = {"sweep"}.union(*(statements(cls) for cls in DOORS.values()))


def settings_of(door: str, cfg: "DictConfig", folders: Sequence[str] = ()) -> Any:
    """The settings of a door, an instance of `doors.DOORS[door]`.

    The settings of a reproduction can make those of the runs that are its parts. These are composed
    anew, because other values follow the run directory: ``${run_dir}/checkpoints``. The settings of
    a test are those for a checkpoint without a card, and make those for the card of any other.

    Args:
        door: its name.
        cfg: as it was composed.
        folders: of configuration besides conf/, in which a benchmark may be found by its name.

    Raises:
        BadInput: a key is unknown, or a value is not what its field allows.
    """
    from omegaconf import OmegaConf

    led = door in LED and bool(OmegaConf.missing_keys(cfg))
    plain: Any = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=not led)
    refuse_unknown(classes_of(door), plain, besides=KNOWN)
    if door == "reproduce":
        parts = {"part": partial(part_of, cfg), "published": partial(published_setting, plain)}
        return read(DOORS[door], plain, composed=frozen(plain), **parts)
    if door == "zoo":
        groups = [name for name in ("model", "benchmark", "stream") if plain.get(name)]
        chosen = {name: str(plain[name].get("name")) for name in groups}
        return read(DOORS[door], plain, composed=frozen(plain), chosen=chosen)
    if door not in LED:
        return read(DOORS[door], plain, composed=frozen(plain))
    given = {group: stated({group: plain[group]}).get(group, {}) for group in DESCRIBED}
    downloads: dict[str, Any] = {"folders": folders, "downloads": plain["downloads"]}
    reference = defaults_of(**downloads) if led else {}
    find = partial(benchmark_named, **downloads)
    if door == "test":
        return tested(plain, given, find, reference, {})
    return read(
        DOORS[door],
        plain,
        composed=frozen(plain),
        given=frozen(given),
        reference=frozen({group: reference.get(group, {}) for group in ("model", "data")}),
        benchmark_named=find,
    )


def tested(
    plain: Mapping[str, Any],
    given: Mapping[str, Any],
    find: FindBenchmark,
    reference: Mapping[str, Any],
    known: Mapping[str, Any],
) -> TestSettings:
    """The settings of a test: groups as they are given, else `known`, else those of `reference`."""
    data = {"data": merged(reference.get("data", {}), known.get("data", {}))}
    whole = dict(plain) | filled({**reference, **known, **data}, given)
    return read(
        TestSettings,
        whole,
        composed=frozen(whole),
        given=frozen(given),
        benchmark_named=find,
        led_by=partial(tested, plain, given, find, reference),
    )


def part_of(whole: "DictConfig", door: str, values: Mapping[str, Any]) -> Settings:
    """The settings of another door with the configuration `whole`, but for some values."""
    from omegaconf import OmegaConf

    part = whole.copy()
    for key, value in values.items():
        OmegaConf.update(part, key, value, force_add=True)
    return settings_of(door, part)


def published_setting(plain: Mapping[str, Any], recipe: str, stream: str) -> dict[str, Any]:
    """The groups of a stream's reproduction as files have them, of its model and benchmark."""
    chosen = {group: str(plain[group]["name"]) for group in ("model", "benchmark")}
    groups = ("model", "data", "benchmark", "recipe")
    chosen |= {"recipe": recipe, "stream": stream}
    return groups_of(groups, chosen, (), plain["downloads"])


def stated(groups: Mapping[str, Any]) -> dict[str, Any]:
    """What the user states: the keys that are not missing; a group of which all are is left out."""
    found: dict[str, Any] = {}
    for key, value in groups.items():
        if isinstance(value, Mapping):
            below = stated(value)
            if below or not value:
                found[key] = below
        elif value != MISSING:
            found[key] = value
    return found


def filled(known: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """`known` groups of keys, in which those `given` replace others.

    Of a group that was chosen by the name of its file, what another file says is not mixed in.
    """
    found = {
        group: thawed(ours) if is_whole(group, ours) else merged(known.get(group) or {}, ours)
        for group, ours in given.items()
    }
    return {group: keys for group, keys in found.items() if keys}


def is_whole(group: str, ours: Mapping[str, Any]) -> bool:
    """Whether a file of a group was chosen, from the keys that every such file has."""
    if group == "model":
        return "name" in ours and ("graph" in ours or "_target_" in ours)
    always = {"skeleton": {"joints"}, "benchmark": {"name", "train_split"}, "stream": {"name"}}
    return group in always and always[group] <= ours.keys()


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
    for group in ("recipe", "data"):  # some of whose values follow others
        if group in plain:
            plain[group] = OmegaConf.to_container(defaults[group], resolve=True)
    rows = describe(DOORS[door], plain)
    if door == "export":  # its groups describe the checkpoint, and hold a part of the keys
        rows += [row for row in describe(Trained, plain) if _has(plain, row.key)]
    return rows


def classes_of(door: str) -> tuple[type, ...]:
    """The dataclasses whose fields are the keys of a door."""
    return (DOORS[door], Trained) if door == "export" else (DOORS[door],)


def _has(plain: Mapping[str, Any], key: str) -> bool:
    group, _, name = key.partition(".")
    return group in plain and (not name or name in plain[group])
