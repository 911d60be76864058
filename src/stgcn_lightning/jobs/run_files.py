"""What lies in the folder of a training: its last checkpoints, and what was logged."""

import csv
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stgcn_lightning.callbacks.last_checkpoint import EARLIER, LAST, NEXT
from stgcn_lightning.errors import BadInput
from stgcn_lightning.files.archives import read_checkpoint

LOGGED_LAST = ("train/top1", "val/top1")  # once an epoch, when it ends
Metric = tuple[NDArray[np.int64], NDArray[np.float64]]  # steps and values


def whole_and_torn(run: Path) -> tuple[dict[Path, int], list[Path]]:
    """The last checkpoints that can be read to their end, with their steps, and the others."""
    folder = run / "checkpoints"
    torn: list[Path] = []
    whole: dict[Path, int] = {}
    for path in (folder / LAST, folder / NEXT, *sorted(folder.glob(EARLIER))):
        if path.exists():
            try:
                whole[path] = read_checkpoint(path)["global_step"]
            except BadInput:
                torn.append(path)
    return whole, torn


def logged(run: Path) -> dict[str, Metric]:
    """Steps and values of every metric of a run; what is no number, in a torn row, is left out.

    `epoch` is taken from the ends of epochs alone, where accuracies are logged.
    """
    values: dict[str, dict[int, float]] = defaultdict(dict)
    path = run / "metrics.csv"
    if path.exists():
        with path.open(newline="") as file:
            for row in csv.DictReader(file):
                step, ends = _number(row.get("step")), any(row.get(name) for name in LOGGED_LAST)
                for name, text in row.items():
                    value = _number(text)
                    if step is None or value is None or name == "step":
                        continue
                    if ends or name != "epoch":
                        values[name][int(step)] = value
    return {
        name: (np.array(sorted(of)), np.array([of[step] for step in sorted(of)]))
        for name, of in values.items()
    }


def _number(text: Any) -> float | None:
    try:
        return float(text)
    except (TypeError, ValueError):
        return None
