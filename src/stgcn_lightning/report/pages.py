"""Reports of a test and of a training run: one HTML file each, that opens offline.

Everything here is a pure function from arrays to text; `jobs/reporting.py` collects the arrays.
Style and script (report.css, report.js) are written into the page, and its policy forbids the
browser to load anything else. Names of classes and samples come from data sets: each goes through
`escape`, or through `embedded` where the script reads it.

Axes: B samples, S stages, K neighbour subsets, M persons, T frames, V joints.
"""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stgcn_lightning.evaluation.scores import Scores
from stgcn_lightning.report.charts import Bar, Curve, bars, body, curves, matrix, strong_change
from stgcn_lightning.skeleton import Skeleton

MOVIES = 12
MOVIE_FRAMES = 300  # longer samples show every second, third, ... frame
PAIRS = 12
BINS = 6
CURVE_POINTS = 400  # more logged steps are averaged in groups
UNSEEN = -32768  # the integer that report.js knows
FOLDER = Path(__file__).parent


class Figure(NamedTuple):
    """One line of the headline table, ready to print; empty where there is nothing to say."""

    name: str
    value: str
    interval: str = ""
    published: str = ""
    difference: str = ""
    source: str = ""


@dataclass(frozen=True, eq=False)
class AfterTest:
    """What a test report shows.

    Attributes:
        title, subtitle: what was tested, and on what.
        headline: figures, the main one first.
        scores: answers of B samples.
        num_frames, num_persons: (B,) int.
        skeleton: the bodies' joints and edges.
        adjacency: (K, V, V) from joint to joint, as training started from it.
        edges: (S, K, V, V) the same after training; None if the model learns none.
        pose: (V, 2) a body to draw on, to the right and down.
        movies: row of `scores` -> (M, T, V, 2 or 3) float; NaN where a joint was not seen. 2D looks
            down, in 3D z looks up.
    """

    title: str
    subtitle: str
    headline: Sequence[Figure]
    scores: Scores
    num_frames: NDArray[np.int64]
    num_persons: NDArray[np.int64]
    skeleton: Skeleton
    adjacency: NDArray[np.floating[Any]]
    edges: NDArray[np.floating[Any]] | None
    pose: NDArray[np.floating[Any]]
    movies: Mapping[int, NDArray[np.floating[Any]]]


@dataclass(frozen=True, eq=False)
class AfterTraining:
    """What a training report shows.

    Attributes:
        title, subtitle: what was trained, and on what.
        settings: name -> value, as they should be printed.
        metrics: name -> (steps (n,) int, values (n,)): what was logged, by step, counted from 0.
        steps_per_epoch: training steps.
    """

    title: str
    subtitle: str
    settings: Mapping[str, str]
    metrics: Mapping[str, tuple[NDArray[np.int64], NDArray[np.float64]]]
    steps_per_epoch: int


def render_test(tested: AfterTest) -> str:
    """The page of a test."""
    scores = tested.scores
    names = [str(name) for name in scores.classes]
    counts = confusion(scores)
    data = {
        "names": names,
        "counts": _cells(counts),
        "edges": tested.skeleton.edges,
        "movies": [movie_data(frames) for frames in tested.movies.values()],
    }
    sections = [
        headline_table(tested.headline),
        _per_class(counts, names),
        _matrix(counts, names),
        _pairs(counts, names),
        _worst(tested),
        _by_frames_and_persons(tested),
        _edges(tested),
    ]
    return page(tested.title, tested.subtitle, "".join(sections), data, scores.meta)


def render_matrix(tested: AfterTest) -> str:
    """A page with the confusion matrix alone."""
    names = [str(name) for name in tested.scores.classes]
    counts = confusion(tested.scores)
    data = {"names": names, "counts": _cells(counts), "edges": [], "movies": []}
    return page(tested.title, tested.subtitle, _matrix(counts, names), data, {})


