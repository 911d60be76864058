"""Recordings of the user's own, read, mapped, cut, and with their labels.

What the user says about them is in `sources.labels`.

Axes: M persons, T frames, V joints, C coordinates.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from rich.progress import track

from stgcn_lightning.errors import BadInput
from stgcn_lightning.files.reading import size_below
from stgcn_lightning.settings.doors import PrepareSettings
from stgcn_lightning.shipped import skeleton_named
from stgcn_lightning.sources import formats
from stgcn_lightning.sources.formats import Found
from stgcn_lightning.sources.labels import Entry, entries_of_folder, entries_of_table
from stgcn_lightning.sources.mapping import mapped
from stgcn_lightning.sources.recordings import Reading, Recording
from stgcn_lightning.terminal import console, counted, shown, size

TABLES = (".csv", ".tsv", ".txt")


@dataclass(frozen=True)
class Labelled:
    """A sample's recording, what the user says about it, and the file or folder that it is from."""

    recording: Recording
    entry: Entry
    path: Path


def read_labelled(path: Path, settings: PrepareSettings) -> list[Labelled]:
    """All recordings as samples; a file is read once, however many intervals are cut from it.

    Raises:
        BadInput: a file cannot be read, and such files are not left out.
    """
    reading = Reading(**vars(settings.reading))
    target = None if settings.map is None else skeleton_named(settings.map)
    root = path if path.is_dir() else path.parent
    faults: list[str] = []
    listed = _listed(_entries(path), reading, faults)
    files = {one.path: one for _, one in listed}
    read: dict[Path, list[Recording]] = {}
    console.print(
        f"reading {shown(path)}: "
        f"{counted(len(files), 'file or folder of frames', 'files or folders of frames')}, "
        f"{size(sum(map(size_below, files)))}"
    )
    quiet = not sys.stdout.isatty()
    for file in track(files.values(), "reading", console=console, disable=quiet):
        try:
            recordings = formats.read_found(file, reading, file.path.parent)
            if target is not None:
                recordings = [mapped(one, target) for one in recordings]
            below = os.path.relpath(file.path.parent, root)
            read[file.path] = [
                replace(one, id=Path(below, one.id).as_posix()) for one in recordings
            ]
        except BadInput as error:
            faults.append(str(error))
    _say_left_out(faults, drop=settings.data.on_bad_sample == "drop" and bool(read))
    found = [
        Labelled(part, entry, file.path)
        for entry, file in listed
        for recording in read.get(file.path, [])
        for part in _persons(_cut(recording, entry), settings.per_person)
    ]
    if not found:
        raise BadInput(f"nobody is in any interval of {shown(path)}: correct starts and ends")
    return found


def _entries(path: Path) -> list[Entry]:
    if not path.exists():
        raise BadInput(f"data={path} is no folder and no table: check the path")
    if path.is_dir():
        return entries_of_folder(path)
    if path.suffix.casefold() not in TABLES:
        raise BadInput(
            f"data={path} is a file but no table: give a folder whose folders are classes, or a "
            "table.csv with the columns file and label"
        )
    entries, unused = entries_of_table(path)
    if unused:
        console.print(f"columns of {shown(path)} that are not used: {', '.join(unused)}")
    return entries


def _listed(
    entries: Sequence[Entry], reading: Reading, faults: list[str]
) -> list[tuple[Entry, Found]]:
    """Every entry with each of the files and folders of frames that it names.

    Raises:
        BadInput: a folder in place of a class is a recording.
    """
    found: list[tuple[Entry, Found]] = []
    known: dict[Path, list[Found]] = {}
    for entry in entries:
        if entry.path not in known:
            try:
                known[entry.path] = formats.list_recordings(entry.path, reading, faults)
            except BadInput as error:
                faults.append(str(error))
                known[entry.path] = []
        if entry.where == str(entry.path) and any(f.path == entry.path for f in known[entry.path]):
            raise BadInput(
                f"{entry.path} is a recording and no class: put the recordings of each class into "
                "a folder with its name, or name them in a table, data=TABLE.csv with the columns "
                "file and label"
            )
        found += [(entry, one) for one in known[entry.path]]
    return found


def _say_left_out(faults: Sequence[str], *, drop: bool) -> None:
    """Say which files are left out.

    Raises:
        BadInput: there are some, and they are not to be left out.
    """
    if not faults:
        return
    if not drop:
        many = f" ({len(faults)} files are bad)" if len(faults) > 1 else ""
        raise BadInput(f"{faults[0]}{many}; data.on_bad_sample=drop leaves bad files out")
    console.print(f"{counted(len(faults), 'file is', 'files are')} left out:")
    for fault in faults:
        console.print(f"  {fault}")


def _cut(recording: Recording, entry: Entry) -> Recording:
    """The interval of a recording that an entry names, with the its frames in the id.

    Raises:
        BadInput: the interval is not within the recording.
    """
    if entry.start is None and entry.end is None:
        return recording
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
            f"{entry.where} cuts the frames {low} to {high} (not included), and "
            f"{shown(entry.path)} has the frames {numbers[0]} to {numbers[-1]}: correct start and "
            "end"
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
        id=f"{recording.id}:{low}-{high}",
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
