"""The files that settings name, downloaded if they are published ones."""

from dataclasses import asdict
from pathlib import Path

from stgcn_lightning.checkpoints.zoo import checkpoint_file
from stgcn_lightning.files.downloads import Downloads
from stgcn_lightning.settings import groups
from stgcn_lightning.settings.fields import path_of
from stgcn_lightning.terminal import console


def checkpoint_of(named: str, downloads: groups.Downloads, key: str = "checkpoint") -> Path:
    """The file that `named`, the value of `key`, means; one of the zoo is downloaded if need be."""
    return checkpoint_file(str(path_of(key, named)), downloads_of(downloads), console)


def downloads_of(chosen: groups.Downloads) -> Downloads:
    """Where published files come from and go to, as `files.downloads` takes it."""
    return Downloads(**asdict(chosen))