def render_movie(tested: AfterTest, row: int) -> str:
    """A page with one moving skeleton alone."""
    data = {
        "names": [],
        "counts": [],
        "edges": tested.skeleton.edges,
        "movies": [movie_data(tested.movies[row])],
    }
    content = f'<div class="movies">{_movie(tested, row)}</div>'
    return page(tested.title, tested.subtitle, content, data, {})


def class_rows(scores: Scores) -> list[tuple[str, int, int, float, str, int]]:
    """Of each class with samples: name, samples, right, accuracy, commonest wrong answer, times."""
    counts = confusion(scores)
    wrong = _wrong(counts)
    rows: list[tuple[str, int, int, float, str, int]] = []
    for label in map(int, np.flatnonzero(counts.sum(1))):
        right, samples, most = int(counts[label, label]), int(counts[label].sum()), wrong[label]
        answer = str(scores.classes[most.argmax()]) if most.any() else ""
        name = str(scores.classes[label])
        rows.append((name, samples, right, right / samples, answer, int(most.max())))
    return rows


def confused_rows(scores: Scores) -> list[tuple[str, str, int, float]]:
    """What was confused, the commonest first: true class, answer, samples, share of the class."""
    counts = confusion(scores)
    wrong = _wrong(counts)
    rows, columns = np.nonzero(wrong)
    order = np.argsort(-wrong[rows, columns], kind="stable")
    return [
        (
            str(scores.classes[true]),
            str(scores.classes[answer]),
            int(wrong[true, answer]),
            float(wrong[true, answer] / counts[true].sum()),
        )
        for true, answer in zip(rows[order], columns[order], strict=True)
    ]


def render_training(trained: AfterTraining) -> str:
    """The page of a training run."""
    settings = "".join(
        f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>"
        for name, value in trained.settings.items()
    )
    panels = "".join(_panel(trained, *panel) for panel in PANELS if _logged(trained, panel[1]))
    content = (
        f"{headline_table(_best_epoch(trained))}"
        f'<section><h2>Curves</h2><div class="panels">{panels}</div></section>'
        f'<section><h2>Settings</h2><div class="scroll"><table><tbody>{settings}</tbody></table>'
        "</div></section>"
    )
    return page(trained.title, trained.subtitle, content, {}, {})


def page(
    title: str, subtitle: str, content: str, data: Mapping[str, Any], meta: Mapping[str, Any]
) -> str:
    """A whole document around `content`; its script reads `data`, its foot lists `meta`."""
    css, script = ((FOLDER / f"report.{kind}").read_text("utf-8") for kind in ("css", "js"))
    origin = "".join(
        f"<dt>{escape(name.replace('_', ' '))}</dt><dd><code>{escape(_plain(value))}</code></dd>"
        for name, value in meta.items()
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:\">"
        '<link rel="icon" href="data:,">'
        f"<title>{escape(title)}</title>\n<style>\n{css}</style></head>\n<body><main>"
        f"<header><h1>{escape(title)}</h1><p>{escape(subtitle)}</p></header>\n{content}"
        f'<footer>Written by stgcn_lightning.<dl>{origin}</dl></footer></main>\n<div id="tip" '
        f'hidden></div>\n<script type="application/json" id="data">{embedded(data)}</script>\n'
        f"<script>\n{script}</script>\n</body></html>\n"
    )


def embedded(data: Any) -> str:
    """JSON that may stand inside a script element: no text in it can end that element."""
    return json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")


def confusion(scores: Scores) -> NDArray[np.int64]:
    """(classes, classes) samples by true class and answer."""
    classes = len(scores.classes)
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (scores.labels, scores.scores.argmax(1)), 1)
    return counts


def worst_errors(scores: Scores, most: int = MOVIES) -> list[int]:
    """Rows answered wrongly, the most confident first."""
    wrong = np.flatnonzero(scores.scores.argmax(1) != scores.labels)
    return wrong[np.argsort(-scores.scores[wrong].max(1), kind="stable")][:most].tolist()


