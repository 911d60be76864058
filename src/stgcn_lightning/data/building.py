"""Annotations -> checked -> normalised -> the files of a store, a portion of them at a time.

Samples whose arrays are in a file are read there when it is their turn, by several processes where
there are several processors; no process holds more than its portion.

Axes: M persons, T frames, V joints, C coordinates.
"""

import errno
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from stgcn_lightning.data.checks import check_annotations, split_ids
from stgcn_lightning.data.helpers import MOST, Crew, Ended, cores
from stgcn_lightning.data.ids import find_samples
from stgcn_lightning.data.overlaps import UNLABELLED
from stgcn_lightning.data.parts import CHANNELS, FRAMES, PORTION_FIELDS, SAMPLE_FIELDS
from stgcn_lightning.data.plausible import Surveyed, judge
from stgcn_lightning.data.portions import survey_of
from stgcn_lightning.data.spec import StoreSpec
from stgcn_lightning.errors import BadInput
from stgcn_lightning.files.placed import Placed
from stgcn_lightning.files.unpickling import not_collecting
from stgcn_lightning.sources.annotations import Annotations, Sample

BYTES, SAMPLES = 1 << 22, 1 << 10  # of a portion
FLUSHED = 1 << 28  # bytes after which a file is brought to the disk
ALONE = 1 << 26  # bytes in a file below which helpers would not have begun before all is done
# memory in bytes, measured by scripts/bench/prepare.py
PROCESS, HELPER, SAMPLE = 300e6, 60e6, 2000


@dataclass(frozen=True)
class Plan:
    """What the building of a store takes.

    Attributes:
        samples: how many there are.
        read: bytes of their arrays, as they are in the file or in memory.
        stored: bytes of the store's frames at most.
        memory: bytes that all processes take together, roughly.
        processes: how many prepare samples.
    """

    samples: int
    read: int
    stored: int
    memory: int
    processes: int


class Watch:
    """Is told how the building of a store goes; this one does nothing about it."""

    def remark(self, line: str) -> None:
        """Something that whoever waits should know."""

    def seen(self, done: int, total: int) -> None:
        """So many bytes of the annotations have been looked at."""

    def begin(self, plan: Plan) -> None:
        """The samples are known, and are now prepared."""

    def stored(self, samples: int) -> None:
        """So many more samples have been stored."""


def build(
    folder: Path, annotations: Path, spec: StoreSpec, about: dict[str, Any], watch: Watch
) -> dict[str, Any]:
    """Write the parts of a store into the folder, which is not there yet.

    Args:
        folder: to make.
        annotations: file or folder that `spec.source` reads.
        spec: how it is read, checked and normalised.
        about: what the manifest says of the annotations.
        watch: is told how it goes.

    Returns:
        The manifest, with which `parts.seal` ends it.

    Raises:
        BadInput: the annotations are wrong.
        OSError: the store cannot be written.
    """
    size: int = about["source_bytes"]
    with not_collecting():
        read = spec.source.annotations(annotations, lambda done: watch.seen(done, size))
        found, renamed = find_samples(read)
        plan = plan_of(found.samples, spec)
    beside = {str(path): as_it_is(path) for path in read.beside}
    about = about | {"dropped": [], "renamed": [*read.remarks, *renamed], "beside": beside}
    try:
        # Nearly all annotations are good: each portion is checked when it is prepared.
        return _store(folder, found, lambda _crew, _samples: {}, plan, spec, about, watch)
    except Ended:
        raise
    except BadInput:
        # First everything is checked, which says what is wrong in the order of the checks.
        shutil.rmtree(folder, ignore_errors=True)
        return _store(folder, found, _faults_of, plan, spec, about, watch)


def as_it_is(path: str | Path) -> list[int] | None:
    """What changes when a file changes; None: there is none."""
    try:
        stat = os.stat(path)
    except (OSError, ValueError):  # also of names that no file can have
        return None
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]


FaultsOf = Callable[[Crew, Sequence[Sample]], dict[str, str]]


def _faults_of(crew: Crew, samples: Sequence[Sample]) -> dict[str, str]:
    return {id: fault for part in crew.faults(divided(samples)) for id, fault in part.items()}


def _store(
    folder: Path,
    found: Annotations,
    faults_of: FaultsOf,
    plan: Plan,
    spec: StoreSpec,
    about: dict[str, Any],
    watch: Watch,
) -> dict[str, Any]:
    """Check, and write a store into the folder, see `build`."""
    watch.begin(plan)
    helpers = plan.processes if plan.processes > 1 else 0
    with Crew(helpers, spec, folder / FRAMES) as crew:
        checked, dropped = check_annotations(
            found,
            skeleton=spec.skeleton,
            classes=spec.classes,
            dimension=spec.dimension,
            on_bad_sample=spec.on_bad_sample,
            faults_of=partial(faults_of, crew),
        )
        return _write(folder, checked, crew, spec, about | {"dropped": dropped}, watch)


def divided(samples: Sequence[Sample]) -> list[list[Sample]]:
    """The samples in their order, in portions."""
    portions: list[list[Sample]] = []
    size = BYTES
    for sample in samples:
        if size >= BYTES or len(portions[-1]) == SAMPLES:
            portions.append([])
            size = 0
        portions[-1].append(sample)
        size += sum(array.nbytes for array in _arrays([sample]))
    return portions


