"""Training one stream."""

import csv
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.loggers import Logger

from stgcn_lightning import ranks
from stgcn_lightning.callbacks.early_stopping import EarlyStopping
from stgcn_lightning.checkpoints.weights import fine_tune, load, read_weights
from stgcn_lightning.data.parts import DamagedStore
from stgcn_lightning.errors import BadInput, NotFinite
from stgcn_lightning.jobs.building import Built, build
from stgcn_lightning.jobs.cards import training_card
from stgcn_lightning.jobs.continuing import rate_line, samples_of
from stgcn_lightning.jobs.fetching import checkpoint_of
from stgcn_lightning.jobs.folders import refuse_overwriting
from stgcn_lightning.jobs.introducing import frozen_line, print_first_screen, say_embedded
from stgcn_lightning.jobs.reporting import report_training
from stgcn_lightning.jobs.resuming import Resumption, keep_metrics, resume_from
from stgcn_lightning.jobs.selecting import headline_rows, print_selections, selected_otherwise
from stgcn_lightning.jobs.testing import run_test
from stgcn_lightning.jobs.trainers import (
    build_trainer,
    callbacks_of,
    nothing_held_back,
    passing_on_ctrl_c,
    steps_of_optimiser,
    stopping_of,
)
from stgcn_lightning.jobs.watching import dashboards_of, watching
from stgcn_lightning.jobs.weighting import class_weights, weights_line
from stgcn_lightning.recipe import Optimisation
from stgcn_lightning.recognizer import Recognizer
from stgcn_lightning.settings.doors import Common, TrainSettings
from stgcn_lightning.terminal import console, counted, shown

MAX_SEED = 2**32 - 1  # that Lightning takes


def train(settings: TrainSettings) -> dict[str, float]:
    """Train one stream; returns the figures that a sweep summarises.

    Raises:
        BadInput: settings contradict each other or the annotations, the weights to start from or
            the run to resume cannot be used, the run directory holds checkpoints that are not
            resumed, or the training diverges.
    """
    with watching(settings, "train") as loggers:
        if settings.resume is None:
            refuse_overwriting(settings.run_dir)
        lightning.seed_everything(settings.seed, workers=True, verbose=False)
        refuse_nothing_to_test(settings)
        say_embedded(settings)
        built = build(settings)
        card = training_card(settings, built.classes, built.run, samples_of(built.data))
        optimisation = optimisation_of(built)
        recipe = asdict(optimisation) | {"dropout": settings.recipe.dropout}
        last = resume_from(settings.resume, settings.run_dir, card, recipe)
        if last:
            built.data.begin = last.place
        if settings.checkpoint and last:
            console.print(f"checkpoint={settings.checkpoint} is left aside: the run has weights")
        elif settings.checkpoint:
            start_from(settings.checkpoint, built)
        elif settings.recipe.freeze and not last:
            raise BadInput(
                "recipe.freeze=backbone would keep random weights as they are: add "
                "checkpoint=FILE, whose backbone is kept"
            )
        done, _ = built.data.begin
        stopping, epochs = stopping_of(settings), counted(done, "epoch", "epochs")
        if done >= built.run.epochs:
            console.print(
                f"the run is finished: {epochs} done; recipe.epochs={done + 1} or more goes on"
            )
            figures = last_figures(settings.run_dir)
        elif last and stopping and stopping.make().ended(last.content):
            console.print(
                f"the run ended early: {epochs} done; a higher callbacks.early_stopping.patience "
                "goes on"
            )
            figures = last_figures(settings.run_dir)
        else:
            figures = fit(settings, built, recognizer_of(built, optimisation, card), last, loggers)
        if settings.test_after:
            figures |= score_best(built, loggers)
        return figures


def refuse_nothing_to_test(settings: TrainSettings) -> None:
    """Refuse `test_after` before the training where there is nothing to test on.

    Raises:
        BadInput: all samples are trained on, or the checkpoint to test is not kept under its name.
    """
    if settings.test_after and nothing_held_back(settings):
        raise BadInput(
            "test_after=true has nothing to test on with benchmark.val_split=null: leave it out, "
            "or hold samples out, data.holdout_subjects=0.1"
        )
    best = callbacks_of(settings).get("best")
    if settings.test_after and best and best.get("filename") != "best":
        raise BadInput(
            f"test_after=true tests best.ckpt, not callbacks.best.filename={best.get('filename')}: "
            "leave the name as it is; +callbacks.NAME._target_=MODULE.CLASS keeps others besides"
        )
    if settings.test_after and not {"best", "last"} & callbacks_of(settings).keys():
        raise BadInput(
            "test_after=true has no checkpoint to test without callbacks.best and callbacks.last: "
            "keep one of them, or leave test_after out"
        )


def start_from(checkpoint: str, built: Built) -> None:
    """Load the weights that `checkpoint` names, and print what was loaded."""
    settings = built.settings
    file = checkpoint_of(checkpoint, settings.downloads, settings.model.name)
    loaded, skipped, card = fine_tune(built.model, file, built.classes, console.print)
    say_other_training(card, checkpoint, settings)
    console.print(f"{checkpoint}: {loaded} tensors loaded, skipped: {', '.join(skipped) or 'none'}")


