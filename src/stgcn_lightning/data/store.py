"""Annotations, checked and normalised once, as flat memory-mapped arrays that every process shares.

A store is a folder:

    manifest.json   version, what it was built of, shapes, splits, dropped samples, findings; sizes
                    and digests of the other files
    frames.bin      (rows, V, 3): the frames of all samples and persons end to end, person by person
                    within a sample; row 0 is an empty frame, which stands for an absent person
    portions.npy    digests of the frames, for each portion of them
    samples.npy     per sample: first row, frames, persons, label
    ids.npy         per sample: its name
    digests.npy     per sample: a number that differs for other key points, 0 where there are none
    splits.npy      sample numbers of all splits, one after the other

Frames are float16 if all arrays of the annotations are, otherwise float32. A store is built under a
lock in a folder of another name and renamed, so that no process opens an incomplete store. It is
built again when the content of the annotations changed, and when it is damaged: see `parts`.
"""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stgcn_lightning.data.annotated import CONTENT, STATE, beside_are, content_of, fingerprint
from stgcn_lightning.data.building import Watch, build, empty_frame, table_of
from stgcn_lightning.data.checks import check_annotations, split_ids
from stgcn_lightning.data.overlaps import Divided
from stgcn_lightning.data.parts import (
    MANIFEST,
    DamagedStore,
    Parts,
    changed_rows,
    columns_of,
    opened,
    seal,
    write_manifest,
)  # fmt: skip
from stgcn_lightning.data.plausible import Finding
from stgcn_lightning.data.portions import bodies_of
from stgcn_lightning.data.spec import StoreSpec
from stgcn_lightning.errors import BadInput
from stgcn_lightning.files.locks import alone
from stgcn_lightning.files.writing import explaining_where
from stgcn_lightning.skeleton import Skeleton
from stgcn_lightning.sources.annotations import Annotations, Sample
from stgcn_lightning.sources.registry import Source

ASIDE = (".building", ".old")  # what folders are called while a store is built or replaced


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
        renamed: remarks of the source, and one line for each split that is left out, or whose ids
            were replaced by those of their samples.
        digests: (samples,) int64, alike where the key points are, 0 where there are none; None of
            an older store, or one in memory.
        portions: digests of the frames, see `parts`; None of an older store, or one in memory.
        build: a digest of all that the store holds; empty of an older one, or in memory.
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
    portions: NDArray[Any] | None = None
    build: str = ""

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

    def verify(self) -> int:
        """Read all frames from the disk; returns how many rows were compared with what was written.

        Those of an older store, and in memory, cannot be compared.

        Raises:
            DamagedStore: some are not what was written, with the samples that they belong to.
        """
        if self.portions is None:
            return 0
        row = self.frames[0].numel() * self.frames.element_size()
        try:
            changed = list(changed_rows(self.folder, self.portions, row))
        except OSError as error:
            raise DamagedStore(
                self.folder, f"its frames cannot be read: {error.strerror}"
            ) from error
        if changed:
            first, lasts = self.first_row, self.first_row + self.num_persons * self.num_frames
            hit = [(first < stop) & (lasts > start) for start, stop in changed]
            numbers = torch.stack(hit).any(0).nonzero().flatten()
            whose = "absent persons"
            if len(numbers):
                whose = f"{len(numbers)} of {len(self.ids)} samples, or of those beside them,"
                whose += f" (e.g. {str(self.ids[numbers[0]])!r})"
            raise DamagedStore(self.folder, f"the frames of {whose} are not what was written")
        return len(self.frames)

    def __reduce__(self) -> tuple[Any, ...]:
        """Send another process the path, not gigabytes of frames; it opens this store or none."""
        return open_store, (self.folder, self.build)


