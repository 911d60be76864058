"""What the front doors do: prepare, train, test, fuse; and the tables they print."""

import shutil
from collections.abc import Generator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from omegaconf import DictConfig
from rich.table import Table

from stgcn_lightning.data.datamodule import SkeletonData
from stgcn_lightning.errors import BadInput
from stgcn_lightning.evaluation.fusion import PRESETS, fuse, top1_interval
from stgcn_lightning.evaluation.metrics import NAMES, accuracies
from stgcn_lightning.evaluation.published import published_top1
from stgcn_lightning.evaluation.scores import Scores, read_scores, write_scores
from stgcn_lightning.experiment import (
    build,
    build_tester,
    build_trainer,
    check_values,
    console,
    cost,
    learning_rate,
    model_card,
    open_store_of,
    plain,
)
from stgcn_lightning.files import sha256
from stgcn_lightning.model.stgcn import STGCN
from stgcn_lightning.recognizer import Recognizer
from stgcn_lightning.skeleton import Skeleton
from stgcn_lightning.weights import fine_tune, load, read_weights, refuse_other_card


def prepare(cfg: DictConfig) -> None:
    """Build the store of a benchmark and print a check of what is in it."""
    check_values(cfg)
    if cfg.annotations:
        cfg.benchmark.annotations = cfg.annotations
    skeleton = Skeleton.from_dict(plain(cfg.skeleton))
    store = open_store_of(cfg, skeleton)
    frames = store.num_frames
    table = Table(title=f"{cfg.benchmark.name}: {store.folder}")
    for column in ("split", "samples", "classes", "two persons and more", "frames (min/mean/max)"):
        table.add_column(column)
    for name, numbers in store.splits.items():
        count, T = len(numbers), frames[numbers]
        several = int((store.num_persons[numbers] > 1).sum())
        table.add_row(
            name,
            f"{count}",
            f"{len(store.labels[numbers].unique())}",
            f"{several} ({100 * several / count:.0f} %)",
            f"{T.min()} / {T.double().mean():.1f} / {T.max()}",
        )
    console.print(table)
    size = store.frames.numel() * store.frames.element_size()
    console.print(
        f"{len(store.ids)} samples, {skeleton.num_joints} joints ({skeleton.name}), "
        f"{store.frames.dtype}".replace("torch.", "")
        + f", {size / 1e6:.1f} MB"
    )
    for split in (cfg.benchmark.train_split, cfg.benchmark.val_split):
        store.split(split)


def train(cfg: DictConfig) -> dict[str, float]:
    """Train one stream; returns the figures that a sweep summarises."""
    check_values(cfg)
    run = Path(cfg.run_dir)
    if cfg.resume is None and any((run / "checkpoints").glob("*.ckpt")):
        raise BadInput(
            f"{run} already holds checkpoints: resume=auto goes on from them, "
            "hydra.run.dir=NEW starts afresh"
        )
    lightning.seed_everything(cfg.seed, workers=True, verbose=False)
    skeleton, names, data, model = build(cfg)
    card = model_card(cfg, skeleton, names)
    if cfg.checkpoint:
        loaded, skipped = fine_tune(model, Path(cfg.checkpoint))
        console.print(
            f"{cfg.checkpoint}: {loaded} tensors loaded, skipped: {', '.join(skipped) or 'none'}"
        )
    keep_metrics(run)
    trainer = build_trainer(cfg, steps=len(data.train_dataloader()))
    recipe = cfg.recipe
    recognizer = Recognizer(
        model,
        ids=data.store.ids,
        classes=len(names),
        lr=learning_rate(recipe, cfg.data.batch_size * trainer.world_size),
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
        weight_decay=recipe.weight_decay,
        label_smoothing=recipe.label_smoothing,
        card=card,
    )
    console.print(
        f"{cfg.benchmark.name} {cfg.stream.name}: {len(data.train_numbers)} samples to train on, "
        f"{len(data.val_numbers)} to validate on, {recipe.epochs} epochs of "
        f"{recipe.train_passes_per_epoch} passes; run directory {run}"
    )
    last = resume_from(cfg.resume, run, card)
    with passing_on_ctrl_c(trainer):
        trainer.fit(recognizer, data, ckpt_path=last, weights_only=True)
    figures = {k: float(v) for k, v in trainer.callback_metrics.items() if k == "val/top1"}
    if cfg.test_after:
        best = run / "checkpoints" / "best.ckpt"
        model.load_state_dict(read_weights(best)[0])
        figures["test/top1"] = run_test(cfg, data, model, names, best, run / "scores.npz")["top1"]
    return figures


