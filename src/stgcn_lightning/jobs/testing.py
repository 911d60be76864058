"""Testing a checkpoint, and the table and scores that come of it."""

from importlib.metadata import version
from pathlib import Path

import lightning
import numpy as np
import torch
from omegaconf import DictConfig
from rich.table import Table

from stgcn_lightning.data.datamodule import SkeletonData
from stgcn_lightning.errors import BadInput
from stgcn_lightning.evaluation.metrics import NAMES, accuracies
from stgcn_lightning.evaluation.published import published_top1
from stgcn_lightning.evaluation.scores import Scores, write_scores
from stgcn_lightning.experiment import (
    build,
    build_tester,
    check_values,
    console,
    cost,
    model_card,
    passing_on_ctrl_c,
)
from stgcn_lightning.files import sha256
from stgcn_lightning.jobs.reporting import report_test
from stgcn_lightning.model.stgcn import STGCN
from stgcn_lightning.recognizer import Recognizer
from stgcn_lightning.weights import load, read_weights, refuse_other_card


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


def run_test(
    cfg: DictConfig,
    data: SkeletonData,
    model: STGCN,
    names: list[str],
    checkpoint: Path,
    out: Path,
) -> dict[str, float]:
    """Test `model`, write scores to `out` and a report, print the table; returns the figures."""
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
    report_test(cfg, data.store, model, scores, numbers, figures, out)
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
