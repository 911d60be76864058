"""The files that `checkpoint=` names by an address; above all those that MMAction2 publishes.

A published one is downloaded once by the name of its experiment, and its SHA-256 is checked against
the digits in its name. A file at another address is downloaded once and must hold weights.
"""

import difflib
import hashlib
import re
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import yaml
from rich.console import Console

from stgcn_lightning.checkpoints.weights import read_weights
from stgcn_lightning.errors import BadInput
from stgcn_lightning.files.downloads import Downloads, fetch
from stgcn_lightning.files.reading import sha256

TABLE = Path(__file__).with_name("zoo.yaml")
ZOO = "zoo:"
ADDRESS = re.compile(r"([A-Za-z][\w+.-]*)://")
MODEL = "stgcn"  # the family of all that are in the table


class Entry(NamedTuple):
    """A published checkpoint: what it was trained on, and its file below `downloads.address`."""

    benchmark: str
    stream: str
    file: str
    sha256: str

    @property
    def filename(self) -> str:
        """The file's own name."""
        return self.file.rsplit("/", 1)[-1]


def zoo_entries() -> dict[str, Entry]:
    """All published checkpoints, by the names of their experiments."""
    table: Any = yaml.safe_load(TABLE.read_text())
    found = {}
    for benchmark, streams in table["sha256"].items():
        protocol, dimension = benchmark.replace("_", "-").rsplit("-", 1)
        for stream, digits in streams.items():
            config = table["config"].format(
                stream=stream.replace("_", "-"), protocol=protocol, dimension=dimension
            )
            file = table["file"].format(config=config, sha256=digits)
            found[f"{benchmark}_{stream}"] = Entry(benchmark, stream, file, digits)
    return found


def checkpoint_file(text: str, downloads: Downloads, console: Console) -> Path:
    """The file at an address, or that zoo:NAME means, downloaded if need be.

    Raises:
        BadInput: the zoo has no such name, the file cannot be fetched, or it is not the published
            one or holds no weights.
    """
    if address := ADDRESS.match(text):
        if address[1].lower() not in ("http", "https"):
            raise BadInput(f"{text} is an address that is not fetched: download it and give a file")
        return _fetched(text, downloads, console)
    name, known = text.removeprefix(ZOO), zoo_entries()
    if name not in known:
        near = difflib.get_close_matches(name, known, n=3)
        remedy = f"did you mean {' or '.join(near)}?" if near else f"choose from {', '.join(known)}"
        raise BadInput(f"there is no {text} among the published checkpoints: {remedy}")
    entry = known[name]

    def check(file: Path) -> None:
        if not (found := sha256(file)).startswith(entry.sha256):
            raise BadInput(
                f"{file} is not the published {text}: its SHA-256 begins with "
                f"{found[: len(entry.sha256)]}, not {entry.sha256}"
            )

    path = downloads.folder / entry.filename
    if not path.exists():
        fetch(f"{downloads.address.rstrip('/')}/{entry.file}", path, check, downloads, console)
        return path
    try:
        check(path)  # it may have been put there by hand
    except BadInput as error:
        raise BadInput(f"{error}; delete it") from None
    return path


def _fetched(address: str, downloads: Downloads, console: Console) -> Path:
    """The file at an address, in a folder of its own: other addresses end in the same name."""
    name = re.sub(r"[^\w.-]", "_", unquote(urlsplit(address).path).rsplit("/", 1)[-1])
    folder = downloads.folder / "addresses" / hashlib.sha256(address.encode()).hexdigest()[:12]
    path = folder / (name or "checkpoint")
    fetch(address, path, read_weights, downloads, console)
    return path


def card_of(checkpoint: Path) -> dict[str, str]:
    """A card of what a file with a published name was trained on; empty for any other file.

    MMAction2 does not write it into its checkpoints.
    """
    for entry in zoo_entries().values():
        if checkpoint.name == entry.filename:
            dimension = entry.benchmark.rsplit("_", 1)[-1]
            return {
                "benchmark": entry.benchmark,
                "stream": entry.stream,
                "dimension": dimension,
                "normalise": dimension,
            }
    return {}
