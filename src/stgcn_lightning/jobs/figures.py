"""The files of a test or fusion: scores, and figures as plain JSON beside them.

docs/training.md has the form of the figures.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stgcn_lightning.errors import BadInput
from stgcn_lightning.evaluation.figures import NAMES
from stgcn_lightning.evaluation.published import Published
from stgcn_lightning.evaluation.scores import Scores, holds_scores
from stgcn_lightning.files.writing import write_atomically
from stgcn_lightning.settings.fields import path_of

FORM = 1  # of the file
ORIGIN = (
    "benchmark", "split", "held_out", "stream", "weights", "test_clips", "checkpoint_sha256",
    "version", "partial",
)  # fmt: skip


def scores_path(scores: str | None, run: Path, *inputs: Path) -> Path:
    """Where the scores go: `scores`, or the run directory; its folder is made.

    Raises:
        BadInput: it is one of the `inputs`, no name of a score file, or cannot be written.
    """
    out = path_of("scores", scores) if scores else run / "scores.npz"
    if out.suffix not in (".npz", ".pkl"):
        raise BadInput(f"scores={scores} must end in .npz, or .pkl for MMAction2's dump")
    if out.resolve() in [path.resolve() for path in inputs]:
        raise BadInput(f"scores={scores} would overwrite an input: choose another name")
    if out.exists() and not holds_scores(out):
        raise BadInput(
            f"scores={scores} exists and holds something else than scores: choose another name"
        )
    figures_path(out)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(
            f"scores={scores} cannot be written: {error.strerror}; choose another folder"
        ) from error
    return out


def figures_path(scores: Path) -> Path:
    """Where the figures of a score file go: metrics.json beside scores.npz, else NAME_metrics.json.

    Raises:
        BadInput: something else is there.
    """
    path = scores.with_name(f"{'' if scores.stem == 'scores' else f'{scores.stem}_'}metrics.json")
    if path.exists():
        try:
            ours = "top1" in json.loads(path.read_text("utf-8"))
        except (OSError, ValueError, TypeError):
            ours = False
        if not ours:
            raise BadInput(
                f"{path} exists and holds something else than figures of a test: choose another "
                "name or folder, scores=FILE.npz"
            )
    return path


def write_figures(
    scores_file: Path,
    scores: Scores,
    figures: Mapping[str, float],
    published: Sequence[Published] = (),
) -> None:
    """Write the figures of scores beside their file.

    Args:
        scores_file: of the scores.
        scores: that the figures are of.
        figures: top1, top5 and mean_class_accuracy in [0, 1]; empty where there are no labels.
        published: what the top-1 may be compared with, the first above all.
    """
    known = [{"top1": one.top1 / 100, "by": one.source} for one in published]
    content: dict[str, Any] = {
        "form": FORM,
        "samples": len(scores.scores),
        "classes": len(scores.classes),
        **{name: figures.get(name) for name in NAMES},
        "published": next(iter(known), None),
        "also_published": known[1:],
        **{key: scores.meta.get(key) for key in ORIGIN},
        "per_class": per_class(scores),
    }
    with write_atomically(figures_path(scores_file)) as file:
        file.write((json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode())


def per_class(scores: Scores) -> list[dict[str, Any]]:
    """Of each class its samples and their top-1; None is unknown, or the mean of nothing."""
    hits = scores.hits if scores.labelled else np.zeros(len(scores.labels), np.bool_)
    rows: list[dict[str, Any]] = []
    for label, name in enumerate(scores.classes.tolist()):
        own = hits[scores.labels == label]
        known = scores.labelled
        rows.append(
            {
                "class": name,
                "samples": len(own) if known else None,
                "top1": float(own.mean()) if known and len(own) else None,
            }
        )
    return rows
