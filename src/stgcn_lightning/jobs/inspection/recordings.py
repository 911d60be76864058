"""Inspecting key-point files: one, or a folder of them."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePosixPath

import numpy as np

from stgcn_lightning.errors import BadInput
from stgcn_lightning.jobs.inspection.asked import Asked
from stgcn_lightning.jobs.inspection.estimates import costs
from stgcn_lightning.jobs.inspection.inspected import Command, Histogram, Inspected, Rows, typed
from stgcn_lightning.jobs.inspection.samples import facts_of, judged, lengths, size_of
from stgcn_lightning.sources.annotations import Sample
from stgcn_lightning.sources.formats import list_recordings, read_found
from stgcn_lightning.sources.recordings import READING, Recording

SHOWN = 12  # recordings that the table lists


def inspect(asked: Asked) -> Inspected:
    """What is in key-point files, as training and prediction will see them.

    Raises:
        BadInput: nothing there can be read.
    """
    recordings, faults = read(asked)
    named = {one.skeleton for one in recordings if one.skeleton}
    known = asked.known()
    if asked.skeleton is None and len(named) == 1:
        known = [one for one in known if one.name in named] or known
    samples = [judged_sample(one) for one in recordings]
    found = judged(samples, known, asked.skeleton is not None)
    folders = classes_by_folder(recordings) if asked.path.is_dir() else {}
    rates = sorted({one.fps for one in recordings if one.fps is not None})
    facts = facts_of(samples, found.taken) | {
        "fps": rates or None,
        "seconds": seconds(recordings),
        "folders": folders or None,
        "normalise": found.normalise,
    }
    facts["recordings"] = facts.pop("samples")
    frames = np.array([sample.keypoint.shape[1] for sample in samples])
    histograms = [lengths(frames)]
    if folders:
        histograms.insert(
            0, Histogram("recordings of each folder", "recordings", [*folders], [*folders.values()])
        )
    return Inspected(
        source=asked.source,
        kind="recordings",
        why=asked.why,
        facts=facts,
        faults=[*faults, *found.faults],
        findings=[*([found.scaled] if found.scaled else []), *found.findings],
        estimates=costs(size_of(samples, found.taken, len(samples) if folders else 0)),
        remarks=said(recordings),
        tables=[_rows(recordings)],
        drawing=found.body,
        histograms=histograms,
        commands=[] if faults or found.faults else _next(asked, bool(folders)),
    )


def judged_sample(one: Recording) -> Sample:
    """The recording as a sample, whose picture is assumed where that matters to a model alone.

    Coordinates that were parts of the picture are so again, whatever its size is taken to be.
    """
    matters = any("set reading.img_shape" in remark for remark in one.remarks)
    return replace(one.sample(), img_shape_assumed=one.img_shape_assumed and matters)


def said(recordings: Sequence[Recording]) -> list[str]:
    """What was decided about recordings; of remarks that differ in names and numbers, the first."""
    alike: dict[str, list[str]] = {}
    for one in recordings:
        name = PurePosixPath(one.id).name
        for remark in one.remarks:
            kind = re.sub(r"[\d.]+", "#", remark.replace(one.id, "#").replace(name, "#"))
            alike.setdefault(kind, []).append(remark)
    return [
        remarks[0] + (f" ({len(remarks):,} recordings are like that)" if len(remarks) > 1 else "")
        for remarks in alike.values()
    ]


def read(asked: Asked) -> tuple[list[Recording], list[str]]:
    """All recordings that can be read, and why others cannot.

    Raises:
        BadInput: none can be read.
    """
    path, reading = asked.path, asked.reading
    recordings, faults = list[Recording](), list[str]()
    for one in list_recordings(path, reading):
        try:
            recordings += read_found(one, reading, path if path.is_dir() else path.parent)
        except BadInput as error:
            faults.append(str(error))
    if not recordings:
        raise BadInput(faults[0] if faults else f"{path} holds no recording; check the path")
    twice = [id for id, times in Counter(one.id for one in recordings).items() if times > 1]
    if twice:
        faults.append(f"{len(twice)} recordings have the name of another, such as {twice[0]!r}")
    return recordings, faults


def classes_by_folder(recordings: Sequence[Recording]) -> dict[str, int]:
    """How many recordings lie in each sub-folder, where all lie in some."""
    parents = [PurePosixPath(one.id).parent for one in recordings]
    if any(str(parent) == "." for parent in parents):
        return {}
    return dict(sorted(Counter(parent.parts[0] for parent in parents).items()))


def seconds(recordings: Sequence[Recording]) -> float | None:
    """How long all of them last; None where a frame rate is not known."""
    if any(not one.fps for one in recordings):
        return None
    return round(sum(one.keypoint.shape[1] / (one.fps or 1) for one in recordings), 2)


def _rows(recordings: Sequence[Recording]) -> Rows:
    columns = ("recording", "persons", "frames", "joints", "coordinates", "fps")
    rows = [(one.id, *one.keypoint.shape, one.fps) for one in recordings[:SHOWN]]
    more = len(recordings) - len(rows)
    title = "recordings" + (f", the first {SHOWN} of {len(recordings):,}" if more else "")
    return Rows(title, columns, rows)


def _next(asked: Asked, folders: bool) -> list[Command]:
    usual = vars(READING)
    said = {
        f"reading__{key}": list(value) if isinstance(value, tuple) else value
        for key, value in vars(asked.reading).items()
        if value != usual[key]
    }
    ask = typed("predict", checkpoint="RUN", source=asked.source, **said)
    commands = [Command("have a trained model answer for them", ask)]
    if folders:
        make = typed("prepare", data=asked.source, **said)
        commands.insert(0, Command("make a data set of them, a class a folder", make))
    return commands
