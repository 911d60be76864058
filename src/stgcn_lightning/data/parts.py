"""The folder of a store: its files, and whether they are what was written.

The manifest holds the size and digest of every small file and ends with a digest of itself; all of
these are looked at whenever a store is opened. The frames are too many for that: they have a digest
for each portion that was written, which `changed_rows` looks at.

A digest is of XXH3 (Collet, xxHash), which finds what a disk, a copy or another program changed.
It is no signature: whoever means harm can write a store that fits, and therefore what is read is
checked by its meaning as well.
"""

import errno
import json
import mmap
import os
import stat
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from stgcn_lightning.data.overlaps import UNLABELLED
from stgcn_lightning.data.plausible import Finding
from stgcn_lightning.errors import BadInput, brief
from stgcn_lightning.files.numpy_files import array_in
from stgcn_lightning.files.unpickling import said_by
from stgcn_lightning.files.writing import write_atomically
from stgcn_lightning.skeleton import Skeleton

MANIFEST, FRAMES = "manifest.json", "frames.bin"
SAMPLE_FIELDS = np.dtype(
    [("first_row", "<i8"), ("frames", "<i4"), ("persons", "<i4"), ("label", "<i8")]
)
PORTION_FIELDS = np.dtype([("rows", "<i8"), ("digest", "<u8")])  # rows up to the portion's end
SMALL = ("samples.npy", "ids.npy", "splits.npy", "digests.npy", "portions.npy")
RECORDS = {"samples.npy": SAMPLE_FIELDS, "portions.npy": PORTION_FIELDS}
OLDER_LACK = ("digests.npy", "portions.npy")
OLDER_MANIFESTS_LACK = ("build", "findings", "renamed", "beside")
KINDS: dict[str, type] = {  # of what a manifest says
    **dict.fromkeys(("dropped", "renamed", "findings", "shape"), list),
    **dict.fromkeys(("build", "dimension", "dtype", "normalise"), str),
    **dict.fromkeys(("skeleton", "splits", "beside"), dict),
    **dict.fromkeys(("persons_cut", "classes"), int),
}
DTYPES = ("float16", "float32")
CHANNELS = 3
AT_ONCE = 1 << 24  # bytes that are read at once
MOST_SAID, MOST_CLASSES = 1 << 28, 1 << 17  # bytes of a manifest; classes
END = b', "digest": "'  # of a manifest, before its own digest


class DamagedStore(BadInput):
    """A store whose files are not what was written, or do not fit together.

    Args:
        folder: of the store.
        why: it is known to be.

    Attributes:
        what: is the case, without the remedy.
    """

    def __init__(self, folder: Path, why: str) -> None:
        self.what = f"the store {folder} is damaged ({why})"
        super().__init__(
            f"{self.what}: delete the folder, or prepare with verify=true; it is built again of "
            "its annotations"
        )


@dataclass(frozen=True)
class Parts:
    """What lies in the folder of a store.

    Attributes:
        manifest: what is said of it, checked.
        skeleton: of the bodies.
        frames: (rows, V, 3) float16 or float32, mapped into memory and never written back.
        columns: (samples,) int64 each, see `columns_of`.
        ids: (samples,) str.
        splits: name -> sample numbers, int64.
        digests: (samples,) int64 of the key points; None of an older store.
        portions: (portions,) `PORTION_FIELDS`; None of an older store.
    """

    manifest: dict[str, Any]
    skeleton: Skeleton
    frames: NDArray[np.floating[Any]]
    columns: dict[str, NDArray[np.int64]]
    ids: NDArray[np.str_]
    splits: dict[str, NDArray[np.int64]]
    digests: NDArray[np.int64] | None
    portions: NDArray[Any] | None


def seal(folder: Path, manifest: dict[str, Any]) -> None:
    """Write the manifest of a folder whose other files are written, and bring all to the disk.

    Raises:
        OSError: it cannot be written.
    """
    parts = {name: _state((folder / name).read_bytes()) for name in SMALL}
    held = [parts, *(manifest[key] for key in ("shape", "dtype", "splits", "skeleton"))]
    build = xxhash.xxh3_128_hexdigest(json.dumps(held).encode())
    write_manifest(folder, manifest | {"build": build, "parts": parts})
    for path in folder.iterdir():
        with path.open("r+b") as file:
            os.fsync(file.fileno())


