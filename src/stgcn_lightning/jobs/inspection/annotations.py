"""Inspecting a pickle of annotations."""

import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from stgcn_lightning.data.ids import find_samples
from stgcn_lightning.data.plausible import Finding
from stgcn_lightning.errors import BadInput
from stgcn_lightning.jobs.inspection.asked import Asked
from stgcn_lightning.jobs.inspection.estimates import costs
from stgcn_lightning.jobs.inspection.inspected import Command, Histogram, Inspected, Rows, typed
from stgcn_lightning.jobs.inspection.recognising import SUFFIXES
from stgcn_lightning.jobs.inspection.samples import Judged, facts_of, judged, lengths, size_of
from stgcn_lightning.jobs.inspection.splits import (
    VALIDATED,
    divided,
    judge_pairs,
    pairs_of,
    pattern_of,
)
from stgcn_lightning.shipped import BenchmarkTable, benchmark_tables
from stgcn_lightning.sources.annotations import Annotations
from stgcn_lightning.sources.mmaction2 import read_annotations
from stgcn_lightning.terminal import shown


def inspect(asked: Asked) -> Inspected:
    """What is in annotations, and what will hurt."""
    path, source, why = asked.path, asked.source, asked.why
    conf = path if path.is_dir() else None
    if conf is not None:  # with one pickle in it
        path = next(file for file in path.iterdir() if file.suffix in SUFFIXES)
        source = str(shown(path))
    annotations = read_annotations(path)
    if not annotations.samples:
        return Inspected(
            source=source, kind="annotations", why=why, facts={"samples": 0},
            faults=["there is no sample in it: make the annotations again"],
        )  # fmt: skip
    found = judged(annotations.samples, asked.known(), asked.skeleton is not None)
    faults, remarks = list(found.faults), list[str]()
    try:
        annotations, remarks = find_samples(annotations)
    except BadInput as error:
        faults.append(str(error))
    for name, ids in annotations.splits.items():
        if not ids:
            faults.append(f"split {name!r} has no samples; list ids in it, or remove it")
    own = benchmark_like(annotations, found, benchmark_tables(conf), path) if conf else None
    benchmark = own or benchmark_like(annotations, found, benchmark_tables(), path)
    # where all of them count from 1, which is a fault, they are judged as if they were mended
    good = found.good
    if any((sample.label or 0) >= found.taken.classes for sample in good):
        good = [replace(one, label=None if one.label is None else one.label - 1) for one in good]
    classes = benchmark.classes if benchmark else [str(i) for i in range(found.taken.classes)]
    ids = [sample.id for sample in annotations.samples if isinstance(sample.id, str)]  # pyright: ignore
    subject = pattern_of(ids, asked.subject)
    findings = [*found.findings]
    if found.scaled and not (benchmark and benchmark.normalise == "none"):
        findings.insert(0, found.scaled)
    if found.good:
        samples = divided(good, annotations.splits, found.counts["digest"])
        findings += judge_pairs(samples, found.taken.skeleton.name, classes, subject)
    # a label that is a fault says nothing of the others
    labels = [sample.label for sample in found.good]
    findings += _labels([sample.label for sample in good])
    train = next(iter(pairs_of(annotations.splits)), (next(iter(annotations.splits), ""), ""))[0]
    trained = len(annotations.splits.get(train, []))
    facts = facts_of(annotations.samples, found.taken) | {
        "classes": len({label for label in labels if label is not None}),
        "labels": _range(labels),
        "unlabelled": sum(sample.label is None for sample in annotations.samples),
        "splits": {name: len(ids) for name, ids in annotations.splits.items()},
        "subjects_found_by": subject,
        "benchmark": benchmark and benchmark.name,
        "normalise": found.normalise,
    }
    frames = np.array([sample.keypoint.shape[1] for sample in annotations.samples])
    return Inspected(
        source=source,
        kind="annotations",
        why=why,
        facts=facts,
        faults=faults,
        findings=findings,
        estimates=costs(size_of(annotations.samples, found.taken, trained)),
        remarks=remarks,
        tables=[_splits(annotations)],
        drawing=found.body,
        histograms=[*_classes([sample.label for sample in good], classes), lengths(frames)],
        commands=[]
        if faults
        else next_of_own(asked.source, own)
        if own
        else next_of(source, annotations, found, benchmark, subject),
    )


