"""The files that `checkpoint=` names by an address; above all those of MMAction2 and PYSKL.

Each has one full name, ``zoo:SOURCE/FAMILY/BENCHMARK_STREAM``, of which may be left out the source,
where the first table of `zoo.yaml` with such a file is meant, and the family `stgcn`. A published
file is downloaded once. MMAction2's must have the SHA-256 whose first digits its name ends in;
PYSKL publishes none, which is said. A file at another address is downloaded once and must hold
weights, as PYSKL's must.
"""

import hashlib
import re
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import unquote, urljoin, urlsplit

import yaml
from rich.console import Console

from stgcn_lightning.errors import BadInput, nearest
from stgcn_lightning.files.downloads import Downloads, fetch
from stgcn_lightning.files.reading import sha256

TABLE = Path(__file__).with_name("zoo.yaml")
ZOO = "zoo:"
ADDRESS = re.compile(r"([A-Za-z][\w+.-]*)://")
MOST = 1 << 31  # bytes of a checkpoint; the published ones have up to 70 MB
PLAIN = "stgcn"  # the family that a name may leave out


class Entry(NamedTuple):
    """A published checkpoint: what it was trained on, and its file."""

    source: str  # mmaction2, pyskl
    model: str
    practice: str  # of training, where a source publishes several for the family; or empty
    benchmark: str
    stream: str
    file: str  # below the address of the source
    sha256: str  # its first digits; empty where none are published
    normalise: str  # as benchmark.normalise

    @property
    def family(self) -> str:
        """The family in the name of the file: the model, and the practice where there is one."""
        return f"{self.model}_{self.practice}" if self.practice else self.model

    @property
    def name(self) -> str:
        """Its full name, without ``zoo:``."""
        return f"{self.source}/{self.family}/{self.benchmark}_{self.stream}"

    @property
    def experiment(self) -> str:
        """The experiment that trains such a model."""
        cell = f"{self.benchmark}_{self.stream}"
        return cell if self.model == PLAIN else f"{self.model}/{cell}"

    @property
    def dimension(self) -> str:
        """2d or 3d."""
        return self.benchmark.rsplit("_", 1)[-1]

    @property
    def test_sampling(self) -> str:
        """Whose law of clips its figure was reached by, as data.test_sampling."""
        return "dgstgcn" if self.model == "dgstgcn" else self.source

    @property
    def filename(self) -> str:
        """Where it lies in the folder of downloads: PYSKL's own names are the same in all folders.

        By this end of a path a file is known that was put there by hand.
        """
        path = PurePosixPath(self.file)
        return path.name if self.sha256 else str(PurePosixPath("pyskl", *path.parts[-3:]))

    @property
    def published_by(self) -> str:
        """The source as `evaluation/published.yaml` names it."""
        source = {"mmaction2": "MMAction2", "pyskl": "PYSKL"}[self.source]
        return f"{source} {self.practice}".rstrip()

    def address(self, mmaction2: str, pyskl: str) -> str:
        """The address of the file below those of the two sources."""
        root = mmaction2 if self.source == "mmaction2" else pyskl
        return urljoin(f"{root.rstrip('/')}/", self.file)


def zoo_entries() -> dict[str, Entry]:
    """All published checkpoints, by their full names."""
    return {entry.name: entry for entry in _entries(TABLE)}


def zoo_entry(name: str) -> Entry | None:
    """The checkpoint of a name, full or short, without ``zoo:``; None if there is none."""
    return _by_any_name(TABLE).get(name)


def shortest_name(entry: Entry) -> str:
    """The shortest name of a file."""
    named = _by_any_name(TABLE)
    return next(name for name in _names(entry) if named[name] == entry)


def cost_of(entry: Entry) -> tuple[int, float]:
    """Parameters, and GMAC of a clip of two persons and 100 frames."""
    costs = _table(TABLE)["costs"][entry.model]
    parameters, gmac = costs[entry.dimension]
    classes = 120 if entry.benchmark.startswith("ntu120") else 60
    return parameters + (classes - 60) * costs["class"], gmac


@cache
def _table(file: Path) -> dict[str, Any]:
    return yaml.safe_load(file.read_text("utf-8"))


