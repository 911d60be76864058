"""Recordings of the user's own -> annotations with splits, and the configuration that trains on them.

In this order: what the user says about them (`sources.labels`) -> recordings read, mapped, cut ->
samples -> one skeleton for all -> splits -> files (`own_files`).
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import track
from rich.table import Table

from stgcn_lightning.errors import BadInput
from stgcn_lightning.jobs.own_files import OwnFiles, chosen_name
from stgcn_lightning.jobs.own_splits import Splits, split_up
from stgcn_lightning.settings.doors import PrepareSettings
from stgcn_lightning.settings.fields import path_of
from stgcn_lightning.shipped import skeleton_named
from stgcn_lightning.skeleton import Skeleton
from stgcn_lightning.sources import formats
from stgcn_lightning.sources.annotations import Annotations, Sample
from stgcn_lightning.sources.labels import Entry, entries_of_folder, entries_of_table
from stgcn_lightning.sources.recordings import Reading, Recording
from stgcn_lightning.terminal import console, counted, shown

NAMED = 3  # files that a sentence names


@dataclass(frozen=True)
class Labelled:
    """A sample's recording, and what the user says about it."""

    recording: Recording
    entry: Entry


def bring_in(settings: PrepareSettings) -> tuple[PrepareSettings, str]:
    """Make a benchmark of the recordings in ``settings.recordings``.

    Returns:
        The settings of that benchmark, and the command that trains on it.

    Raises:
        BadInput: the recordings cannot be used as they are.
    """
    path = path_of("data", settings.recordings)
    files = OwnFiles.claimed(path, settings.out, chosen_name(path, settings.name))
    entries = _entries(path, settings.reading.format)
    found = _read(entries, settings)
    skeleton = _skeleton_of(found, settings.skeleton)
    classes = _classes(found, settings.class_order)
    splits = split_up([one.recording.id for one in found], [one.entry for one in found], settings)
    samples = [
        replace(one.recording, id=id).sample(classes.index(one.entry.label))
        for one, id in zip(found, splits.ids, strict=True)
    ]
    _refuse_twice(samples)
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
    )
    settings = replace(settings, benchmark=benchmark, skeleton=skeleton)
    files.write(Annotations(samples, splits.members), settings)
    return settings, files.command()


def _entries(path: Path, format: str) -> list[Entry]:
    if not path.exists():
        raise BadInput(f"data={path} is no folder and no table: check the path")
    if path.is_dir():
        console.print("names that begin with a dot are left out") if _hidden(path) else None
        return entries_of_folder(path, _recognises(format))
    if path.suffix.casefold() not in (".csv", ".tsv", ".txt"):
        raise BadInput(
            f"data={path} is a file but no table: give a folder whose folders are classes, or a "
            "table.csv with the columns file and label"
        )
    entries, unused = entries_of_table(path)
    if unused:
        console.print(f"columns of {shown(path)} that are not used: {', '.join(unused)}")
    return entries


def _hidden(folder: Path) -> bool:
    return any(one.name.startswith(".") for one in folder.rglob("*"))


def _recognises(format: str) -> Callable[[Path], bool]:
    """Whether a folder is one recording, a file a frame, in a format; ``auto`` is in any."""

    def is_recording(folder: Path) -> bool:
        names = formats.FORMATS if format == "auto" else [format]
        return any(formats.reader_of(name).recognise(folder) for name in names)

    return is_recording


def _read(entries: Sequence[Entry], settings: PrepareSettings) -> list[Labelled]:
    """All recordings as samples; a file is read once, however many intervals are cut from it.

    Raises:
        BadInput: a file cannot be read, and such files are not left out.
    """
    reading = Reading(**vars(settings.reading))
    target = None if settings.map is None else skeleton_named(settings.map)
    by_path: dict[Path, list[Entry]] = {}
    for entry in entries:
        by_path.setdefault(entry.path, []).append(entry)
    found: dict[Path, list[Recording]] = {}
    faults: list[str] = []
    quiet = not sys.stdout.isatty()
    for path in track(by_path, "reading", console=console, disable=quiet):
        try:
            read = formats.read_recordings(path, reading)
            if target is not None:
                read = [_mapped(one, target) for one in read]
            found[path] = read
        except BadInput as error:
            faults.append(str(error))
    drop = settings.data.on_bad_sample == "drop"
    if faults and (not drop or len(faults) == len(by_path)):
        many = f" ({len(faults)} of {len(by_path)} recordings are bad)" if len(faults) > 1 else ""
        leave = "" if drop else "; data.on_bad_sample=drop leaves bad recordings out"
        raise BadInput(f"{faults[0]}{many}{leave}")
    if faults:
        console.print(f"{counted(len(faults), 'recording is', 'recordings are')} left out:")
    for fault in faults:
        console.print(f"  {fault}")
    return [
        Labelled(part, entry)
        for entry in entries
        for recording in found.get(entry.path, [])
        for part in _persons(_cut(recording, entry), settings.per_person)
    ]


def _mapped(recording: Recording, target: Skeleton) -> Recording:
    raise BadInput(f"map={target.name} is not there yet for {recording.id}")


