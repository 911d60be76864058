"""The predict door: from key points to the classes with the highest scores.

Answers go to standard output or a file, all remarks to standard error.
"""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import numpy as np

from stgcn_lightning.checkpoints.weights import checkpoint_in
from stgcn_lightning.checkpoints.zoo import ADDRESS, ZOO, checkpoint_file
from stgcn_lightning.errors import BadInput
from stgcn_lightning.files.writing import write_atomically
from stgcn_lightning.jobs.answer_forms import Best, Form, form_named
from stgcn_lightning.jobs.fetching import downloads_of
from stgcn_lightning.jobs.fusing import weights_of
from stgcn_lightning.jobs.incoming import Fault, asked_in, reading_of
from stgcn_lightning.jobs.judging import Judges, device_named, load_judges
from stgcn_lightning.jobs.picturing import Pictures
from stgcn_lightning.jobs.pieces import Answered, Asked, Piece, pieces_of
from stgcn_lightning.settings import groups
from stgcn_lightning.settings.doors import PredictSettings
from stgcn_lightning.settings.fields import path_of
from stgcn_lightning.settings.frozen import thawed
from stgcn_lightning.terminal import counted, fitting

TOGETHER = 16  # pieces that are answered at once
Pair = tuple[Asked, list[Piece]]


def predict(settings: PredictSettings) -> None:
    """Answer for every recording of a source.

    Raises:
        BadInput: nothing can be answered; or, when all others are written, some recordings of a
            folder could not be.
    """
    judges = judges_of(settings)
    best = Best(judges.classes, settings.top)
    about = {
        "checkpoint": thawed(settings.checkpoint),
        "skeleton": judges.skeleton.name,
        "stream": " + ".join(one.stream.name for one in judges.predictors.values()),
    }
    if len(judges.predictors) > 1:
        about["weights"] = dict(judges.weights)
    form = form_named(settings.format, best, about)
    remark("scores are not calibrated probabilities: they order the classes")
    source = path_of("source", settings.source)
    reading = reading_of(asdict(settings.reading))
    found = asked_in(source, reading, judges, split=settings.split, map_to=settings.map)
    pictures = Pictures(settings, judges.classes, judges.skeleton, remark)
    answered, faults = 0, 0
    with written_to(settings.out) as write:
        write(form.head())
        for one in answers(found, judges, settings):
            write(said(one, form))
            if isinstance(one, Answered):
                pictures.add(one)
            answered += isinstance(one, Answered)
            faults += isinstance(one, Fault)
        write(form.tail())
    if not answered and not faults:
        raise BadInput(f"{source} holds no recordings: give key points, source=FILE or a folder")
    if faults:
        raise BadInput(
            f"{faults} of {counted(answered + faults, 'recording', 'recordings')} could not be "
            "answered for: they are named above, the others are answered"
        )


def judges_of(settings: PredictSettings) -> Judges:
    """The checkpoints that answer.

    Raises:
        BadInput: one cannot be used, or they do not fit each other.
    """
    named = thawed(settings.checkpoint)
    if isinstance(named, str) and named:
        named = {"": named}
        if settings.preset is not None or settings.weights is not None:
            raise BadInput(
                "preset and weights are of several checkpoints: checkpoint='{joint: A, bone: B}'"
            )
    if not isinstance(named, dict) or not named:
        raise BadInput(
            "say which weights answer: checkpoint=FILE, or several, "
            "checkpoint='{joint: FILE, bone: FILE}'"
        )
    weights = weights_of(settings.preset, settings.weights, named)
    files: dict[str, Path] = {}
    for name, one in named.items():
        key = f"checkpoint.{name}".rstrip(".")
        if not isinstance(one, str):
            raise BadInput(f"{key}={one} is no path: give a file or the folder of a run")
        files[str(name)] = file_of(key, one, settings.downloads)
    return load_judges(files, weights, device_named(settings.device))


def file_of(key: str, named: str, downloads: groups.Downloads) -> Path:
    """The file that a checkpoint's name means; it is downloaded if need be, and that is said."""
    if named.startswith(ZOO) or ADDRESS.match(named):
        from rich.console import Console

        return checkpoint_file(named, downloads_of(downloads), Console(stderr=True))
    return checkpoint_in(path_of(key, named), remark)


def answers(
    found: Iterable[Asked | Fault], judges: Judges, settings: PredictSettings
) -> Iterator[Answered | Fault]:
    """Recordings with their answers, in the order in which they come, several computed at once."""
    waiting: list[Pair] = []
    for one in found:
        if isinstance(one, Fault):
            yield from answered_together(waiting, judges)
            waiting = []
            yield one
            continue
        for text in one.remarks:
            remark(text)
        try:
            pieces = pieces_of(
                one,
                window=settings.window,
                stride=settings.stride,
                per_person=settings.per_person,
            )
        except BadInput as error:
            yield Fault(one.id, str(error))
            continue
        waiting.append((one, pieces))
        if sum(len(pieces) for _, pieces in waiting) >= TOGETHER:
            yield from answered_together(waiting, judges)
            waiting = []
    yield from answered_together(waiting, judges)


def answered_together(waiting: list[Pair], judges: Judges) -> Iterator[Answered | Fault]:
    """Answers for recordings; one that cannot be answered for is a fault, and spoils no other."""
    if not waiting:
        return
    try:
        scores = judges.scores([piece.sample for _, pieces in waiting for piece in pieces])
    except BadInput as error:
        if len(waiting) == 1:
            yield Fault(waiting[0][0].id, str(error))
            return
        for one in waiting:
            yield from answered_together([one], judges)
        return
    ends = np.cumsum([len(pieces) for _, pieces in waiting])
    for (asked, pieces), own in zip(waiting, np.split(scores, ends[:-1]), strict=True):
        yield Answered(asked, pieces, own)


def said(one: Answered | Fault, form: Form) -> str:
    """The text of an answer; a fault is named at once on standard error."""
    if isinstance(one, Answered):
        return form.answered(one)
    remark(one.reason)
    return form.fault(one)


@contextmanager
def written_to(out: Path | None) -> Iterator[Callable[[str], object]]:
    """What takes the text of the answers: standard output, or a file that is then complete.

    Raises:
        BadInput: the file is there already, or cannot be written.
    """
    if out is None:
        yield lambda text: print(text, end="", flush=True)
        return
    if out.exists():
        raise BadInput(f"out={out} exists already: remove it or choose another name")
    with write_atomically(out) as file:
        yield lambda text: file.write(text.encode(errors="backslashreplace"))


def remark(text: str) -> None:
    """Say something on standard error, where no answer goes."""
    print(fitting(text, sys.stderr), file=sys.stderr, flush=True)