@cache
def _entries(file: Path) -> list[Entry]:
    whole = _table(file)
    found: list[Entry] = []
    for table in whole["tables"]:
        streams = dict.fromkeys(whole["letters"], "")
        digits = table.get("sha256") or dict.fromkeys(
            whole["benchmarks"][table["benchmarks"]], streams
        )
        for benchmark, row in digits.items():
            protocol, dimension = benchmark.rsplit("_", 1)
            mmaction2 = table["source"] == "mmaction2"
            for stream, sha in row.items():
                path = whole[table["source"]].format(
                    **{key: table[key] for key in ("config", "folder")},
                    stream=stream.replace("_", "-"),
                    protocol=protocol.replace("_", "-") if mmaction2 else protocol,
                    dimension=dimension,
                    date=table.get("date", {}).get(dimension),
                    sha256=sha,
                    letters=whole["letters"][stream],
                    key_points=whole["key_points"][dimension],
                )
                cell = table["family"], table.get("practice", ""), benchmark, stream
                centred = benchmark in table.get("centred", ())
                normalise = f"{dimension}_centred" if centred else dimension
                found.append(Entry(table["source"], *cell, path, sha, normalise))
    return found


@cache
def _by_any_name(file: Path) -> dict[str, Entry]:
    """Full and short names -> entries; an earlier table goes before a later one."""
    named: dict[str, Entry] = {}
    for entry in _entries(file):
        for name in _names(entry):
            named.setdefault(name, entry)
    return named


def _names(entry: Entry) -> list[str]:
    """The names that a file has if no other has them, the shortest first."""
    cell = f"{entry.benchmark}_{entry.stream}"
    short = [cell] if entry.family == PLAIN else []
    return [*short, f"{entry.family}/{cell}", entry.name]


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
    entry = zoo_entry(text.removeprefix(ZOO))
    if entry is None:
        raise BadInput(f"there is no {text} among the published checkpoints: {_meant(text)}")
    path = downloads.folder / entry.filename
    new = not path.exists()
    if new and not entry.sha256:
        console.print(
            f"{text}: {entry.published_by} publishes no SHA-256 and no size of its files, so that "
            "this one cannot be checked but for holding weights"
        )

    def check(file: Path) -> None:
        if not entry.sha256:
            if new:
                _read(file)
        elif not (found := sha256(file)).startswith(entry.sha256):
            raise BadInput(
                f"{file} is not the published {text}: its SHA-256 begins with "
                f"{found[: len(entry.sha256)]}, not {entry.sha256}"
            )

    if new:
        fetch(
            entry.address(downloads.address, downloads.pyskl),
            path,
            check,
            downloads,
            console,
            most=MOST,
        )
        return path
    try:
        check(path)  # it may have been put there by hand
    except BadInput as error:
        raise BadInput(f"{error}; delete it") from None
    return path


def elsewhere(model: str) -> str:
    """How to get a checkpoint of a family that the zoo has none of; empty where none is known."""
    return _table(TABLE)["elsewhere"].get(model, "")


def _meant(text: str) -> str:
    """What a name that there is not may have meant."""
    for part in text.removeprefix(ZOO).split("/")[:-1]:
        if by_hand := elsewhere(part):
            return by_hand
    names = [ZOO + shortest_name(entry) for entry in _entries(TABLE)]
    near = nearest(text, names)
    if near.startswith("did you mean"):
        return near
    return f"python -m stgcn_lightning.zoo lists all {len(names)}, such as {names[1]}"


def _read(file: Path) -> None:
    """Refuse a file that holds no weights."""
    from stgcn_lightning.checkpoints.weights import read_weights  # the list needs no PyTorch

    read_weights(file)


def _fetched(address: str, downloads: Downloads, console: Console) -> Path:
    """The file at an address, in a folder of its own: other addresses end in the same name."""
    name = re.sub(r"[^\w.-]", "_", unquote(urlsplit(address).path).rsplit("/", 1)[-1])
    folder = downloads.folder / "addresses" / hashlib.sha256(address.encode()).hexdigest()[:12]
    path = folder / (name or "checkpoint")
    fetch(address, path, _read, downloads, console, most=MOST)
    return path


def entry_of(checkpoint: Path) -> Entry | None:
    """The published file that has the name of `checkpoint`; None if none has."""
    for entry in _entries(TABLE):
        place = PurePosixPath(entry.filename).parts[-3:]
        if checkpoint.parts[-len(place) :] == place:
            return entry
    return None


def card_of(checkpoint: Path) -> dict[str, str]:
    """A card of what a file with a published name was trained on; empty for any other file.

    Neither MMAction2 nor PYSKL writes it into its checkpoints.
    """
    entry = entry_of(checkpoint)
    if entry is None:
        return {}
    return {
        "benchmark": entry.benchmark,
        "stream": entry.stream,
        "dimension": entry.dimension,
        "normalise": entry.normalise,
    }
