"""Where things lie, and small pieces that several test files share."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from stgcn_lightning.doors import CONF
from stgcn_lightning.skeleton import Skeleton

GOLDEN = Path(__file__).parent / "golden"
CHECKOUT = Path(__file__).parents[1]


def skeleton(name: str) -> Skeleton:
    """A skeleton of conf/skeleton."""
    table = OmegaConf.to_container(OmegaConf.load(CONF / "skeleton" / f"{name}.yaml"))
    return Skeleton.from_dict(table)


def shared(name: str) -> Path:
    """A file that lies beside some checkouts: real data, or written by the reference system."""
    path = CHECKOUT.parent / "shared" / name
    if not path.exists():
        pytest.skip(f"{name} is not beside this checkout")
    return path
