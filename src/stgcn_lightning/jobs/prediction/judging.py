"""One checkpoint or several that answer together, as `test` and `fuse` would.

Axes: B samples.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from stgcn_lightning.errors import BadInput
from stgcn_lightning.evaluation.fusion import fuse
from stgcn_lightning.evaluation.scores import Scores
from stgcn_lightning.predictor import Predictor
from stgcn_lightning.skeleton import Skeleton
from stgcn_lightning.sources.annotations import Sample


class Judges:
    """Predictors that see the same joints and know the same classes.

    Args:
        predictors: by the names of their streams, or of a single one by any name.
        weights: of their scores, by the same names.

    Raises:
        BadInput: they differ in classes or joints, or the weights cannot be used.
    """

    def __init__(self, predictors: Mapping[str, Predictor], weights: Mapping[str, float]):
        self.predictors, self.weights = predictors, weights
        (name, self.first), *others = predictors.items()
        for other, predictor in others:
            for what in ("classes", "dimension"):
                ours, theirs = getattr(self.first, what), getattr(predictor, what)
                if ours != theirs:
                    raise BadInput(
                        f"checkpoint.{name} and checkpoint.{other} have different {what}, "
                        f"{_difference(ours, theirs)}: fuse checkpoints of one benchmark"
                    )
            if self.first.skeleton.joints != predictor.skeleton.joints:
                raise BadInput(
                    f"checkpoint.{name} sees the joints of {self.first.skeleton.name}, "
                    f"checkpoint.{other} those of {predictor.skeleton.name}: fuse checkpoints of "
                    "one skeleton"
                )

    @property
    def classes(self) -> list[str]:
        """Names of the classes."""
        return self.first.classes

    @property
    def skeleton(self) -> Skeleton:
        """The joints of every sample."""
        return self.first.skeleton

    def scores(self, samples: Sequence[Sample]) -> NDArray[np.float32]:
        """Scores (B, classes) of samples, rows sum to 1; of several predictors the weighted mean.

        Raises:
            BadInput: a sample is not what the checkpoints were trained on.
        """
        return self.fused({name: judge(samples) for name, judge in self.predictors.items()})

    def fused(self, found: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float32]:
        """Weighted mean of the scores (B, classes) of each predictor, by name."""
        if len(found) == 1:
            return next(iter(found.values()))
        samples = next(iter(found.values()))
        ids, labels = np.arange(len(samples)).astype(np.str_), np.full(len(samples), -1)
        names = np.array(self.classes)
        streams = {name: Scores(ids, labels, one, names) for name, one in found.items()}
        return fuse(streams, self.weights).scores


def device_named(name: str) -> torch.device:
    """The device that `device=name` means.

    Raises:
        BadInput: there is no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.device(name)
    except RuntimeError:
        raise BadInput(f"device={name} is none of auto, cpu, cuda, cuda:1: choose one") from None


def load_judges(
    files: Mapping[str, Path], weights: Mapping[str, float], device: torch.device
) -> Judges:
    """The checkpoints in files, by name.

    Raises:
        BadInput: a file is no checkpoint with a card, or they do not fit each other.
    """
    return Judges({name: Predictor(file, device=device) for name, file in files.items()}, weights)


def _difference(ours: Any, theirs: Any) -> str:
    if isinstance(ours, str):
        return f"{ours} and {theirs}"
    if len(ours) != len(theirs):
        return f"{len(ours)} and {len(theirs)}"
    place = next(i for i, (a, b) in enumerate(zip(ours, theirs, strict=True)) if a != b)
    return f"class {place} is {ours[place]} and {theirs[place]}"
