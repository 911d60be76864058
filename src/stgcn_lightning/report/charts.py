"""Where the marks of a chart lie; templates/charts.html writes them as HTML and SVG.

Units are those of the SVG's view box. Colours are variables of report.css, so that a chart follows
the page: light, dark, printed.
"""

import math
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stgcn_lightning.evaluation.intervals import wilson

SHADES = 20  # of a cell of the confusion matrix
MOST_LETTERS = 34  # of a class name beside the confusion matrix
MOST_DOTS = 40  # of a curve: longer ones are drawn as a line alone
MOST_FIGURES = 25  # classes of a confusion matrix whose cells have room for a figure
ENDLESS = 1e300  # a value of a curve from which on it is taken for infinite: a gap, as NaN is


class Bar(NamedTuple):
    """An accuracy of some samples: how many there are, how many of them are right."""

    name: str
    right: int
    samples: int
    hint: str = ""

    @property
    def share(self) -> float:
        """The accuracy, in [0, 1]."""
        return self.right / self.samples

    @property
    def interval(self) -> tuple[float, float]:
        """Its 95 % interval, in [0, 1]."""
        return wilson(self.right, self.samples)


class Cells(NamedTuple):
    """Cells that look the same, all ``right`` or all ``wrong``: an SVG path in units of a cell."""

    css: str
    opacity: float
    path: str


class Label(NamedTuple):
    """A class name, and how far the middle of its row lies below the top."""

    name: str
    middle: float


class CellFigure(NamedTuple):
    """The share of a cell in %, and the middle of the cell."""

    x: float
    y: float
    percent: float
    dense: bool


class Matrix(NamedTuple):
    """The confusion matrix: rows are true classes, columns are answers.

    Attributes:
        margin: room for the labels, to the left and below.
        cell: side of a cell.
        size: side of all cells.
        letter: size of the letters.
        cells: all cells that are not empty.
        labels: one for each class.
        figures: empty for many classes.
    """

    margin: float
    cell: float
    size: float
    letter: float
    cells: list[Cells]
    labels: list[Label]
    figures: list[CellFigure]


def matrix(counts: NDArray[np.int64], names: Sequence[str]) -> Matrix:
    """The chart of a confusion matrix.

    A cell is as dense as the root of its share of the row, in one of `SHADES`: all cells of a shade
    are one path, so the chart of 120 classes stays small.

    Args:
        counts: (classes, classes) samples by true class and answer.
        names: of the classes.
    """
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    classes = len(counts)
    letter = min(15.0, 780 / classes)
    margin = 30 + 0.56 * letter * min(MOST_LETTERS, max(len(name) for name in names))
    cell = (1000 - margin) / classes
    shades = np.ceil(SHADES * np.sqrt(shares)).astype(int)
    right = np.eye(classes, dtype=bool)
    cells: list[Cells] = []
    for css, where in (("right", right), ("wrong", ~right)):
        for shade in range(1, SHADES + 1):
            places = np.argwhere((shades == shade) & (counts > 0) & where).tolist()
            if places:
                path = "".join(f"M{column} {row}h1v1h-1z" for row, column in places)
                cells.append(Cells(css, shade / SHADES, path))
    figures: list[CellFigure] = []
    if classes <= MOST_FIGURES:
        for row, column in np.argwhere(shares >= 0.005).tolist():
            x, y = margin + (column + 0.5) * cell, (row + 0.5) * cell
            dense = bool(shades[row, column] > 0.72 * SHADES)
            figures.append(CellFigure(x, y, 100 * float(shares[row, column]), dense))
    labels = [Label(_cut(name), (i + 0.5) * cell) for i, name in enumerate(names)]
    return Matrix(margin, cell, cell * classes, letter, cells, labels, figures)


def _cut(name: str) -> str:
    return name if len(name) <= MOST_LETTERS else name[: MOST_LETTERS - 1] + "…"


class EdgeLine(NamedTuple):
    """An edge of the skeleton.

    Attributes:
        x1, y1, x2, y2: its two joints.
        width: by the weight.
        colour: ``warm`` for an importance above 1, ``cool`` for one below.
        percent: of that colour.
        hint: name of the edge.
        weight, importance: as given.
    """

    x1: float
    y1: float
    x2: float
    y2: float
    width: float
    colour: Literal["warm", "cool"]
    percent: float
    hint: str
    weight: float
    importance: float


class Body(NamedTuple):
    """A body for each stage, with the lightest edges first, and its joints (x, y)."""

    stages: list[list[EdgeLine]]
    joints: list[tuple[float, float]]


