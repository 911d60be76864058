"""Where the configuration lies, and how it is composed outside a front door."""

from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig

from stgcn_lightning.launching.resolvers import register_resolvers

PACKAGE = Path(__file__).parents[1]
# the wheel carries conf/ inside the package, a checkout has it at its top
CONF = PACKAGE / "conf" if (PACKAGE / "conf").exists() else PACKAGE.parents[1] / "conf"


def composed(door: str, *overrides: str) -> DictConfig:
    """The configuration of a door, for use from Python: a notebook, a test."""
    register_resolvers()
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose(door, list(overrides))
