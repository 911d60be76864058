"""How the configuration is composed outside a front door, and where a door has found its own."""

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from stgcn_lightning.launching.resolvers import register_resolvers
from stgcn_lightning.shipped import CONF


def composed(door: str, *overrides: str, with_hydra: bool = False) -> DictConfig:
    """The configuration of a door, for use from Python: a notebook, a test.

    Args:
        door: its name.
        overrides: as on the command line.
        with_hydra: with Hydra's own configuration, the group `hydra`.
    """
    register_resolvers()
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose(door, list(overrides), return_hydra_config=with_hydra)


def config_folders() -> list[str]:
    """Folders besides conf/ in which the door that runs finds configuration: ``--config-dir``."""
    if not HydraConfig.initialized():
        return []
    sources = HydraConfig.get().runtime.config_sources
    return [one.path for one in sources if one.schema == "file" and one.provider != "main"]
