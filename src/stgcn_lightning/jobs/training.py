"""Training one stream."""

import csv
import io
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.loggers import CSVLogger, Logger
from omegaconf import DictConfig
from rich.table import Table

from stgcn_lightning import ranks
from stgcn_lightning.callbacks.checkpoints import EARLIER, LAST, NEXT
from stgcn_lightning.checkpoints.weights import fine_tune, read_weights, refuse_other_card
from stgcn_lightning.data.datamodule import SkeletonData
from stgcn_lightning.errors import BadInput
from stgcn_lightning.experiment import (
    build,
    build_trainer,
    check_values,
    checkpoint_of,
    console,
    counted,
    epochs_of,
    learning_rate,
    model_card,
    passing_on_ctrl_c,
    path_of,
    shown,
)
from stgcn_lightning.files.archives import read_checkpoint
from stgcn_lightning.files.writing import write_atomically
from stgcn_lightning.jobs.reporting import report_training
from stgcn_lightning.jobs.testing import figures_of, run_test, scores_of
from stgcn_lightning.jobs.watching import dashboards_of, watching
from stgcn_lightning.models.stgcn import STGCN
from stgcn_lightning.recognizer import Recognizer
from stgcn_lightning.report.pages import Figure

SELECTED_BY = {  # checkpoint -> what chose it, where subjects are held out
    "last": "nothing: the last epoch",
    "best_on_val": "the test split itself (optimistic)",
    "best": "held-out training subjects (honest)",
}


def train(cfg: DictConfig) -> dict[str, float]:
    """Train one stream; returns the figures that a sweep summarises."""
    check_values(cfg)
    with watching(cfg, "train") as loggers:
        return train_watched(cfg, loggers)


def train_watched(cfg: DictConfig, loggers: list[Logger]) -> dict[str, float]:
    """The work of `train`, told to `loggers`."""
    run = Path(cfg.run_dir)
    if cfg.resume is None and any((run / "checkpoints").glob("*.ckpt")):
        raise BadInput(
            f"{shown(run)} already holds checkpoints: resume=auto goes on from them, "
            "hydra.run.dir=NEW (of a sweep: hydra.sweep.dir=NEW) starts afresh"
        )
    lightning.seed_everything(cfg.seed, workers=True, verbose=False)
    skeleton, names, data, model = build(cfg)
    card = model_card(cfg, skeleton, names)
    card["order"] = {  # what the place within an epoch depends on
        "a global batch of": cfg.data.batch_size * ranks.world_size(),
        "recipe.train_passes_per_epoch": cfg.recipe.train_passes_per_epoch,
        "seed": cfg.seed,
    }
    if cfg.checkpoint:
        loaded, skipped = fine_tune(model, checkpoint_of(cfg))
        console.print(
            f"{cfg.checkpoint}: {loaded} tensors loaded, skipped: {', '.join(skipped) or 'none'}"
        )
    last = resume_from(cfg.resume, run, card)
    done = 0
    if last:
        data.begin = position(last)
        done = data.begin[0]
    if done < epochs_of(cfg):
        figures = fit(cfg, model, data, card, last, loggers)
    else:
        console.print(
            f"the run is finished: {counted(done, 'epoch', 'epochs')} done; "
            f"recipe.epochs={done + 1} or more goes on"
        )
        figures = last_figures(run)
    if cfg.test_after:
        selected: dict[str, float] = {}
        if data.held_out is not None:
            selected = selected_otherwise(cfg, data, model, names, run)
            figures |= {f"test/top1_{name}": top1 for name, top1 in selected.items()}
        also = [
            Figure(f"top-1, selected by {SELECTED_BY[name]}", f"{100 * top1:.2f} %")
            for name, top1 in selected.items()
        ]
        best, out = run / "checkpoints" / "best.ckpt", run / "scores.npz"
        model.load_state_dict(read_weights(best)[0])
        tested = run_test(cfg, data, model, names, best, out, loggers, also)
        figures["test/top1"] = tested["top1"]
        if selected:
            print_selections(cfg, selected | {"best": figures["test/top1"]})
    return figures


