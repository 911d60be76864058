"""Fusing the scores of several streams."""

import numpy as np
from omegaconf import DictConfig
from rich.table import Table

from stgcn_lightning.errors import BadInput
from stgcn_lightning.evaluation.fusion import PRESETS, fuse, top1_interval
from stgcn_lightning.evaluation.scores import Scores, read_scores, write_scores
from stgcn_lightning.experiment import (
    console,
    path_of,
    plain,
    shown,
)
from stgcn_lightning.jobs.testing import figures_of, scores_path


def fuse_scores(cfg: DictConfig) -> None:
    """Fuse the scores of several streams, write them and print each stream beside the fusion."""
    paths, weights = plain(cfg.streams), plain(cfg.weights)
    if not isinstance(paths, dict) or not all(isinstance(p, str) for p in paths.values()):
        raise BadInput("say what to fuse: streams='{joint: a.npz, bone: b.npz}'")
    if weights is not None and not (
        isinstance(weights, dict) and all(isinstance(w, int | float) for w in weights.values())
    ):
        raise BadInput(f"weights={weights} are no weights: weights='{{joint: 2, bone: 1}}'")
    if cfg.preset is not None and weights is not None:
        raise BadInput(f"preset={cfg.preset} already means weights: give one of the two")
    if cfg.preset is not None:
        if cfg.preset not in PRESETS:
            raise BadInput(f"preset={cfg.preset} is none of {', '.join(PRESETS)}")
        weights = PRESETS[cfg.preset]
    weights = weights or dict.fromkeys(paths, 1.0)
    streams = {name: read_scores(path_of(f"streams.{name}", path)) for name, path in paths.items()}
    for name, scores in streams.items():
        if scores.ids is None:
            console.print(f"{name}: {paths[name]} holds no ids, samples are joined by order")
    fused = fuse(streams, weights)
    if fused.ids is None:
        fused = with_numbers_as_ids(fused)
    out = scores_path(cfg)
    write_scores(out, fused)

    table = Table()
    for column in ("", "weight", "top-1", "95 % interval", "top-5", "mean class"):
        table.add_column(column, justify="right" if column else "left")
    for name, scores in [*streams.items(), ("fused", fused)]:
        top1, low, high = top1_interval(scores)
        figures = figures_of(scores)
        table.add_row(
            name,
            "" if name == "fused" else f"{weights[name]:g}",
            f"{100 * top1:.2f}",
            f"{100 * low:.2f} - {100 * high:.2f}",
            f"{100 * figures['top5']:.2f}",
            f"{100 * figures['mean_class_accuracy']:.2f}",
            style="bold" if name == "fused" else None,
        )
    console.print(table)
    console.print(f"scores: {shown(out)}")


def with_numbers_as_ids(scores: Scores) -> Scores:
    """Scores fused by order, whose samples are called by their number from here on."""
    ids = np.array([str(i) for i in range(len(scores.labels))])
    return Scores(ids, scores.labels, scores.scores, scores.classes, scores.meta)
