"""Training one stream."""

import shutil
from pathlib import Path
from typing import Any

import lightning
from omegaconf import DictConfig

from stgcn_lightning.errors import BadInput
from stgcn_lightning.experiment import (
    build,
    build_trainer,
    check_values,
    console,
    learning_rate,
    model_card,
    passing_on_ctrl_c,
)
from stgcn_lightning.jobs.reporting import report_training
from stgcn_lightning.jobs.testing import run_test
from stgcn_lightning.recognizer import Recognizer
from stgcn_lightning.weights import fine_tune, read_weights, refuse_other_card


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
    if trainer.is_global_zero:
        report_training(cfg, data, model, recognizer.lr)
    figures = {k: float(v) for k, v in trainer.callback_metrics.items() if k == "val/top1"}
    if cfg.test_after:
        best = run / "checkpoints" / "best.ckpt"
        model.load_state_dict(read_weights(best)[0])
        figures["test/top1"] = run_test(cfg, data, model, names, best, run / "scores.npz")["top1"]
    return figures


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


def keep_metrics(run: Path) -> None:
    """Put an earlier run's metrics.csv aside, which Lightning's logger would delete."""
    metrics = run / "metrics.csv"
    if metrics.exists():
        parts = len(list(run.glob("metrics_until_resume_*.csv")))
        shutil.move(metrics, run / f"metrics_until_resume_{parts + 1}.csv")
