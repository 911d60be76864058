"""Drawings of a report, as HTML and SVG text that needs no script and no other file.

Colours are variables of report.css, so that a drawing follows the page: light, dark, printed. Names
come from data sets and are escaped here.
"""

import math
from collections.abc import Sequence
from html import escape
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

SHADES = 20  # of a cell of the confusion matrix
MOST_LETTERS = 34  # of a label beside it


class Bar(NamedTuple):
    """An accuracy of some samples: how many there are, how many of them are right."""

    name: str
    right: int
    samples: int
    hint: str = ""


class Curve(NamedTuple):
    """Values (n,) at epochs (n,), as a line, one with dots, or a faint one behind the others."""

    name: str
    colour: str
    epochs: NDArray[np.float64]
    values: NDArray[np.float64]
    style: Literal["line", "dots", "faint"]


def wilson(right: int, samples: int) -> tuple[float, float]:
    """The 95 % interval of an accuracy, in [0, 1]; it has a width even where all are right.

    Source:
        Wilson, "Probable inference, the law of succession, and statistical inference", JASA 1927.
    """
    z, share = 1.96, right / samples
    middle = share + z * z / (2 * samples)
    half = z * math.sqrt(share * (1 - share) / samples + (z / (2 * samples)) ** 2)
    scale = 1 + z * z / samples
    return max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale)


def bars(rows: Sequence[Bar], *, css: str = "") -> str:
    """A list of bars from 0 to 100 %, each with its interval, accuracy and number of samples."""
    items: list[str] = []
    for order, (name, right, samples, hint) in enumerate(rows):
        share = right / samples
        low, high = wilson(right, samples)
        items.append(
            f'<li data-order="{order}" data-accuracy="{share:.5f}" data-samples="{samples}" '
            f'title="{escape(hint)}"><span class="name">{escape(name)}</span>'
            f'<span class="track"><i style="width:{100 * share:.2f}%"></i>'
            f'<b style="left:{100 * low:.2f}%;width:{100 * (high - low):.2f}%"></b></span>'
            f'<span class="share">{100 * share:.1f}</span><span class="samples">{samples:,}</span>'
            "</li>"
        )
    return f'<ol class="bars {css}">{"".join(items)}</ol>'


def matrix(counts: NDArray[np.int64], names: Sequence[str]) -> str:
    """The confusion matrix: rows are true classes and sum to one, columns are answers.

    A cell is as dense as the root of its share, in one of `SHADES`: all cells of a shade are one
    path, so 120 classes stay small.
    """
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    classes = len(counts)
    letter = min(15.0, 780 / classes)  # height of a label
    margin = 30 + 0.56 * letter * min(MOST_LETTERS, max(len(name) for name in names))
    cell = (1000 - margin) / classes
    size = cell * classes
    shades = np.ceil(SHADES * np.sqrt(shares)).astype(int)
    parts = [f'<rect class="frame" x="{margin:.2f}" y="0" width="{size:.2f}" height="{size:.2f}"/>']
    right = np.eye(classes, dtype=bool)
    for css, where in (("right", right), ("wrong", ~right)):
        for shade in range(1, SHADES + 1):
            cells = np.argwhere((shades == shade) & (counts > 0) & where).tolist()
            path = "".join(f"M{column} {row}h1v1h-1z" for row, column in cells)
            if path:
                parts.append(
                    f'<path class="{css}" opacity="{shade / SHADES:.2f}" d="{path}" '
                    f'transform="translate({margin:.2f} 0) scale({cell:.4f})"/>'
                )
    for i, name in enumerate(names):
        label, middle = escape(_cut(name)), (i + 0.5) * cell
        below = f"translate({margin + middle:.2f} {size + 5:.1f}) rotate(-90)"
        parts.append(
            f'<text class="label" x="{margin - 5:.1f}" y="{middle:.2f}" dy=".33em" '
            f'text-anchor="end">{label}</text>'
            f'<text class="label" dy=".33em" text-anchor="end" transform="{below}">{label}</text>'
        )
    if classes <= 25:  # the cells have room for their figure, in %
        for row, column in np.argwhere(shares >= 0.005).tolist():
            light = ' class="on-dense"' if shades[row, column] > 0.72 * SHADES else ""
            parts.append(
                f'<text{light} x="{margin + (column + 0.5) * cell:.1f}" '
                f'y="{(row + 0.5) * cell:.1f}" dy=".35em" text-anchor="middle">'
                f"{100 * shares[row, column]:.0f}</text>"
            )
    parts.append(
        f'<text class="axis" transform="translate(12 {size / 2:.0f}) rotate(-90)" '
        'text-anchor="middle">true class</text>'
        f'<text class="axis" x="{margin + size / 2:.0f}" y="{size + margin - 4:.0f}" '
        'text-anchor="middle">predicted class</text>'
        '<rect class="cursor" width="0" height="0"/>'
    )
    return (
        f'<svg id="matrix" viewBox="0 0 1000 {size + margin:.0f}" font-size="{letter:.2f}" '
        f'data-margin="{margin:.2f}" data-cell="{cell:.4f}" role="img" '
        f'aria-label="confusion matrix of {classes} classes">{"".join(parts)}</svg>'
    )


