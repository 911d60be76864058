"""What the files of conf/ say about data and model, beside what a command line chooses."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stgcn_lightning.shipped import CONF

WRITABLE = re.compile(r"[\w.-]+")  # names of files that an override can choose
DESCRIBED = ("skeleton", "benchmark", "stream", "data", "model")  # what a card is made from


def benchmark_named(
    name: str, folders: Sequence[str], downloads: Mapping[str, Any], model: str | None = None
) -> dict[str, Any] | None:
    """Benchmark and skeleton as a benchmark's file has them; None where there is no such file.

    Args:
        name: is compared with the names of files; of a text out of a checkpoint no path is made.
        folders: of further configuration, where the user's own benchmarks are.
        downloads: the group of the user's choices, which paths of a benchmark refer to.
        model: a family of ours whose file is wanted, too.
    """
    roots = [CONF, *map(Path, folders)]
    known = {file.stem for root in roots for file in (root / "benchmark").glob("[!_]*.yaml")}
    if name not in known or not WRITABLE.fullmatch(name):
        return None
    if model is None:
        return groups_of(("benchmark", "skeleton"), {"benchmark": name}, folders, downloads)
    chosen = {"benchmark": name, "model": model}
    return groups_of(("benchmark", "skeleton", "model"), chosen, folders, downloads)


def defaults_of(folders: Sequence[str], downloads: Mapping[str, Any]) -> dict[str, Any]:
    """The groups of `DESCRIBED` as `train` has them where nothing is chosen."""
    return groups_of(DESCRIBED, {}, folders, downloads)


def groups_of(
    groups: Sequence[str],
    chosen: Mapping[str, str],
    folders: Sequence[str],
    downloads: Mapping[str, Any],
) -> dict[str, Any]:
    """Groups of `train`'s configuration, of which some are `chosen`, as plain containers."""
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from omegaconf import OmegaConf

    opened = GlobalHydra.instance()
    door, opened.hydra = opened.hydra, None  # the one that is open goes on afterwards
    overrides = [f"{group}={name}" for group, name in chosen.items()]
    places = ",".join(_quoted(f"file://{folder}") for folder in folders)
    try:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            cfg = compose("_common", [*overrides, f"hydra.searchpath=[{places}]"])
    finally:
        GlobalHydra.instance().hydra = door
    cfg.downloads = dict(downloads)
    return {name: OmegaConf.to_container(cfg[name], resolve=True) for name in groups}


def _quoted(text: str) -> str:
    """Text as the value of an override, whatever letters it has."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