def benchmark_like(
    annotations: Annotations, found: Judged, tables: Sequence[BenchmarkTable], path: Path
) -> BenchmarkTable | None:
    """The benchmark of as many joints, coordinates, classes and with these splits.

    Of a published one whose splits are called as many are, the file has its published name, too.
    """
    names = annotations.splits.keys()
    for one in tables:
        taken = found.taken
        body = (one.dimension, one.skeleton) == (taken.dimension, taken.skeleton.name)
        divided = {one.train_split, one.val_split} <= names and not one.synthetic
        other = one.usual_splits and one.file not in ("", path.name)
        if body and divided and not other and len(one.classes) == taken.classes:
            return one
    return None


def next_of_own(folder: str, own: BenchmarkTable) -> list[Command]:
    """What to type to train on annotations in a folder that holds their configuration, too."""
    return [
        Command(
            "train on them",
            typed("train", shlex.quote(f"--config-dir={folder}"), experiment=own.name),
        )
    ]


def next_of(
    source: str,
    annotations: Annotations,
    found: Judged,
    benchmark: BenchmarkTable | None,
    subject: str | None,
) -> list[Command]:
    """What to type to train on these annotations."""
    more: dict[str, Any] = {} if found.missing == "error" else {"data__missing": found.missing}
    if benchmark:
        keys = {"benchmark": benchmark.name, "benchmark__annotations": source}
        if not benchmark.normalise.startswith(found.normalise):  # 3d_centred may be meant
            keys["benchmark__normalise"] = found.normalise
        return [
            Command("build the store and look at it", typed("prepare", **keys, **more)),
            Command("train on them", typed("train", **keys, **more)),
        ]
    ask = typed("predict", checkpoint="RUN", source=source)
    if all(sample.label is None for sample in annotations.samples):
        return [Command("have a trained model answer for them", ask)]
    if not found.taken.named or found.taken.classes < 2:
        return []
    pair = next(iter(pairs_of(annotations.splits)), None)
    train, val = pair or (next(iter(annotations.splits), "all"), None)
    if VALIDATED.match(train):  # it is all that there is
        return [Command("have a trained model answer for them", ask)]
    keys = {
        "benchmark": "synthetic",  # which has a value for every key
        "benchmark__synthetic": None,
        "benchmark__name": "own",
        "benchmark__annotations": source,
        "skeleton": found.taken.skeleton.name,
        "benchmark__dimension": found.taken.dimension,
        "benchmark__normalise": found.normalise,
        "benchmark__train_split": train,
        "benchmark__val_split": val,
        "benchmark__classes": found.taken.classes,
        "benchmark__subject": subject,
    }
    if val is None:
        more |= {"test_after": "false"}
    return [Command("train on them", typed("train", **keys, **more))]


def _labels(labels: Sequence[int | None]) -> list[Finding]:
    known = {label for label in labels if label is not None}
    findings: list[Finding] = []
    if any(label is None for label in labels):
        unknown = sum(label is None for label in labels)
        findings.append(
            Finding(
                f"{unknown:,} of {len(labels):,} samples have no label",
                "",
                "they are tested and predicted, and cannot be trained on",
            )
        )
    if known and len(known) == 1:
        findings.append(
            Finding(f"all labels are {known.pop()}", "", "give samples of at least two classes")
        )
    elif known and len(known) < (most := max(known) + 1):
        findings.append(
            Finding(
                f"{most - len(known):,} of the labels 0 to {most - 1:,} do not occur",
                "",
                "let labels count the classes from 0 without gaps, unless these are classes "
                "without samples",
            )
        )
    return findings


def _range(labels: Sequence[int | None]) -> str | None:
    known = [label for label in labels if label is not None]
    return f"{min(known)} to {max(known)}" if known else None


def _classes(labels: Sequence[int | None], names: Sequence[str]) -> list[Histogram]:
    known = np.array([label for label in labels if label is not None and label >= 0], np.int64)
    if not len(known):
        return []
    counts = np.bincount(known, minlength=len(names)).tolist()
    named = [names[i] if i < len(names) else str(i) for i in range(len(counts))]
    return [Histogram("samples of each class", "samples", named, counts)]


def _splits(annotations: Annotations) -> Rows:
    of = {sample.id: sample for sample in annotations.samples}
    rows: list[tuple[Any, ...]] = []
    for name, ids in annotations.splits.items():
        samples = [of[id] for id in ids if id in of]
        frames = [sample.keypoint.shape[1] for sample in samples]
        labels = {sample.label for sample in samples} - {None}
        mean = round(float(np.mean(frames)), 1) if frames else None
        several = sum(sample.keypoint.shape[0] > 1 for sample in samples)
        rows.append((name, len(ids), len(labels), several, mean))
    columns = ("split", "samples", "classes", "two persons and more", "mean frames")
    return Rows("splits", columns, rows)