def test(cfg: DictConfig) -> None:
    """Test a checkpoint with `data.test_clips` clips, write the scores and print the table."""
    check_values(cfg)
    if not cfg.checkpoint:
        raise BadInput("say which weights to test: checkpoint=FILE")
    lightning.seed_everything(cfg.seed, workers=True, verbose=False)
    checkpoint = Path(cfg.checkpoint)
    state, card = read_weights(checkpoint)
    skeleton, names, data, model = build(cfg)
    refuse_other_card(card, model_card(cfg, skeleton, names), checkpoint)
    load(model, state, checkpoint)
    out = Path(cfg.scores) if cfg.scores else Path(cfg.run_dir) / "scores.npz"
    run_test(cfg, data, model, names, checkpoint, out)


def fuse_scores(cfg: DictConfig) -> None:
    """Fuse the scores of several streams, write them and print each stream beside the fusion."""
    paths, weights = plain(cfg.streams), plain(cfg.weights)
    if not isinstance(paths, dict) or not all(isinstance(p, str) for p in paths.values()):
        raise BadInput("say what to fuse: streams='{joint: a.npz, bone: b.npz}'")
    if weights is not None and not (
        isinstance(weights, dict) and all(isinstance(w, int | float) for w in weights.values())
    ):
        raise BadInput(f"weights={weights} are no weights: weights='{{joint: 2, bone: 1}}'")
    if cfg.preset is not None and weights is not None:
        raise BadInput(f"preset={cfg.preset} already means weights: give one of the two")
    if cfg.preset is not None:
        if cfg.preset not in PRESETS:
            raise BadInput(f"preset={cfg.preset} is none of {', '.join(PRESETS)}")
        weights = PRESETS[cfg.preset]
    weights = weights or dict.fromkeys(paths, 1.0)
    streams = {name: read_scores(Path(path)) for name, path in paths.items()}
    for name, scores in streams.items():
        if scores.ids is None:
            console.print(f"{name}: {paths[name]} holds no ids, samples are joined by order")
    fused = fuse(streams, weights)
    if fused.ids is None:
        fused = with_numbers_as_ids(fused)
    out = Path(cfg.scores) if cfg.scores else Path(cfg.run_dir) / "scores.npz"
    write_scores(out, fused)

    table = Table()
    for column in ("", "weight", "top-1", "95 % interval", "top-5", "mean class"):
        table.add_column(column, justify="right" if column else "left")
    for name, scores in [*streams.items(), ("fused", fused)]:
        top1, low, high = top1_interval(scores)
        figures = figures_of(scores)
        table.add_row(
            name,
            "" if name == "fused" else f"{weights[name]:g}",
            f"{100 * top1:.2f}",
            f"{100 * low:.2f} - {100 * high:.2f}",
            f"{100 * figures['top5']:.2f}",
            f"{100 * figures['mean_class_accuracy']:.2f}",
            style="bold" if name == "fused" else None,
        )
    console.print(table)
    console.print(f"scores: {out}")


def run_test(
    cfg: DictConfig,
    data: SkeletonData,
    model: STGCN,
    names: list[str],
    checkpoint: Path,
    out: Path,
) -> dict[str, float]:
    """Test `model`, write its scores to `out`, print the table, and return the figures."""
    recognizer = Recognizer(model, ids=data.store.ids, classes=len(names))
    trainer = build_tester(cfg)
    with passing_on_ctrl_c(trainer):
        trainer.test(recognizer, data, verbose=False)
    numbers, values = recognizer.test_scores()
    if cfg.debug != "fast" and not torch.equal(numbers, data.val_numbers):
        raise RuntimeError(
            f"{len(numbers)} samples were scored, but the split has {len(data.val_numbers)}"
        )
    scores = Scores(
        ids=np.asarray(data.store.ids[numbers.numpy()]),
        labels=data.store.labels[numbers].numpy(),
        scores=values.numpy(),
        classes=np.array(names),
        meta={
            "benchmark": cfg.benchmark.name,
            "split": cfg.benchmark.val_split,
            "stream": cfg.stream.name,
            "test_clips": cfg.data.test_clips,
            "checkpoint_sha256": sha256(checkpoint),
            "version": version("stgcn_lightning"),
        },
    )
    write_scores(out, scores)
    figures = figures_of(scores)
    print_test(cfg, scores, figures, model, out)
    return figures