def typical_pose(poses: NDArray[np.floating[Any]]) -> int:
    """Which of (S, V, 2) poses to draw on: a common one in which no joint hides another.

    Of those without unseen joints (NaN), the half whose joints lie farther apart is kept; of these
    the one nearest to their median, in size and place of its own, is the answer. The first pose if
    all have unseen joints.
    """
    size = np.ptp(poses, axis=1).max(1)[:, None]  # S, 1
    apart = np.linalg.norm(poses[:, :, None] - poses[:, None], axis=-1)  # S, V, V
    apart[:, np.eye(poses.shape[1], dtype=bool)] = np.inf
    clarity = np.log(apart.min(2) / np.maximum(size, 1e-6) + 1e-3).mean(1)
    seen = np.flatnonzero(np.isfinite(clarity))
    if not len(seen):
        return 0
    clear = seen[clarity[seen] >= np.median(clarity[seen])]
    bodies = (poses[clear] - poses[clear].mean(1, keepdims=True)) / size[clear, :, None]
    return int(clear[np.abs(bodies - np.median(bodies, 0)).sum((1, 2)).argmin()])


def edge_weights(
    edges: NDArray[np.floating[Any]], pairs: Sequence[tuple[int, int]]
) -> NDArray[np.floating[Any]]:
    """(S, K, V, V) -> (S, E): what the two joints of an edge hear of each other, on average.

    Absolute values, summed over the subsets (each direction lies in one of them).
    """
    heard = np.abs(edges).sum(1)
    one, other = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    return (heard[:, one, other] + heard[:, other, one]) / 2


def quantile_bins(values: NDArray[np.int64], bins: int) -> NDArray[np.int64]:
    """The bin of each value, by quantiles: about equally many in each; equal values stay together.

    There are fewer bins where values repeat.
    """
    shares = np.arange(1, bins + 1) / bins
    uppers = np.unique(np.quantile(values, shares, method="inverted_cdf"))
    return np.searchsorted(uppers, values)