def write_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    """Replace the manifest of a store by one that differs in what it says of the annotations."""
    said = {key: value for key, value in manifest.items() if key != "digest"}
    body = json.dumps(said).encode().removesuffix(b"}")
    with write_atomically(folder / MANIFEST) as file:
        file.write(body + END + xxhash.xxh3_64_hexdigest(body).encode() + b'"}')


def opened(folder: Path) -> Parts:
    """Map the frames of a finished store into memory, and read the rest of it.

    Raises:
        FileNotFoundError: there is none.
        DamagedStore: its parts are not what was written, or do not fit together.
    """
    if not (folder / MANIFEST).exists():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(folder / MANIFEST))
    try:
        return _parts(folder, _mapped(folder / MANIFEST, MOST_SAID).tobytes())
    except (OSError, ValueError, TypeError, KeyError, RecursionError, MemoryError) as error:
        what = error.strerror if isinstance(error, OSError) else None
        why = f"it lacks {error}" if isinstance(error, KeyError) else what or said_by(error)
        if isinstance(error, OSError) and error.filename:
            why = f"{Path(error.filename).name}: {why}"
        raise DamagedStore(folder, why) from None


def _parts(folder: Path, said: bytes) -> Parts:
    manifest = _manifest(said)
    older = "parts" not in manifest
    skeleton = Skeleton.from_dict(manifest["skeleton"])
    shape = _shape(manifest, skeleton)
    found: dict[str, Any] = {}
    for name in SMALL:
        found[name] = None
        if older and name in OLDER_LACK and not (folder / name).exists():
            continue
        content = _mapped(folder / name)
        if not older and _state(content.data) != manifest["parts"].get(name):
            raise ValueError(f"{name} is not what was written")
        found[name] = array_in(content, RECORDS.get(name))
    samples, ids, flat, digests, portions = (found[name] for name in SMALL)
    columns, count = _checked(samples, shape[0], manifest["classes"]), len(samples)
    if ids.shape != (count,) or ids.dtype.kind != "U":
        raise ValueError("ids.npy does not fit samples.npy")
    if digests is not None and (digests.shape, digests.dtype) != ((count,), np.int64):
        raise ValueError("digests.npy does not fit samples.npy")
    if portions is not None:
        _check_portions(portions, shape[0])
    size = (folder / FRAMES).stat().st_size
    expected = shape[0] * shape[1] * CHANNELS * np.dtype(manifest["dtype"]).itemsize
    if size != expected:
        raise ValueError(f"{FRAMES} has {size:,} bytes, not {expected:,}")
    return Parts(
        manifest=manifest,
        skeleton=skeleton,
        frames=np.ndarray(shape, manifest["dtype"], _mapped(folder / FRAMES)),
        columns=columns,
        ids=ids,
        splits=_splits(manifest["splits"], flat, count),
        digests=digests,
        portions=portions,
    )


def changed_rows(folder: Path, parts: NDArray[Any], row: int) -> Iterator[tuple[int, int]]:
    """The portions of the frames that are not what was written, as (first row, row after the last).

    Args:
        folder: of the store.
        parts: (portions,) `PORTION_FIELDS`.
        row: bytes of one row.

    Raises:
        OSError: they cannot be read.
    """
    start = 0
    with (folder / FRAMES).open("rb") as file:
        for stop, digest in parts.tolist():
            state, left = xxhash.xxh3_64(), (stop - start) * row
            while left and (content := file.read(min(left, AT_ONCE))):
                state.update(content)
                left -= len(content)
            if left or state.intdigest() != digest:
                yield start, stop
            start = stop


def columns_of(table: NDArray[Any]) -> dict[str, NDArray[np.int64]]:
    """The columns of a table of samples, by the names that a `Store` has for them."""
    fields = {"first_row": "first_row", "num_frames": "frames", "num_persons": "persons"}
    fields["labels"] = "label"
    return {name: table[of].astype(np.int64) for name, of in fields.items()}


def _mapped(path: Path, most: int = 1 << 62) -> NDArray[np.uint8]:
    """The bytes of a file, read when they are touched: what is written to them stays in memory.

    Copied on write, they are the writable memory that torch wants, and the file is left alone.
    """
    file = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))  # a pipe is not waited for
    try:
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode):
            raise ValueError(f"{path.name} is no file")
        if found.st_size > most:
            raise ValueError(f"{path.name} is longer than any that was written")
        return np.frombuffer(mmap.mmap(file, 0, access=mmap.ACCESS_COPY), np.uint8)
    finally:
        os.close(file)


