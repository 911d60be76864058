"""What a report needs, collected from the store, the model and the log."""

import csv
from collections import defaultdict
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stgcn_lightning.data.store import Store
from stgcn_lightning.evaluation.intervals import top1_interval
from stgcn_lightning.evaluation.metrics import NAMES
from stgcn_lightning.evaluation.published import Published, published_top1
from stgcn_lightning.evaluation.scores import Scores
from stgcn_lightning.evaluation.statistics import typical_pose, worst_errors
from stgcn_lightning.files.writing import write_atomically
from stgcn_lightning.graph import adjacency
from stgcn_lightning.jobs.answers import Answers
from stgcn_lightning.jobs.building import Built, backbone
from stgcn_lightning.report.pages import (
    AfterTest,
    AfterTraining,
    Figure,
    render_test,
    render_training,
)
from stgcn_lightning.skeleton import Skeleton
from stgcn_lightning.terminal import console, shown

POSES = 500  # samples among whose first frames a pose is looked for


def report_test(
    built: Built, answers: Answers, out: Path, also: Sequence[Figure] = ()
) -> tuple[AfterTest, Path]:
    """Write `test_report.html` beside the scores; returns what it shows, and the page.

    Args:
        built: what was tested, and on what.
        answers: of the model.
        out: file of the scores; another name than ``scores`` is kept, as in bone_test_report.html.
        also: further rows of the headline.
    """
    settings, store = built.settings, built.data.store
    scores, numbers = answers.scores, answers.numbers
    edges = built.model.learned_edges()
    persons = store.num_persons[numbers].clamp(max=settings.data.persons).numpy()
    samples = numbers.numpy()
    skeleton = settings.skeleton
    tested = AfterTest(
        title=f"{settings.benchmark.name}, {settings.stream.name} stream",
        subtitle=f"{settings.model.name} tested on the split {scores.meta['split']}, "
        f"{len(scores.labels):,} samples of {len(scores.classes)} classes",
        headline=[*headline(built, answers), *also],
        scores=scores,
        num_frames=store.num_frames[numbers].numpy(),
        num_persons=persons,
        skeleton=skeleton,
        adjacency=adjacency(skeleton, settings.model.graph),
        edges=None if edges is None else edges.cpu().numpy(),
        pose=pose(store, skeleton, samples[:: -(-len(samples) // POSES)]),
        movies={
            row: bodies(store, skeleton, samples[row], persons[row]) for row in worst_errors(scores)
        },
    )
    prefix = "" if out.stem == "scores" else f"{out.stem}_"
    path = out.with_name(f"{prefix}test_report.html")
    _write(path, render_test(tested))
    return tested, path


def headline(built: Built, answers: Answers) -> list[Figure]:
    """Accuracies beside what was published, and what they cost."""
    scores, figures = answers.scores, answers.figures
    _, low, high = top1_interval(scores)
    rows = {key: Figure(name, f"{100 * figures[key]:.2f} %") for key, name in NAMES.items()}
    rows["top1"] = rows["top1"]._replace(interval=f"{100 * low:.2f} to {100 * high:.2f}")
    if published := published_for(built, scores):
        rows["top1"] = rows["top1"]._replace(
            published=f"{published.top1:.2f} %",
            difference=f"{100 * figures['top1'] - published.top1:+.2f}",
            source=published.source,
        )
    return [
        *rows.values(),
        Figure("samples", f"{len(scores.labels):,}"),
        Figure("clips per sample", str(built.settings.data.test_clips)),
        Figure("parameters", f"{built.run.parameters:,}"),
        Figure("GMAC per clip", f"{built.run.gmac:.3g}"),
    ]


def published_for(built: Built, scores: Scores) -> Published | None:
    """The figure that a test may be compared with: of all of the benchmark's evaluation split."""
    if built.run.split or scores.meta.get("partial"):
        return None
    settings = built.settings
    name, benchmark, stream = settings.model.name, settings.benchmark.name, settings.stream.name
    published = published_top1(name, benchmark, stream)
    return published if published and published.classes == len(scores.classes) else None


def bodies(store: Store, skeleton: Skeleton, number: int, persons: int) -> NDArray[np.floating]:
    """Frames of a sample, (M, T, V, 2 or 3); NaN where a joint was not seen.

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
    return np.where(unseen[..., None], np.nan, points)


def pose(store: Store, skeleton: Skeleton, samples: NDArray[np.int64]) -> NDArray[np.floating]:
    """A standing body to draw on, (V, 2), to the right and down: a sample's first frame.

    3D bodies are seen from the front: they face +y, and z looks up.
    """
    first = np.stack([bodies(store, skeleton, number, 1)[0, 0] for number in samples])
    flat = first if store.scored else -first[..., [0, 2]]
    return np.nan_to_num(flat[typical_pose(flat)])


def report_training(built: Built) -> Path | None:
    """Write `train_report.html` into the run directory, from what was logged there."""
    settings, run = built.settings, built.run
    metrics = logged(run.folder)
    if "val/top1" not in metrics:
        console.print("no train_report.html: metrics.csv holds no finished epoch (logger=csv)")
        return None
    steps, epochs = metrics.pop("epoch")
    trained = AfterTraining(
        title=f"{settings.benchmark.name}, {settings.stream.name} stream",
        subtitle=f"Training of {settings.model.name} in {run.folder.name}",
        settings=shown_settings(built),
        metrics=metrics,
        steps_per_epoch=round((steps[-1] + 1) / (epochs[-1] + 1)),
    )
    path = run.folder / "train_report.html"
    _write(path, render_training(trained))
    return path


def shown_settings(built: Built) -> dict[str, str]:
    """What a report of a training says about it."""
    settings, run, data = built.settings, built.run, built.data
    benchmark, recipe = settings.benchmark, settings.recipe
    held_out = "none"
    if data.held_out is not None:
        subjects = ", ".join(run.held_out_subjects or ())
        held_out = f"subjects {subjects}, {len(data.held_out):,} samples"
    return {
        "model": f"{backbone(settings.model)}, {run.cost_line}",
        "training split": f"{benchmark.train_split}, {len(data.train_numbers):,} samples",
        "validation split": f"{benchmark.val_split}, {len(data.val_numbers):,} samples, 1 clip",
        "held out to select by": held_out,
        "frames of a clip": str(settings.data.clip_frames),
        "persons of a clip": str(settings.data.persons),
        "epochs": str(recipe.epochs),
        "training passes per epoch": str(recipe.train_passes_per_epoch),
        "batch size per device": str(run.batch.per_device),
        "learning rate of the first step": f"{run.rate.lr:g}",
        "momentum": f"{recipe.momentum:g}{', Nesterov' if recipe.nesterov else ''}",
        "weight decay": f"{recipe.weight_decay:g}",
        "label smoothing": f"{recipe.label_smoothing:g}",
        "dropout": f"{recipe.dropout:g}",
        "seed": str(settings.seed),
        "version": version("stgcn_lightning"),
    }


def logged(run: Path) -> dict[str, tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """Steps and values of every metric of a run.

    `epoch` is taken from the ends of epochs alone, where validation is logged.
    """
    values: dict[str, dict[int, float]] = defaultdict(dict)
    path = run / "metrics.csv"
    if path.exists():
        with path.open(newline="") as file:
            for row in csv.DictReader(file):
                for name, text in row.items():
                    if text and name != "step" and (name != "epoch" or row.get("val/top1")):
                        values[name][int(row["step"])] = float(text)
    return {
        name: (np.array(sorted(of)), np.array([of[step] for step in sorted(of)]))
        for name, of in values.items()
    }


def _write(path: Path, text: str) -> None:
    with write_atomically(path) as file:
        file.write(text.encode())
    console.print(f"report: {shown(path)}")
