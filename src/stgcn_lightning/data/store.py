"""Annotations, checked and normalised once, as flat memory-mapped arrays that every process shares.

A store is a folder:

    manifest.json   version, what it was built from, shapes, splits, dropped samples, findings
    frames.bin      (rows, V, 3): the frames of all samples and persons end to end, person by person
                    within a sample; row 0 is an empty frame, which stands for an absent person
    samples.npy     per sample: first row, frames, persons, label
    ids.npy         per sample: its name
    digests.npy     per sample: a number that differs for other key points, 0 where there are none
    splits.npy      sample numbers of all splits, one after the other

Frames are float16 if all arrays of the annotations are, otherwise float32. A store is built under a
lock in a folder of another name and renamed, so that no process opens an incomplete store. It is
built again when the annotations changed.
"""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from numpy.typing import NDArray
from torch import Tensor

from stgcn_lightning.data.building import Watch, as_it_is, build, empty_frame, table_of
from stgcn_lightning.data.checks import check_annotations, split_ids
from stgcn_lightning.data.overlaps import Divided
from stgcn_lightning.data.plausible import Finding
from stgcn_lightning.data.portions import bodies_of
from stgcn_lightning.data.spec import StoreSpec
from stgcn_lightning.errors import BadInput
from stgcn_lightning.files.writing import explaining_where
from stgcn_lightning.skeleton import Skeleton
from stgcn_lightning.sources.annotations import Annotations, Sample
from stgcn_lightning.sources.registry import Source

JUDGED = 1  # version of what is judged of annotations: a store is built again when it changes


@dataclass(frozen=True, eq=False)
class Store:
    """An opened store; its frames are pages of a file, read when touched, shared by all processes.

    Attributes:
        folder: where it is.
        frames: (rows, V, 3) float16 or float32; row 0 is empty.
        first_row, num_frames, num_persons, labels: (samples,) int64; the label of a sample that has
            none is -1.
        ids: (samples,) str.
        splits: name -> sample numbers, int64, in the order of the annotations.
        dropped: one line for each bad sample that was left out.
        persons_cut: samples of which 3D normalisation kept the first two of more persons.
        scored: the last channel is a score (2D).
        skeleton: the joints of every body.
        findings: what may be wrong with the annotations.
        renamed: one line for each split that is left out, or whose ids were replaced by those of
            their samples.
        digests: (samples,) int64, alike where the key points are, 0 where there are none; None of
            an older store, or one in memory.
    """

    folder: Path
    frames: Tensor
    first_row: Tensor
    num_frames: Tensor
    num_persons: Tensor
    labels: Tensor
    ids: NDArray[np.str_]
    splits: dict[str, Tensor]
    dropped: list[str]
    persons_cut: int
    scored: bool
    skeleton: Skeleton
    findings: list[Finding] = field(default_factory=list[Finding])
    renamed: list[str] = field(default_factory=list[str])
    digests: Tensor | None = None

    def last_rows(self) -> Tensor:
        """(1 + persons of all samples,) int64: row 0, and the last row of each person."""
        sample = torch.arange(len(self.labels)).repeat_interleave(self.num_persons)
        begins = self.num_persons.cumsum(0) - self.num_persons
        person = torch.arange(len(sample)) - begins[sample]
        last = self.first_row[sample] + (person + 1) * self.num_frames[sample] - 1
        return torch.cat([last.new_zeros(1), last])

    def split(self, name: str) -> Tensor:
        """Sample numbers of the split `name`, or BadInput with the nearest names."""
        split_ids(Annotations([], {split: [] for split in self.splits}), name)  # or raise
        return self.splits[name]

    def divided(self) -> Divided:
        """What is judged of the splits."""
        splits = {name: numbers.numpy() for name, numbers in self.splits.items()}
        digests = None if self.digests is None else self.digests.numpy()
        return Divided(self.ids, self.labels.numpy(), splits, digests)

    def __reduce__(self) -> tuple[Any, ...]:
        """Send another process the path, not gigabytes of frames."""
        return open_store, (self.folder,)


def open_or_build(
    annotations: str | Path, spec: StoreSpec, root: str | Path, watch: Watch | None = None
) -> Store:
    """Open the store of these annotations under `root`, after building it if there is none.

    Args:
        annotations: file or folder that `spec.source` reads.
        spec: how it is read, checked and normalised.
        root: folder of all stores; made if absent.
        watch: is told how the building goes.

    Raises:
        FileNotFoundError: there is neither a store nor the annotations to build it from.
        BadInput: the annotations are wrong, or there is no space for the store.

    Examples:
        >>> from stgcn_lightning import skeleton_named
        >>> spec = StoreSpec(skeleton_named("coco17"), "2d", normalise="2d", classes=12)
        >>> store = open_or_build(annotations, spec, folder)
        >>> len(store.ids), [*store.splits]
        (24, ['train', 'val'])
    """
    annotations, root = Path(annotations), Path(root)
    text = json.dumps([str(annotations.resolve()), spec.describe()], sort_keys=True)
    folder = root / f"{annotations.stem}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
    if is_current(folder, annotations, spec.source):
        return open_store(folder)
    if not annotations.exists():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(annotations))
    with explaining_where(root):
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / f".{folder.name}.lock"):
            # another process may have built it meanwhile
            if not is_current(folder, annotations, spec.source):
                _build(folder, annotations, spec, watch or Watch())
    return open_store(folder)


