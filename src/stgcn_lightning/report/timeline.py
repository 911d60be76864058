"""Where the marks of a timeline lie: the classes of highest score over the time of a recording.

Each class has a row, in which the height of the area is its score; it is dark where the class is
the answer. Units are pixels of a picture of the width that is asked for; letters have one size, so
that they are read at any width.

Axes: n windows, one after the other.
"""

import unicodedata
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stgcn_lightning.report.charts import round_numbers

MOST_CLASSES = 8  # that have a row of their own
LEAST_SCORE = 0.05  # that a class has somewhere, to have a row although it is never the answer
MOST_STEPS = 600  # of a row: more windows are averaged in groups
LETTER = 13  # size of letters
ROW, GAP = 26, 8  # height of a row and distance between two
OTHERS = "others"


class Course(NamedTuple):
    """Answers over the time of one person or of all.

    Attributes:
        name: of the person; empty of all persons together.
        edges: (n + 1,) times between which the windows are shown, increasing.
        scores: (n, classes).
    """

    name: str
    edges: NDArray[np.float64]
    scores: NDArray[np.floating[Any]]


class Area(NamedTuple):
    """A score during a window: from `left` to `right`, from the row's base up to `top`."""

    left: float
    right: float
    top: float


class Strip(NamedTuple):
    """A row: a class, its areas where it is the answer and where it is not."""

    name: str
    top: float
    base: float
    answered: list[Area]
    beside: list[Area]


class Text(NamedTuple):
    """A line of text that begins at `x` and stands on `y`."""

    text: str
    x: float
    y: float


class Tick(NamedTuple):
    """A number on the axis of time."""

    x: float
    number: str


class Timeline(NamedTuple):
    """The chart.

    Attributes:
        title: name of the recording.
        unit: of the axis of time.
        width, height: of the picture.
        left, right: ends of the rows; names lie to the left.
        strips: all rows.
        heads: names of persons.
        ticks: of the axis of time, at the bottom.
    """

    title: Text
    unit: str
    width: int
    height: float
    left: float
    right: float
    strips: list[Strip]
    heads: list[Text]
    ticks: list[Tick]


def timeline(
    title: str, courses: Sequence[Course], classes: Sequence[str], *, unit: str, width: int
) -> Timeline:
    """The chart of some persons' answers.

    Args:
        title: name of the recording.
        courses: of one person or more.
        classes: names of all classes.
        unit: of the times.
        width: of the picture, from 200.
    """
    thinned = [grouped(course) for course in courses]
    shown = [(course, *chosen(course.scores)) for course in thinned]
    names = [classes[i] for _, of, _ in shown for i in of] + [OTHERS]
    room = min(0.42 * width, 0.58 * LETTER * max(map(columns, names)) + 2)
    left, right = 8 + room + 8, width - 16.0
    first = min(float(course.edges[0]) for course in courses)
    last = max(float(course.edges[-1]) for course in courses)

    def across(time: float) -> float:
        return left + (right - left) * (time - first) / max(last - first, 1e-9)

    strips: list[Strip] = []
    heads: list[Text] = []
    y = 12.0 + LETTER + 10
    for course, of, others in shown:
        if course.name:
            heads.append(Text(cut(course.name, width - 16), 8, y + LETTER))
            y += LETTER + 8
        answer = course.scores.argmax(1)
        rows = [(classes[i], course.scores[:, i], answer == i) for i in of]
        if others is not None:
            rows.append((OTHERS, others, ~np.isin(answer, of)))
        places = [across(time) for time in course.edges.tolist()]
        for name, scores, answered in rows:
            areas = _areas(places, scores, y)
            parts = [[area for area, one in zip(areas, answered, strict=True) if bool(one) is which]
                     for which in (True, False)]  # fmt: skip
            strips.append(Strip(cut(name, room), y, y + ROW, *parts))
            y += ROW + GAP
        y += GAP
    ticks = [
        Tick(across(time), f"{time:g}")
        for time in round_numbers(first, last)
        if first <= time <= last * 1.0001
    ]
    head = Text(cut(title, width - 16), 8, 10 + LETTER)
    return Timeline(head, unit, width, y + 2 * LETTER + 10, left, right, strips, heads, ticks)


def _areas(places: Sequence[float], scores: NDArray[np.floating[Any]], top: float) -> list[Area]:
    """A row's areas between places from left to right."""
    heights = ROW * (1 - scores.clip(0, 1))
    return [
        Area(left, right, top + height)
        for (left, right), height in zip(pairwise(places), heights.tolist(), strict=True)
    ]


def chosen(
    scores: NDArray[np.floating[Any]],
) -> tuple[list[int], NDArray[np.floating[Any]] | None]:
    """The numbers of classes that get rows, and the sum of all others at each time, if any.

    Those that are the answer for the longest time come before those of highest mean; they are shown
    in the order in which they are first the answer.
    """
    n, classes = scores.shape
    answer = scores.argmax(1)
    won = np.bincount(answer, minlength=classes)
    order = sorted(range(classes), key=lambda i: (-won[i], -float(scores[:, i].mean())))
    most = classes if classes <= MOST_CLASSES + 1 else MOST_CLASSES  # one other has its own row
    kept = [i for i in order[:most] if won[i] or scores[:, i].max() >= LEAST_SCORE]
    first = {i: int(np.flatnonzero(answer == i)[0]) if won[i] else n for i in kept}
    kept.sort(key=lambda i: (first[i], order.index(i)))
    if len(kept) == classes:
        return kept, None
    left_over = np.setdiff1d(np.arange(classes), kept)
    return kept, scores[:, left_over].sum(1)


def grouped(course: Course) -> Course:
    """A course of at most `MOST_STEPS` windows: the means of as many in a row as it takes."""
    n = len(course.scores)
    size = -(-n // MOST_STEPS)
    if size == 1:
        return course
    begins = np.arange(0, n, size)
    sums = np.add.reduceat(course.scores.astype(np.float64), begins, axis=0)
    counts = np.diff([*begins.tolist(), n])
    return Course(course.name, course.edges[[*begins.tolist(), n]], sums / counts[:, None])


def edges_of(starts: Sequence[int], stops: Sequence[int]) -> NDArray[np.float64]:
    """Times (n + 1,) between which windows are shown: halfway between the middles of two.

    The first begins, and the last ends, with its window.

    Example:
        >>> edges_of([0, 5, 10], [10, 15, 20]).tolist()
        [0.0, 7.5, 12.5, 20.0]
    """
    middles = (np.asarray(starts) + np.asarray(stops)) / 2
    between = (middles[:-1] + middles[1:]) / 2
    return np.concatenate([[float(starts[0])], between, [float(stops[-1])]])


def columns(text: str) -> int:
    """The width of a text in letters: those of East Asia are as wide as two."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def cut(text: str, room: float) -> str:
    """A text that takes about `room` pixels at most."""
    most = max(1, int(room / (0.55 * LETTER)))
    if columns(text) <= most:
        return text
    end = len(text)
    while end > 1 and columns(text[:end]) > most - 1:
        end -= 1
    return text[:end].rstrip() + "…"
