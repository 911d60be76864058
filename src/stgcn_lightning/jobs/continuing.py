"""What a run that is resumed keeps, and what it uses as it is given anew.

docs/interruptions.md has the table of all settings, whose rows a test tries.
"""

import hashlib
import math
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from stgcn_lightning.callbacks.lightning_private import place_of
from stgcn_lightning.data.datamodule import SkeletonData
from stgcn_lightning.data.store import Store
from stgcn_lightning.errors import BadInput
from stgcn_lightning.files.archives import read_checkpoint
from stgcn_lightning.optimisation import HYPER_PARAMETERS, cosine, trained_with
from stgcn_lightning.terminal import counted, shown, shown_value

PROBED = 256  # samples whose first frame tells key points apart: read in a second from any disk
SAME_MEAN = 1e-3  # of their coordinates: rounding changes 1e-6 of it, another pose estimation 1e-2

# the key of a setting -> where a card has it; a checkpoint of an earlier version lacks some
KEPT = {  # with another value the figures of before and after would not be of one model
    "seed": ("order", "seed"),
    "data.clip_frames": ("clip_frames",),
    "data.persons": ("persons",),
    "data.missing": ("missing",),
    "data.frame_order": ("training", "data.frame_order"),
    "data.holdout_subjects": ("held_out_subjects",),
    "benchmark.train_split": ("training", "benchmark.train_split"),
    "benchmark.val_split": ("training", "benchmark.val_split"),
    "recipe.optimizer": ("training", "recipe.optimizer"),  # what one gathered is not the other's
    "recipe.freeze": ("training", "recipe.freeze"),
}
BEFORE = {  # what runs of the versions had that knew none of these keys
    "recipe.optimizer": "sgd",
    "recipe.freeze": None,
    "recipe.accumulate": 1,
    "recipe.sampling": "uniform",
    "recipe.scale": 0.0,
    "recipe.rotate": 0.0,
    "recipe.flip": 0.0,
    "recipe.drop_limb": 0.0,
    "data.test_sampling": "mmaction2",
}
USED = {
    "recipe.epochs": ("run", "epochs"),
    "recipe.train_passes_per_epoch": ("order", "recipe.train_passes_per_epoch"),
    "a global batch of": ("order", "a global batch of"),
    "model.norm_group": ("run", "norm_group"),
    "trainer.precision": ("training", "trainer.precision"),
    "trainer.gradient_clip_val": ("training", "trainer.gradient_clip_val"),
    "trainer.gradient_clip_algorithm": ("training", "trainer.gradient_clip_algorithm"),
    "callbacks.best.monitor": ("training", "callbacks.best.monitor"),
    "callbacks.early_stopping.monitor": ("training", "callbacks.early_stopping.monitor"),
    "callbacks.early_stopping.patience": ("training", "callbacks.early_stopping.patience"),
    "recipe.accumulate": ("order", "recipe.accumulate"),
    "recipe.sampling": ("order", "recipe.sampling"),
    "recipe.scale": ("training", "recipe.scale"),
    "recipe.rotate": ("training", "recipe.rotate"),
    "recipe.flip": ("training", "recipe.flip"),
    "recipe.drop_limb": ("training", "recipe.drop_limb"),
    "data.test_sampling": ("test_sampling",),
}
NOT_SAVED_BY_0_1_0 = ("label_smoothing", "dropout")


def samples_of(data: SkeletonData) -> dict[str, Any]:
    """What tells the samples that a run learns from and is judged by from others, for its card."""
    parts = {"train": data.train_numbers, "val": data.val_numbers}
    return {name: fingerprint(data.store, numbers) for name, numbers in parts.items()}


