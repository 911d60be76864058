"""What a file or folder is, by its first bytes and by the names in it; little of it is read."""

import json
import re
import zipfile
from pathlib import Path
from typing import Any

from stgcn_lightning.errors import BadInput
from stgcn_lightning.files.kinds import (
    HEAD,
    NPZ,
    SAFETENSORS,
    TORCH,
    kind_of,
    refuse_other_kind,
)
from stgcn_lightning.files.reading import opened
from stgcn_lightning.jobs.sweep_results import RESULT
from stgcn_lightning.sources.formats import recognised
from stgcn_lightning.terminal import shown

ONNX = "an ONNX model"
PICKLE = re.compile(rb"\x80[\x02-\x05]|\(dp|\(lp|\}q|\]q")
SUFFIXES = (".pkl", ".pickle", ".p")
PREPARED = {"annotations.pkl", "benchmark"}  # what `prepare data=FOLDER` makes
ANNOTATED = (b"frame_dir", b"annotations", b"keypoint", b"split")  # in the head of annotations
MOST_SIDECAR = 4 << 20  # bytes: the sidecar of a model of many classes is far smaller


def kind_at(path: Path, format: str) -> tuple[str, str]:
    """What `path` is, and why, as the end of "because ...".

    Args:
        path: of a file or folder.
        format: of key-point files, where the user names it; else ``auto``.

    Raises:
        BadInput: it is not there, or nothing that can be looked at.
    """
    if format != "auto":
        return "recordings", f"reading.format={format} says so"
    return _folder(path) if path.is_dir() else _file(path)


def _folder(path: Path) -> tuple[str, str]:
    names = {file.name for file in path.iterdir()}
    found = [name for name in ("manifest.json", "frames.bin", "samples.npy") if name in names]
    if len(found) > 1:
        return "store", f"it holds {' and '.join(found[:2])}"
    if "multirun.yaml" in names or any(path.glob(f"*/{RESULT}")):
        return "sweep", f"its folders hold {RESULT}, or it holds multirun.yaml"
    for name in (".hydra", "checkpoints", "metrics.csv"):
        if name in names:
            return "run", f"it holds {name}"
    if any(path.glob("*.ckpt")):
        return "checkpoint", "it holds checkpoints"
    if any(path.glob("*/frames.bin")):
        return "stores", "its folders hold frames.bin"
    if names >= PREPARED and any(path.glob("benchmark/*.yaml")):
        return "annotations", f"it holds {' and '.join(sorted(PREPARED))}, which `prepare` wrote"
    runs = [folder.parent for folder in (*path.glob("*/.hydra"), *path.glob("*/*/.hydra"))]
    if runs:
        newest = max(runs, key=lambda run: run.stat().st_mtime)
        raise BadInput(
            f"{path} holds {len(runs)} runs: look at one of them, such as the newest, "
            f"source={shown(newest)}"
        )
    others = [file for file in path.iterdir() if not file.name.startswith(".")]
    if len(others) == 1 and others[0].suffix in SUFFIXES:
        return "annotations", f"it holds {others[0].name} alone"
    return "recordings", "it is a folder of files"


def _file(path: Path) -> tuple[str, str]:
    kind = kind_of(path)
    if kind in (SAFETENSORS, TORCH):
        return "checkpoint", f"it is {kind}"
    if kind == ONNX:
        return "onnx", f"it is {kind}"
    if kind == NPZ and {"scores.npy", "labels.npy"} <= _names_in(path):
        return "scores", "it is an .npz with scores and labels"
    if sidecar_in(path):
        return "sidecar", "it is JSON that describes the file of a model"
    with opened(path) as file:
        head = file.read(HEAD)
    if kind is None and (PICKLE.match(head) or path.suffix in SUFFIXES):
        if b"pred_score" in head or not any(mark in head for mark in ANNOTATED):
            return "scores", "it is a pickle without annotations"
        return "annotations", "it is a pickle of annotations"
    try:
        return "recordings", f"it is taken for {', because '.join(recognised(path))}"
    except BadInput:
        if kind not in (None, NPZ, "a JSON file"):
            refuse_other_kind(path, "annotations")
        raise


def _names_in(path: Path) -> set[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return set(archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return set()


def sidecar_in(path: Path) -> dict[str, Any] | None:
    """The description of a model's file that the export door writes beside it; None: it is none."""
    if path.suffix != ".json" or path.stat().st_size > MOST_SIDECAR:
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    whole = isinstance(found, dict) and {"format", "file", "skeleton", "classes"} <= found.keys()
    return found if whole else None