def print_test(
    cfg: DictConfig, scores: Scores, figures: dict[str, float], model: STGCN, out: Path
) -> None:
    """The table that `test` ends with."""
    table = Table(title=f"{cfg.benchmark.name} {cfg.stream.name}, {cfg.data.test_clips} clips")
    table.add_column("")
    table.add_column("%", justify="right")
    for name, title in NAMES.items():
        table.add_row(title, f"{100 * figures[name]:.2f}")
    published = published_top1(cfg.model.name, cfg.benchmark.name, cfg.stream.name)
    if published and published.classes == len(scores.classes):
        table.add_row(f"published top-1 ({published.source})", f"{published.top1:.2f}")
        table.add_row("difference", f"{100 * figures['top1'] - published.top1:+.2f}")
    console.print(table)

    hits = scores.scores.argmax(1) == scores.labels
    present = np.unique(scores.labels)
    recall = np.array([hits[scores.labels == label].mean() for label in present])
    worst = [f"{scores.classes[present[i]]} {100 * recall[i]:.0f} %" for i in recall.argsort()[:5]]
    parameters, gmac = cost(model, cfg)
    console.print(f"worst classes: {', '.join(worst)}")
    console.print(
        f"{len(scores.labels)} samples, {parameters:,} parameters, {gmac:.2f} GMAC per clip"
    )
    console.print(f"scores: {out}")


def figures_of(scores: Scores) -> dict[str, float]:
    """top1, top5 and mean_class_accuracy, in [0, 1]."""
    metrics = accuracies(scores.scores.shape[1])
    counted = metrics(torch.from_numpy(scores.scores), torch.from_numpy(scores.labels))
    return {name: float(value) for name, value in counted.items()}


def with_numbers_as_ids(scores: Scores) -> Scores:
    """Scores fused by order, whose samples are called by their number from here on."""
    ids = np.array([str(i) for i in range(len(scores.labels))])
    return Scores(ids, scores.labels, scores.scores, scores.classes, scores.meta)


def resume_from(resume: str | None, run: Path, card: dict[str, Any]) -> str | None:
    """The checkpoint to go on from: ``auto`` takes the run directory's last, if there is one.

    Raises:
        BadInput: it is absent, no checkpoint of this package, or of another stream or model.
    """
    if resume is None:
        return None
    if not isinstance(resume, str):
        raise BadInput(f"resume={resume} is neither auto nor a checkpoint")
    last = run / "checkpoints" / "last.ckpt" if resume == "auto" else Path(resume)
    if resume == "auto" and not last.exists():
        console.print(f"nothing to resume in {run}: starting afresh")
        return None
    _, theirs = read_weights(last)
    if not theirs:
        raise BadInput(f"{last} is no run of this package: start from it with checkpoint={last}")
    refuse_other_card(theirs, card, last)
    console.print(f"resuming from {last}")
    return str(last)


@contextmanager
def passing_on_ctrl_c(trainer: lightning.Trainer) -> Generator[None]:
    """Lightning ends the process with status 1 after Ctrl-C; the doors have their own."""
    try:
        yield
    except SystemExit:
        if trainer.interrupted:
            raise KeyboardInterrupt from None
        raise


def keep_metrics(run: Path) -> None:
    """Put an earlier run's metrics.csv aside, which Lightning's logger would delete."""
    metrics = run / "metrics.csv"
    if metrics.exists():
        parts = len(list(run.glob("metrics_until_resume_*.csv")))
        shutil.move(metrics, run / f"metrics_until_resume_{parts + 1}.csv")
