"""Reports of a test and of a training run: one HTML file each, that opens offline.

Pure functions from arrays to text: `jobs/reporting.py` collects the arrays, `evaluation/` has the
statistics, templates/ the words. Style and script are written into the page, and its policy
forbids the browser to load anything else. Names of classes and samples come from data sets: the
templates escape everything (autoescape), the script reads them from JSON (`tojson`).

Axes: B samples, S stages, K neighbour subsets, M persons, T frames, V joints.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stgcn_lightning.evaluation.history import epoch_means, thinned
from stgcn_lightning.evaluation.scores import Scores
from stgcn_lightning.evaluation.statistics import (
    Group,
    accuracy_by,
    class_rows,
    confused_rows,
    confusion,
    learned_edges,
    strongest_pairs,
)
from stgcn_lightning.report.charts import Bar, Curve, Curves, body, curves, matrix, strong_change
from stgcn_lightning.report.colours import THEMES
from stgcn_lightning.report.movies import movie_data
from stgcn_lightning.report.timeline import LETTER, Timeline
from stgcn_lightning.skeleton import Skeleton
from stgcn_lightning.terminal import plain

if TYPE_CHECKING:  # imported when the first page is written
    from jinja2 import Environment

PAIRS = 12  # confusions that are listed
BINS = 6  # groups of samples by length
CURVE_POINTS = 400  # more logged steps are averaged in groups
FOLDER = Path(__file__).parent / "templates"


class Figure(NamedTuple):
    """One line of the headline table, ready to print; empty where there is nothing to say."""

    name: str
    value: str
    interval: str = ""
    published: str = ""
    difference: str = ""
    source: str = ""


COLUMNS = {  # field of a figure -> title of its column
    "value": "",
    "interval": "95 % interval (bootstrap)",
    "published": "published",
    "difference": "difference",
    "source": "source",
}


@dataclass(frozen=True, eq=False)
class AfterTest:
    """What a test report shows.

    Attributes:
        title: what was tested.
        subtitle: on what.
        headline: figures, the main one first.
        scores: answers for B samples.
        num_frames: (B,) int.
        num_persons: (B,) int.
        skeleton: the bodies' joints and edges.
        start: (K, V, V) weights from joint to joint before training; None: there was no graph.
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
    start: NDArray[np.floating[Any]] | None
    edges: NDArray[np.floating[Any]] | None
    pose: NDArray[np.floating[Any]]
    movies: Mapping[int, NDArray[np.floating[Any]]]


@dataclass(frozen=True, eq=False)
class AfterTraining:
    """What a training report shows.

    Attributes:
        title: what was trained.
        subtitle: on what.
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
    counts = confusion(scores)
    names = [str(name) for name in scores.classes]
    first = next(iter(tested.movies.values()), None)
    return _render(
        "test.html",
        tested,
        {**_data(scores), **_movies(tested, tested.movies)},
        scores.meta,
        headline=tested.headline,
        columns=_columns(tested.headline),
        by_class=_class_bars(scores),
        without_samples=[names[label] for label in np.flatnonzero(counts.sum(1) == 0)],
        matrix=matrix(counts, names),
        confused=confused_rows(scores)[:PAIRS],
        movies=[_card(tested, row) for row in tested.movies],
        solid=first is not None and first.shape[-1] == 3,
        by_frames=_group_bars(accuracy_by(tested.num_frames, scores.hits, BINS)),
        by_persons=_group_bars(accuracy_by(tested.num_persons, scores.hits)),
        edges=_edges(tested),
    )


def render_matrix(tested: AfterTest) -> str:
    """A page with the confusion matrix alone."""
    names = [str(name) for name in tested.scores.classes]
    data = {**_data(tested.scores), "edges": [], "movies": []}
    return _render("matrix.html", tested, data, {}, matrix=matrix(confusion(tested.scores), names))


def render_movie(tested: AfterTest, row: int) -> str:
    """A page with one moving skeleton alone, that of a row of the scores."""
    data = {"names": [], "counts": [], **_movies(tested, [row])}
    return _render("movie.html", tested, data, {}, movie=_card(tested, row))


def render_training(trained: AfterTraining) -> str:
    """The page of a training run."""
    headline = _reached(trained)
    return _render(
        "training.html",
        trained,
        {},
        {},
        headline=headline,
        columns=_columns(headline),
        panels=[
            _panel(trained, plan)
            for plan in PANELS
            if any(line.metric in trained.metrics for line in plan.lines)
        ],
        settings=trained.settings,
    )


def render_timeline(chart: Timeline) -> str:
    """A timeline as SVG text, which follows the reader's choice of light or dark."""
    light, dark = (theme._asdict() for theme in THEMES.values())
    template = environment().get_template("timeline.svg")
    return template.render(chart=chart, letter=LETTER, light=light, dark=dark)