def say_other_training(card: Mapping[str, Any], checkpoint: str, settings: Common) -> None:
    """Say in what the weights that a run starts from were trained differently."""
    now = {
        "stream": settings.stream.name,
        "dimension": settings.benchmark.dimension,
        "normalise": settings.benchmark.normalise,
        "persons": settings.data.persons,
    }
    for key, value in now.items():
        if card.get(key, value) != value:
            console.print(f"{checkpoint} was trained with {key} {card[key]}, this run has {value}")


def optimisation_of(built: Built) -> Optimisation:
    """The parameters that a run is optimised with."""
    recipe = built.settings.recipe
    labels = built.data.store.labels[built.data.train_numbers]
    weights = class_weights(recipe.class_weights, labels, built.classes)
    if weights:
        console.print(weights_line(weights, labels, built.classes))
    if recipe.class_weights == recipe.sampling == "balanced":
        console.print("a rare class counts twice: it is drawn more often, and weighs more")
    return Optimisation(
        lr=built.run.rate.lr,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
        weight_decay=recipe.weight_decay,
        label_smoothing=recipe.label_smoothing,
        optimizer=recipe.optimizer,
        betas=recipe.betas,
        class_weights=weights,
        freeze=recipe.freeze,
    )


def recognizer_of(built: Built, optimisation: Optimisation, card: dict[str, Any]) -> Recognizer:
    """The model with the recipe that trains it, and the card of its checkpoints."""
    recognizer = Recognizer(
        built.model,
        ids=built.data.store.ids,
        optimisation=optimisation,
        card=card,
        norm_group=built.run.batch.norm_group,
        compile_mode=built.settings.model.compile,
    )
    recognizer.engine.halving.say = console.print
    return recognizer


def fit(
    settings: TrainSettings,
    built: Built,
    recognizer: Recognizer,
    last: Resumption | None,
    loggers: list[Logger],
) -> dict[str, float]:
    """Train, from the checkpoint of `last` on if there is one; returns the last figures.

    Raises:
        BadInput: the training has diverged; what came before is reported all the same.
    """
    if ranks.global_rank() > 0:  # what is dropped differs; Lightning seeds the ranks once more
        seed = (settings.seed + ranks.global_rank()) % (MAX_SEED + 1)
        lightning.seed_everything(seed, workers=True, verbose=False)
    batches = -(-len(built.data.train_dataloader()) // ranks.world_size())
    trainer = build_trainer(settings, batches, loggers)
    line = built.run.rate.line
    if last:
        keep_metrics(settings.run_dir, trainer, last.content["global_step"])
        taken = steps_of_optimiser(trainer, batches)
        line += f"; {rate_line(last.content, last.card, recognizer.card, taken)}"
    console.print(line)
    if settings.recipe.freeze:
        console.print(frozen_line(recognizer))
    print_first_screen(settings, built, trainer, steps_of_optimiser(trainer, batches))
    diverged = None
    with passing_on_ctrl_c(trainer):
        try:
            trainer.fit(recognizer, built.data, ckpt_path=last and last.file, weights_only=True)
        except NotFinite as error:
            diverged = error  # what it had before is still reported
    for one in trainer.callbacks:  # pyright: ignore[reportAttributeAccessIssue]
        if isinstance(one, EarlyStopping) and one.line:
            console.print(one.line)
    if trainer.is_global_zero:
        page = report_training(built)
        for dashboard in dashboards_of(loggers):
            if page:
                dashboard.show_page("train/report", page)
    if diverged:
        try:
            built.data.store.verify()
        except DamagedStore as damage:
            diverged = f"{diverged}; {damage}"
        raise BadInput(f"{diverged}; {what_is_left(settings)}")
    return {k: float(v) for k, v in trainer.callback_metrics.items() if k == "val/top1"}


def what_is_left(settings: TrainSettings) -> str:
    """What a run that diverged keeps and leaves out: the end of a sentence."""
    folder = settings.run_dir / "checkpoints"
    names = [name for name in ("best.ckpt", "last.ckpt") if (folder / name).exists()]
    kept = f"{shown(folder)} keeps {' and '.join(names) or 'nothing'} from before"
    return kept + (", and test_after tests nothing" if settings.test_after else "")


def score_best(built: Built, loggers: list[Logger]) -> dict[str, float]:
    """Test the best checkpoint of a run, and those selected otherwise if subjects are held out.

    Where no epoch was validated, the last checkpoint is tested.
    """
    selected: dict[str, float] = {}
    folder = built.run.folder / "checkpoints"
    if built.data.held_out is not None and (folder / "best.ckpt").exists():
        selected = selected_otherwise(built)
    best = folder / "best.ckpt"
    if not best.exists():
        console.print("there is no best.ckpt: last.ckpt is tested")
        best = folder / "last.ckpt"
    load(built.model, read_weights(best)[0], best)
    out = built.run.folder / "scores.npz"
    tested = run_test(built, best, out, loggers, headline_rows(selected))
    if selected:
        print_selections(selected | {"best": tested["top1"]}, built.settings.data.test_clips)
    figures = {f"test/top1_{name}": top1 for name, top1 in selected.items()}
    return figures | {"test/top1": tested["top1"]}


def last_figures(run: Path) -> dict[str, float]:
    """What a finished run reached, by its metrics.csv; nothing where it kept none."""
    metrics = run / "metrics.csv"
    if not metrics.exists():
        return {}
    with metrics.open(newline="") as file:
        reached = [row["val/top1"] for row in csv.DictReader(file) if row.get("val/top1")]
    return {"val/top1": float(reached[-1])} if reached else {}
