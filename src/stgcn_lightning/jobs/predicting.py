"""The predict door: from key points to the classes with the highest scores.

Answers go to standard output or a file, all remarks to standard error.
"""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from stgcn_lightning.checkpoints.weights import checkpoint_in
from stgcn_lightning.checkpoints.zoo import ADDRESS, ZOO, checkpoint_file
from stgcn_lightning.errors import BadInput
from stgcn_lightning.evaluation.fusion import refuse_weights
from stgcn_lightning.files.writing import write_atomically
from stgcn_lightning.jobs.fetching import downloads_of
from stgcn_lightning.jobs.fusing import weights_of
from stgcn_lightning.jobs.prediction.filming import Filming
from stgcn_lightning.jobs.prediction.forms import Best, form_named
from stgcn_lightning.jobs.prediction.incoming import Fault, Incoming
from stgcn_lightning.jobs.prediction.judging import Judges, device_named, load_judges
from stgcn_lightning.jobs.prediction.live import answers_to_lines
from stgcn_lightning.jobs.prediction.picturing import Pictures
from stgcn_lightning.jobs.prediction.pieces import Answered, Asked, Piece, pieces_of
from stgcn_lightning.jobs.prediction.telling import Telling
from stgcn_lightning.jobs.read_alike import mapped_to, read_alike
from stgcn_lightning.settings import groups
from stgcn_lightning.settings.doors import PredictSettings
from stgcn_lightning.settings.fields import path_of
from stgcn_lightning.settings.frozen import thawed
from stgcn_lightning.sources.recordings import Reading
from stgcn_lightning.terminal import answer, counted

TOGETHER = 16  # pieces that are answered at once; those of standard input as they come
Pair = tuple[Asked, list[Piece]]


def predict(settings: PredictSettings) -> None:
    """Answer for every recording of a source.

    Raises:
        BadInput: nothing can be answered; or, when all others are written, some recordings of a
            folder could not be.
    """
    telling = Telling(settings)
    judges = judges_of(settings, telling.remark)
    best = Best(judges.classes, settings.top)
    about = {
        "checkpoint": thawed(settings.checkpoint),
        "skeleton": judges.skeleton.name,
        "stream": " + ".join(str(one.card["stream"]) for one in judges.predictors.values()),
    }
    if len(judges.predictors) > 1:
        about["weights"] = dict(judges.weights)
    form = form_named(settings.format, best, about)
    found = found_by(settings, judges, telling)
    pictures = Pictures(settings, judges.classes, judges.skeleton, telling.remark)
    telling.remark("scores are not calibrated probabilities: they order the classes")
    if settings.stride is not None and settings.window and settings.stride > settings.window:
        telling.remark(
            f"stride={settings.stride} is longer than window={settings.window}: nothing is "
            "answered for the frames between two windows"
        )
    answered, faults = 0, 0
    with written_to(settings.out) as write:
        for one in found:
            if not answered + faults:  # a source that cannot be read leaves no half of a document
                write(form.head())
            if isinstance(one, Answered):
                answered += 1
                write(form.answered(one))
                pictures.add(one)
                telling.progress(answered)
            else:
                faults += 1
                telling.remark(one.reason)
                write(form.fault(one))
        if not answered + faults:
            raise BadInput(
                f"{settings.source or settings.video} holds nobody to answer for: give key points "
                "of persons"
            )
        write(form.tail())
    telling.end()
    if pictures.refused is not None and faults:
        telling.remark(str(pictures.refused))
    if faults:
        if not answered:
            raise BadInput("nothing could be answered for: the reasons are named above")
        raise BadInput(
            f"{faults} of {counted(answered + faults, 'recording', 'recordings')} could not be "
            "answered for: they are named above, the others are answered"
        )
    if pictures.refused is not None:
        raise pictures.refused