def fit(
    cfg: DictConfig,
    model: STGCN,
    data: SkeletonData,
    card: dict[str, Any],
    last: Path | None,
    loggers: list[Logger],
) -> dict[str, float]:
    """Train `model`, from the checkpoint `last` on if there is one; returns the last figures."""
    run = Path(cfg.run_dir)
    if ranks.global_rank() > 0:
        torch.manual_seed(cfg.seed + ranks.global_rank())  # what is dropped differs
    steps = -(-len(data.train_dataloader()) // ranks.world_size())
    trainer = build_trainer(cfg, steps, loggers)
    recipe = cfg.recipe
    recognizer = Recognizer(
        model,
        ids=data.store.ids,
        classes=len(card["classes"]),
        lr=learning_rate(recipe, cfg.data.batch_size * trainer.world_size),
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
        weight_decay=recipe.weight_decay,
        label_smoothing=recipe.label_smoothing,
        card=card,
    )
    if last:
        keep_metrics(run, trainer, read_checkpoint(last)["global_step"])
    print_first_screen(cfg, data, trainer, steps)
    with passing_on_ctrl_c(trainer):
        trainer.fit(recognizer, data, ckpt_path=last, weights_only=True)
    if trainer.is_global_zero:
        page = report_training(cfg, data, model, recognizer.lr)
        for dashboard in dashboards_of(loggers):
            if page:
                dashboard.show_page("train/report", page)
    return {k: float(v) for k, v in trainer.callback_metrics.items() if k == "val/top1"}


def last_figures(run: Path) -> dict[str, float]:
    """What a finished run reached, by its metrics.csv; nothing where it kept none."""
    metrics = run / "metrics.csv"
    if not metrics.exists():
        return {}
    with metrics.open(newline="") as file:
        reached = [row["val/top1"] for row in csv.DictReader(file) if row.get("val/top1")]
    return {"val/top1": float(reached[-1])} if reached else {}


def print_first_screen(
    cfg: DictConfig, data: SkeletonData, trainer: lightning.Trainer, steps: int
) -> None:
    """What is trained, on what, and where it goes; how long it takes is told by the first steps."""
    samples = f"{len(data.train_numbers):,} to train on, {len(data.val_numbers):,} to validate on"
    if data.held_out is not None:
        subjects = ", ".join(cfg.data.holdout_subjects)
        samples += f", {len(data.held_out):,} of subjects {subjects} held out"
    epochs = counted(epochs_of(cfg), "epoch", "epochs")
    passes = counted(cfg.recipe.train_passes_per_epoch, "pass", "passes")
    device = trainer.strategy.root_device
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
    else:
        name = f"{device.type.upper()}, {counted(torch.get_num_threads(), 'thread', 'threads')}"
    for key, value in {
        "training": f"{cfg.benchmark.name}, {cfg.stream.name} stream",
        "samples": samples,
        "steps": f"{epochs} of {passes}, {steps:,} x {cfg.data.batch_size * trainer.world_size} "
        "clips per epoch",
        "device": f"{trainer.world_size} x {name}, {trainer.precision}",
        "loggers": ", ".join(cfg.get("logger") or {}) or "none",
        "run": shown(Path(cfg.run_dir)),
    }.items():
        console.print(f"{key:<9}{value}")


def selected_otherwise(
    cfg: DictConfig, data: SkeletonData, model: STGCN, names: list[str], run: Path
) -> dict[str, float]:
    """Test accuracy of the checkpoints that held-out subjects did not select."""
    figures: dict[str, float] = {}
    for name in SELECTED_BY:
        if name != "best":
            checkpoint = run / "checkpoints" / f"{name}.ckpt"
            model.load_state_dict(read_weights(checkpoint)[0])
            scores, _ = scores_of(cfg, data, model, names, checkpoint)
            figures[name] = figures_of(scores)["top1"]
    return figures


def print_selections(cfg: DictConfig, figures: dict[str, float]) -> None:
    """Set side by side what each way of choosing a checkpoint gives."""
    table = Table(title=f"which epoch to report, {cfg.data.test_clips} clips")
    table.add_column("selected by")
    table.add_column("top-1", justify="right")
    for name, title in SELECTED_BY.items():
        table.add_row(title, f"{100 * figures[name]:.2f}")
    console.print(table)


def position(checkpoint: Path) -> tuple[int, int]:
    """Epoch and batch that a run goes on with after a checkpoint of this package."""
    loop = read_checkpoint(checkpoint)["loops"]["fit_loop"]
    epoch = loop["epoch_progress"]["current"]
    batch = loop["epoch_loop.batch_progress"]["current"]["processed"]
    return epoch["processed"], batch if epoch["started"] > epoch["processed"] else 0


def resume_from(resume: str | None, run: Path, card: dict[str, Any]) -> Path | None:
    """The checkpoint to go on from: ``auto`` takes the run directory's last, if there is one.

    Raises:
        BadInput: it is absent, no checkpoint of this package, or of another stream or model.
    """
    if resume is None:
        return None
    if not isinstance(resume, str):
        raise BadInput(f"resume={resume} is neither auto nor a checkpoint")
    last = newest_whole(run) if resume == "auto" else path_of("resume", resume)
    if last is None:
        console.print(f"nothing to resume in {shown(run)}: starting afresh")
        return None
    _, theirs = read_weights(last)
    if not theirs:
        raise BadInput(f"{last} is no run of this package: start from it with checkpoint={last}")
    refuse_other_card(theirs, card, last)
    if theirs.get("held_out_subjects") != card["held_out_subjects"]:
        raise BadInput(
            f"{last} was trained with data.holdout_subjects={theirs.get('held_out_subjects')}, not "
            f"{card['held_out_subjects']}: a run that is resumed keeps them"
        )
    if position(last)[1]:
        for key, value in card["order"].items():
            before = theirs.get("order", {}).get(key)
            if before != value:
                raise BadInput(
                    f"{shown(last)} lies within an epoch begun with {key} {before}, not {value}: a "
                    "run that is resumed there keeps it"
                )
    console.print(f"resuming from {shown(last)}")
    return last


def newest_whole(run: Path) -> Path | None:
    """The checkpoint with the most steps that can be read to its end, or none if there is none.

    Raises:
        BadInput: there are some, and all are torn.
    """
    folder = run / "checkpoints"
    for unfinished in folder.glob(".*.tmp"):  # a killed process was writing it
        unfinished.unlink(missing_ok=True)
    torn: list[Path] = []
    whole: dict[Path, int] = {}
    for path in (folder / LAST, folder / NEXT, *sorted(folder.glob(EARLIER))):
        if path.exists():
            try:
                whole[path] = read_checkpoint(path)["global_step"]
            except BadInput:
                torn.append(path)
    for path in torn:
        console.print(f"{shown(path)} is torn: it is left out")
    if torn and not whole:
        raise BadInput(
            f"all checkpoints in {shown(folder)} are torn: hydra.run.dir=NEW starts afresh"
        )
    return max(whole, key=lambda path: whole[path], default=None)


def keep_metrics(run: Path, trainer: lightning.Trainer, steps: int) -> None:
    """Go on with an earlier process's metrics.csv, which Lightning's logger would delete.

    Rows of later steps are dropped: they will come again.
    """
    metrics, aside = run / "metrics.csv", run / "metrics_before_resume.csv"
    loggers = [one for one in trainer.loggers if isinstance(one, CSVLogger)]
    if not loggers or not (metrics.exists() or aside.exists()) or not trainer.is_global_zero:
        return
    if not aside.exists():  # else a process was killed here
        metrics.replace(aside)
    with aside.open(newline="") as file:
        reader = csv.DictReader(file)
        names = list(reader.fieldnames or [])
        # a row that was torn by a kill lacks its last columns
        rows = [row for row in reader if None not in row.values() and int(row["step"]) < steps]
    writer = loggers[0].experiment
    text = io.StringIO()
    table = csv.DictWriter(text, names)
    table.writeheader()
    table.writerows(rows)
    with write_atomically(metrics) as file:
        file.write(text.getvalue().encode())
    writer.metrics_keys = names
    aside.unlink()