def _render(
    template: str,
    shown: AfterTest | AfterTraining,
    data: Mapping[str, Any],
    meta: Mapping[str, Any],
    **context: Any,
) -> str:
    """A whole document; its script reads `data`, its foot lists `meta`."""
    origin = {
        name: value if isinstance(value, str) else json.dumps(value) for name, value in meta.items()
    }
    page = environment().get_template(template)
    return page.render(
        title=shown.title, subtitle=shown.subtitle, data=data, origin=origin, **context
    )


@cache
def environment() -> "Environment":
    """The templates, with style and script for every page."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    templates = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_shown,
    )
    templates.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    styles = [(FOLDER / name).read_text("utf-8") for name in ("report.css", "skeleton.css")]
    templates.globals["style"], templates.globals["style_of_skeletons"] = "".join(styles), styles[1]
    templates.globals["script"] = (FOLDER / "report.js").read_text("utf-8")
    return templates


def _shown(value: Any) -> Any:
    """What a template writes: text without characters that turn round what stands beside them."""
    return plain(value) if type(value) is str else value


def _data(scores: Scores) -> dict[str, Any]:
    """What the script needs of the scores: `counts` are row, column and count of a cell."""
    counts = confusion(scores)
    rows, columns = np.nonzero(counts)
    return {
        "names": [plain(str(name)) for name in scores.classes],
        "counts": np.column_stack([rows, columns, counts[rows, columns]]).tolist(),
    }


def _movies(tested: AfterTest, rows: Sequence[int] | Mapping[int, Any]) -> dict[str, Any]:
    """What the script needs to draw moving skeletons."""
    movies = [movie_data(tested.movies[row]) for row in rows]
    return {"edges": tested.skeleton.edges, "movies": movies}


def _columns(figures: Sequence[Figure]) -> dict[str, str]:
    """Those of `COLUMNS` in which a figure has something to say."""
    return {
        field: title
        for field, title in COLUMNS.items()
        if field == "value" or any(getattr(figure, field) for figure in figures)
    }


def _class_bars(scores: Scores) -> list[Bar]:
    bars: list[Bar] = []
    for row in class_rows(scores):
        hint = f"{row.right} of {row.samples} samples are right"
        if row.times:
            hint += f"; most often taken for {row.taken_for} ({row.times})"
        bars.append(Bar(row.name, row.right, row.samples, hint))
    return bars


def _group_bars(groups: Sequence[Group]) -> list[Bar]:
    return [
        Bar(
            f"{one.low} to {one.high}" if one.low < one.high else str(one.low),
            one.right,
            one.samples,
        )
        for one in groups
    ]


def _card(tested: AfterTest, row: int) -> dict[str, Any]:
    """What is written below a moving skeleton."""
    scores = tested.scores
    true, answer = int(scores.labels[row]), int(scores.answers[row])
    return {
        "name": str(row) if scores.ids is None else str(scores.ids[row]),
        "frames": tested.movies[row].shape[1],
        "true": str(scores.classes[true]),
        "true_score": scores.scores[row, true],
        "answer": str(scores.classes[answer]),
        "answer_score": scores.scores[row, answer],
    }


def _edges(tested: AfterTest) -> dict[str, Any] | None:
    """The learned edges as a chart and as rows, or None if there are none."""
    pairs, joints = tested.skeleton.edges, tested.skeleton.joints
    if not pairs or tested.edges is None:
        return None
    if tested.start is None:
        pairs = strongest_pairs(tested.edges, len(pairs))
    weights, importance = learned_edges(tested.edges, tested.start, pairs)
    names = [f"{joints[one]} – {joints[other]}" for one, other in pairs]
    rows = [
        {"name": names[i], "weight": weights[0, i], "importance": importance[0, i]}
        for i in map(int, np.argsort(-importance[0]))
    ]
    return {
        "body": body(tested.pose, pairs, weights, importance, names),
        "rows": rows,
        "from_a_graph": tested.start is not None,
        "strong": strong_change(importance),
    }


class Logged(NamedTuple):
    """A metric that is drawn, its name on the page, and the colour of its curve."""

    metric: str
    name: str
    colour: str


class Plan(NamedTuple):
    """A panel of curves: its title, its metrics, what they are multiplied with, and their unit."""

    title: str
    lines: tuple[Logged, ...]
    factor: float
    unit: str


def _three(metric: str) -> tuple[Logged, ...]:
    return (
        Logged(f"train/{metric}", "training", "warm"),
        Logged(f"val/{metric}", "validation", "cool"),
        Logged(f"holdout/{metric}", "held-out subjects", "ink"),
    )


PANELS = (
    Plan("Loss", _three("loss"), 1, "loss"),
    Plan("Top-1 accuracy", _three("top1"), 100, "top-1 in %"),
    Plan("Learning rate", (Logged("lr", "learning rate", "ink"),), 1, "learning rate"),
    Plan("Speed", (Logged("train/clips_per_second", "training", "warm"),), 1, "clips per second"),
)


class Panel(NamedTuple):
    """Curves, what their colours mean, and whether some of them are faint."""

    title: str
    chart: Curves
    keys: list[Logged]
    faint: bool


def _panel(trained: AfterTraining, plan: Plan) -> Panel:
    panel: list[Curve] = []
    keys = [line for line in plan.lines if line.metric in trained.metrics]
    for metric, name, colour in keys:
        steps, values = trained.metrics[metric]
        epochs, values = (steps + 1) / trained.steps_per_epoch, plan.factor * values
        ends, means = epoch_means(epochs, values)
        if metric == "lr":
            panel.append(Curve(name, colour, *thinned(epochs, values, CURVE_POINTS), "line"))
            continue
        if len(values) > len(means):  # logged by the step
            panel.append(Curve(name, colour, *thinned(epochs, values, CURVE_POINTS), "faint"))
        panel.append(Curve(name, colour, ends, means, "dots"))
    last = max(float(steps[-1] + 1) for steps, _ in trained.metrics.values())
    chart = curves(panel, unit=plan.unit, last=last / trained.steps_per_epoch)
    return Panel(plan.title, chart, keys, any(curve.style == "faint" for curve in panel))


def _reached(trained: AfterTraining) -> list[Figure]:
    """Best and last validation accuracy, and the losses of the last epoch."""
    figures: list[Figure] = []
    if "val/top1" in trained.metrics:
        steps, top1 = trained.metrics["val/top1"]
        epoch = [round((int(step) + 1) / trained.steps_per_epoch) for step in steps]
        best = int(np.nan_to_num(top1, nan=-np.inf).argmax())
        figures = [
            Figure(f"validation top-1, best epoch ({epoch[best]})", f"{100 * top1[best]:.2f} %"),
            Figure(f"validation top-1, last epoch ({epoch[-1]})", f"{100 * top1[-1]:.2f} %"),
        ]
    losses = {
        "train/loss": "training loss, logged steps of the last epoch",  # not all of them
        "val/loss": "validation loss, last epoch",
    }
    for metric, name in losses.items():
        if metric in trained.metrics:
            steps, values = trained.metrics[metric]
            mean = epoch_means((steps + 1) / trained.steps_per_epoch, values)[1][-1]
            figures.append(Figure(name, f"{mean:.4f}"))
    return figures
