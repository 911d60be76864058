"""Annotations to the store, with a printed check of what is in it."""

import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.progress import track
from rich.table import Table

from stgcn_lightning.data.store import Store
from stgcn_lightning.errors import BadInput
from stgcn_lightning.files.locks import alone
from stgcn_lightning.files.reading import size_below
from stgcn_lightning.files.writing import explaining_where
from stgcn_lightning.jobs.own.making import bring_in
from stgcn_lightning.jobs.stores import open_store_of
from stgcn_lightning.settings.doors import PrepareSettings
from stgcn_lightning.settings.fields import path_of
from stgcn_lightning.settings.groups import Benchmark
from stgcn_lightning.sources.mmaction2 import write_annotations
from stgcn_lightning.sources.ntu import annotations_of, fingerprint, list_files, read_samples
from stgcn_lightning.terminal import console, counted, shown, size


def prepare(settings: PrepareSettings) -> None:
    """Build the store of a benchmark, downloaded if need be, and print a check of what is in it.

    Raises:
        BadInput: recordings, annotations and raw files are given beside each other, what is given
            is not there or cannot be used, or the store cannot be written.
    """
    command = ""
    if settings.recordings is not None:
        if settings.annotations is not None or settings.raw is not None:
            raise BadInput("data=PATH makes annotations: leave annotations= and raw= out")
        settings, command = bring_in(settings)
    annotations = settings.annotations
    if annotations is not None and settings.raw is not None:
        raise BadInput("annotations= and raw= are two sources of the same: give one of the two")
    if settings.raw is not None:
        annotations = str(annotations_from_raw(settings))
    if annotations is not None:
        benchmark = replace(settings.benchmark, annotations=annotations)
        settings = replace(settings, benchmark=benchmark)
    skeleton = settings.skeleton
    store = open_store_of(settings, download=True, explain=True, verify=settings.verify)
    frames = store.num_frames
    table = Table(title=f"{settings.benchmark.name}: {shown(store.folder)}")
    for column in ("split", "samples", "classes", "two persons and more", "frames (min/mean/max)"):
        table.add_column(column)
    for name, numbers in store.splits.items():
        count, T, labels = len(numbers), frames[numbers], store.labels[numbers]
        several = int((store.num_persons[numbers] > 1).sum())
        table.add_row(
            name,
            f"{count}",
            f"{len(labels[labels >= 0].unique())}",
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
    if settings.verify and store.portions is None:
        console.print(
            "not verified: the store is of an older version without digests, and its annotations "
            "are not there to build it again"
        )
    elif settings.verify:
        console.print("verified: every part of the store is what was written")
    say_missing_splits(settings.benchmark, store)
    if command:
        console.print(f"next: {command}")


def say_missing_splits(benchmark: Benchmark, store: Store) -> None:
    """Say which of the benchmark's splits the annotations lack: a test needs one alone."""
    for name in (benchmark.train_split, benchmark.val_split):
        if name and name not in store.splits:
            there = ", ".join(sorted(store.splits))
            console.print(f"the annotations have no split {name!r}; there are: {there}")


def annotations_from_raw(settings: PrepareSettings) -> Path:
    """Make annotations of NTU RGB+D's `.skeleton` files in the store directory, once.

    Raises:
        BadInput: the benchmark is not made of such files, the folder has none that can be read, or
            the store directory cannot be written.
    """
    data_set = settings.benchmark.skeleton_files
    if settings.benchmark.dimension == "2d":
        raise BadInput(
            f"{settings.benchmark.name} is 2D, whose key points come from a pose estimator and not "
            "from .skeleton files: give annotations=FILE, or choose a 3D benchmark"
        )
    if data_set is None:
        raise BadInput(
            f"{settings.benchmark.name} is not made of NTU RGB+D's .skeleton files: "
            "give annotations=FILE, or choose an NTU benchmark in 3D"
        )
    raw = path_of("raw", settings.raw)
    root = path_of("data.store_dir", settings.data.store_dir)
    files, missing, others = list_files(raw, data_set)
    out = root / f"{data_set}_3d_{fingerprint(files)}.pkl"
    with explaining_where(root):
        root.mkdir(parents=True, exist_ok=True)
        with alone(out, console.print):
            if out.exists():
                done = "unchanged since they were read"
            else:
                workers = settings.data.workers
                console.print(
                    f"reading {counted(len(files), '.skeleton file', '.skeleton files')} of "
                    f"{shown(raw)}, {size(sum(map(size_below, files)))}, in "
                    f"{counted(workers or 1, 'process', 'processes')} (data.workers={workers})"
                )
                reading = read_samples(files, workers)
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
    """The items, with a progress bar on a terminal."""
    quiet = not sys.stdout.isatty()
    return track(items, "reading", total=total, console=console, disable=quiet)