def _rows(sample: Sample) -> int:
    """Persons times frames, before it is known that there are such."""
    shape: tuple[int, ...] = getattr(sample.keypoint, "shape", ())
    return shape[0] * shape[1] if len(shape) == 4 else 0


def plan_of(samples: Sequence[Sample], spec: StoreSpec) -> Plan:
    """What it takes to build a store of these samples."""
    arrays = list(_arrays(samples))
    read = sum(one.nbytes for one in arrays)
    in_file = sum(one.nbytes for one in arrays if isinstance(one, Placed))
    helpers = min(cores(), MOST) if in_file >= ALONE and sys.executable else 1
    row = spec.skeleton.num_joints * CHANNELS * _stored_type(samples, spec).itemsize
    memory = PROCESS + SAMPLE * len(samples) + read - in_file + (helpers > 1) * helpers * HELPER
    return Plan(
        samples=len(samples),
        read=read,
        stored=row * sum(map(_rows, samples)),
        memory=int(memory),
        processes=helpers,
    )


def empty_frame(samples: Sequence[Sample], spec: StoreSpec) -> NDArray[np.floating[Any]]:
    """Row 0, in the type in which frames are stored."""
    return np.zeros((spec.skeleton.num_joints, CHANNELS), _stored_type(samples, spec))


def _stored_type(samples: Sequence[Sample], spec: StoreSpec) -> np.dtype[Any]:
    half = {one.dtype for one in _arrays(samples)} == {np.dtype(np.float16)}
    return np.dtype(np.float16 if half and spec.normalise != "3d" else np.float32)


def _arrays(samples: Sequence[Sample]) -> Iterator[np.ndarray | Placed]:
    """The arrays of samples, which need not be checked yet."""
    for sample in samples:
        for array in (sample.keypoint, sample.score):
            if isinstance(array, np.ndarray | Placed):
                yield array


def table_of(
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
        cut += int(spec.normalise.startswith("3d") and sample.keypoint.shape[0] > persons >= 2)
    return table, cut


def _write(
    folder: Path,
    annotations: Annotations,
    crew: Crew,
    spec: StoreSpec,
    about: dict[str, Any],
    watch: Watch,
) -> dict[str, Any]:
    folder.mkdir()
    samples = annotations.samples
    empty = empty_frame(samples, spec)
    need = empty.nbytes * sum(map(_rows, samples))
    if need > shutil.disk_usage(folder).free:
        raise OSError(errno.ENOSPC, f"it may need {need / 1e9:.1f} GB")

    (folder / FRAMES).write_bytes(empty.data)
    survey, shapes = survey_of(spec, len(samples)), list[tuple[int, int]]()
    portions = [(1, xxhash.xxh3_64_intdigest(empty.tobytes()))]
    with _Flushing(folder / FRAMES) as flushing:
        for prepared in crew.store(divided(samples), empty):
            survey.join(prepared.survey)
            shapes += prepared.shapes
            rows = sum(M * T for M, T in prepared.shapes)
            portions.append((portions[-1][0] + rows, prepared.digest))
            flushing.written(empty.nbytes * rows)
            watch.stored(len(prepared.shapes))
    ids = [sample.id for sample in samples]
    counts = survey.counts()
    findings = judge(Surveyed(survey, counts, ids, spec))
    table, persons_cut = table_of(samples, shapes, spec)
    position = {id: i for i, id in enumerate(ids)}
    # a split is read in the order of the annotations, as the reference does
    numbers = [[position[i] for i in split_ids(annotations, name)] for name in annotations.splits]
    ends = np.cumsum([len(split) for split in numbers]).tolist()
    np.save(folder / "samples.npy", table)
    np.save(folder / "ids.npy", np.array(ids, dtype=np.str_))
    np.save(folder / "digests.npy", counts["digest"])
    np.save(folder / "splits.npy", np.array([i for split in numbers for i in split], np.int64))
    np.save(folder / "portions.npy", np.array(portions, PORTION_FIELDS))
    return about | {
        "dtype": str(empty.dtype),
        "shape": [portions[-1][0], *empty.shape],
        "persons_cut": persons_cut,
        "findings": [asdict(finding) for finding in findings],
        "splits": {
            name: [end - len(split), end]
            for name, split, end in zip(annotations.splits, numbers, ends, strict=True)
        },
    }


class _Flushing:
    """Brings a file that grows to the disk meanwhile, which would take long at the end."""

    def __init__(self, path: Path) -> None:
        self.file, self.thread = path.open("rb"), ThreadPoolExecutor(1)
        self.bytes, self.going = 0, self.thread.submit(int)

    def __enter__(self) -> "_Flushing":
        return self

    def __exit__(self, *error: object) -> None:
        self.thread.shutdown()
        self.file.close()
        if error == (None, None, None):
            self.going.result()

    def written(self, size: int) -> None:
        """The file has got so many more bytes.

        Raises:
            OSError: an earlier part of it cannot be brought to the disk.
        """
        self.bytes += size
        if self.bytes >= FLUSHED and self.going.done():
            self.going.result()  # the system says once what went wrong
            self.bytes, self.going = 0, self.thread.submit(os.fsync, self.file.fileno())
