"""The files that settings name, downloaded if they are published ones."""

from dataclasses import fields
from pathlib import Path
from typing import Any

from stgcn_lightning.checkpoints.weights import checkpoint_in
from stgcn_lightning.checkpoints.zoo import ADDRESS, MODEL, ZOO, checkpoint_file
from stgcn_lightning.errors import BadInput
from stgcn_lightning.files.downloads import Downloads
from stgcn_lightning.settings import groups
from stgcn_lightning.settings.fields import path_of
from stgcn_lightning.terminal import console


def checkpoint_of(
    named: str, downloads: groups.Downloads, model: str, key: str = "checkpoint"
) -> Path:
    """The file that `named`, the value of `key`, means; it is downloaded if need be.

    Args:
        named: a path, a run's folder, an address (https://), or zoo:NAME.
        downloads: where published files come from.
        model: name of the family that the weights are for.
        key: of the configuration, for sentences.

    Raises:
        BadInput: the file cannot be fetched, or the zoo has no weights of that family.
    """
    if named.startswith(ZOO):
        refuse_other_model(named, model)
    elif not ADDRESS.match(named):
        return checkpoint_in(path_of(key, named), console.print)
    return checkpoint_file(named, downloads_of(downloads), console)


def refuse_other_model(named: str, model: str) -> None:
    """Refuse a file of the zoo for another family than that of the zoo, before it is fetched."""
    if model != MODEL:
        raise BadInput(
            f"{named} is an ST-GCN, not {model}, of which the zoo has none: set model={MODEL}, or "
            "give the file of a checkpoint that you have"
        )


def downloads_of(chosen: groups.Downloads) -> Downloads:
    """Where published files come from and go to, as `files.downloads` takes it."""
    known: dict[str, Any] = {one.name: getattr(chosen, one.name) for one in fields(Downloads)}
    return Downloads(**known | {"folder": path_of("downloads.folder", chosen.folder)})
