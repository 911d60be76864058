"""What the files of conf/ say about data and model, beside what a command line chooses."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stgcn_lightning.shipped import CONF

WRITABLE = re.compile(r"[\w.-]+")  # names of files that an override can choose
DESCRIBED = ("skeleton", "benchmark", "stream", "data", "model")  # what a card is made from


def benchmark_named(
    name: str, folders: Sequence[str], downloads: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Benchmark and skeleton as a benchmark's file has them; None where there is no such file.

    Args:
        name: is compared with the names of files; of a text out of a checkpoint no path is made.
        folders: of further configuration, where the user's own benchmarks are.
        downloads: the group of the user's choices, which paths of a benchmark refer to.
    """
    roots = [CONF, *map(Path, folders)]
    known = {file.stem for root in roots for file in (root / "benchmark").glob("[!_]*.yaml")}
    if name not in known or not WRITABLE.fullmatch(name):
        return None
    return groups_of(("benchmark", "skeleton"), name, folders, downloads)


def defaults_of(folders: Sequence[str], downloads: Mapping[str, Any]) -> dict[str, Any]:
    """The groups of `DESCRIBED` as `train` has them where nothing is chosen."""
    return groups_of(DESCRIBED, None, folders, downloads)


def groups_of(
    groups: Sequence[str],
    benchmark: str | None,
    folders: Sequence[str],
    downloads: Mapping[str, Any],
) -> dict[str, Any]:
    """Groups of `train`'s configuration, with one benchmark, as plain containers."""
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from omegaconf import OmegaConf

    opened = GlobalHydra.instance()
    door, opened.hydra = opened.hydra, None  # the one that is open goes on afterwards
    chosen = [] if benchmark is None else [f"benchmark={benchmark}"]
    places = ",".join(_quoted(f"file://{folder}") for folder in folders)
    try:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            cfg = compose("_common", [*chosen, f"hydra.searchpath=[{places}]"])
    finally:
        GlobalHydra.instance().hydra = door
    cfg.downloads = dict(downloads)
    return {name: OmegaConf.to_container(cfg[name], resolve=True) for name in groups}


def _quoted(text: str) -> str:
    """Text as the value of an override, whatever letters it has."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
