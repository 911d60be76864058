"""How recordings were read for a training, so that new ones are read alike.

`prepare` writes it to the benchmark's file (`benchmark.reading`), a training to its checkpoints'
cards, and `predict` finds it there. What holds for recordings of any file is taken over; what a
file may state itself, such as the size of its picture, is only said: taken over, it would count
more than the file. Left out is what a recording may have of its own: format, frame rate, persons.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from stgcn_lightning.errors import BadInput
from stgcn_lightning.settings.doors import PrepareSettings
from stgcn_lightning.settings.fields import read
from stgcn_lightning.settings.groups import Reading as Keys
from stgcn_lightning.sources.recordings import READING, Reading

TAKEN = ("least_score", "gap")
SAID = ("skeleton", "unit", "y", "img_shape")


def read_as(settings: PrepareSettings) -> dict[str, Any] | None:
    """What the user says about recordings that differs from the defaults; None if nothing does."""
    said = {key: getattr(settings.reading, key) for key in (*TAKEN, *SAID)}
    found = {key: value for key, value in said.items() if value != getattr(READING, key)}
    if settings.map is not None:
        found["map"] = settings.map
    return found or None


def read_alike(reading: Reading, card: Mapping[str, Any], say: Callable[[str], object]) -> Reading:
    """A reading, in which the checkpoint says what the user does not.

    Args:
        reading: of the user.
        card: of a checkpoint, which may be anybody's.
        say: is given a sentence about what is taken over, and what is not.

    Raises:
        BadInput: the card says what cannot be.
    """
    known = _known(card)
    open_ = {
        key: known[key]
        for key in (*TAKEN, *SAID)
        if key in known and getattr(reading, key) == getattr(READING, key)
    }
    try:
        checked = read(Keys, vars(READING) | open_, "reading.")
    except BadInput as error:
        raise BadInput(f"{error}, in the card of the checkpoint: train it again") from None
    taken = {key: getattr(checked, key) for key in TAKEN if key in open_}
    said = {key: getattr(checked, key) for key in SAID if key in open_}
    if taken:
        say(f"as the recordings that were trained on: {_written(taken)}")
    if said:
        say(
            f"the recordings that were trained on were read with {_written(said)}: give the same "
            "here where it holds for these as well"
        )
    return replace(reading, **taken)


def mapped_to(card: Mapping[str, Any]) -> str | None:
    """The skeleton to which the recordings of a training were mapped."""
    name = _known(card).get("map")
    return name if isinstance(name, str) else None


def _known(card: Mapping[str, Any]) -> Mapping[str, Any]:
    found = card.get("reading")
    return found if isinstance(found, Mapping) else {}


def _written(keys: Mapping[str, Any]) -> str:
    values = {key: [*one] if isinstance(one, tuple) else one for key, one in keys.items()}
    return ", ".join(f"reading.{key}={one}".replace(", ", ",") for key, one in values.items())
