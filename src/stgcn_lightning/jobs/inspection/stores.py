"""Inspecting a store, or the folder of several."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from stgcn_lightning.data.parts import MANIFEST, DamagedStore
from stgcn_lightning.data.store import ASIDE, Store, open_store
from stgcn_lightning.jobs.inspection.asked import Asked
from stgcn_lightning.jobs.inspection.estimates import Size, costs
from stgcn_lightning.jobs.inspection.inspected import (
    Histogram,
    Inspected,
    Rows,
    plain_value,
)
from stgcn_lightning.jobs.inspection.samples import lengths, spread
from stgcn_lightning.jobs.inspection.splits import judge_pairs, pairs_of, pattern_of

STATED = ("dimension", "normalise", "missing", "on_bad_sample", "source", "source_bytes", "classes")


def inspect(asked: Asked) -> Inspected:
    """What a store holds, and what was found when it was built."""
    store, manifest = opened(asked.path)
    verified = store.verify()
    classes = [str(i) for i in range(int(manifest["classes"]))]
    subject = pattern_of(store.ids.tolist(), asked.subject)
    frames, persons = store.num_frames.numpy(), store.num_persons.numpy()
    labels = store.labels[store.labels >= 0].numpy()
    itemsize = store.frames.element_size()
    train = next(iter(pairs_of(store.splits)), ("", ""))[0]
    trained = len(store.splits[train]) if train else 0
    facts: dict[str, Any] = {
        "samples": len(store.ids),
        "skeleton": store.skeleton.name,
        "joints": store.skeleton.num_joints,
        "dtype": str(store.frames.dtype).removeprefix("torch."),
        "frames": spread(frames),
        "persons": spread(persons),
        "splits": {name: len(numbers) for name, numbers in store.splits.items()},
        "subjects_found_by": subject,
        "dropped": len(store.dropped),
        "persons_cut": store.persons_cut,
        "bytes": store.frames.numel() * itemsize,
        "verified": "all parts" if verified else "nothing: it is of an older version",
    } | {key: plain_value(manifest[key]) for key in STATED if key in manifest}
    size = Size(persons, frames, store.skeleton.num_joints, itemsize, 0, trained)
    histograms = [lengths(frames)]
    if len(labels):
        counts = np.bincount(labels, minlength=len(classes)).tolist()
        histograms.insert(0, Histogram("samples of each class", "samples", classes, counts))
    return Inspected(
        source=asked.source,
        kind="store",
        why=asked.why,
        facts=facts,
        findings=[
            *store.findings,
            *judge_pairs(store.divided(), store.skeleton.name, classes, subject),
        ],
        estimates=[one for one in costs(size) if one.name not in ("store", "memory to prepare")],
        remarks=[*store.renamed, *store.dropped],
        tables=[_splits(store)],
        histograms=histograms,
    )


def inspect_several(asked: Asked) -> Inspected:
    """The stores in a folder."""
    rows: list[tuple[Any, ...]] = []
    faults: list[str] = []
    remarks: list[str] = []
    parts = (*asked.path.glob(f"*/{MANIFEST}"), *asked.path.glob("*/frames.bin"))
    for folder in sorted({file.parent for file in parts}):
        if folder.suffix in ASIDE:
            nameless = (folder / MANIFEST).exists() and not folder.with_suffix("").exists()
            remarks.append(
                f"{folder.name} is a finished store that a killed process left without its name: "
                "the next `prepare` of it gives it that"
                if nameless
                else f"{folder.name} is no store: a process is building it, or was killed while it "
                "did; delete it if none is"
            )
            continue
        try:
            store, manifest = opened(folder)
        except DamagedStore as error:
            faults.append(str(error))
            continue
        size = store.frames.numel() * store.frames.element_size()
        dimension = plain_value(manifest.get("dimension"))
        rows.append((folder.name, len(store.ids), store.skeleton.name, dimension, size))
    return Inspected(
        source=asked.source,
        kind="stores",
        why=asked.why,
        facts={"stores": len(rows), "bytes": sum(row[-1] for row in rows)},
        faults=faults,
        remarks=remarks,
        tables=[Rows("stores", ("store", "samples", "skeleton", "dimension", "bytes"), rows)],
    )


def opened(folder: Path) -> tuple[Store, dict[str, Any]]:
    """A store and its manifest.

    Raises:
        DamagedStore: it is damaged.
    """
    try:
        store = open_store(folder)
    except FileNotFoundError:
        raise DamagedStore(folder, f"it lacks {MANIFEST}") from None
    return store, json.loads((folder / MANIFEST).read_bytes())


def _splits(store: Store) -> Rows:
    rows: list[tuple[Any, ...]] = []
    for name, numbers in store.splits.items():
        labels = store.labels[numbers]
        mean = round(float(store.num_frames[numbers].double().mean()), 1) if len(numbers) else None
        several = int((store.num_persons[numbers] > 1).sum())
        rows.append((name, len(numbers), len(labels[labels >= 0].unique()), several, mean))
    columns = ("split", "samples", "classes", "two persons and more", "mean frames")
    return Rows("splits", columns, rows)