def movie_data(frames: NDArray[np.floating[Any]]) -> dict[str, Any]:
    """(M, T, V, 2 or 3) as JSON values: integers of two bytes, little-endian, in base64."""
    every = -(-frames.shape[1] // MOVIE_FRAMES)
    frames = frames[:, ::every].astype(np.float64)
    seen = frames[np.isfinite(frames).all(-1)]
    middle = np.quantile(seen, (0.01, 0.99), axis=0).mean(0) if len(seen) else 0  # without outliers
    reach = max(float(np.abs(seen - middle).max(initial=0)), 1e-6)
    scaled = np.round((frames - middle) / reach * 32000)
    integers = np.where(np.isfinite(scaled).all(-1, keepdims=True), scaled, UNSEEN).astype("<i2")
    text = base64.b64encode(integers.tobytes()).decode()
    return {"shape": frames.shape, "every": every, "points": text}


def headline_table(figures: Sequence[Figure]) -> str:
    """The table of figures; columns that are empty throughout are left out."""
    titles = Figure("", "", "95 % interval (bootstrap)", "published", "difference", "source")
    shown = [i for i in range(len(titles)) if i < 2 or any(figure[i] for figure in figures)]

    def cells(figure: Figure) -> str:
        return "".join(
            f'<td class="{"" if i == 5 else "number"}">{escape(figure[i])}</td>' for i in shown[1:]
        )

    head = "".join(f'<th class="{"" if i == 5 else "number"}">{titles[i]}</th>' for i in shown[1:])
    head = f"<thead><tr><th></th>{head}</tr></thead>" if len(shown) > 2 else ""
    rows = "".join(f"<tr><th>{escape(f.name)}</th>{cells(f)}</tr>" for f in figures)
    return f'<div class="scroll headline"><table>{head}<tbody>{rows}</tbody></table></div>'


def _per_class(counts: NDArray[np.int64], names: Sequence[str]) -> str:
    rows: list[Bar] = []
    wrong = _wrong(counts)
    for label in map(int, np.flatnonzero(counts.sum(1))):
        right, samples = int(counts[label, label]), int(counts[label].sum())
        hint = f"{right} of {samples} samples are right"
        if right < samples:
            most = int(wrong[label].argmax())
            hint += f"; most often taken for {names[most]} ({wrong[label, most]})"
        rows.append(Bar(names[label], right, samples, hint))
    absent = [name for name, samples in zip(names, counts.sum(1), strict=True) if not samples]
    note = f" Classes without a sample: {escape(', '.join(absent))}." if absent else ""
    buttons = "".join(
        f'<button data-sort="{key}" aria-pressed="{str(key == "order").lower()}">{text}</button>'
        for key, text in (("order", "label"), ("accuracy", "accuracy"), ("samples", "samples"))
    )
    return (
        "<section><h2>Accuracy of each class</h2>"
        f'<div class="tools">sort by {buttons}</div>'
        f'<figure id="classes">{bars(rows, css="two" if len(rows) > 14 else "")}'
        '<figcaption class="numbered">Accuracy in %, then the number of samples. The line is the '
        f"95 % interval (Wilson).{note}</figcaption></figure></section>"
    )


def _matrix(counts: NDArray[np.int64], names: Sequence[str]) -> str:
    return (
        '<section><h2>Confusion matrix</h2><figure><div class="scroll wide">'
        f'{matrix(counts, names)}</div><figcaption class="numbered">Each row is a true class and '
        "sums to 100 %, each column an answer. A cell is as dense as the square root of its "
        'share, so that rare confusions show: right <span class="ramp right"></span>, wrong '
        '<span class="ramp wrong"></span>. Point at a cell to read it.</figcaption></figure>'
        "</section>"
    )


def _pairs(counts: NDArray[np.int64], names: Sequence[str]) -> str:
    wrong = _wrong(counts)
    rows = ""
    for cell in np.argsort(-wrong, axis=None, kind="stable")[:PAIRS].tolist():
        true, answer = divmod(int(cell), len(names))
        if not wrong[true, answer]:
            break
        share = 100 * wrong[true, answer] / counts[true].sum()
        rows += (
            f"<tr><th>{escape(names[true])}</th><td>{escape(names[answer])}</td>"
            f'<td class="number">{wrong[true, answer]}</td><td class="number">{share:.1f}</td>'
            f'<td class="number">{wrong[answer, true]}</td></tr>'
        )
    if not rows:
        return "<section><h2>Most confused classes</h2><p>Every sample is right.</p></section>"
    return (
        '<section><h2>Most confused classes</h2><div class="scroll"><table><thead><tr>'
        '<th>true class</th><th>predicted class</th><th class="number">samples</th>'
        '<th class="number">% of the class</th><th class="number">the other way</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div></section>"
    )


def _cells(counts: NDArray[np.int64]) -> list[list[int]]:
    """Row, column and count of the cells that are not empty."""
    rows, columns = np.nonzero(counts)
    return np.column_stack([rows, columns, counts[rows, columns]]).tolist()


def _wrong(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """The same counts without those that are right."""
    return np.where(np.eye(len(counts), dtype=bool), 0, counts)


def _worst(tested: AfterTest) -> str:
    if not tested.movies:
        return ""
    cards = "".join(_movie(tested, row) for row in tested.movies)
    solid = next(iter(tested.movies.values())).shape[-1] == 3
    how = (
        "turned slowly; drag to turn them yourself."
        if solid
        else "so a picture that is not square is squeezed."
    )
    return (
        "<section><h2>Most confident errors</h2><p>The samples whose wrong answer has the highest "
        "score, at 30 frames per second. The first person is "
        '<span class="first">blue</span>, the second <span class="second">orange</span>; shades '
        f"are 6 and 12 frames old. They are drawn as the network sees them, normalised, {how}</p>"
        '<div class="tools"><button id="all">Pause all</button></div>'
        f'<div class="movies">{cards}</div></section>'
    )


def _movie(tested: AfterTest, row: int) -> str:
    scores, frames = tested.scores, tested.movies[row]
    name = str(row) if scores.ids is None else str(scores.ids[row])
    true, answer = int(scores.labels[row]), int(scores.scores[row].argmax())
    return (
        f'<figure><canvas aria-label="skeleton of sample {escape(name)}"></canvas>'
        '<button aria-label="pause">❚❚</button><figcaption>'
        f'<span class="id">{escape(name)}</span>, {frames.shape[1]} frames<br>'
        f'true <span class="true">{escape(str(scores.classes[true]))}</span> '
        f"{scores.scores[row, true]:.2f}<br>"
        f'predicted <span class="predicted">{escape(str(scores.classes[answer]))}</span> '
        f"{scores.scores[row, answer]:.2f}</figcaption></figure>"
    )


def _by_frames_and_persons(tested: AfterTest) -> str:
    hits = tested.scores.scores.argmax(1) == tested.scores.labels

    def rows(groups: NDArray[np.int64], name: Callable[[NDArray[np.bool_]], str]) -> list[Bar]:
        members = [groups == group for group in np.unique(groups)]
        return [Bar(name(one), int(hits[one].sum()), int(one.sum())) for one in members]

    frames, persons = tested.num_frames, tested.num_persons
    by_frames = rows(quantile_bins(frames, BINS), lambda one: _range(frames[one]))
    by_persons = rows(persons, lambda one: str(persons[one][0]))
    return (
        "<section><h2>Accuracy by length and persons</h2>"
        f"<figure><h3>Frames of the sample</h3>{bars(by_frames)}"
        f"<h3>Persons in the sample</h3>{bars(by_persons)}"
        '<figcaption class="numbered">Accuracy in %, then the number of samples. Lengths are cut '
        "at quantiles. The line is the 95 % interval (Wilson).</figcaption></figure></section>"
    )


def _range(values: NDArray[np.int64]) -> str:
    low, high = values.min(), values.max()
    return f"{low} to {high}" if low < high else str(low)


def _edges(tested: AfterTest) -> str:
    pairs, joints = tested.skeleton.edges, tested.skeleton.joints
    if not pairs or tested.edges is None:
        return ""
    weights = edge_weights(tested.edges, pairs)
    start = edge_weights(tested.adjacency[None], pairs)
    weights = np.concatenate([weights.mean(0, keepdims=True), weights])
    importance = weights / start
    names = [f"{joints[one]} – {joints[other]}" for one, other in pairs]
    rows = "".join(
        f'<tr><th>{escape(names[edge])}</th><td class="number">{weights[0, edge]:.3f}</td>'
        f'<td class="number">{importance[0, edge]:.3f}</td></tr>'
        for edge in map(int, np.argsort(-importance[0]))
    )
    options = "".join(
        f'<option value="{i}">{f"stage {i}" if i else "mean of all stages"}</option>'
        for i in range(len(weights))
    )
    strong = strong_change(importance)
    return (
        "<section><h2>Learned importance of the edges</h2>"
        f'<div class="tools"><label>show <select id="stage">{options}</select></label></div>'
        f'<div class="beside"><figure>{body(tested.pose, pairs, weights, importance, names)}'
        '<figcaption class="numbered">Width: the weight with which two joints hear each other, '
        "|adjacency × importance| averaged over both directions. Colour: importance, that weight "
        "over the one that training started from, "
        f'<span class="whole">≤ {1 - strong:.2f} <span class="ramp change"></span> '
        f"≥ {1 + strong:.2f}</span>."
        "</figcaption></figure><table><thead><tr><th>edge, mean of all stages</th>"
        '<th class="number">weight</th><th class="number">importance</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div></section>"
    )


# title, its curves (metric, name, colour), factor, unit
PANELS = (
    (
        "Loss",
        (
            ("train/loss", "training", "warm"),
            ("val/loss", "validation", "cool"),
            ("holdout/loss", "held-out subjects", "ink"),
        ),
        1,
        "loss",
    ),
    (
        "Top-1 accuracy",
        (
            ("train/top1", "training", "warm"),
            ("val/top1", "validation", "cool"),
            ("holdout/top1", "held-out subjects", "ink"),
        ),
        100,
        "top-1 in %",
    ),
    ("Learning rate", (("lr", "learning rate", "ink"),), 1, "learning rate"),
    ("Speed", (("train/clips_per_second", "training", "warm"),), 1, "clips per second"),
)


def _logged(trained: AfterTraining, lines: Sequence[tuple[str, str, str]]) -> bool:
    return any(metric in trained.metrics for metric, _, _ in lines)


def _panel(
    trained: AfterTraining,
    title: str,
    lines: Sequence[tuple[str, str, str]],
    factor: float,
    unit: str,
) -> str:
    panel: list[Curve] = []
    keys: list[str] = []
    for metric, name, colour in lines:
        if metric not in trained.metrics:
            continue
        steps, values = trained.metrics[metric]
        epochs, values = (steps + 1) / trained.steps_per_epoch, factor * values
        ends, means = _epoch_means(epochs, values)
        if metric == "lr":
            panel.append(Curve(name, colour, *_thinned(epochs, values), "line"))
        else:
            if len(values) > len(means):  # logged by the step
                panel.append(Curve(name, colour, *_thinned(epochs, values), "faint"))
            panel.append(Curve(name, colour, ends, means, "dots"))
        keys.append(f'<span class="key" style="color:var(--{colour})"></span>{escape(name)}')
    faint = (
        " Behind: as logged, step by step."
        if any(curve.style == "faint" for curve in panel)
        else ""
    )
    last = max(float(steps[-1] + 1) for steps, _ in trained.metrics.values())
    drawing = curves(panel, unit=unit, last=last / trained.steps_per_epoch)
    return (
        f"<figure>{drawing}"
        f'<figcaption class="numbered"><b>{title}.</b> '
        f"{', '.join(keys)}.{faint}</figcaption></figure>"
    )


def _epoch_means(
    epochs: NDArray[np.float64], values: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The end of each epoch, and the mean of what was logged in it."""
    ends, which = np.unique(np.ceil(epochs - 1e-9), return_inverse=True)
    return ends, np.bincount(which, values) / np.bincount(which)


def _thinned(
    epochs: NDArray[np.float64], values: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Means of neighbours, so that at most CURVE_POINTS are left."""
    group = np.arange(len(values)) // -(-len(values) // CURVE_POINTS)
    size = np.bincount(group)
    return np.bincount(group, epochs) / size, np.bincount(group, values) / size


def _best_epoch(trained: AfterTraining) -> list[Figure]:
    """Best and last validation accuracy, and the losses of the last epoch."""
    figures: list[Figure] = []
    if "val/top1" in trained.metrics:
        steps, top1 = trained.metrics["val/top1"]
        epoch = [round((int(step) + 1) / trained.steps_per_epoch) for step in steps]
        best = int(top1.argmax())
        figures = [
            Figure(f"validation top-1, best epoch ({epoch[best]})", f"{100 * top1[best]:.2f} %"),
            Figure(f"validation top-1, last epoch ({epoch[-1]})", f"{100 * top1[-1]:.2f} %"),
        ]
    for part, name in (("train", "training"), ("val", "validation")):
        if f"{part}/loss" in trained.metrics:
            steps, losses = trained.metrics[f"{part}/loss"]
            mean = _epoch_means((steps + 1) / trained.steps_per_epoch, losses)[1][-1]
            figures.append(Figure(f"{name} loss, last epoch", f"{mean:.4f}"))
    return figures


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
