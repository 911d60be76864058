"""What a training says before its first step: on what, how, and what else could be trained."""

from collections.abc import Mapping

import lightning
import torch

from stgcn_lightning import ranks
from stgcn_lightning.evaluation.published import published_figures
from stgcn_lightning.jobs.building import Built
from stgcn_lightning.jobs.cards import CHANGED
from stgcn_lightning.jobs.trainers import unvalidated
from stgcn_lightning.recognizer import Recognizer
from stgcn_lightning.settings.doors import Common, TrainSettings
from stgcn_lightning.terminal import console, counted, shown

PARTS = ("train", "val")
QUICK = 7200  # clips of experiment=quickstart


def say_embedded(settings: TrainSettings) -> None:
    """Say before anything is computed that the data are made up, and how to train on others."""
    size, recipe = settings.benchmark.synthetic, settings.recipe
    if not isinstance(size, Mapping) or ranks.global_rank() > 0:
        return
    if settings.benchmark.annotations:
        return  # refused: they are of something else
    train, val = (size.get(f"{part}_samples") for part in PARTS)
    if not isinstance(train, int) or not isinstance(val, int):
        return  # refused when they are drawn
    clips = train * recipe.train_passes_per_epoch * recipe.epochs
    whole = f"{clips:,} clips in all"
    console.print(
        f"benchmark={settings.benchmark.name}: made-up actions, which this package draws itself, "
        f"{train:,} samples to train on and {val:,} to validate on: "
        f"{'two batches of everything' if settings.debug == 'fast' else whole}"
    )
    first = f"; a first try with {QUICK:,} clips: experiment=quickstart" if clips > QUICK else ""
    console.print(
        "your own recordings: python -m stgcn_lightning.prepare data=FOLDER; NTU RGB+D: "
        f"experiment=ntu60_xsub_2d_bone{first}"
    )


def optimizer_line(settings: Common) -> str:
    """What takes the steps, in words."""
    recipe, clip = settings.recipe, settings.trainer.get("gradient_clip_val")
    if recipe.optimizer == "sgd":
        parts = [f"SGD, momentum {recipe.momentum:g}{' (Nesterov)' if recipe.nesterov else ''}"]
    else:
        parts = [f"AdamW, betas {' and '.join(f'{one:g}' for one in recipe.betas or ())}"]
    parts.append(f"weight decay {recipe.weight_decay:g}")
    if clip:
        by = settings.trainer.get("gradient_clip_algorithm") or "norm"
        parts.append(f"gradients clipped at a {by} of {clip:g}")
    if recipe.sampling == "balanced":
        parts.append("every class drawn equally often")
    changes = {key: value for key in CHANGED if (value := getattr(recipe, key))}
    if changes:
        by = ", ".join(f"{key} {value:g}" for key, value in changes.items())
        parts.append(f"bodies changed at random ({by})")
    return ", ".join(parts)


def frozen_line(recognizer: Recognizer) -> str:
    """How many parameters are trained where some are not."""
    sizes = {one: one.numel() for one in recognizer.model.parameters()}
    trained = sum(size for one, size in sizes.items() if one.requires_grad)
    return (
        f"{trained:,} of {sum(sizes.values()):,} parameters are trained, those of the head; the "
        "backbone keeps its weights and the statistics of its batch norms"
    )


def print_first_screen(
    settings: TrainSettings, built: Built, trainer: lightning.Trainer, steps: int
) -> None:
    """What is trained, on what, and where it goes; the first steps show how long it takes."""
    data, run = built.data, built.run
    samples = f"{len(data.train_numbers):,} to train on, {len(data.val_numbers):,} to validate on"
    if run.held_out_subjects is not None:
        count = "" if data.held_out is None else f"{len(data.held_out):,} "
        samples += f", {count}of {run.held_out_line} held out"
    epochs = counted(run.epochs, "epoch", "epochs")
    passes = counted(settings.recipe.train_passes_per_epoch, "pass", "passes")
    device = trainer.strategy.root_device
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
    else:
        name = f"{device.type.upper()}, {counted(torch.get_num_threads(), 'thread', 'threads')}"
    names = settings.model.name, settings.benchmark.name, settings.stream.name
    known = [f"{one.top1:.2f} by {one.source}" for one in published_figures(*names)]
    for key, value in {
        "training": f"{settings.benchmark.name}, {settings.stream.name} stream",
        **({"published": f" top-1 of {settings.model.name}: {', '.join(known)}"} if known else {}),
        "samples": samples,
        "recipe": optimizer_line(settings),
        "steps": f"{epochs} of {passes}, {steps:,} x {run.batch.together} clips per epoch",
        "device": f"{trainer.world_size} x {name}, {trainer.precision}",
        "loggers": ", ".join(settings.logger or {}) or "none",
        "run": shown(run.folder),
    }.items():
        console.print(f"{key:<9}{value}")
    clips = len(data.train_numbers) * settings.recipe.train_passes_per_epoch
    if run.batch.together > clips:
        fits = f"data.batch_size={max(1, clips // run.batch.devices)}"
        if run.batch.accumulated > 1:
            fits = f"recipe.accumulate={max(1, clips // run.batch.at_once)}"
        console.print(
            f"a step has at most the {clips} clips of an epoch, and lr is meant for "
            f"{run.batch.together}: {fits} fits"
        )
    if why := unvalidated(settings):
        console.print(f"no epoch is validated ({why}): last.ckpt is kept, and no best.ckpt")