def _state(content: bytes | memoryview) -> list[int | str]:
    """Size and digest of a file."""
    return [len(content), xxhash.xxh3_64_hexdigest(content)]


def _manifest(content: bytes) -> dict[str, Any]:
    """What a manifest says, in the types that it is read by.

    Raises:
        ValueError, TypeError, KeyError: it is none.
    """
    said: Any = json.loads(content)
    body, end, digest = content.rpartition(END)
    if not isinstance(said, dict):
        raise ValueError(f"{MANIFEST} is no table")
    sealed = bool(end) or "parts" in said
    if sealed and digest != xxhash.xxh3_64_hexdigest(body).encode() + b'"}':
        raise ValueError(f"{MANIFEST} is not what was written")
    # a store of which the annotations are gone may be older than these
    manifest: dict[str, Any] = {name: KINDS[name]() for name in OLDER_MANIFESTS_LACK} | said
    for key, kind in KINDS.items():
        if type(manifest[key]) is not kind:
            raise ValueError(f"{MANIFEST} has {key}: {brief(manifest[key])}")
    if not 0 < manifest["classes"] < MOST_CLASSES:
        raise ValueError(f"{MANIFEST} has {brief(manifest['classes'])} classes")
    if manifest["dimension"] not in ("2d", "3d") or manifest["dtype"] not in DTYPES:
        raise ValueError(f"{MANIFEST} has {manifest['dimension']} of {manifest['dtype']}")
    lines = [*manifest["dropped"], *manifest["renamed"]]
    lines += [text for one in manifest["findings"] for text in asdict(Finding(**one)).values()]
    if not all(isinstance(line, str) for line in lines):
        raise ValueError(f"{MANIFEST} has remarks that are no text")
    return manifest


def _shape(manifest: dict[str, Any], skeleton: Skeleton) -> tuple[int, int, int]:
    rows = manifest["shape"][0] if manifest["shape"] else 0
    shape = (rows, skeleton.num_joints, CHANNELS)
    if type(rows) is not int or not 0 < rows < 1 << 40 or tuple(manifest["shape"]) != shape:
        raise ValueError(f"{MANIFEST} has shape: {brief(manifest['shape'])}")
    return shape


def _checked(table: NDArray[Any], rows: int, classes: int) -> dict[str, NDArray[np.int64]]:
    """The columns of samples that are rows 1 to the last one, end to end, of known classes."""
    if table.ndim != 1:
        raise ValueError("samples.npy holds something else than samples")
    columns = columns_of(table)
    first, frames, persons, labels = columns.values()
    # also the first rows: sums of 64 bits can come back from below 0
    if len(table) and min(first.min(), persons.min(), frames.min()) < 1:
        raise ValueError("samples.npy has samples without frames")
    ends = persons * frames
    ends += first
    begins, end = (int(first[0]), int(ends[-1])) if len(table) else (1, 1)
    if (begins, end) != (1, rows) or not np.array_equal(first[1:], ends[:-1]):
        raise ValueError(f"samples.npy does not fit {FRAMES}")
    if len(table) and not UNLABELLED <= labels.min() <= labels.max() < classes:
        raise ValueError(f"samples.npy has labels outside 0 to {classes - 1}")
    return columns


def _check_portions(portions: NDArray[Any], rows: int) -> None:
    ends = portions["rows"]
    rising = portions.ndim == 1 and (ends[:1] >= 0).all() and (ends[1:] >= ends[:-1]).all()
    if not rising or ends[-1:].tolist() != [rows]:
        raise ValueError(f"portions.npy does not fit {FRAMES}")


def _splits(ranges: dict[str, Any], flat: NDArray[Any], count: int) -> dict[str, NDArray[np.int64]]:
    """The numbers of each split, which lie end to end."""
    if flat.ndim != 1 or flat.dtype != np.int64:
        raise ValueError("splits.npy holds something else than numbers")
    if len(flat) and not 0 <= int(flat.min()) <= int(flat.max()) < count:
        raise ValueError(f"splits.npy has numbers outside 0 to {count - 1}")
    bounds = [0, *(bound for one in ranges.values() for bound in one), len(flat)]
    if any(type(bound) is not int for bound in bounds) or bounds[::2] != bounds[1::2]:
        raise ValueError(f"{MANIFEST} does not fit splits.npy")
    if bounds != sorted(bounds) or any(len(one) != 2 for one in ranges.values()):
        raise ValueError(f"{MANIFEST} does not fit splits.npy")
    return {name: flat[start:stop] for name, (start, stop) in ranges.items()}