def _cut(name: str) -> str:
    return name if len(name) <= MOST_LETTERS else name[: MOST_LETTERS - 1] + "…"


def body(
    pose: NDArray[Any],
    edges: Sequence[tuple[int, int]],
    weights: NDArray[Any],
    importance: NDArray[Any],
    hints: Sequence[str],
) -> str:
    """Bodies on which an edge is as wide as its weight and coloured by its learned importance.

    Args:
        pose: (V, 2) joints, to the right and down.
        edges: E pairs of joints.
        weights: (S, E) not negative.
        importance: (S, E) around 1, where training started.
        hints: name of each edge.

    Returns:
        An SVG with S groups, the first of them shown.
    """
    low, high = pose.min(0), pose.max(0)
    scale = min(400 / max(high[1] - low[1], 1e-6), 300 / max(high[0] - low[0], 1e-6))
    points = (pose - (low + high) / 2) * scale + (170, 220)
    widths = 1.5 + 10.5 * weights / max(weights.max(), 1e-6)
    strong = strong_change(importance)
    groups: list[str] = []
    for stage in range(len(weights)):
        lines: list[str] = []
        for edge in map(int, np.argsort(weights[stage])):
            (x1, y1), (x2, y2) = points[list(edges[edge])].tolist()
            change = float(importance[stage, edge] - 1) / strong
            colour = "warm" if change > 0 else "cool"
            lines.append(
                f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
                f'stroke-width="{widths[stage, edge]:.2f}" style="stroke:color-mix(in oklab,'
                f'var(--{colour}) {min(100, 100 * abs(change)):.0f}%,var(--bone))"><title>'
                f"{escape(hints[edge])}: weight {weights[stage, edge]:.3f}, "
                f"importance {importance[stage, edge]:.2f}</title></line>"
            )
        hidden = " hidden" if stage else ""
        groups.append(f'<g class="stage"{hidden}>{"".join(lines)}</g>')
    joints = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in points.tolist())
    return (
        '<svg class="body" viewBox="0 0 340 440" role="img" aria-label="weights of the edges">'
        f"{''.join(groups)}{joints}</svg>"
    )


def strong_change(importance: NDArray[Any]) -> float:
    """The distance from 1 from which on a colour is full: a tenth of the edges lie beyond it."""
    return max(float(np.quantile(np.abs(importance - 1), 0.9)), 1e-6)


def curves(panel: Sequence[Curve], *, unit: str, last: float) -> str:
    """Curves over the epochs up to `last`, with one axis; `unit` names it."""
    width, height, left, bottom, top, right = 560, 300, 72, 44, 14, 16
    values = np.concatenate([curve.values for curve in panel])
    ticks = round_numbers(float(values.min()), float(values.max()))
    low, high = ticks[0], ticks[-1]

    def x(epoch: float) -> float:
        return left + (width - left - right) * epoch / last

    def y(value: float) -> float:
        return top + (height - top - bottom) * (high - value) / (high - low)

    parts: list[str] = []
    for tick in ticks:
        parts.append(
            f'<line class="grid" x1="{left}" x2="{width - right}" y1="{y(tick):.1f}" '
            f'y2="{y(tick):.1f}"/><text x="{left - 8}" y="{y(tick):.1f}" dy=".33em" '
            f'text-anchor="end">{tick:g}</text>'
        )
    for tick in (t for t in round_numbers(0, last) if t <= last * 1.0001):
        parts.append(
            f'<text x="{x(tick):.1f}" y="{height - bottom + 18}" text-anchor="middle">{tick:g}'
            "</text>"
        )
    for curve in panel:
        places = zip(curve.epochs.tolist(), curve.values.tolist(), strict=True)
        points = " ".join(f"{x(epoch):.1f},{y(value):.1f}" for epoch, value in places)
        css = "faint" if curve.style == "faint" else "strong"
        parts.append(
            f'<polyline class="{css}" style="stroke:var(--{curve.colour})" points="{points}"/>'
        )
        if curve.style == "dots" and len(curve.values) <= 40:
            parts += [
                f'<circle style="fill:var(--{curve.colour})" cx="{x(epoch):.1f}" '
                f'cy="{y(value):.1f}" r="3"><title>{escape(curve.name)}, epoch {epoch:g}: '
                f"{value:.4g}</title></circle>"
                for epoch, value in zip(curve.epochs.tolist(), curve.values.tolist(), strict=True)
            ]
    middle = (top + height - bottom) / 2
    parts.append(
        f'<text class="axis" x="{(left + width - right) / 2}" y="{height - 6}" '
        f'text-anchor="middle">epoch</text><text class="axis" text-anchor="middle" '
        f'transform="translate(13 {middle}) rotate(-90)">{escape(unit)}</text>'
    )
    return (
        f'<svg class="curves" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{escape(unit)} over epochs">{"".join(parts)}</svg>'
    )


def round_numbers(low: float, high: float) -> list[float]:
    """About five round numbers at equal steps, of which the first and last enclose both values."""
    span = max(high - low, 1e-9 + 1e-3 * abs(high))
    power = 10 ** math.floor(math.log10(span / 5))
    step = next(k * power for k in (1, 2, 2.5, 5, 10) if k * power >= span / 5)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(step * k, 12) for k in range(first, max(last, first + 1) + 1)]
