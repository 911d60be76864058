"""Whether weights are given what they were trained on: their card against that of the test."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from stgcn_lightning.checkpoints.classes import refuse_other_classes
from stgcn_lightning.data.names import K_STREAMS
from stgcn_lightning.errors import BadInput
from stgcn_lightning.models import registry
from stgcn_lightning.skeleton import Skeleton

HOW = ("norm_group", "compile")  # settings of a model that say how it is computed, not what it is


def refuse_other_family(name: str, checkpoint: Path, ours: str = "") -> NoReturn:
    """Refuse weights of another family than the model's; it may be one that is not registered.

    Raises:
        BadInput: always, with the model to set.
    """
    own = "" if name in registry.names() else " --config-dir=FOLDER, where it is registered"
    instead = f", not {ours}" if ours else ""
    raise BadInput(f"{checkpoint} holds another model: set model={name}{own}{instead}")


def refuse_other_card(card: dict[str, Any], ours: dict[str, Any], checkpoint: Path) -> None:
    """Refuse weights that were trained on other data or settings than those of the test.

    Raises:
        BadInput: with the first difference, and what to set instead.
    """
    remedies = {
        "stream": "stream={stream}",
        "dimension": "benchmark={benchmark}",
        "normalise": "benchmark.normalise={normalise}",
        "persons": "data.persons={persons}",
    }
    for key, remedy in remedies.items():
        if key in card and card[key] != ours[key]:
            raise BadInput(
                f"{checkpoint} was trained with {key} {card[key]}, not {ours[key]}: set "
                + remedy.format(**card)
            )
    # trained on joints that were all found, a model may be tested on any
    if card.get("missing", "error") not in ("error", ours["missing"]):
        raise BadInput(
            f"{checkpoint} was trained with data.missing={card['missing']}, not "
            f"{ours['missing']}: set data.missing={card['missing']}"
        )
    if "classes" in card:
        refuse_other_classes(card["classes"], ours["classes"], checkpoint)
    model = {key: value for key, value in card.get("model", {}).items() if key not in HOW}
    name = model.get("name")
    if name != ours["model"]["name"] and name is not None:
        refuse_other_family(name, checkpoint, ours["model"]["name"])
    differing = [key for key, value in model.items() if ours["model"].get(key) != value]
    if differing:
        theirs, given = (
            " ".join(f"model.{key}={one.get(key)}" for key in differing)
            for one in (model, ours["model"])
        )
        raise BadInput(f"{checkpoint} holds another model: set {theirs} instead of {given}")
    if "skeleton" in card and (difference := other_body(card, ours)):
        name = card["skeleton"].get("name")
        raise BadInput(
            f"{checkpoint} was trained on skeleton {name}, which differs from "
            f"{ours['skeleton']['name']} as configured in {difference}: set "
            f"skeleton={name}, or make the key points in its order"
        )


def other_body(card: Mapping[str, Any], own: Mapping[str, Any]) -> str:
    """Where the skeletons of two cards differ, in words; empty where only their names do.

    A card of a version without k-bones does not say where they start.
    """
    theirs, ours = card["skeleton"], own["skeleton"]
    for key in ours:
        one, other = theirs.get(key), ours[key]
        if key in ("name", "k_bone_parents") or one == other:
            continue
        if key == "joints" and isinstance(one, list) and len(one) == len(other):
            i = next(i for i in range(len(other)) if one[i] != other[i])
            return f"joint {i}, which is {one[i]!r} there and {other[i]!r} here"
        return f"its {key}"
    if card.get("stream") in K_STREAMS or "k_bone_parents" in theirs:
        starts = [Skeleton.from_dict(one).k_parents for one in (theirs, ours)]
        return "" if starts[0] == starts[1] else "its k_bone_parents"
    return ""