def open_or_build(
    annotations: str | Path,
    spec: StoreSpec,
    root: str | Path,
    watch: Watch | None = None,
    *,
    verify: bool = False,
) -> Store:
    """Open the store of these annotations under `root`, after building it if there is none.

    Args:
        annotations: file or folder that `spec.source` reads.
        spec: how it is read, checked and normalised.
        root: folder of all stores; made if absent.
        watch: is told how the building goes.
        verify: compare all frames with what was written, which takes as long as reading them.

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
    watch = watch or Watch()
    try:
        text = json.dumps([str(annotations.resolve()), spec.describe()], sort_keys=True)
    except (OSError, RuntimeError) as error:  # RuntimeError before Python 3.13
        raise BadInput(f"annotations {annotations} cannot be found: {error}") from None
    folder = root / f"{annotations.stem}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
    store, damage = _current(folder, annotations, spec.source, verify=verify)
    if store:
        return store
    if not annotations.exists() and not any(map(os.path.exists, _aside(folder))):
        raise _nothing_to_build_of(annotations, damage)
    with explaining_where(root):
        root.mkdir(parents=True, exist_ok=True)
        with alone(folder, watch.remark):
            _recover(folder)
            # another process may have built it meanwhile
            store, damage = _current(folder, annotations, spec.source, verify=verify)
            if not store and annotations.exists():
                if damage:
                    watch.remark(f"{damage.what}: it is built again")
                _build(folder, annotations, spec, watch)
                store = open_store(folder)
                if verify:
                    store.verify()
    if not store:
        raise _nothing_to_build_of(annotations, damage)
    return store


def open_store(folder: Path, build: str | None = None) -> Store:
    """Map the frames of a finished store into memory, and read and check the rest of it.

    Args:
        folder: of the store.
        build: of the store that is meant; None: whichever is there.

    Raises:
        FileNotFoundError: there is none.
        DamagedStore: its files are not what was written, or do not fit together.
        BadInput: the store was built again since.
    """
    store = _store_of(folder, opened(folder))
    if build is not None and store.build != build:
        raise BadInput(
            f"the store {folder} was built again while it was in use, of other annotations: start "
            "again, resume=auto goes on from the last checkpoint"
        )
    return store


def _store_of(folder: Path, parts: Parts) -> Store:
    manifest = parts.manifest
    return Store(
        folder=folder,
        frames=torch.as_tensor(parts.frames),
        ids=parts.ids,
        splits={name: torch.as_tensor(numbers) for name, numbers in parts.splits.items()},
        dropped=manifest["dropped"],
        persons_cut=manifest["persons_cut"],
        scored=manifest["dimension"] == "2d",
        skeleton=parts.skeleton,
        findings=[Finding(**finding) for finding in manifest["findings"]],
        renamed=manifest["renamed"],
        digests=None if parts.digests is None else torch.as_tensor(parts.digests),
        portions=parts.portions,
        build=manifest["build"],
        **_tensors(parts.columns),
    )


def _nothing_to_build_of(annotations: Path, damage: DamagedStore | None) -> Exception:
    if damage is None:
        return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(annotations))
    return BadInput(
        f"{damage.what}, and {annotations}, of which it was built, is not there: put it back, and "
        "the store is built again"
    )


def _current(
    folder: Path, annotations: Path, source: Source, *, verify: bool
) -> tuple[Store | None, DamagedStore | None]:
    """The finished store of annotations as they are, and of their reader, or what is wrong with it.

    A store whose annotations have been moved away is still good.
    """
    try:
        parts = opened(folder)
        store = _store_of(folder, parts)
        if verify:
            store.verify()
    except FileNotFoundError:
        return None, None
    except DamagedStore as error:
        return None, error
    if not beside_are(parts.manifest):
        return None, None
    if not annotations.exists():
        return store, None
    now = fingerprint(annotations, source)
    if now.items() <= parts.manifest.items():
        return store, None
    alike = (now | {STATE: ""}).items() <= (parts.manifest | {STATE: ""}).items()
    if not alike or content_of(annotations) != parts.manifest.get(CONTENT):
        return None, None
    with suppress(BadInput, OSError):  # they were copied or touched, which need not be found again
        write_manifest(folder, parts.manifest | now)
    return store, None


def _build(folder: Path, annotations: Path, spec: StoreSpec, watch: Watch) -> None:
    """Replace `folder` by a finished store; after an error everything is as before."""
    source = fingerprint(annotations, spec.source)
    building, old = _aside(folder)
    _remove(building, old)  # what a killed process left
    try:
        fault, manifest = None, dict[str, Any]()
        try:
            manifest = build(building, annotations, spec, spec.describe() | source, watch)
            with suppress(OSError):
                manifest[CONTENT] = content_of(annotations)
        except BadInput as error:
            fault = error
        changed = fingerprint(annotations, spec.source) != source
        if changed:
            manifest[CONTENT] = None  # it may be of what came after that which was read
        # arrays are read from where they were in the files, at first
        changed = changed and spec.source.read_in_place and annotations.exists()
        if changed or (not fault and not beside_are(manifest)):
            raise BadInput(f"{annotations} changed while it was read: start again") from fault
        if fault:
            raise fault
        seal(building, manifest)
        if folder.exists():
            folder.rename(old)
        building.rename(folder)
    finally:
        _remove(building, old)


def _aside(folder: Path) -> tuple[Path, Path]:
    """Where a store is built, and where the one before lies while the new one takes its name."""
    building, old = (folder.with_name(f"{folder.name}{suffix}") for suffix in ASIDE)
    return building, old


def _recover(folder: Path) -> None:
    """Give a finished store its name, if a process was killed just before it did."""
    for aside in _aside(folder):
        if not folder.exists() and (aside / MANIFEST).exists():
            with suppress(DamagedStore):
                open_store(aside)
                aside.rename(folder)


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
        **_tensors(columns_of(table)),
    )


def _tensors(columns: dict[str, NDArray[np.int64]]) -> dict[str, Any]:
    return {name: torch.as_tensor(column) for name, column in columns.items()}


def _remove(*folders: Path) -> None:
    for folder in folders:
        if folder.is_dir() and not folder.is_symlink():
            shutil.rmtree(folder)
        else:
            folder.unlink(missing_ok=True)