def body(
    pose: NDArray[Any],
    edges: Sequence[tuple[int, int]],
    weights: NDArray[Any],
    importance: NDArray[Any],
    hints: Sequence[str],
) -> Body:
    """Bodies on which an edge is as wide as its weight and coloured by its learned importance.

    Args:
        pose: (V, 2) joints, to the right and down.
        edges: E pairs of joints.
        weights: (S, E) not negative.
        importance: (S, E) around 1, where training started.
        hints: name of each edge.
    """
    low, high = pose.min(0), pose.max(0)
    scale = min(400 / max(high[1] - low[1], 1e-6), 300 / max(high[0] - low[0], 1e-6))
    points = (pose - (low + high) / 2) * scale + (170, 220)
    widths = 1.5 + 10.5 * weights / max(weights.max(), 1e-6)
    strong = strong_change(importance)

    def line(stage: int, edge: int) -> EdgeLine:
        (x1, y1), (x2, y2) = points[list(edges[edge])].tolist()
        change = float(importance[stage, edge] - 1) / strong
        return EdgeLine(
            *(x1, y1, x2, y2),
            width=float(widths[stage, edge]),
            colour="warm" if change > 0 else "cool",
            percent=min(100, 100 * abs(change)),
            hint=hints[edge],
            weight=float(weights[stage, edge]),
            importance=float(importance[stage, edge]),
        )

    return Body(
        [[line(i, int(edge)) for edge in np.argsort(of)] for i, of in enumerate(weights)],
        points.tolist(),
    )


def strong_change(importance: NDArray[Any]) -> float:
    """The distance from 1 from which on a colour is full: a tenth of the edges lie beyond it."""
    return max(float(np.quantile(np.abs(importance - 1), 0.9)), 1e-6)


class Curve(NamedTuple):
    """Values (n,) at epochs (n,), as a line, one with dots, or a faint one behind the others."""

    name: str
    colour: str
    epochs: NDArray[np.float64]
    values: NDArray[np.float64]
    style: Literal["line", "dots", "faint"]


class Mark(NamedTuple):
    """A place on an axis and its number, or a dot with its value."""

    x: float
    y: float
    epoch: float
    value: float


class Line(NamedTuple):
    """A curve: the `points` of a polyline, and its dots, if it has any."""

    name: str
    colour: str
    faint: bool
    points: str
    dots: list[Mark]


class Curves(NamedTuple):
    """Curves over the epochs with their two axes; `left` to `bottom` is the area they lie in."""

    unit: str
    lines: list[Line]
    across: list[Mark]
    upwards: list[Mark]
    width: int = 560
    height: int = 300
    left: int = 72
    right: int = 544
    top: int = 14
    bottom: int = 256


def curves(panel: Sequence[Curve], *, unit: str, last: float) -> Curves:
    """The chart of curves over the epochs up to `last`; `unit` names the axis of their values.

    A value that is NaN or infinite is a gap in its curve.
    """
    area = Curves(unit, [], [], [])
    values = np.concatenate([curve.values for curve in panel])
    drawn = values[np.abs(values) < ENDLESS]
    ticks = round_numbers(float(drawn.min()), float(drawn.max())) if len(drawn) else [0.0, 1.0]
    low, high = ticks[0], ticks[-1]

    def mark(epoch: float, value: float) -> Mark:
        x = area.left + (area.right - area.left) * epoch / last
        y = area.top + (area.bottom - area.top) * (high - value) / (high - low)
        return Mark(x, y, epoch, value)

    lines: list[Line] = []
    for curve in panel:
        dotted = curve.style == "dots" and len(curve.values) <= MOST_DOTS
        for epochs, values in unbroken(curve):
            places = zip(epochs.tolist(), values.tolist(), strict=True)
            marks = [mark(epoch, value) for epoch, value in places]
            points = " ".join(f"{one.x:.1f},{one.y:.1f}" for one in marks)
            dots = marks if dotted else []
            lines.append(Line(curve.name, curve.colour, curve.style == "faint", points, dots))
    across = [mark(epoch, low) for epoch in round_numbers(0, last) if epoch <= last * 1.0001]
    return area._replace(lines=lines, across=across, upwards=[mark(0, value) for value in ticks])


def unbroken(curve: Curve) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """The parts of a curve, epochs and values, between those values that cannot be drawn."""
    good = np.abs(curve.values) < ENDLESS
    ends = np.flatnonzero(np.diff(good)) + 1
    parts = zip(*(np.split(of, ends) for of in (good, curve.epochs, curve.values)), strict=True)
    return [(epochs, values) for drawn, epochs, values in parts if drawn.any()]


def round_numbers(low: float, high: float) -> list[float]:
    """About five round numbers at equal steps, of which the first and last enclose both values."""
    span = max(high - low, 1e-9 + 1e-3 * abs(high))
    power = 10 ** math.floor(math.log10(span / 5))
    step = next(k * power for k in (1, 2, 2.5, 5, 10) if k * power >= span / 5)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(step * k, 12) for k in range(first, max(last, first + 1) + 1)]
