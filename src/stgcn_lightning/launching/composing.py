"""How the configuration is composed outside a front door."""

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig

from stgcn_lightning.launching.resolvers import register_resolvers
from stgcn_lightning.shipped import CONF


def composed(door: str, *overrides: str) -> DictConfig:
    """The configuration of a door, for use from Python: a notebook, a test."""
    register_resolvers()
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose(door, list(overrides))
