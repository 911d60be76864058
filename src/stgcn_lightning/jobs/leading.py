"""What a checkpoint is tested or exported as: its card says what the user does not.

From the last to the first: what is given, the file of the benchmark that the card names, if there
is one here, and the card. A file's classes, joints and dimension are those of the labels and key
points that are tested, so they must agree with the card as what is given must.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stgcn_lightning.checkpoints.agreement import HOW
from stgcn_lightning.checkpoints.card import Card
from stgcn_lightning.checkpoints.zoo import ZOO, entry_of, zoo_entry
from stgcn_lightning.errors import BadInput
from stgcn_lightning.settings.compose import merged
from stgcn_lightning.settings.doors import FindBenchmark, TestSettings
from stgcn_lightning.terminal import console, shown

# what of the embedded data set is made because a card says so
MOST = {
    "train_samples": 20_000, "val_samples": 20_000, "seed": 2**32 - 1, "train_subjects": 900,
    "val_subjects": 900, "min_frames": 1000, "max_frames": 1000,
}  # fmt: skip


def led(settings: TestSettings, card: Card | None, checkpoint: Path) -> TestSettings:
    """The settings of a test: what the user does not say is as the checkpoint knows it.

    Args:
        settings: as the door has them.
        card: of the checkpoint; None if it has none.
        checkpoint: its file; a published one is known by its name.

    Raises:
        BadInput: there is no file of the card's benchmark here, and no annotations are given.
    """
    if card is None:
        known = described_as_published(checkpoint, settings.benchmark_named)
        return settings.led_by(known) if known else settings
    known = described_by(card)
    if card.frame_order:
        known["data"]["frame_order"] = card.frame_order
    if "name" not in settings.given["benchmark"]:
        known |= data_of(card, settings, checkpoint)
    return settings.led_by(known)


def described_by(card: Card) -> dict[str, Any]:
    """A card as the groups of keys that it was made from."""
    held_out = card.held_out_subjects
    return {
        "skeleton": card.skeleton.to_dict(),
        "benchmark": {
            "name": card.benchmark,
            "dimension": card.dimension,
            "normalise": card.normalise,
            "classes": list(card.classes),
        },
        "stream": {"name": card.stream},
        "data": {
            "clip_frames": card.clip_frames,
            "test_clips": card.test_clips,
            "test_sampling": card.test_sampling,
            "persons": card.persons,
            "missing": card.missing,
            "holdout_subjects": None if held_out is None else list(held_out),
        },
        "model": {key: value for key, value in card.model.items() if key not in HOW},
    }


def described_as_published(checkpoint: Path, find: FindBenchmark) -> dict[str, Any]:
    """What a published file was trained on, by its name; empty for any other file."""
    entry = entry_of(checkpoint)
    if entry is None:
        return {}
    known = merged(
        find(entry.benchmark, model=entry.model) or {},
        {"benchmark": {"normalise": entry.normalise}, "stream": {"name": entry.stream}},
    )
    return known | {"data": {"test_sampling": entry.test_sampling}}


def law_of_checkpoint(checkpoints: Any, model: str, benchmark: str, stream: str) -> str | None:
    """Whose law of test clips the file follows that `checkpoints` gives for a stream.

    Args:
        checkpoints: zoo, or a mapping from streams to files and names of the zoo.
        model: of the files, with the benchmark: their name in the zoo.
        benchmark: of the files.
        stream: of the file.

    Returns:
        A value of data.test_sampling; None where the file is none that was published.
    """
    if checkpoints == "zoo":
        entry = zoo_entry(f"{model}/{benchmark}_{stream}")
    else:
        given = checkpoints.get(stream) if isinstance(checkpoints, Mapping) else None
        if not isinstance(given, str):
            return None
        name = given.removeprefix(ZOO)
        entry = entry_of(Path(given)) if name == given else zoo_entry(name)
    return entry.test_sampling if entry else None


def data_of(card: Card, settings: TestSettings, checkpoint: Path) -> dict[str, Any]:
    """Benchmark and, if a file says it, skeleton of the data that a card's benchmark names.

    Raises:
        BadInput: there is no such file, and no annotations are given.
    """
    given = settings.given["benchmark"]
    described = described_by(card)["benchmark"]
    file = settings.benchmark_named(card.benchmark)
    if file is None and not given.get("annotations"):
        raise BadInput(
            f"{checkpoint} was trained on the benchmark {card.benchmark}, of which there is no "
            "file here: say where its annotations are, benchmark.annotations=FILE, or in which "
            "folder its file is, --config-dir=FOLDER"
        )
    if file is None:
        splits = {"train_split": card.train_split or "train", "val_split": card.val_split}
        return {"benchmark": described | splits}
    benchmark = merged(file["benchmark"], {"name": card.benchmark, "normalise": card.normalise})
    if given.get("annotations"):  # other data than those that are made
        benchmark["synthetic"] = None
    elif isinstance(benchmark.get("synthetic"), dict):
        benchmark["synthetic"] |= sizes_of(card, given.get("synthetic") or {}, checkpoint)
    return {"benchmark": benchmark, "skeleton": file["skeleton"]}


def sizes_of(card: Card, given: Mapping[str, Any], checkpoint: Path) -> dict[str, int]:
    """The sizes of the embedded data set that a checkpoint was trained on.

    Raises:
        BadInput: one of them is too large to be made because a file says so.
    """
    for name, value in card.synthetic.items():
        if name not in given and not value <= MOST.get(name, 0):
            raise BadInput(
                f"{checkpoint} was trained on embedded data with {name} {value}: that is much, so "
                f"say yourself that they are to be made, benchmark.synthetic.{name}={value}"
            )
    return dict(card.synthetic)


def say_what_led(settings: TestSettings, card: Card | None, checkpoint: Path) -> None:
    """Say what a checkpoint has decided, and what of the clips is not as in its training."""
    benchmark, data = settings.benchmark, settings.data
    if card is None:
        console.print(
            f"{shown(checkpoint)} does not say what it was trained on: taken are stream "
            f"{settings.stream.name}, {benchmark.dimension} key points normalised "
            f"{benchmark.normalise}, {data.persons} persons"
        )
        return
    taken = {
        "benchmark": benchmark.name,
        "stream": settings.stream.name,
        "model": settings.model.name,
        "skeleton": settings.skeleton.name,
    }
    names = [f"{group} {value}" for group, value in taken.items() if not settings.given[group]]
    if names:
        console.print(f"as {shown(checkpoint)} says: {', '.join(names)}")
    if data.clip_frames != card.clip_frames:
        console.print(
            f"clips have {data.clip_frames} frames, in the training they had {card.clip_frames}"
        )
    if data.test_clips != card.test_clips:
        console.print(
            f"{data.test_clips} clips of a sample are tested, not {card.test_clips} as the "
            "checkpoint says"
        )
    if data.test_sampling != card.test_sampling:
        console.print(
            f"frames are those of data.test_sampling={data.test_sampling}, not of "
            f"{card.test_sampling} as the checkpoint says"
        )
    if data.frame_order != (card.frame_order or data.frame_order):
        console.print(
            f"frames are {data.frame_order}, in the training they were {card.frame_order}"
        )
