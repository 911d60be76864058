"""The card of a checkpoint: what is needed to use its weights without the training's settings."""

from importlib.metadata import version
from typing import Any

from stgcn_lightning.jobs.description import RunDescription
from stgcn_lightning.settings.doors import Common, Trained, TrainSettings
from stgcn_lightning.settings.frozen import thawed

CHANGED = ("scale", "rotate", "flip", "drop_limb")  # of the recipe: what becomes of bodies


def model_card(
    settings: Common | Trained, classes: list[str], run: RunDescription | None = None
) -> dict[str, Any]:
    """Plain values with which a checkpoint can be used without its training configuration.

    Args:
        settings: of the training, or what is known of it.
        classes: names of the classes.
        run: what followed from the settings, where it is known.
    """
    benchmark, data, model = settings.benchmark, settings.data, settings.model
    subjects = run.held_out_subjects if run else data.holdout_subjects
    return {
        "version": version("stgcn_lightning"),
        "model": model.card(run.batch.norm_group if run else model.norm_group),
        "skeleton": settings.skeleton.to_dict(),
        "classes": classes,
        "stream": settings.stream.name,
        "benchmark": benchmark.name,
        "dimension": benchmark.dimension,
        "normalise": benchmark.normalise,
        "missing": data.missing or "error",  # of weights without a card it is not known
        "clip_frames": data.clip_frames,
        "test_clips": data.test_clips,
        "test_sampling": data.test_sampling or "mmaction2",  # as of weights without a card
        "persons": data.persons,
        "reading": thawed(benchmark.reading),
        "held_out_subjects": thawed(subjects),
    }


def training_card(
    settings: TrainSettings, classes: list[str], run: RunDescription, samples: dict[str, Any]
) -> dict[str, Any]:
    """The card of a run's checkpoints, with what `jobs.continuing` compares when it is resumed.

    Args:
        settings: of the training.
        classes: names of the classes.
        run: what followed from the settings.
        samples: fingerprints of what is trained on and validated on.
    """
    order = {  # what the place within an epoch depends on
        "recipe.accumulate": settings.recipe.accumulate,
        "recipe.sampling": settings.recipe.sampling,
        "a global batch of": run.batch.together,
        "recipe.train_passes_per_epoch": settings.recipe.train_passes_per_epoch,
        "seed": settings.seed,
    }
    callbacks = settings.callbacks or {}
    best, stop = callbacks.get("best"), callbacks.get("early_stopping")
    training = {
        "benchmark.train_split": settings.benchmark.train_split,
        "benchmark.val_split": settings.benchmark.val_split,
        "benchmark.synthetic": thawed(settings.benchmark.synthetic),
        "data.frame_order": settings.data.frame_order,
        "trainer.precision": settings.trainer.precision,
        "trainer.gradient_clip_val": settings.trainer.get("gradient_clip_val"),
        "trainer.gradient_clip_algorithm": settings.trainer.get("gradient_clip_algorithm"),
        "callbacks.best.monitor": best and best.get("monitor"),
        "callbacks.early_stopping.monitor": stop and stop.get("monitor"),
        "callbacks.early_stopping.patience": stop and stop.get("patience"),
        "recipe.optimizer": settings.recipe.optimizer,
        "recipe.freeze": settings.recipe.freeze,
        **{f"recipe.{key}": getattr(settings.recipe, key) for key in CHANGED},
        "samples": samples,
    }
    more = {"order": order, "run": run.card(), "training": training}
    return model_card(settings, classes, run) | more
