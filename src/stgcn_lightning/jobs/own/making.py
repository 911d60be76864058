"""Recordings of the user's own -> annotations with splits, and what trains on them.

In this order: recordings with labels (`reading`) -> one skeleton for all (`skeletons`) ->
classes -> splits (`splits`) -> files (`files`).
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.table import Table

from stgcn_lightning.errors import BadInput
from stgcn_lightning.jobs.classes import class_names
from stgcn_lightning.jobs.own.files import OwnFiles, chosen_name
from stgcn_lightning.jobs.own.reading import Labelled, read_labelled
from stgcn_lightning.jobs.own.skeletons import skeleton_of
from stgcn_lightning.jobs.own.splits import Splits, split_up
from stgcn_lightning.jobs.read_alike import read_as
from stgcn_lightning.settings.doors import PrepareSettings
from stgcn_lightning.settings.fields import path_of
from stgcn_lightning.settings.frozen import frozen
from stgcn_lightning.skeleton import Skeleton
from stgcn_lightning.sources.annotations import Annotations
from stgcn_lightning.terminal import console, counted

LONG, MUCH = 1000, 10  # frames, and times the usual number, beyond which a recording is long
NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


def bring_in(settings: PrepareSettings) -> tuple[PrepareSettings, str]:
    """Make a benchmark of the recordings in ``settings.recordings``.

    Returns:
        The settings of that benchmark, and the command that trains on it.

    Raises:
        BadInput: the recordings cannot be used as they are.
    """
    path = path_of("data", settings.recordings)
    files = OwnFiles.claimed(path, settings.out, chosen_name(path, settings.name))
    found = read_labelled(path, settings)
    _refuse_twice(found)
    skeleton = skeleton_of([one.recording for one in found], settings.skeleton, files.name)
    classes = _classes(found, settings.class_order)
    splits = split_up(found, settings)
    samples = [
        replace(one.recording, id=id).sample(classes.index(one.entry.label))
        for one, id in zip(found, splits.ids, strict=True)
    ]
    _say_remarks(found)
    _print_table(found, classes, splits)
    dimension = f"{samples[0].keypoint.shape[-1]}d"
    benchmark = replace(
        settings.benchmark,
        name=files.name,
        annotations=str(files.annotations),
        dimension=dimension,
        normalise=_normalise(settings.normalise, dimension, skeleton),
        train_split=splits.train,
        val_split=splits.val,
        classes=tuple(classes),
        subject=splits.pattern,
        synthetic=None,
        download=None,
        skeleton_files=None,
        source=None,
        reading=frozen(read_as(settings)),
    )
    settings = replace(settings, benchmark=benchmark, skeleton=skeleton)
    files.write(Annotations(samples, splits.members), settings)
    return settings, files.command()


def _classes(found: Sequence[Labelled], order: Any) -> list[str]:
    """Names of the classes in the order of their labels: sorted, numbers as numbers.

    Raises:
        BadInput: there is one class alone, or one that the given order does not have.
    """
    names = {one.entry.label for one in found}
    if order is not None:
        given = class_names(order)
        if unknown := sorted(names - set(given)):
            raise BadInput(
                f"class_order does not have the class {unknown[0]}: add it, or correct the label"
            )
        return given
    if len(names) < 2:
        raise BadInput(
            f"all recordings are of the class {min(names)}: a model needs at least two to tell "
            "apart"
        )
    if bad := next((name for name in sorted(names) if "${" in name), None):
        raise BadInput(f"the class {bad} has ${{ in its name, which YAML files replace: rename it")
    numbers = all(name.isdecimal() for name in names)
    return sorted(names, key=(lambda name: (int(name), name)) if numbers else None)


def _normalise(given: str | None, dimension: str, skeleton: Skeleton) -> str:
    if given is not None:
        return given
    return "none" if dimension == "3d" and skeleton.normalise is None else dimension


def _refuse_twice(found: Sequence[Labelled]) -> None:
    """Refuse a recording that is named twice."""
    id, times = Counter(one.recording.id for one in found).most_common(1)[0]
    if times > 1:
        raise BadInput(f"{id} is named {times} times: name each recording or interval once")


def _say_remarks(found: Sequence[Labelled]) -> None:
    """Say what was decided about the recordings: of sentences that differ in numbers, the first."""
    remarks: dict[str, list[str]] = {}
    seen: set[Path] = set()
    for one in found:
        if one.path in seen:
            continue
        seen.add(one.path)
        for remark in one.recording.remarks:
            general = NUMBER.sub("...", remark.replace(str(one.path), "a file"))
            remarks.setdefault(general, []).append(remark.replace(str(one.path), one.path.name))
    for alike in remarks.values():
        console.print(f"{counted(len(alike), 'recording', 'recordings')}: {alike[0]}")


def _print_table(found: Sequence[Labelled], classes: Sequence[str], splits: Splits) -> None:
    """Samples of each class in each split."""
    table = Table(title="samples")
    for column in ("class", *splits.members, "frames (min/mean/max)", "persons"):
        table.add_column(column)
    for name in classes:
        mine = [i for i, one in enumerate(found) if one.entry.label == name]
        counts = [sum(splits.of[i] == split for i in mine) for split in splits.members]
        T = [found[i].recording.keypoint.shape[1] for i in mine]
        M = {found[i].recording.keypoint.shape[0] for i in mine}
        frames = f"{min(T)} / {sum(T) / len(T):.1f} / {max(T)}" if T else ""
        persons = " to ".join(map(str, sorted({min(M), max(M)}))) if M else ""
        table.add_row(name, *map(str, counts), frames, persons)
    console.print(table)
    _say_long(found)
    rates = {one.recording.fps for one in found}
    console.print(f"frames per second: {', '.join(_rate(rate) for rate in _sorted(rates))}")


def _say_long(found: Sequence[Labelled]) -> None:
    """Say which recordings are much longer than is usual: one label is little for them."""
    frames = sorted(one.recording.keypoint.shape[1] for one in found)
    usual = frames[len(frames) // 2]
    long = [one for one in found if one.recording.keypoint.shape[1] > max(LONG, MUCH * usual)]
    if long:
        console.print(
            f"{counted(len(long), 'recording is', 'recordings are')} much longer than the usual "
            f"{usual} frames, such as {long[0].recording.id} of "
            f"{long[0].recording.keypoint.shape[1]:,}: a clip takes a few of all these frames. If "
            "the action is in a part of them, cut it out, with start and end in a table"
        )


def _sorted(rates: Iterable[float | None]) -> list[float | None]:
    return sorted(rates, key=lambda rate: rate or 0)


def _rate(rate: float | None) -> str:
    return "not known" if rate is None else f"{rate:g}"
