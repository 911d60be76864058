"""Annotations to the store, with a printed check of what is in it."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from filelock import FileLock
from omegaconf import DictConfig
from rich.progress import track
from rich.table import Table

from stgcn_lightning.data.store import explaining_where
from stgcn_lightning.errors import BadInput
from stgcn_lightning.experiment import (
    check_values,
    console,
    counted,
    open_store_of,
    path_of,
    plain,
    shown,
)
from stgcn_lightning.skeleton import Skeleton
from stgcn_lightning.sources.mmaction2 import write_annotations
from stgcn_lightning.sources.ntu import annotations_of, fingerprint, list_files, read_samples


def prepare(cfg: DictConfig) -> None:
    """Build the store of a benchmark, downloaded if need be, and print a check of what is in it."""
    check_values(cfg)
    if cfg.annotations is not None and cfg.raw is not None:
        raise BadInput("annotations= and raw= are two sources of the same: give one of the two")
    if cfg.annotations is not None:
        cfg.benchmark.annotations = cfg.annotations
    if cfg.raw is not None:
        cfg.benchmark.annotations = str(annotations_from_raw(cfg))
    skeleton = Skeleton.from_dict(plain(cfg.skeleton))
    store = open_store_of(cfg, skeleton, download=True)
    frames = store.num_frames
    table = Table(title=f"{cfg.benchmark.name}: {shown(store.folder)}")
    for column in ("split", "samples", "classes", "two persons and more", "frames (min/mean/max)"):
        table.add_column(column)
    for name, numbers in store.splits.items():
        count, T = len(numbers), frames[numbers]
        several = int((store.num_persons[numbers] > 1).sum())
        table.add_row(
            name,
            f"{count}",
            f"{len(store.labels[numbers].unique())}",
            f"{several} ({100 * several / count:.0f} %)",
            f"{T.min()} / {T.double().mean():.1f} / {T.max()}",
        )
    console.print(table)
    size = store.frames.numel() * store.frames.element_size()
    console.print(
        f"{len(store.ids)} samples, {skeleton.num_joints} joints ({skeleton.name}), "
        f"{store.frames.dtype}".replace("torch.", "")
        + f", {size / 1e6:.1f} MB"
    )
    for split in (cfg.benchmark.train_split, cfg.benchmark.val_split):
        store.split(split)


def annotations_from_raw(cfg: DictConfig) -> Path:
    """Make annotations of NTU RGB+D's `.skeleton` files in the store directory, once."""
    data_set = cfg.benchmark.get("skeleton_files")
    if cfg.benchmark.dimension == "2d":
        raise BadInput(
            f"{cfg.benchmark.name} is 2D, whose key points come from a pose estimator and not from "
            ".skeleton files: give annotations=FILE, or choose a 3D benchmark"
        )
    if data_set is None:
        raise BadInput(
            f"{cfg.benchmark.name} is not made of NTU RGB+D's .skeleton files: "
            "give annotations=FILE, or choose an NTU benchmark in 3D"
        )
    raw, root = path_of("raw", cfg.raw), path_of("data.store_dir", cfg.data.store_dir)
    files, missing, others = list_files(raw, data_set)
    out = root / f"{data_set}_3d_{fingerprint(files)}.pkl"
    with explaining_where(root):
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / f".{out.name}.lock"):
            if out.exists():
                done = "unchanged since they were read"
            else:
                reading = read_samples(files, cfg.data.workers)
                samples, dropped = zip(*progress(reading, len(files)), strict=True)
                write_annotations(out, annotations_of(samples, data_set))
                done = f"read, {counted(sum(dropped), 'body', 'bodies')} dropped"
    console.print(
        f"{counted(len(files), '.skeleton file', '.skeleton files')} {done}; "
        f"{missing} skipped as missing or incomplete, "
        f"{others} of actions that {data_set} does not have"
    )
    console.print(f"annotations: {shown(out)}, for other doors benchmark.annotations={shown(out)}")
    return out


def progress(items: Iterable[Any], total: int) -> Iterable[Any]:
    """The items, with a bar where somebody is looking."""
    quiet = not sys.stdout.isatty()
    return track(items, "reading", total=total, console=console, disable=quiet)
