"""What others published for the same benchmark, to be set beside our own figures."""

from pathlib import Path
from typing import NamedTuple

from omegaconf import OmegaConf

TABLE = Path(__file__).with_name("published.yaml")


class Published(NamedTuple):
    """A published accuracy in %, who published it, and of how many classes."""

    top1: float
    source: str
    classes: int


def published_top1(model: str, benchmark: str, stream: str) -> Published | None:
    """The figure for a model, a benchmark and a stream or fusion; None where there is none."""
    row = OmegaConf.select(OmegaConf.load(TABLE), f"{model}.{benchmark}", default={})
    return Published(row[stream], row["source"], row["classes"]) if stream in row else None
