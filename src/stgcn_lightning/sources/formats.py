"""The formats of key-point files, one reader a file: which there are, and which one a file is in.

A reader is a module of this room with two functions:

- ``recognise(path) -> str | None``: why the file or folder `path` is in its format, in a few words
  that complete "because ..."; None if it is not. It reads no more than it needs.
- ``read(path, reading) -> list[Recording]``: what it holds (see `recordings`), not settled. Wrong
  content is refused with a BadInput that names file, place, value and remedy.

Importing this file imports neither numpy nor a reader.
"""

import importlib
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from stgcn_lightning.errors import BadInput, nearest

if TYPE_CHECKING:
    from stgcn_lightning.sources.recordings import Reading, Recording


@dataclass(frozen=True)
class Format:
    """A format of key-point files.

    Attributes:
        module: of its reader, in this room.
        about: what writes it, and how its files are called.
    """

    module: str
    about: str


# the more particular ones first: the first that recognises a file reads it
FORMATS = {
    "npz": Format("own_npz", "this package's own form: .npz with keypoint (docs/sources.md)"),
}


def reader_of(name: str) -> ModuleType:
    """The reader of a format.

    Raises:
        BadInput: there is no such format.
    """
    if name not in FORMATS:
        raise BadInput(f"reading.format={name}: {nearest(name, ['auto', *FORMATS])}")
    return importlib.import_module(f"stgcn_lightning.sources.{FORMATS[name].module}")


def recognised(path: Path) -> tuple[str, str]:
    """The format of a file or folder, and why it is taken for that.

    Raises:
        BadInput: it is in none that is known.
    """
    for name in FORMATS:
        if why := reader_of(name).recognise(path):
            return name, why
    raise BadInput(
        f"{path} is in no known format of key points: name it, reading.format=NAME of "
        f"{', '.join(FORMATS)}"
    )


def read_recordings(path: Path, reading: "Reading") -> "list[Recording]":
    """What a file or folder holds, settled and with linked persons, in the order of their names.

    Args:
        path: a file; a folder that is one recording (a file a frame); or a folder, with folders in
            it, of such.
        reading: what the user says about the files.

    Raises:
        BadInput: nothing there can be read, or one file cannot be.
    """
    name, why = recognised(path) if reading.format == "auto" else (reading.format, "")
    found: list[Recording] = reader_of(name).read(path, reading)
    said = (f"{path} is taken for {name}, because {why}",) if why else ()
    return [replace(one, remarks=(*said, *one.remarks)) for one in found]