def _cut(recording: Recording, entry: Entry) -> Recording:
    """The interval of a recording that an entry names, with the entry's id.

    Raises:
        BadInput: the interval is not within the recording.
    """
    _, colon, within = recording.id.partition(":")
    id = entry.id + colon + within
    if entry.start is None and entry.end is None:
        return replace(recording, id=id)
    T = recording.keypoint.shape[1]
    numbers = np.arange(T) if recording.frames is None else recording.frames
    start, end = entry.start, entry.end
    if entry.seconds:
        if recording.fps is None:
            raise BadInput(
                f"{entry.where} gives seconds, and {recording.id} does not say its frame rate: "
                "give reading.fps=NUMBER, or start and end in frames"
            )
        first = int(numbers[0])
        start, end = (
            None if value is None else first + round(value * recording.fps)
            for value in (start, end)
        )
    low = int(numbers[0]) if start is None else int(start)
    high = int(numbers[-1]) + 1 if end is None else int(end)
    if low < numbers[0] or high > numbers[-1] + 1 or low >= high:
        raise BadInput(
            f"{entry.where} cuts the frames {low} to {high} (not included), and {shown(entry.path)} "
            f"has the frames {numbers[0]} to {numbers[-1]}: correct start and end"
        )
    inside = slice(*np.searchsorted(numbers, [low, high]).tolist())
    if inside.start == inside.stop:
        raise BadInput(
            f"{entry.where} cuts the frames {low} to {high} (not included), of which "
            f"{shown(entry.path)} has none: correct start and end"
        )
    score = recording.score
    return replace(
        recording,
        id=f"{id}:{low}-{high}",
        keypoint=recording.keypoint[:, inside],
        score=None if score is None else score[:, inside],
        frames=numbers[inside],
    )


def _persons(recording: Recording, apart: bool) -> Iterator[Recording]:
    """The recording itself, or each of its persons who are there, as a recording of its own."""
    if not apart:
        yield recording
        return
    for m, person in enumerate(recording.keypoint):
        if person.any():
            score = recording.score
            yield replace(
                recording,
                id=f"{recording.id}:person{m + 1}",
                keypoint=person[None],
                score=None if score is None else score[m : m + 1],
                persons=recording.persons[m : m + 1],
            )


def _skeleton_of(found: Sequence[Labelled], given: Skeleton) -> Skeleton:
    """The one skeleton of all recordings.

    Raises:
        BadInput: they have several, or one that is not known.
    """
    kinds: dict[tuple[Any, ...], Recording] = {}
    for one in found:
        recording = one.recording
        kind = recording.skeleton, recording.joints, recording.keypoint.shape[-1]
        kinds.setdefault(kind, recording)
    first, *others = kinds.values()
    if others:
        raise BadInput(
            f"{first.id} has {_joints(first)} and {others[0].id} has {_joints(others[0])}: prepare "
            "them apart, or map them to one skeleton with map=coco17"
        )
    if first.skeleton is not None:
        return skeleton_named(first.skeleton)
    if first.joints == given.joints:
        return given
    raise BadInput(
        f"{first.id} has {_joints(first)}, whose skeleton is not known: name it, "
        "reading.skeleton=NAME of conf/skeleton; map its joints by their names, map=coco17; or "
        "write a skeleton file (docs/data.md), skeleton=NAME --config-dir=FOLDER"
    )


def _joints(recording: Recording) -> str:
    names = ", ".join(recording.joints[:NAMED])
    of = f" of {recording.skeleton}" if recording.skeleton else ""
    C = recording.keypoint.shape[-1]
    return f"{len(recording.joints)} joints{of} in {C}D ({names}, ...)"


def _classes(found: Sequence[Labelled], order: Any) -> list[str]:
    """Names of the classes in the order of their labels: sorted, numbers as numbers.

    Raises:
        BadInput: there is one class alone, or one that the given order does not have.
    """
    names = {one.entry.label for one in found}
    if order is not None:
        from stgcn_lightning.jobs.classes import class_names

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


def _refuse_twice(samples: Sequence[Sample]) -> None:
    """Refuse a recording that is named twice."""
    id, times = Counter(sample.id for sample in samples).most_common(1)[0]
    if times > 1:
        raise BadInput(f"{id} is named {times} times: name each recording or interval once")


def _say_remarks(found: Sequence[Labelled]) -> None:
    """Say what was decided about the recordings, each sentence once."""
    remarks: dict[str, list[str]] = {}
    seen: set[Path] = set()
    for one in found:
        if one.entry.path in seen:
            continue
        seen.add(one.entry.path)
        for remark in one.recording.remarks:
            general = remark.replace(str(one.entry.path), "a recording")
            remarks.setdefault(general, []).append(one.entry.id)
    for remark, ids in remarks.items():
        console.print(f"{counted(len(ids), 'recording', 'recordings')} (e.g. {ids[0]}): {remark}")


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
    rates = {one.recording.fps for one in found}
    console.print(f"frames per second: {', '.join(_rate(rate) for rate in _sorted(rates))}")


def _sorted(rates: Iterable[float | None]) -> list[float | None]:
    return sorted(rates, key=lambda rate: rate or 0)


def _rate(rate: float | None) -> str:
    return "not known" if rate is None else f"{rate:g}"
