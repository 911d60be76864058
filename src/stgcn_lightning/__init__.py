"""Skeleton-based action recognition: graph networks on PyTorch Lightning and Hydra.

The library for Python users; each name is imported when it is first used, so that
``import stgcn_lightning as sl`` costs nothing::

    model = sl.load("best.ckpt")                     # a `Predictor`
    scores = model(keypoints, img_shape=(480, 640))  # keypoints (M, T, V, C) -> (classes,)

Answers: `load`, `Predictor`. Networks: `STGCN`, `STGCNPP`, and `Engine`, which computes them fast.
Bodies: `Skeleton`, `skeleton_named`, `adjacency`. Data: `open_or_build`, `StoreSpec`,
`SkeletonData`, `Feed`. Training: `Recognizer`. Scores: `read_scores`, `fuse`. Wrong input:
`BadInput`.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stgcn_lightning.data.datamodule import Feed, SkeletonData
    from stgcn_lightning.data.store import StoreSpec, open_or_build
    from stgcn_lightning.engine.engine import Engine
    from stgcn_lightning.errors import BadInput
    from stgcn_lightning.evaluation.fusion import fuse
    from stgcn_lightning.evaluation.scores import read_scores
    from stgcn_lightning.graph import adjacency
    from stgcn_lightning.models.stgcn import STGCN
    from stgcn_lightning.models.stgcnpp import STGCNPP
    from stgcn_lightning.predictor import Predictor, load
    from stgcn_lightning.recognizer import Recognizer
    from stgcn_lightning.shipped import skeleton_named
    from stgcn_lightning.skeleton import Skeleton

_HOMES = {
    "BadInput": "errors",
    "Engine": "engine.engine",
    "Feed": "data.datamodule",
    "Predictor": "predictor",
    "Recognizer": "recognizer",
    "STGCN": "models.stgcn",
    "STGCNPP": "models.stgcnpp",
    "Skeleton": "skeleton",
    "SkeletonData": "data.datamodule",
    "StoreSpec": "data.store",
    "adjacency": "graph",
    "fuse": "evaluation.fusion",
    "load": "predictor",
    "open_or_build": "data.store",
    "read_scores": "evaluation.scores",
    "skeleton_named": "shipped",
}
__all__ = [
    "STGCN",
    "STGCNPP",
    "BadInput",
    "Engine",
    "Feed",
    "Predictor",
    "Recognizer",
    "Skeleton",
    "SkeletonData",
    "StoreSpec",
    "adjacency",
    "fuse",
    "load",
    "open_or_build",
    "read_scores",
    "skeleton_named",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    found = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return [*globals(), *_HOMES]
