"""What a report needs, collected from the store, the model and the log."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stgcn_lightning.data.store import Store
from stgcn_lightning.errors import BadInput
from stgcn_lightning.evaluation.figures import NAMES
from stgcn_lightning.evaluation.intervals import top1_interval
from stgcn_lightning.evaluation.published import Published, published_figures
from stgcn_lightning.evaluation.scores import Scores
from stgcn_lightning.evaluation.statistics import typical_pose, worst_errors
from stgcn_lightning.files.writing import write_atomically
from stgcn_lightning.graph import adjacency
from stgcn_lightning.jobs.answers import Answers
from stgcn_lightning.jobs.backbones import backbone
from stgcn_lightning.jobs.building import Built
from stgcn_lightning.jobs.introducing import optimizer_line
from stgcn_lightning.jobs.run_files import Metric, logged
from stgcn_lightning.report.pages import (
    AfterTest,
    AfterTraining,
    Figure,
    render_test,
    render_training,
)
from stgcn_lightning.skeleton import Skeleton
from stgcn_lightning.terminal import console, shown, shown_value

POSES = 500  # samples among whose first frames a pose is looked for


@contextmanager
def costing_nothing(built: Built, page: str) -> Generator[None]:
    """Say what goes wrong with a page, and go on: it costs the run nothing that it had."""
    try:
        yield
    except Exception as error:  # whatever a plot meets in what was logged
        if built.settings.debug is True:
            raise
        kind = "" if isinstance(error, BadInput) else f"{type(error).__name__}: "
        console.print(f"no {page}: {kind}{error}; all else is kept, debug=true shows where")


def report_test(
    built: Built, answers: Answers, out: Path, also: Sequence[Figure] = ()
) -> tuple[AfterTest, Path] | None:
    """Write `test_report.html` beside the scores; returns what it shows, and the page.

    None where it could not be made, which is said.

    Args:
        built: what was tested, and on what.
        answers: of the model.
        out: file of the scores; another name than ``scores`` is kept, as in bone_test_report.html.
        also: further rows of the headline.
    """
    prefix = "" if out.stem == "scores" else f"{out.stem}_"
    path = out.with_name(f"{prefix}test_report.html")
    with costing_nothing(built, path.name):
        tested = after_test(built, answers, also)
        _write(path, render_test(tested))
        return tested, path
    return None


def after_test(built: Built, answers: Answers, also: Sequence[Figure]) -> AfterTest:
    """What the report of a test shows."""
    settings, store = built.settings, built.data.store
    scores, numbers = answers.scores, answers.numbers
    edges = built.model.learned_edges()
    start = adjacency(settings.skeleton, settings.model.graph)
    persons = store.num_persons[numbers].clamp(max=settings.data.persons).numpy()
    samples = numbers.numpy()
    skeleton, turned = settings.skeleton, settings.benchmark.normalise == "3d"
    return AfterTest(
        title=f"{settings.benchmark.name}, {settings.stream.name} stream",
        subtitle=f"{settings.model.name} tested on the split {scores.meta['split']}, "
        f"{len(scores.labels):,} samples of {len(scores.classes)} classes",
        headline=[*headline(built, answers), *also],
        scores=scores,
        num_frames=store.num_frames[numbers].numpy(),
        num_persons=persons,
        skeleton=skeleton,
        start=start if len(start) else None,
        edges=None if edges is None else edges.cpu().numpy(),
        pose=pose(store, skeleton, samples[:: -(-len(samples) // POSES)], turned=turned),
        movies={
            row: bodies(store, skeleton, samples[row], persons[row], turned=turned)
            for row in worst_errors(scores)
        },
    )


def headline(built: Built, answers: Answers) -> list[Figure]:
    """Accuracies beside what was published, and what they cost."""
    scores, figures = answers.scores, answers.figures
    _, low, high = top1_interval(scores)
    rows = {key: Figure(name, f"{100 * figures[key]:.2f} %") for key, name in NAMES.items()}
    rows["top1"] = rows["top1"]._replace(interval=f"{100 * low:.2f} to {100 * high:.2f}")
    published, *others = published_for(built, scores) or (None,)
    if published:
        rows["top1"] = rows["top1"]._replace(
            published=f"{published.top1:.2f} %",
            difference=f"{100 * figures['top1'] - published.top1:+.2f}",
            source=published.source,
        )
    return [
        *rows.values(),
        *(
            Figure(
                "top-1 published elsewhere", "", published=f"{one.top1:.2f} %", source=one.source
            )
            for one in others
        ),
        Figure("samples", f"{len(scores.labels):,}"),
        Figure("clips per sample", str(built.settings.data.test_clips)),
        Figure("parameters", f"{built.run.parameters:,}"),
        Figure("GMAC per clip", f"{built.run.gmac:.3g}"),
    ]


def published_for(built: Built, scores: Scores) -> tuple[Published, ...]:
    """The figures that a test may be compared with: of all of the benchmark's evaluation split."""
    if built.run.split or scores.meta["held_out"] or scores.meta.get("partial"):
        return ()
    settings = built.settings
    name, benchmark, stream = settings.model.name, settings.benchmark.name, settings.stream.name
    known = published_figures(name, benchmark, stream)
    return tuple(one for one in known if one.classes == len(scores.classes))