def open_store(folder: Path) -> Store:
    """Map the arrays of a finished store into memory; nothing is read but the manifest."""
    manifest = json.loads((folder / "manifest.json").read_text())
    samples = np.load(folder / "samples.npy")
    flat = np.load(folder / "splits.npy", mmap_mode="c")
    digests = folder / "digests.npy"
    # mode "c" (copy on write) gives torch the writable memory it wants and never touches the file
    frames = np.memmap(
        folder / "frames.bin", manifest["dtype"], "c", shape=tuple(manifest["shape"])
    )

    return Store(
        folder=folder,
        frames=torch.as_tensor(frames),
        ids=np.load(folder / "ids.npy", mmap_mode="r"),
        splits={
            name: torch.as_tensor(flat[start:stop])
            for name, (start, stop) in manifest["splits"].items()
        },
        dropped=manifest["dropped"],
        persons_cut=manifest["persons_cut"],
        scored=manifest["dimension"] == "2d",
        skeleton=Skeleton.from_dict(manifest["skeleton"]),
        # a store of which the annotations are gone may be older than these
        findings=[Finding(**finding) for finding in manifest.get("findings", [])],
        renamed=manifest.get("renamed", []),
        digests=torch.as_tensor(np.load(digests, mmap_mode="c")) if digests.exists() else None,
        **_columns(samples),
    )


def is_current(folder: Path, annotations: Path, source: Source) -> bool:
    """Whether `folder` is a finished store of these annotations, and of their reader, as they are.

    A store whose annotations have been moved away is still good.
    """
    try:
        manifest = json.loads((folder / "manifest.json").read_text())
        rows, joints, channels = manifest["shape"]
        size = rows * joints * channels * np.dtype(manifest["dtype"]).itemsize
        if (folder / "frames.bin").stat().st_size != size or not _beside_are(manifest):
            return False
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError):
        return False  # absent, or damaged since
    return not annotations.exists() or fingerprint(annotations, source).items() <= manifest.items()


def _beside_are(manifest: dict[str, Any]) -> bool:
    """Whether the files that held arrays besides the annotations are as they were, or gone."""
    files: dict[str, list[int]] = manifest.get("beside", {})
    return all(as_it_is(path) in (None, was) for path, was in files.items())


def fingerprint(annotations: Path, source: Source) -> dict[str, int | str]:
    """What changes when an annotation file, the files in such a folder, or their reader change."""
    files = [path for path in annotations.rglob("*") if path.is_file()]  # of a folder
    stats = [path.stat() for path in files or [annotations]]
    found: dict[str, int | str] = {
        "source_bytes": sum(stat.st_size for stat in stats),
        "source_changed_ns": max(stat.st_mtime_ns for stat in stats),
        "judged": JUDGED,
    }
    if files:
        found["source_files"] = len(files)
    if source.version:
        found["source_version"] = source.version
    return found


def _build(folder: Path, annotations: Path, spec: StoreSpec, watch: Watch) -> None:
    """Replace `folder` by a finished store; after an error everything is as before."""
    source = fingerprint(annotations, spec.source)
    building, old = (folder.with_name(folder.name + suffix) for suffix in (".building", ".old"))
    _remove(building, old)  # what a killed process left
    try:
        fault = None
        try:
            build(building, annotations, spec, spec.describe() | source, watch)
        except BadInput as error:
            fault = error
        # arrays are read from where they were in the files, at first
        changed = (
            spec.source.read_in_place
            and annotations.exists()
            and fingerprint(annotations, spec.source) != source
        )
        if not changed and not fault:
            changed = not _beside_are(json.loads((building / "manifest.json").read_text()))
        if changed:
            raise BadInput(f"{annotations} changed while it was read: start again") from fault
        if fault:
            raise fault
        if folder.exists():
            folder.rename(old)
        building.rename(folder)
    finally:
        _remove(building, old)


def store_in_memory(samples: Sequence[Sample], spec: StoreSpec) -> Store:
    """A store of a few samples that no file holds: what a model answers for, not what it learns.

    Args:
        samples: of at least one frame and person each; labels need not mean anything.
        spec: how the samples are checked and normalised; its source is not asked.

    Raises:
        BadInput: a sample is not what `spec` says.
    """
    checked, dropped = check_annotations(
        Annotations(list(samples), {}),
        skeleton=spec.skeleton,
        classes=spec.classes,
        dimension=spec.dimension,
        on_bad_sample=spec.on_bad_sample,
        missing=spec.missing,
        max_frames=spec.max_frames,
    )
    empty = empty_frame(checked.samples, spec)
    bodies = list(bodies_of(checked.samples, spec, empty.dtype))
    table, persons_cut = table_of(checked.samples, [one.shape[:2] for one in bodies], spec)
    flat = [frames for body in bodies for frames in body]  # of one person each
    return Store(
        folder=Path(),
        frames=torch.as_tensor(np.concatenate([empty[None], *flat])),
        ids=np.array([sample.id for sample in checked.samples], dtype=np.str_),
        splits={},
        dropped=dropped,
        persons_cut=persons_cut,
        scored=spec.dimension == "2d",
        skeleton=spec.skeleton,
        **_columns(table),
    )


def _columns(table: NDArray[Any]) -> dict[str, Any]:
    """The attributes of a `Store` that stand in its table of samples."""
    fields = {"first_row": "first_row", "num_frames": "frames", "num_persons": "persons"}
    fields["labels"] = "label"
    return {name: torch.as_tensor(table[of].astype(np.int64)) for name, of in fields.items()}


def _remove(*folders: Path) -> None:
    for folder in folders:
        if folder.exists():
            shutil.rmtree(folder)