def fingerprint(store: Store, numbers: torch.Tensor) -> dict[str, Any]:
    """Plain values: number, digest of ids, labels and lengths, and mean coordinates of some.

    Args:
        store: of the samples.
        numbers: (B,) of the samples.
    """
    rows = zip(
        store.ids[numbers.numpy()].tolist(),
        store.labels[numbers].tolist(),
        store.num_frames[numbers].tolist(),
        strict=True,
    )
    text = "\n".join(f"{name} {label} {frames}" for name, label, frames in rows)
    some = numbers[:: max(1, len(numbers) // PROBED)]
    first = store.frames[store.first_row[some]].double()  # some, V, C
    means = first.mean((0, 1)) if len(first) else first.new_zeros(0)  # C
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    return {"count": len(numbers), "digest": digest, "means": means.tolist()}


def refuse_other_run(saved: Mapping[str, Any], card: Mapping[str, Any], last: Path) -> None:
    """Refuse to go on with settings or samples that make another model of a run.

    Args:
        saved: card of the checkpoint.
        card: of the run that is to go on from it.
        last: the checkpoint.

    Raises:
        BadInput: one of them differs.
    """
    anew = (
        "hydra.run.dir=RUN resumes another run, "
        f"checkpoint={shown(last)} starts a new one from these weights"
    )
    for key, place in KEPT.items():
        now = value_at(card, place)
        before = value_at(saved, place, BEFORE.get(key, now))
        if before != now:
            raise BadInput(
                f"{shown(last)} was trained with {key}={shown_value(before)}, not "
                f"{shown_value(now)}: a run that is resumed keeps it; {anew}"
            )
    for part, now in value_at(card, ("training", "samples"), {}).items():
        before = value_at(saved, ("training", "samples", part), now)
        if difference := other_samples(before, now):
            raise BadInput(
                f"{shown(last)} was trained with {difference} in benchmark.{part}_split: a run "
                f"that is resumed keeps its annotations; {anew}"
            )


def other_samples(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """How two fingerprints differ, as a part of a sentence; empty if they do not."""
    if before["count"] != now["count"]:
        return f"{counted(before['count'], 'sample', 'samples')}, not {now['count']},"
    if before["digest"] != now["digest"]:
        return "samples of other ids, labels or lengths"
    pairs = zip(before["means"], now["means"], strict=True)
    if all(math.isclose(a, b, rel_tol=SAME_MEAN, abs_tol=SAME_MEAN) for a, b in pairs):
        return ""
    return "other key points of the same samples"


def refuse_within_epoch(
    content: Mapping[str, Any], saved: Mapping[str, Any], card: Mapping[str, Any], last: Path
) -> None:
    """Refuse to go on within an epoch with another order of its samples, or other processes.

    Raises:
        BadInput: it was begun otherwise.
    """
    if not place_of(content)[1]:
        return
    begun = {"processes": len(content.get("ranks", [])) or card["run"]["devices"]}
    now = {"processes": card["run"]["devices"]} | card["order"]
    for key, value in now.items():
        before = (BEFORE | begun | saved.get("order", {})).get(key)
        if before != value:
            raise BadInput(
                f"{shown(last)} lies within an epoch begun with {key} {before}, not {value}: end "
                f"the epoch with {before}{from_epoch_end(last.parent)}"
            )


def from_epoch_end(folder: Path) -> str:
    """Another remedy, as the end of a sentence: the last checkpoint between epochs, if any is."""
    between: dict[Path, int] = {}
    for path in sorted(folder.glob("*.ckpt")):
        with suppress(BadInput, KeyError):  # torn, or weights alone
            content = read_checkpoint(path)
            if not place_of(content)[1]:
                between[path] = content["global_step"]
    if not between:
        return ""
    file = max(between, key=lambda path: between[path])
    return f", or go on from the end of an epoch, resume={shown(file)}"


def changes(
    content: dict[str, Any],
    saved: Mapping[str, Any],
    card: Mapping[str, Any],
    recipe: Mapping[str, Any],
    last: Path,
) -> Iterator[str]:
    """A line for each setting that is used from now on and differs from before.

    Args:
        content: of the checkpoint.
        saved: its card.
        card: of the run that goes on from it.
        recipe: parameters of its optimisation, and the dropout.
        last: the checkpoint.
    """
    step = content["global_step"]
    before = trained_with(content, last)
    unknown = () if HYPER_PARAMETERS in content else NOT_SAVED_BY_0_1_0
    pairs = {
        "lr" if key == "lr" else f"recipe.{key}": (before[key], now)
        for key, now in recipe.items()
        if key not in unknown
    }
    for key, place in USED.items():
        now = value_at(card, place)
        pairs[key] = value_at(saved, place, BEFORE.get(key, now)), now
    for key, (old, new) in pairs.items():
        if old != new:
            yield f"{key} {shown_value(old)} -> {shown_value(new)} from step {step} on"
    processes, devices = len(content.get("ranks", [])), card["run"]["devices"]
    if processes not in (0, devices):
        yield (
            f"{processes} -> {counted(devices, 'process', 'processes')} from step {step} on; the "
            "random generators of dropout are seeded anew"
        )


def rate_line(
    content: Mapping[str, Any], saved: Mapping[str, Any], card: Mapping[str, Any], steps: int
) -> str:
    """The rate that the next step is taken with, and after which if it does not follow.

    Args:
        content: of the checkpoint.
        saved: its card.
        card: of the run that goes on from it.
        steps: of the optimiser in an epoch from now on.
    """
    epoch, batch = place_of(content)
    passed = content["lr_schedulers"][0]["last_epoch"]  # steps of the schedule before
    step, whole = content["global_step"], steps * card["run"]["epochs"]
    within = passed - epoch * steps if batch else 0
    rate = card["run"]["lr"] * cosine(epoch * steps + within, whole)
    line = f"step {step} goes on with lr {rate:.4g}"
    epochs = value_at(saved, ("run", "epochs"))
    if epochs is None or not passed:
        return line
    before = content["optimizer_states"][0]["param_groups"][0]["initial_lr"]
    old = epochs * (steps if batch else passed / epoch)
    if math.isclose(before * cosine(passed, old), rate, rel_tol=1e-6, abs_tol=1e-12):
        return line
    return f"{line}, after {before * cosine(passed - 1, old):.4g} of step {step - 1}"


def value_at(card: Mapping[str, Any], place: tuple[str, ...], default: Any = None) -> Any:
    """The value that a card has at a place, or `default` where it has none."""
    found: Any = card
    for name in place:
        if not isinstance(found, Mapping) or name not in found:
            return default
        found = found[name]
    return found
