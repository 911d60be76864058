"""What `--help` of a door prints: its configuration, and the options of its groups.

It is Hydra's own text, from which private options (`_name.yaml`) are left out. Hydra copies all
that it knows of configuration for every group that it lists, which takes half of the time.
"""

from collections.abc import Sequence
from string import Template

from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from stgcn_lightning.evaluation.published import experiments
from stgcn_lightning.launching.composing import composed
from stgcn_lightning.launching.sentences import is_override
from stgcn_lightning.shipped import CONF


def asks_for_help(arguments: Sequence[str]) -> bool:
    """Whether a command line asks for help alone; with other flags, Hydra answers."""
    flags = {argument for argument in arguments if not is_override(argument)}
    return bool(flags) and flags <= {"--help", "-h"}


def help_of(door: str, overrides: Sequence[str]) -> str:
    """The help of a door with these overrides."""
    whole = composed(door, *overrides, with_hydra=True)
    HydraConfig.instance().set_config(whole)
    template = Template(whole.hydra.help.template)
    own = OmegaConf.masked_copy(whole, [str(key) for key in whole if key != "hydra"])
    groups = "".join(f"{name}: {', '.join(options)}\n" for name, options in groups_of_conf())
    return template.substitute(APP_CONFIG_GROUPS=groups, CONFIG=OmegaConf.to_yaml(own))


def groups_of_conf() -> list[tuple[str, list[str]]]:
    """The groups of conf/ and their options, sorted."""
    folders = sorted(one for one in CONF.iterdir() if one.is_dir() and one.name != "hydra")
    groups = [(one.name, sorted(file.stem for file in one.glob("[!_]*.yaml"))) for one in folders]
    place = [name for name, _ in groups].index("experiment") + 1
    return [*groups[:place], *published_groups(), *groups[place:]]


def published_groups() -> list[tuple[str, list[str]]]:
    """The published experiments: a line for the benchmarks and streams of each family."""
    cells: dict[str, dict[str, dict[str, None]]] = {}
    for cell in experiments().values():
        found = cells.setdefault(cell["model"], {"benchmark": {}, "stream": {}})
        for group, names in found.items():
            names[cell[group]] = None
    return [
        (f"experiment={family}/BENCHMARK_STREAM", [" ".join(found["benchmark"]), *found["stream"]])
        for family, found in cells.items()
    ]