def bodies(
    store: Store, skeleton: Skeleton, number: int, persons: int, *, turned: bool
) -> NDArray[np.floating]:
    """Frames of a sample, (M, T, V, 2 or 3); NaN where a joint was not seen. In 3D z looks up.

    3D bodies that were not `turned` upright are in the camera's space, whose y looks up and whose z
    points away from it.

    A person whose joints all lie in one point is absent from the frame; a 2D joint without a score
    was not found, nor was a 3D joint that lies exactly in the origin, where normalisation leaves it
    (and where it moves one joint itself, the centre).
    """
    first, length = int(store.first_row[number]), int(store.num_frames[number])
    frames = store.frames[first : first + persons * length].float().numpy()
    frames = frames.reshape(persons, length, *frames.shape[1:])
    points = frames[..., :2] if store.scored else frames
    unseen = (points == points[..., :1, :]).all((-2, -1))[..., None]  # M, T, 1
    if store.scored:
        unseen = unseen | (frames[..., 2] <= 0)
    else:
        lost = (frames == 0).all(-1)
        if skeleton.normalise is not None:
            lost[..., skeleton.normalise.centre] = False
        unseen = unseen | lost
    if not store.scored and not turned:
        points = points[..., [0, 2, 1]] * np.array([1, -1, 1], points.dtype)
    return np.where(unseen[..., None], np.nan, points)


def pose(
    store: Store, skeleton: Skeleton, samples: NDArray[np.int64], *, turned: bool
) -> NDArray[np.floating]:
    """A standing body to draw on, (V, 2), to the right and down: a sample's first frame.

    3D bodies are seen from the front: they face +y, and z looks up; see `bodies`.
    """
    each = [bodies(store, skeleton, number, 1, turned=turned) for number in samples]
    first = np.stack([one[0, 0] for one in each])
    flat = first if store.scored else -first[..., [0, 2]]
    return np.nan_to_num(flat[typical_pose(flat)])


def report_training(built: Built) -> Path | None:
    """Write `train_report.html` into the run directory, from what was logged there.

    None where it could not be made, which is said.
    """
    path = built.run.folder / "train_report.html"
    with costing_nothing(built, path.name):
        metrics = logged(built.run.folder)
        if "epoch" not in metrics:
            console.print(f"no {path.name}: metrics.csv holds no finished epoch (logger=csv)")
            return None
        _write(path, render_training(after_training(built, metrics)))
        return path
    return None


def after_training(built: Built, metrics: dict[str, Metric]) -> AfterTraining:
    """What the report of a training shows, of what was `logged`."""
    settings, run = built.settings, built.run
    steps, epochs = metrics.pop("epoch")
    return AfterTraining(
        title=f"{settings.benchmark.name}, {settings.stream.name} stream",
        subtitle=f"Training of {settings.model.name} in {run.folder.name}",
        settings=shown_settings(built),
        metrics=metrics,
        steps_per_epoch=round((steps[-1] + 1) / (epochs[-1] + 1)),
    )


def shown_settings(built: Built) -> dict[str, str]:
    """What a report of a training says about it."""
    settings, run, data = built.settings, built.run, built.data
    benchmark, recipe = settings.benchmark, settings.recipe
    held_out = (
        "none" if data.held_out is None else f"{run.held_out_line}, {len(data.held_out):,} samples"
    )
    validated = f"{benchmark.val_split}, {len(data.val_numbers):,} samples, 1 clip"
    if benchmark.val_split is None:
        validated = "none" if run.held_out_subjects is None else f"{run.held_out_line}, 1 clip"
    return {
        "model": f"{backbone(settings.model)}, {run.cost_line}",
        "training split": f"{benchmark.train_split}, {len(data.train_numbers):,} samples",
        "validation split": validated,
        "held out to select by": held_out,
        "frames of a clip": str(settings.data.clip_frames),
        "persons of a clip": str(settings.data.persons),
        "epochs": str(recipe.epochs),
        "training passes per epoch": str(recipe.train_passes_per_epoch),
        "batch size per device": str(run.batch.per_device),
        "learning rate of the first step": f"{run.rate.lr:g}",
        "batches accumulated for a step": str(recipe.accumulate),
        "optimizer": optimizer_line(settings),
        "label smoothing": f"{recipe.label_smoothing:g}",
        "dropout": f"{recipe.dropout:g}",
        "class weights": shown_value(recipe.class_weights),
        "frozen": recipe.freeze or "nothing",
        "seed": str(settings.seed),
        "version": version("stgcn_lightning"),
    }


def _write(path: Path, text: str) -> None:
    with write_atomically(path) as file:
        file.write(text.encode())
    console.print(f"report: {shown(path)}")
