"""The card: what a checkpoint says about itself, checked before anything uses it.

A file may come from anybody, so every value has a type, a length and a range here. A card is plain
data: no text in it is a path to open, a module to import or an interpolation to compute.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, NoReturn

from stgcn_lightning.data.names import MISSING, MODES, TEST_SAMPLINGS
from stgcn_lightning.errors import BadInput, brief
from stgcn_lightning.skeleton import Skeleton

LONGEST = 1000  # letters of a name
MOST_CLASSES = 1_000_000
MOST_SUBJECTS = 1_000_000
MOST_OPTIONS = 1000  # of a model, at all depths
MOST_VALUES = 3_000_000  # of a card, at all depths
NOT_PLAIN = 10**9  # options, as which values count that a card must not have
MOST_NUMBERS = (
    10**8
)  # key points of a sample's clips; ten clips of 100 frames with two persons: 5e4
COUNTS = {"clip_frames": 100_000, "test_clips": 10_000, "persons": 1000}
MOST_SIZES = 20  # of the embedded data set


@dataclass(frozen=True, kw_only=True)
class Card:
    """What a checkpoint was trained on, and as what.

    Attributes:
        model: name, graph and options of the backbone, plain.
        skeleton: of its joints.
        classes: names, in the order of the labels.
        stream: name of the function of the joints.
        benchmark: its name.
        dimension: 2d or 3d.
        normalise: of the coordinates.
        missing: what became of joints that were not found.
        clip_frames: of a clip.
        test_clips: of a sample that is tested.
        test_sampling: whose law their frames follow.
        persons: of a clip.
        held_out_subjects: of the training split; None: none were.
        train_split: that was trained on; None: an older card does not say.
        val_split: that was validated on.
        frame_order: of a clip.
        synthetic: sizes of the embedded data set, where it was trained on.
    """

    model: Mapping[str, Any]
    skeleton: Skeleton
    classes: tuple[str, ...]
    stream: str
    benchmark: str
    dimension: Literal["2d", "3d"]
    normalise: str
    missing: str
    clip_frames: int
    test_clips: int
    test_sampling: str
    persons: int
    held_out_subjects: tuple[str, ...] | None
    train_split: str | None
    val_split: str | None
    frame_order: str | None
    synthetic: Mapping[str, int]

    @classmethod
    def from_dict(cls, table: Mapping[str, Any], path: Path) -> "Card":
        """The card that a file holds; keys that a later version may add are left alone.

        Args:
            table: plain containers, of anybody.
            path: of the checkpoint, for sentences.

        Raises:
            BadInput: a key is missing, or a value is none that a card may have.
        """
        card = Reader(table, path)
        training = Reader(card.table("training", {}), path)
        subjects = card.get("held_out_subjects", None)
        skeleton = card.skeleton()
        counts = {key: card.count(key) for key in COUNTS}
        if math.prod(counts.values()) * skeleton.num_joints > MOST_NUMBERS:
            sizes = ", ".join(f"{key} {value}" for key, value in counts.items())
            raise BadInput(
                f"{path} has a card with {sizes} and {skeleton.num_joints} joints, which fill no "
                "memory that there is: train it again"
            )
        return cls(
            model=card.model(),
            skeleton=skeleton,
            classes=card.names("classes", 2, MOST_CLASSES),
            stream=card.name("stream"),
            benchmark=card.name("benchmark"),
            dimension=card.one_of("dimension", ("2d", "3d")),
            normalise=card.one_of("normalise", MODES),
            missing=card.one_of("missing", MISSING, "error"),
            test_sampling=card.one_of("test_sampling", TEST_SAMPLINGS, "mmaction2"),
            **counts,
            held_out_subjects=None if subjects is None else card.names("held_out_subjects", 1),
            train_split=training.name_or_none("benchmark.train_split"),
            val_split=training.name_or_none("benchmark.val_split"),
            frame_order=training.name_or_none("data.frame_order"),
            synthetic=training.sizes("benchmark.synthetic"),
        )


def admitted(card: object, path: Path) -> dict[str, Any]:
    """The card in a checkpoint, of which every key that we use holds what it may hold.

    Some keys may be absent: a module of the user's own writes the card that it is given.

    Args:
        card: whatever stands in its place in a file of anybody.
        path: of the checkpoint, for sentences.

    Raises:
        BadInput: it is no table of plain values, or one of them is none that a card may have.
    """
    if not isinstance(card, Mapping):
        return {}
    if plain_values(card) > MOST_VALUES:
        raise BadInput(
            f"{path} has a card that is no table of names, numbers and text: get it from a source "
            "you trust"
        )
    plain = dict(card)
    reader = Reader(plain, path)
    checks: dict[str, Callable[[], object]] = {
        "model": reader.model,
        "skeleton": reader.skeleton,
        "classes": lambda: reader.names("classes", 2, MOST_CLASSES),
        "dimension": lambda: reader.one_of("dimension", ("2d", "3d")),
        "normalise": lambda: reader.one_of("normalise", MODES),
        "missing": lambda: reader.one_of("missing", MISSING),
        "test_sampling": lambda: reader.one_of("test_sampling", TEST_SAMPLINGS),
        "held_out_subjects": lambda: (
            reader.get("held_out_subjects") is None or reader.names("held_out_subjects", 1)
        ),
        **{key: partial(reader.name, key) for key in ("stream", "benchmark", "version")},
        **{key: partial(reader.count, key) for key in COUNTS},
        **{key: partial(reader.table, key) for key in ("training", "order", "run")},
    }
    for key, check in checks.items():
        if key in plain:
            check()
    return plain


class Reader:
    """Values of an untrusted table, each checked when it is asked for.

    Args:
        table: plain containers.
        path: of the checkpoint, for sentences.

    Raises:
        BadInput: by every method, where the table does not have the value (and no default is
            given) or has another kind of value than the method's.
    """

    def __init__(self, table: Mapping[str, Any], path: Path):
        self._table, self._path = table, path

    def get(self, key: str, *default: Any) -> Any:
        """Any value."""
        if key in self._table:
            return self._table[key]
        if not default:
            raise BadInput(f"{self._path} has a card without {key!r}: train it again")
        return default[0]

    def table(self, key: str, *default: Any) -> Mapping[str, Any]:
        """A mapping with names as keys."""
        value = self.get(key, *default)
        if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
            self._refuse(key, value)
        return value

    def name(self, key: str) -> str:
        """A name of one line."""
        value = self.get(key)
        return value if is_name(value) else self._refuse(key, value)

    def name_or_none(self, key: str) -> str | None:
        """A name, or None where there is none."""
        value = self.get(key, None)
        return value if value is None or is_name(value) else self._refuse(key, value)

    def one_of(self, key: str, choices: tuple[str, ...], *default: str) -> Any:
        """One of a few names."""
        value = self.get(key, *default)
        if not isinstance(value, str) or value not in choices:
            self._refuse(key, value, f"one of {', '.join(choices)}")
        return value

    def count(self, key: str) -> int:
        """A whole number of `COUNTS`."""
        value = self.get(key)
        if not is_whole(value) or not 1 <= value <= COUNTS[key]:
            self._refuse(key, value, f"a whole number from 1 to {COUNTS[key]:,}")
        return value

    def names(self, key: str, least: int, most: int = MOST_SUBJECTS) -> tuple[str, ...]:
        """Different names."""
        value = self.get(key)
        if not isinstance(value, list | tuple) or not least <= len(value) <= most:
            self._refuse(key, value, f"a list of {least} to {most:,} names")
        for name in value:
            if not is_name(name):
                self._refuse(key, name)
        if len(set(value)) < len(value):
            self._refuse(key, value, "different names")
        return tuple(value)

    def skeleton(self) -> Skeleton:
        """The skeleton, whose tables agree."""
        table = self.table("skeleton")
        try:
            return Skeleton.from_dict(table)
        except (BadInput, TypeError, ValueError) as error:
            raise BadInput(f"{self._path} has a card whose skeleton is none: {error}") from None

    def model(self) -> Mapping[str, Any]:
        """Name, graph and options: plain values, nothing that is made or imported."""
        table = Reader(self.table("model"), self._path)
        table.name("name")
        table.name("graph")
        options = {key: value for key, value in self.table("model").items() if key != "_target_"}
        if plain_values(options) > MOST_OPTIONS:
            self._refuse("model", options, "options that are numbers, text and lists of them")
        return options

    def sizes(self, key: str) -> dict[str, int]:
        """Sizes of the embedded data set; empty where it was not trained on."""
        found = self.table(key, {}) if self.get(key, None) is not None else {}
        if len(found) > MOST_SIZES:
            self._refuse(key, found, f"at most {MOST_SIZES} sizes")
        for name, value in found.items():
            if not is_whole(value) or not 0 <= value < 2**32:
                self._refuse(f"{key}.{name}", value, "a whole number")
        return dict(found)

    def _refuse(self, key: str, value: Any, wanted: str = "a name of one line") -> NoReturn:
        raise BadInput(
            f"{self._path} has a card whose {key} is {brief(value)}, where {wanted} "
            "belongs: train it again, or test the file that it was copied from"
        )


def is_name(value: object) -> bool:
    """Whether a value is text of one line that is not too long."""
    return isinstance(value, str) and 0 < len(value) <= LONGEST and len(value.splitlines()) == 1


def is_whole(value: object) -> bool:
    """Whether a value is a whole number, which True is not."""
    return isinstance(value, int) and not isinstance(value, bool)


def plain_values(value: object, depth: int = 0) -> int:
    """How many values plain containers hold; too many where one of them is not plain."""
    if isinstance(value, Mapping) and depth < 8:
        named = all(isinstance(key, str) for key in value)
        return sum(plain_values(one, depth + 1) for one in value.values()) if named else NOT_PLAIN
    if isinstance(value, list | tuple) and depth < 8:
        return sum(plain_values(one, depth + 1) for one in value)
    plain = value is None or isinstance(value, float)
    plain = plain or (isinstance(value, int) and abs(value) < 1 << 64)
    return 1 if plain or (isinstance(value, str) and len(value) <= LONGEST) else NOT_PLAIN
