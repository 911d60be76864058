"""Testing a checkpoint, and the table and scores that come of it."""

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import lightning
import numpy as np
import torch
from lightning.pytorch.loggers import Logger
from omegaconf import DictConfig
from rich.table import Table

from stgcn_lightning import ranks
from stgcn_lightning.checkpoints.weights import load, read_weights, refuse_other_card
from stgcn_lightning.checkpoints.zoo import ZOO, card_of, published
from stgcn_lightning.data.datamodule import SkeletonData
from stgcn_lightning.distributed import wait_for_all
from stgcn_lightning.errors import BadInput
from stgcn_lightning.evaluation.metrics import NAMES, accuracies
from stgcn_lightning.evaluation.scores import Scores, write_scores
from stgcn_lightning.experiment import (
    build,
    build_tester,
    check_values,
    checkpoint_of,
    console,
    cost,
    model_card,
    passing_on_ctrl_c,
    path_of,
    shown,
)
from stgcn_lightning.files.reading import sha256
from stgcn_lightning.jobs.reporting import published_for, report_test
from stgcn_lightning.jobs.watching import dashboards_of, run_of, watching
from stgcn_lightning.models.stgcn import STGCN
from stgcn_lightning.recognizer import Recognizer
from stgcn_lightning.report.pages import Figure


def test(cfg: DictConfig) -> None:
    """Test a checkpoint with `data.test_clips` clips, write the scores and print the table."""
    check_values(cfg)
    if not cfg.checkpoint:
        raise BadInput("say which weights to test: checkpoint=FILE or checkpoint=zoo:NAME")
    lightning.seed_everything(cfg.seed, workers=True, verbose=False)
    refuse_other_zoo(cfg)
    checkpoint = checkpoint_of(cfg)
    out = scores_path(cfg, checkpoint)
    state, card = read_weights(checkpoint)
    held_out = cfg.split == "holdout"
    if held_out:
        cfg.data.holdout_subjects = card.get("held_out_subjects")
        if not cfg.data.holdout_subjects:
            raise BadInput(
                f"{checkpoint} was trained without holding subjects out: there is no split=holdout "
                "unless it is trained with data.holdout_subjects=0.1"
            )
    elif cfg.split is not None:
        cfg.benchmark.val_split = cfg.split
    skeleton, names, data, model = build(cfg, test_held_out=held_out)
    refuse_other_card(card or card_of(checkpoint), model_card(cfg, skeleton, names), checkpoint)
    load(model, state, checkpoint)
    with watching(cfg, "test", trained_by=run_of(checkpoint)) as loggers:
        run_test(cfg, data, model, names, checkpoint, out, loggers)


def refuse_other_zoo(cfg: DictConfig) -> None:
    """Refuse a published checkpoint of another stream or dimension before it is downloaded."""
    entry = published().get(str(cfg.checkpoint).removeprefix(ZOO))
    if entry and str(cfg.checkpoint).startswith(ZOO):
        dimension = entry.benchmark.rsplit("_", 1)[-1]
        if (entry.stream, dimension) != (cfg.stream.name, cfg.benchmark.dimension):
            raise BadInput(
                f"{cfg.checkpoint} was trained on the stream {entry.stream} in {dimension}, not on "
                f"{cfg.stream.name} in {cfg.benchmark.dimension}: set "
                f"experiment={entry.benchmark}_{entry.stream}"
            )


def scores_path(cfg: DictConfig, *inputs: Path) -> Path:
    """Where the scores go: `scores`, or the run directory; its folder is made.

    Raises:
        BadInput: it is one of the `inputs`, no name of a score file, or cannot be written.
    """
    out = path_of("scores", cfg.scores) if cfg.scores else Path(cfg.run_dir) / "scores.npz"
    if out.suffix not in (".npz", ".pkl"):
        raise BadInput(f"scores={cfg.scores} must end in .npz, or .pkl for MMAction2's dump")
    if out.resolve() in [path.resolve() for path in inputs]:
        raise BadInput(f"scores={cfg.scores} would overwrite an input: choose another name")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(
            f"scores={cfg.scores} cannot be written: {error.strerror}; choose another folder"
        ) from error
    return out


