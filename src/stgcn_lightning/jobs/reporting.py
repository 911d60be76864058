"""What a report needs, collected from the store, the model and the log."""

import csv
from collections import defaultdict
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from omegaconf import DictConfig

from stgcn_lightning.data.datamodule import SkeletonData
from stgcn_lightning.data.store import Store
from stgcn_lightning.evaluation.fusion import top1_interval
from stgcn_lightning.evaluation.metrics import NAMES
from stgcn_lightning.evaluation.published import Published, published_top1
from stgcn_lightning.evaluation.scores import Scores
from stgcn_lightning.experiment import console, cost, plain, shown
from stgcn_lightning.files.writing import write_atomically
from stgcn_lightning.models.stgcn import STGCN, Stage
from stgcn_lightning.report.pages import (
    AfterTest,
    AfterTraining,
    Figure,
    render_test,
    render_training,
    typical_pose,
    worst_errors,
)
from stgcn_lightning.skeleton import Skeleton

POSES = 500  # samples among whose first frames a pose is looked for


def report_test(
    cfg: DictConfig,
    store: Store,
    model: STGCN,
    scores: Scores,
    numbers: torch.Tensor,
    figures: dict[str, float],
    out: Path,
    also: Sequence[Figure] = (),
) -> tuple[AfterTest, Path]:
    """Write `test_report.html` beside the scores; returns what it shows, and the page.

    Args:
        cfg: composed configuration of the test.
        store: frames of the samples.
        model: what was tested.
        scores: its answers.
        numbers: (B,) number in the store of each row of `scores`.
        figures: the accuracies, in [0, 1].
        out: file of the scores; another name than ``scores`` is kept, as in bone_test_report.html.
        also: further rows of the headline.
    """
    convolutions = [stage.graph for stage in model.stages if isinstance(stage, Stage)]
    with torch.no_grad():
        edges = torch.stack([conv.adjacency * conv.edge_importance for conv in convolutions])
    persons = store.num_persons[numbers].clamp(max=cfg.data.persons).numpy()
    samples = numbers.numpy()
    skeleton = Skeleton.from_dict(plain(cfg.skeleton))
    tested = AfterTest(
        title=f"{cfg.benchmark.name}, {cfg.stream.name} stream",
        subtitle=f"{cfg.model.name} tested on the split {scores.meta['split']}, "
        f"{len(scores.labels):,} samples of {len(scores.classes)} classes",
        headline=[*headline(cfg, model, scores, figures), *also],
        scores=scores,
        num_frames=store.num_frames[numbers].numpy(),
        num_persons=persons,
        skeleton=skeleton,
        adjacency=convolutions[0].adjacency.cpu().numpy(),
        edges=edges.cpu().numpy(),
        pose=pose(store, skeleton, samples[:: -(-len(samples) // POSES)]),
        movies={
            row: bodies(store, skeleton, samples[row], persons[row]) for row in worst_errors(scores)
        },
    )
    prefix = "" if out.stem == "scores" else f"{out.stem}_"
    path = out.with_name(f"{prefix}test_report.html")
    _write(path, render_test(tested))
    return tested, path


def headline(
    cfg: DictConfig, model: STGCN, scores: Scores, figures: dict[str, float]
) -> list[Figure]:
    """Accuracies beside what was published, and what they cost."""
    _, low, high = top1_interval(scores)
    rows = {key: Figure(name, f"{100 * figures[key]:.2f} %") for key, name in NAMES.items()}
    rows["top1"] = rows["top1"]._replace(interval=f"{100 * low:.2f} to {100 * high:.2f}")
    if published := published_for(cfg, scores):
        rows["top1"] = rows["top1"]._replace(
            published=f"{published.top1:.2f} %",
            difference=f"{100 * figures['top1'] - published.top1:+.2f}",
            source=published.source,
        )
    parameters, gmac = cost(model, cfg)
    return [
        *rows.values(),
        Figure("samples", f"{len(scores.labels):,}"),
        Figure("clips per sample", str(cfg.data.test_clips)),
        Figure("parameters", f"{parameters:,}"),
        Figure("GMAC per clip", f"{gmac:.3g}"),
    ]


def published_for(cfg: DictConfig, scores: Scores) -> Published | None:
    """The figure that a test may be compared with: of all of the benchmark's evaluation split."""
    if cfg.get("split") or scores.meta.get("partial"):
        return None
    published = published_top1(cfg.model.name, cfg.benchmark.name, cfg.stream.name)
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


def report_training(cfg: DictConfig, data: SkeletonData, model: STGCN, lr: float) -> Path | None:
    """Write `train_report.html` into the run directory, from what was logged there."""
    run = Path(cfg.run_dir)
    metrics = logged(run)
    if "val/top1" not in metrics:
        console.print("no train_report.html: metrics.csv holds no finished epoch (logger=csv)")
        return None
    steps, epochs = metrics.pop("epoch")
    parameters, gmac = cost(model, cfg)
    recipe = cfg.recipe
    held_out = "nobody"
    if data.held_out is not None:
        subjects = ", ".join(cfg.data.holdout_subjects)
        held_out = f"subjects {subjects}, {len(data.held_out):,} samples"
    settings = {
        "model": f"{cfg.model.name}, {cfg.model.base_channels} base channels, "
        f"{parameters:,} parameters, {gmac:.3g} GMAC per clip",
        "training split": f"{cfg.benchmark.train_split}, {len(data.train_numbers):,} samples",
        "validation split": f"{cfg.benchmark.val_split}, {len(data.val_numbers):,} samples, 1 clip",
        "held out to select by": held_out,
        "frames of a clip": str(cfg.data.clip_frames),
        "persons of a clip": str(cfg.data.persons),
        "epochs": str(recipe.epochs),
        "training passes per epoch": str(recipe.train_passes_per_epoch),
        "batch size per device": str(cfg.data.batch_size),
        "learning rate of the first step": f"{lr:g}",
        "momentum": f"{recipe.momentum:g}{', Nesterov' if recipe.nesterov else ''}",
        "weight decay": f"{recipe.weight_decay:g}",
        "label smoothing": f"{recipe.label_smoothing:g}",
        "dropout": f"{recipe.dropout:g}",
        "seed": str(cfg.seed),
        "version": version("stgcn_lightning"),
    }
    trained = AfterTraining(
        title=f"{cfg.benchmark.name}, {cfg.stream.name} stream",
        subtitle=f"Training of {cfg.model.name} in {run.name}",
        settings=settings,
        metrics=metrics,
        steps_per_epoch=round((steps[-1] + 1) / (epochs[-1] + 1)),
    )
    path = run / "train_report.html"
    _write(path, render_training(trained))
    return path


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
