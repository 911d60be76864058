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
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from numpy.typing import NDArray
from torch import Tensor

from stgcn_lightning.data.checks import COORDINATES, check_annotations, split_ids
from stgcn_lightning.data.ids import find_samples
from stgcn_lightning.data.missing import without_missing
from stgcn_lightning.data.normalise import normalise
from stgcn_lightning.data.overlaps import UNLABELLED, Divided
from stgcn_lightning.data.plausible import Finding, Surveyed, judge
from stgcn_lightning.data.spec import StoreSpec
from stgcn_lightning.data.survey import Survey
from stgcn_lightning.errors import BadInput
from stgcn_lightning.files.writing import explaining_where
from stgcn_lightning.skeleton import Skeleton
from stgcn_lightning.sources.annotations import Annotations, Sample
from stgcn_lightning.sources.registry import Source

JUDGED = 1  # version of what is judged of annotations: a store is built again when it changes
CHANNELS = 3
SAMPLE_FIELDS = np.dtype(
    [("first_row", "<i8"), ("frames", "<i4"), ("persons", "<i4"), ("label", "<i8")]
)


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


def open_or_build(annotations: str | Path, spec: StoreSpec, root: str | Path) -> Store:
    """Open the store of these annotations under `root`, after building it if there is none.

    Args:
        annotations: file or folder that `spec.source` reads.
        spec: how it is read, checked and normalised.
        root: folder of all stores; made if absent.

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
                _build(folder, annotations, spec)
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
        if (folder / "frames.bin").stat().st_size != size:
            return False
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError):
        return False  # absent, or damaged since
    return not annotations.exists() or fingerprint(annotations, source).items() <= manifest.items()


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


def _build(folder: Path, annotations: Path, spec: StoreSpec) -> None:
    """Replace `folder` by a finished store; after an error everything is as before."""
    source = fingerprint(annotations, spec.source)  # before reading: a later change is then noticed
    found, renamed = find_samples(spec.source.annotations(annotations))
    checked, dropped = check_annotations(
        found,
        skeleton=spec.skeleton,
        classes=spec.classes,
        dimension=spec.dimension,
        on_bad_sample=spec.on_bad_sample,
        missing=spec.missing,
        max_frames=spec.max_frames,
    )
    building, old = (folder.with_name(folder.name + suffix) for suffix in (".building", ".old"))
    _remove(building, old)  # what a killed process left
    try:
        said = {"dropped": dropped, "renamed": renamed}
        _write(building, checked, spec, spec.describe() | source | said)
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
    empty = _empty_frame(checked.samples, spec)
    bodies = list(_bodies(checked.samples, spec, empty.dtype))
    table, persons_cut = _table(checked.samples, [one.shape[:2] for one in bodies], spec)
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


def _empty_frame(samples: Sequence[Sample], spec: StoreSpec) -> NDArray[np.floating[Any]]:
    """Row 0, in the type in which frames are stored."""
    stored = {array.dtype for s in samples for array in (s.keypoint, s.score) if array is not None}
    half = spec.normalise != "3d" and stored == {np.dtype(np.float16)}
    return np.zeros((spec.skeleton.num_joints, CHANNELS), np.float16 if half else np.float32)


def _bodies(
    samples: Sequence[Sample], spec: StoreSpec, dtype: np.dtype[Any]
) -> Iterator[NDArray[np.floating[Any]]]:
    """The normalised frames (M, T, V, C) of checked samples, one after the other."""
    for sample in samples:
        with np.errstate(over="ignore"):
            bodies = np.ascontiguousarray(_normalised(sample, spec), dtype)
        if not np.isfinite(bodies).all():
            raise BadInput(
                f"sample {sample.id!r} has coordinates too large for {dtype}, in which "
                "they are stored: give pixels (2D) or metres (3D)"
            )
        yield bodies


def _table(
    samples: Sequence[Sample], shapes: Sequence[tuple[int, int]], spec: StoreSpec
) -> tuple[NDArray[Any], int]:
    """The table of samples whose bodies have these shapes, and of how many persons were cut."""
    table = np.zeros(len(samples), SAMPLE_FIELDS)
    rows, cut = 1, 0
    for entry, sample, (persons, frames) in zip(table, samples, shapes, strict=True):
        entry["first_row"] = rows
        entry["label"] = UNLABELLED if sample.label is None else sample.label
        entry["persons"], entry["frames"] = persons, frames
        rows += persons * frames
        cut += int(spec.normalise == "3d" and len(sample.keypoint) > persons >= 2)
    return table, cut


def _write(
    folder: Path, annotations: Annotations, spec: StoreSpec, manifest: dict[str, Any]
) -> None:
    folder.mkdir()
    samples = annotations.samples
    empty = _empty_frame(samples, spec)
    need = empty.nbytes * sum(s.keypoint.shape[0] * s.keypoint.shape[1] for s in samples)
    if need > shutil.disk_usage(folder).free:
        raise OSError(errno.ENOSPC, f"it needs {need / 1e9:.1f} GB")

    with (folder / "frames.bin").open("wb") as file:
        file.write(empty.data)
        shapes: list[tuple[int, int]] = []
        survey = Survey(
            len(empty),
            COORDINATES[spec.dimension],
            pictures=spec.normalise == "2d",
            samples=len(samples),
        )
        for sample, bodies in zip(samples, _bodies(samples, spec, empty.dtype), strict=True):
            file.write(bodies.data)
            shapes.append(bodies.shape[:2])
            survey.add(sample)
    counts = survey.counts()
    ids = [sample.id for sample in samples]
    findings = judge(Surveyed(survey, counts, ids, spec))
    table, persons_cut = _table(samples, shapes, spec)
    rows = 1 + sum(persons * frames for persons, frames in shapes)

    position = {id: i for i, id in enumerate(ids)}
    # a split is read in the order of the annotations, as the reference does
    numbers = [[position[i] for i in split_ids(annotations, name)] for name in annotations.splits]
    ends = np.cumsum([len(split) for split in numbers]).tolist()
    np.save(folder / "samples.npy", table)
    np.save(folder / "ids.npy", np.array(ids, dtype=np.str_))
    np.save(folder / "digests.npy", counts["digest"])
    np.save(folder / "splits.npy", np.array([i for split in numbers for i in split], np.int64))
    manifest = manifest | {
        "dtype": str(empty.dtype),
        "shape": [rows, *empty.shape],
        "persons_cut": persons_cut,
        "findings": [asdict(finding) for finding in findings],
        "splits": {
            name: [end - len(split), end]
            for name, split, end in zip(annotations.splits, numbers, ends, strict=True)
        },
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    for path in folder.iterdir():  # on the disk before the folder takes its name
        with path.open("r+b") as file:
            os.fsync(file.fileno())


def _normalised(sample: Sample, spec: StoreSpec) -> NDArray[np.floating[Any]]:
    if spec.normalise == "2d" and sample.img_shape is None:
        raise BadInput(
            f"sample {sample.id!r} has no img_shape, to which benchmark.normalise=2d scales key "
            "points; give (height, width) in pixels, or set benchmark.normalise=none"
        )
    known = without_missing(sample, spec.missing)
    bodies = normalise(
        known.keypoint,
        known.score,
        mode=spec.normalise,
        img_shape=sample.img_shape,
        joints=spec.skeleton.normalise,
    )
    if spec.dimension == "3d" and len(bodies) > 1:
        # An absent person is all zero in 3D, as padding is: trailing ones are not kept. In 2D a
        # normalised absent person is at the corner (-1, -1), so all stored persons are kept.
        bodies = bodies[: max(np.flatnonzero(bodies.any(axis=(1, 2, 3))), default=0) + 1]
    return bodies


def _remove(*folders: Path) -> None:
    for folder in folders:
        if folder.exists():
            shutil.rmtree(folder)
