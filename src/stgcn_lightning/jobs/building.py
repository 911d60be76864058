"""From settings to what a run works with: data, untrained model, and the description of the run."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from stgcn_lightning.data.augment import AS_THEY_ARE, Augmentation
from stgcn_lightning.data.datamodule import Feed, SkeletonData
from stgcn_lightning.data.holdout import held_out_subjects, subjects_of
from stgcn_lightning.data.store import Store
from stgcn_lightning.data.streams import Stream, own_stream, stream_named
from stgcn_lightning.errors import BadInput
from stgcn_lightning.jobs.backbones import backbone, build_model
from stgcn_lightning.jobs.classes import class_names
from stgcn_lightning.jobs.description import (
    RunDescription,
    epochs_of,
    learning_rate,
    share_batch,
)
from stgcn_lightning.jobs.stores import open_store_of
from stgcn_lightning.models.backbone import Backbone
from stgcn_lightning.models.cost import count_macs, count_parameters
from stgcn_lightning.settings import groups
from stgcn_lightning.settings.doors import Common
from stgcn_lightning.settings.frozen import thawed
from stgcn_lightning.settings.objects import imported
from stgcn_lightning.terminal import console

WITHOUT_VALIDATION = (
    "benchmark.val_split=NAME validates on another, benchmark.val_split=null on none, and that "
    "with data.holdout_subjects=0.1 on a share of the training split"
)


@dataclass(frozen=True)
class Built:
    """What a run works with.

    Attributes:
        settings: what the user chose.
        run: what followed from it.
        classes: names of the classes.
        data: batches of the benchmark.
        model: untrained and plain.
    """

    settings: Common
    run: RunDescription
    classes: list[str]
    data: SkeletonData
    model: Backbone


def build(
    settings: Common,
    *,
    split: str | None = None,
    subjects: Sequence[Any] | None = None,
    training: bool = True,
    any_split: bool = False,
) -> Built:
    """Data, untrained model and the description of a run.

    Args:
        settings: of the run.
        split: to test on: None is the benchmark's own, ``holdout`` the samples of `subjects`.
        subjects: held out of the training split, where the settings do not say it.
        training: it trains; a test needs only the split that is tested.
        any_split: a test takes the only split that there is, where it is not the benchmark's.

    Raises:
        BadInput: the annotations lack a split, or labels that are needed.
    """
    benchmark, chosen = settings.benchmark, settings.data
    batch = share_batch(settings)
    if batch.line:
        console.print(batch.line)
    names = class_names(benchmark.classes)
    store = open_store_of(settings)
    if any_split and split is None and benchmark.val_split not in store.splits:
        split = only_split(store)
    train_split, val_split = splits_of(settings, store, split, training)
    kept_aside = aside(settings, store, subjects) if train_split else None
    data = SkeletonData(
        store,
        stream_of(settings.stream),
        train_split=train_split,
        val_split=val_split,
        feed=Feed(
            clip_frames=chosen.clip_frames,
            test_clips=chosen.test_clips,
            persons=chosen.persons,
            batch_size=batch.per_device,
            workers=chosen.workers,
            passes=settings.recipe.train_passes_per_epoch,
            seed=settings.seed,
            frame_order=chosen.frame_order,
            on_device=chosen.on_device,
            balanced=settings.recipe.sampling == "balanced",
            test_sampling=chosen.test_sampling,
            augmentation=augmentation_of(settings.recipe) if training else AS_THEY_ARE,
        ),
        held_out=None if kept_aside is None else kept_aside.numbers,
        test_held_out=split == "holdout",
    )
    refuse_unlabelled(data, training)
    if (most := int(store.num_persons.max())) > chosen.persons:
        console.print(f"samples hold up to {most} persons; the first {chosen.persons} are kept")
    dropout = settings.recipe.dropout
    model = build_model(
        settings.model, settings.skeleton, len(names), persons=chosen.persons, dropout=dropout
    )
    # what float32 means on a GPU: PyTorch alone would round convolutions, but not products
    torch.set_float32_matmul_precision("high" if settings.tf32 else "highest")
    torch.backends.cudnn.allow_tf32 = settings.tf32
    run = RunDescription(
        folder=settings.run_dir,
        split=split,
        batch=batch,
        rate=learning_rate(settings.recipe, batch),
        epochs=epochs_of(settings),
        held_out_subjects=None if kept_aside is None else kept_aside.subjects,
        parameters=count_parameters(model),
        gmac=count_macs(model, chosen.clip_frames, chosen.persons) / 1e9,
    )
    console.print(f"{backbone(settings.model)}: {run.cost_line}")
    return Built(settings, run, names, data, model)


def augmentation_of(recipe: groups.Recipe) -> Augmentation:
    """How the bodies of training clips are changed at random."""
    return Augmentation(recipe.scale, recipe.rotate, recipe.flip, recipe.drop_limb)


def stream_of(stream: groups.Stream) -> Stream:
    """One of our streams, or one of the user's own."""
    if stream.target is None:
        return stream_named(stream.name)
    make = imported("stream._target_", stream.target)
    return own_stream(stream.name, make, **thawed(stream.options))