def run_test(
    cfg: DictConfig,
    data: SkeletonData,
    model: STGCN,
    names: list[str],
    checkpoint: Path,
    out: Path,
    loggers: Sequence[Logger],
    also: Sequence[Figure] = (),
) -> dict[str, float]:
    """Test `model`, write scores to `out` and a report, print the table; returns the figures."""
    dashboards = dashboards_of(loggers)
    runs = [dashboard.begin() for dashboard in dashboards]
    scores, numbers = scores_of(cfg, data, model, names, checkpoint)
    figures = figures_of(scores)
    if ranks.global_rank() == 0:
        if runs:
            scores.meta["wandb_run"] = runs[0]
        write_scores(out, scores)
        print_test(cfg, scores, figures, model, out)
        tested, page = report_test(cfg, data.store, model, scores, numbers, figures, out, also)
        published = published_for(cfg, scores)
        for dashboard in dashboards:
            dashboard.show_test(tested, figures, published and published.top1, page)
    wait_for_all()  # the scores are there
    return figures


def scores_of(
    cfg: DictConfig, data: SkeletonData, model: STGCN, names: list[str], checkpoint: Path
) -> tuple[Scores, torch.Tensor]:
    """What `model`, with the weights of `checkpoint`, answers; and the numbers of the samples."""
    recognizer = Recognizer(model, ids=data.store.ids, classes=len(names))
    trainer = build_tester(cfg)
    with passing_on_ctrl_c(trainer):
        trainer.test(recognizer, data, verbose=False)
    numbers, values = recognizer.test_scores()
    fast = cfg.debug == "fast"
    if not fast and not torch.equal(numbers, data.test_numbers):
        raise RuntimeError(
            f"{len(numbers)} samples were scored, but the split has {len(data.test_numbers)}"
        )
    held_out = data.test_numbers is data.held_out
    scores = Scores(
        ids=np.asarray(data.store.ids[numbers.numpy()]),
        labels=data.store.labels[numbers].numpy(),
        scores=values.numpy(),
        classes=np.array(names),
        meta={
            "benchmark": cfg.benchmark.name,
            "split": cfg.benchmark.train_split if held_out else cfg.benchmark.val_split,
            "held_out": held_out,
            "stream": cfg.stream.name,
            "test_clips": cfg.data.test_clips,
            "checkpoint_sha256": sha256(checkpoint),
            "version": version("stgcn_lightning"),
        }
        | ({"partial": f"{len(numbers)} of {len(data.test_numbers)} samples"} if fast else {}),
    )
    return scores, numbers


def print_test(
    cfg: DictConfig, scores: Scores, figures: dict[str, float], model: STGCN, out: Path
) -> None:
    """The table that `test` ends with."""
    title = f"{cfg.benchmark.name} {cfg.stream.name}, {cfg.data.test_clips} clips"
    split = f", {scores.meta['split']}, not the evaluation split" if cfg.get("split") else ""
    table = Table(title=title + split)
    table.add_column("")
    table.add_column("%", justify="right")
    for name, title in NAMES.items():
        table.add_row(title, f"{100 * figures[name]:.2f}")
    if published := published_for(cfg, scores):
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
        f"{len(scores.labels)} samples, {parameters:,} parameters, {gmac:.3g} GMAC per clip"
    )
    if "partial" in scores.meta:
        console.print(f"partial scores: {scores.meta['partial']}, because of debug=fast")
    console.print(f"scores: {shown(out)}")


def figures_of(scores: Scores) -> dict[str, float]:
    """top1, top5 and mean_class_accuracy, in [0, 1]."""
    metrics = accuracies(scores.scores.shape[1])
    counted = metrics(torch.from_numpy(scores.scores), torch.from_numpy(scores.labels))
    return {name: float(value) for name, value in counted.items()}
