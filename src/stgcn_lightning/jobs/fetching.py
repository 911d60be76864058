"""The files that settings name, downloaded if they are published ones."""

from dataclasses import fields
from pathlib import Path
from typing import Any, NoReturn

from stgcn_lightning.checkpoints.weights import checkpoint_in
from stgcn_lightning.checkpoints.zoo import (
    ADDRESS,
    ZOO,
    Entry,
    checkpoint_file,
    shortest_name,
    zoo_entries,
    zoo_entry,
)
from stgcn_lightning.errors import BadInput
from stgcn_lightning.files.downloads import Downloads
from stgcn_lightning.settings import groups
from stgcn_lightning.settings.fields import path_of
from stgcn_lightning.terminal import console


def checkpoint_of(
    named: str, downloads: groups.Downloads, model: str | None, key: str = "checkpoint"
) -> Path:
    """The file that `named`, the value of `key`, means; it is downloaded if need be.

    Args:
        named: a path, a run's folder, an address (https://), or zoo:NAME.
        downloads: where published files come from.
        model: name of the family that the weights are for; None: any.
        key: of the configuration, for sentences.

    Raises:
        BadInput: the file cannot be fetched, or is one of the zoo of another family.
    """
    if named.startswith(ZOO):
        entry = zoo_entry(named.removeprefix(ZOO))
        if entry and model not in (entry.model, None):
            refuse_other_model(named, entry, str(model))
    elif not ADDRESS.match(named):
        return checkpoint_in(path_of(key, named), console.print)
    return checkpoint_file(named, downloads_of(downloads), console)


def refuse_other_model(named: str, entry: Entry, model: str) -> NoReturn:
    """Refuse a file of the zoo for another family than its own, before it is fetched.

    Raises:
        BadInput: always, with the family to set or the file to take.
    """
    cell = entry.benchmark, entry.stream
    own = [one for one in zoo_entries().values() if (one.benchmark, one.stream) == cell]
    near = next((one for one in own if one.model == model), None)
    other = f"take {ZOO}{shortest_name(near)}" if near else "give the file of a checkpoint you have"
    raise BadInput(f"{named} is of {entry.model}, not {model}: set model={entry.model}, or {other}")


def downloads_of(chosen: groups.Downloads) -> Downloads:
    """Where published files come from and go to, as `files.downloads` takes it."""
    known: dict[str, Any] = {one.name: getattr(chosen, one.name) for one in fields(Downloads)}
    known["folder"] = path_of("downloads.folder", chosen.folder)
    return Downloads(**known)