def splits_of(
    settings: Common, store: Store, split: str | None, training: bool
) -> tuple[str | None, str | None]:
    """The splits to train on and to validate or test on; None: it is not needed.

    Raises:
        BadInput: the annotations have none of such a name, or a test does not say which to take.
    """
    benchmark = settings.benchmark
    train_split = benchmark.train_split if training or split == "holdout" else None
    val_split = None if split == "holdout" else split or benchmark.val_split
    if not training and train_split is None and val_split is None:
        there = ", ".join(sorted(store.splits))
        raise BadInput(f"benchmark.val_split=null: say which split to test, split=NAME of {there}")
    for name, remedy in (
        (train_split, "benchmark.train_split=NAME trains on another"),
        (val_split, WITHOUT_VALIDATION if training else "split=NAME tests another"),
    ):
        try:
            if name is not None:
                store.split(name)
        except BadInput as error:
            raise BadInput(f"{error}; {remedy}") from None
    return train_split, val_split


def only_split(store: Store) -> str | None:
    """The name of the only split that there is, which is said; None: there are several."""
    if len(store.splits) != 1:
        return None
    (name,) = store.splits
    console.print(f"tested is {name}, the only split of the annotations")
    return name


def refuse_unlabelled(data: SkeletonData, training: bool) -> None:
    """Refuse samples without a label where labels are needed; a test does without any at all.

    Raises:
        BadInput: with the first such sample.
    """
    store = data.store
    parts = [(data.test_numbers, "others of the split have: label all of them or none")]
    if training:
        parts = [
            (data.train_numbers, "training needs one: add it, or take the sample out of the split"),
            (data.val_numbers, "validation needs one: add it, or set benchmark.val_split=null"),
        ]
    for numbers, remedy in parts:
        without = numbers[store.labels[numbers] < 0]
        if len(without) and (training or len(without) < len(numbers)):
            few = f"{len(without):,} of {len(numbers):,} samples"
            raise BadInput(
                f"sample {str(store.ids[int(without[0])])!r} has no label, as {few}; {remedy}"
            )


@dataclass(frozen=True)
class KeptAside:
    """Training samples that are held out: their numbers (S,) in the store, and their subjects."""

    numbers: torch.Tensor
    subjects: tuple[str, ...]


def aside(settings: Common, store: Store, subjects: Sequence[Any] | None) -> KeptAside | None:
    """The training samples that `subjects`, or data.holdout_subjects, keep aside; None: none."""
    wanted = thawed(settings.data.holdout_subjects if subjects is None else subjects)
    if wanted is None:
        return None
    numbers = store.split(settings.benchmark.train_split)
    ids, pattern = store.ids[numbers.numpy()], settings.benchmark.subject
    if pattern is None and (isinstance(wanted, float) or subjects is not None):
        if subjects is None:
            console.print(
                "benchmark.subject=null: a share of the samples is held out, not of the subjects, "
                "who may be in both parts"
            )
        performing = np.asarray(ids)
    else:
        performing = subjects_of(ids, pattern)
    chosen = held_out_subjects(performing, wanted)
    among = numbers[torch.from_numpy(np.isin(performing, chosen))]
    return KeptAside(among, tuple(chosen.tolist()))