def found_by(
    settings: PredictSettings, judges: Judges, telling: Telling
) -> Iterator[Answered | Fault]:
    """The answers for a source, a video or a camera, one after the other.

    Raises:
        BadInput: the user names none of them, or more than one; or it cannot be used.
    """
    source, reading = settings.source, reading_of(settings, judges, telling.remark)
    if settings.video is not None:
        if source is not None:
            raise BadInput(f"source={source} and video={settings.video}: give one of the two")
        filming = Filming(settings.video, settings, judges, reading, telling.remark)
        if settings.live or isinstance(settings.video, int):
            return filming.live(telling.about)
        return answers(filming.whole(), judges, settings, telling)
    if settings.split is not None and source == "-":
        raise BadInput(
            f"split={settings.split} is one of annotations, and standard input is none: leave it "
            "out"
        )
    if settings.live:
        if reading.format != "auto":
            raise BadInput(
                f"reading.format={reading.format} is one of recordings, and lines of live=true "
                "have a form of their own (docs/predict.md): leave it out"
            )
        live_reading = replace(reading, persons=settings.reading.persons)
        lines = sys.stdin.buffer
        return answers_to_lines(lines, judges, settings, live_reading, telling.about)
    if source is None:
        raise BadInput("say what to answer for: source=FILE, a folder, or - for standard input")
    map_to = settings.map or mapped_to(judges.first.card)
    incoming = Incoming(judges, reading, split=settings.split, map_to=map_to)
    if source == "-":
        found = incoming.from_lines(sys.stdin.buffer)
    else:
        found = incoming.at(path_of("source", source))
    return answers(found, judges, settings, telling)


def reading_of(settings: PredictSettings, judges: Judges, say: Callable[[str], object]) -> Reading:
    """What is known about files: what the user says, else as those that were trained on.

    Of several persons, those are kept that the checkpoints see.

    Raises:
        BadInput: the card of a checkpoint says what cannot be.
    """
    said = read_alike(Reading(**asdict(settings.reading)), judges.first.card, say)
    if said.persons is not None or settings.per_person:
        return said
    return replace(said, persons=max(one.persons for one in judges.predictors.values()))


def judges_of(settings: PredictSettings, say: Callable[[str], object]) -> Judges:
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
    refuse_weights(weights, named)
    files: dict[str, Path] = {}
    for name, one in named.items():
        key = f"checkpoint.{name}".rstrip(".")
        if not isinstance(one, str):
            raise BadInput(f"{key}={one} is no path: give a file or the folder of a run")
        files[str(name)] = file_of(key, one, settings.downloads, say)
    judges = load_judges(files, weights, device_named(settings.device))
    for one in judges.predictors.values():
        one.engine.halving.say = say
    return judges


def file_of(
    key: str, named: str, downloads: groups.Downloads, say: Callable[[str], object]
) -> Path:
    """The file that a checkpoint's name means; it is downloaded if need be, and that is said."""
    if named.startswith(ZOO) or ADDRESS.match(named):
        from rich.console import Console

        return checkpoint_file(named, downloads_of(downloads), Console(stderr=True))
    return checkpoint_in(path_of(key, named), say)


def answers(
    found: Iterable[Asked | Fault], judges: Judges, settings: PredictSettings, telling: Telling
) -> Iterator[Answered | Fault]:
    """Recordings with their answers, in the order in which they come, several computed at once."""
    waiting: list[Pair] = []
    together = 1 if settings.source == "-" else TOGETHER
    for one in found:
        if isinstance(one, Fault):
            yield from answered_together(waiting, judges)
            waiting = []
            yield one
            continue
        telling.about(one)
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
        if sum(len(pieces) for _, pieces in waiting) >= together:
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


@contextmanager
def written_to(out: Path | None) -> Iterator[Callable[[str], object]]:
    """What takes the text of the answers: standard output, or a file that is then complete.

    Raises:
        BadInput: the file is there already, or cannot be written.
    """
    if out is None:
        yield answer
        return
    if out.exists():
        raise BadInput(f"out={out} exists already: remove it or choose another name")
    with write_atomically(out) as file:
        yield lambda text: file.write(text.encode(errors="backslashreplace"))
