"""What follows from the settings, the data and the machine: computed once for a run.

It is printed, and kept with the checkpoint; no other code computes it, and settings never change.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stgcn_lightning import ranks
from stgcn_lightning.errors import BadInput
from stgcn_lightning.recipe import NORM_GROUP
from stgcn_lightning.settings.doors import Common
from stgcn_lightning.settings.groups import Recipe
from stgcn_lightning.terminal import counted

MOST_SUBJECTS = 40  # that are named: as many as NTU RGB+D 60 has


@dataclass(frozen=True)
class Batch:
    """How many clips a device trains on at once.

    Attributes:
        devices: that train together.
        per_device: clips of a batch on each of them.
        norm_group: clips that share batch-norm statistics; None is all of a device.
        shared: it is the device's part of the recipe's batch.
        accumulated: batches whose gradients make one step.
    """

    devices: int
    per_device: int
    norm_group: int | None
    shared: bool = False
    accumulated: int = 1

    @property
    def at_once(self) -> int:
        """Clips that all devices together compute at once."""
        return self.devices * self.per_device

    @property
    def together(self) -> int:
        """Clips of a step of the optimizer on all devices together: the global batch."""
        return self.at_once * self.accumulated

    @property
    def line(self) -> str:
        """How the recipe's batch is shared; empty where it is not."""
        if not self.shared:
            return ""
        groups = f" in norm groups of {self.norm_group}" if self.norm_group else ""
        times = f" x {self.accumulated} accumulated" if self.accumulated > 1 else ""
        return (
            f"batch {self.together} = {counted(self.devices, 'device', 'devices')} x "
            f"{self.per_device} clips{times}{groups}"
        )


def share_batch(settings: Common) -> Batch:
    """The batch of each device: as given, else the reference's.

    A trainer for several devices keeps the recipe's global batch, however many there are.

    Raises:
        BadInput: the devices cannot share it evenly.
    """
    devices, group = ranks.world_size(), settings.model.norm_group
    times = settings.recipe.accumulate
    if settings.data.batch_size is not None:
        return Batch(devices, settings.data.batch_size, group, accumulated=times)
    if not settings.trainer.for_several:
        return Batch(devices, NORM_GROUP, group, accumulated=times)
    whole = settings.recipe.reference_batch
    if whole % (devices * times):
        several = f" in {times} accumulated batches" if times > 1 else ""
        raise BadInput(
            f"{devices} devices cannot share a batch of {whole} evenly{several}: set "
            "data.batch_size, of each device"
        )
    size = whole // (devices * times)
    if group is None and size > NORM_GROUP:
        group = NORM_GROUP
    return Batch(devices, size, group, shared=True, accumulated=times)


@dataclass(frozen=True)
class LearningRate:
    """The learning rate of the first step, and how it was found."""

    lr: float
    line: str


def learning_rate(recipe: Recipe, batch: Batch) -> LearningRate:
    """`recipe.lr` as given, or `recipe.base_lr` scaled from its batch to the global one."""
    size = f"{batch.together}"
    if batch.accumulated > 1:
        size += f" = {batch.at_once} x {batch.accumulated} accumulated"
    if recipe.lr is not None:
        return LearningRate(recipe.lr, f"lr {recipe.lr:g} (as given, batch {size})")
    if not recipe.scale_lr:
        return LearningRate(recipe.base_lr, f"lr {recipe.base_lr:g} (not scaled, batch {size})")
    lr = recipe.base_lr * batch.together / recipe.reference_batch
    line = f"lr {recipe.base_lr:g} -> {lr:g} (batch {recipe.reference_batch} -> {size})"
    return LearningRate(lr, line)


@dataclass(frozen=True)
class RunDescription:
    """What a run is, beyond its settings.

    Attributes:
        folder: its run directory.
        split: what is tested: None is the benchmark's split for it.
        batch: clips of a training step.
        rate: learning rate of the first step.
        epochs: in all.
        held_out_subjects: of the training split; None: none are held out.
        parameters: of the model.
        gmac: 10^9 multiply-accumulates of a clip.
    """

    folder: Path
    split: str | None
    batch: Batch
    rate: LearningRate
    epochs: int
    held_out_subjects: tuple[str, ...] | None
    parameters: int
    gmac: float

    @property
    def held_out_line(self) -> str:
        """The subjects held out, in words: the first of many."""
        subjects = self.held_out_subjects or ()
        some = ", ".join(subjects[:MOST_SUBJECTS])
        more = f" and {len(subjects) - MOST_SUBJECTS} more" if len(subjects) > MOST_SUBJECTS else ""
        return f"subjects {some}{more}"

    @property
    def cost_line(self) -> str:
        """Size of the model."""
        return f"{self.parameters:,} parameters, {self.gmac:.3g} GMAC per clip"

    def card(self) -> dict[str, Any]:
        """Plain values, to be kept with a checkpoint.

        The run directory is not among them: equal runs in two folders have equal checkpoints.
        """
        return {
            "devices": self.batch.devices,
            "batch_per_device": self.batch.per_device,
            "global_batch": self.batch.together,
            "accumulated": self.batch.accumulated,
            "norm_group": self.batch.norm_group,
            "lr": self.rate.lr,
            "epochs": self.epochs,
            "held_out_subjects": self.held_out_subjects and list(self.held_out_subjects),
            "parameters": self.parameters,
            "gmac": self.gmac,
        }


def epochs_of(settings: Common) -> int:
    """How many epochs a run has in all."""
    return 1 if settings.debug == "fast" else settings.recipe.epochs
