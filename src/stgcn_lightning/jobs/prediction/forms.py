"""Answers as text: a table for people, JSON, JSON lines and CSV for programs.

A form writes a text in parts, so that answers leave as they come: `head`, a part for each recording
or fault, and `tail`. Every form says for each answer the recording, the person where each is judged
alone, the first frame and the one after the last, in seconds too where the frame rate is known, and
the classes with the highest scores.
"""

import csv
import io
import json
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from stgcn_lightning.errors import BadInput
from stgcn_lightning.jobs.prediction.incoming import Fault
from stgcn_lightning.jobs.prediction.pieces import Answered, Piece
from stgcn_lightning.terminal import plain


class Form(Protocol):
    """How answers are written."""

    def head(self) -> str:
        """What stands before all answers."""
        ...

    def answered(self, one: Answered) -> str:
        """A recording and its answers."""
        ...

    def fault(self, one: Fault) -> str:
        """A recording without an answer."""
        ...

    def tail(self) -> str:
        """What stands after all answers."""
        ...


class Best:
    """The classes with the highest scores of an answer.

    Args:
        classes: names of all.
        top: how many of them.
    """

    def __init__(self, classes: Sequence[str], top: int):
        self.classes, self.top = classes, top

    def __call__(self, scores: Any) -> list[tuple[int, str, float]]:
        """Number, name and score of classes, the highest score first."""
        order: list[int] = np.argsort(-scores, kind="stable")[: self.top].tolist()
        return [(i, self.classes[i], float(f"{scores[i]:.7g}")) for i in order]


class Table:
    """Lines for people, one for each answer."""

    def __init__(self, best: Best):
        self.best = best

    def head(self) -> str:
        """See `Form`."""
        return ""

    def answered(self, one: Answered) -> str:
        """See `Form`."""
        label = f", labelled {one.asked.label}" if one.asked.label is not None else ""
        lines = [self._classes(scores) for scores in one.scores]
        if not one.live and len(one.pieces) == 1 and one.pieces[0].person is None:
            return plain(f"{one.asked.id}: {lines[0]}{label}") + "\n"
        where = [_where(one, piece) for piece in one.pieces]
        width = max(map(len, where))
        rows = [f"  {place:>{width}}  {line}" for place, line in zip(where, lines, strict=True)]
        head = [] if one.live else [f"{one.asked.id}{label}"]
        return "".join(plain(row) + "\n" for row in [*head, *rows])

    def fault(self, one: Fault) -> str:
        """See `Form`: faults are named on standard error."""
        return ""

    def tail(self) -> str:
        """See `Form`."""
        return ""

    def _classes(self, scores: Any) -> str:
        return ", ".join(f"{name} {100 * score:.1f} %" for _, name, score in self.best(scores))


class Csv:
    """A row for each class of each answer."""

    HEAD = (
        "recording", "person", "start", "stop", "start_seconds", "stop_seconds", "label", "rank",
        "class", "score",
    )  # fmt: skip

    def __init__(self, best: Best):
        self.best = best

    def head(self) -> str:
        """See `Form`."""
        return _csv([self.HEAD])

    def answered(self, one: Answered) -> str:
        """See `Form`."""
        rows: list[list[Any]] = []
        for piece, scores in zip(one.pieces, one.scores, strict=True):
            start, stop = _seconds(one, piece) or ("", "")
            person = _person(one, piece)
            place = [one.asked.id, "" if person is None else person, piece.start, piece.stop]
            for rank, (_, name, score) in enumerate(self.best(scores), 1):
                rows.append([*place, start, stop, one.asked.label or "", rank, name, score])
        return _csv(rows)

    def fault(self, one: Fault) -> str:
        """See `Form`: faults are named on standard error."""
        return ""

    def tail(self) -> str:
        """See `Form`."""
        return ""


class JsonLines:
    """An object for each recording or fault, a line each."""

    def __init__(self, best: Best):
        self.best = best

    def head(self) -> str:
        """See `Form`."""
        return ""

    def answered(self, one: Answered) -> str:
        """See `Form`."""
        return json.dumps(self.content(one) | {"calibrated": False}) + "\n"

    def fault(self, one: Fault) -> str:
        """See `Form`."""
        return json.dumps({"recording": one.name, "error": one.reason}) + "\n"

    def tail(self) -> str:
        """See `Form`."""
        return ""

    def content(self, one: Answered) -> dict[str, Any]:
        """A recording and its answers."""
        asked = one.asked
        return {
            "recording": asked.id,
            "label": asked.label,
            "frames": asked.frames,
            "fps": asked.fps,
            "persons": len(asked.sample.keypoint),
            "remarks": list(asked.remarks),
            "answers": [
                {
                    "person": _person(one, piece),
                    "start": piece.start,
                    "stop": piece.stop,
                    "seconds": _seconds(one, piece),
                    "top": [
                        {"class": name, "index": index, "score": score}
                        for index, name, score in self.best(scores)
                    ],
                }
                for piece, scores in zip(one.pieces, one.scores, strict=True)
            ],
        }


class Json(JsonLines):
    """One object: the classes, all recordings and all faults.

    Args:
        best: the classes of an answer.
        about: what stands before the recordings.
    """

    def __init__(self, best: Best, about: dict[str, Any]):
        super().__init__(best)
        self.about = about
        self.faults: list[dict[str, str]] = []
        self.first = True

    def head(self) -> str:
        """See `Form`."""
        said = {**self.about, "calibrated": False, "classes": list(self.best.classes)}
        return json.dumps(said)[:-1] + ', "recordings": ['

    def answered(self, one: Answered) -> str:
        """See `Form`."""
        between, self.first = "\n" if self.first else ",\n", False
        return between + json.dumps(self.content(one))

    def fault(self, one: Fault) -> str:
        """See `Form`: they stand after the recordings."""
        self.faults.append({"recording": one.name, "error": one.reason})
        return ""

    def tail(self) -> str:
        """See `Form`."""
        return f'\n], "faults": {json.dumps(self.faults)}}}\n'


def form_named(name: str, best: Best, about: dict[str, Any]) -> Form:
    """The form that `format=name` means.

    Args:
        name: table, json, jsonl or csv.
        best: the classes of an answer.
        about: what a JSON document says before its recordings.

    Raises:
        BadInput: there is none of this name.
    """
    if name == "json":
        return Json(best, about)
    forms: dict[str, type[Table | JsonLines | Csv]] = {
        "table": Table,
        "jsonl": JsonLines,
        "csv": Csv,
    }
    if name not in forms:
        raise BadInput(f"format={name} is none of json, {', '.join(forms)}")
    return forms[name](best)


def _person(one: Answered, piece: Piece) -> str | None:
    return None if piece.person is None else one.asked.name_of(piece.person)


def _seconds(one: Answered, piece: Piece) -> list[float] | None:
    fps = one.asked.fps
    return None if fps is None else [round(piece.start / fps, 3), round(piece.stop / fps, 3)]


def _where(one: Answered, piece: Piece) -> str:
    """Which part of the recording it is: person and time."""
    person, seconds = _person(one, piece), _seconds(one, piece)
    time = f"frames {piece.start:>5} - {piece.stop - 1:>5}"
    if seconds is not None:
        time = f"{seconds[0]:>7.2f} - {seconds[1]:>7.2f} s"
    return time if person is None else f"person {person}  {time}"


def _csv(rows: Sequence[Sequence[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
