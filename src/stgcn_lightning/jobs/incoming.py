"""What the predict door answers for: recordings of files, folders, annotations.

Axes: M persons, T frames, V joints, C coordinates.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from stgcn_lightning.data.checks import split_ids
from stgcn_lightning.errors import BadInput
from stgcn_lightning.jobs.judging import Judges
from stgcn_lightning.jobs.pieces import Asked
from stgcn_lightning.skeleton import Skeleton
from stgcn_lightning.sources.formats import read_recordings
from stgcn_lightning.sources.mmaction2 import read_annotations
from stgcn_lightning.sources.recordings import Reading, Recording

PICKLES = (".pkl", ".pickle")


class Fault(NamedTuple):
    """A recording or file that cannot be answered for, and why, in a sentence."""

    name: str
    reason: str


def asked_in(
    source: Path, reading: Reading, judges: Judges, split: str | None
) -> Iterator[Asked | Fault]:
    """Recordings of a file or folder, one after the other, each read when its turn comes.

    Args:
        source: a file; a folder, whose files are read one by one; annotations (.pkl).
        reading: what the user says about the files.
        judges: whose joints the recordings get.
        split: of annotations; None: all samples.

    Raises:
        BadInput: there is nothing at `source`, or it is one file that cannot be read.
    """
    if not source.exists():
        raise BadInput(f"there is no file {source}: give key points, source=FILE or a folder")
    if source.suffix in PICKLES:
        yield from _annotated(source, judges, split)
        return
    if split is not None:
        raise BadInput(f"split={split} is one of annotations, and {source} are none: leave it out")
    if not source.is_dir():
        for recording in read_recordings(source, reading):
            yield asked(recording, judges.skeleton)
        return
    for file in files_below(source):
        name = str(file.relative_to(source))
        try:
            for recording in read_recordings(file, reading):
                inside = replace(recording, id=_inside(source, file, recording.id))
                yield asked(inside, judges.skeleton)
        except BadInput as error:
            yield Fault(name, str(error))


def files_below(folder: Path) -> Iterator[Path]:
    """Files of a folder and the folders in it, in the order of their names, without hidden ones.

    Raises:
        BadInput: there are none.
    """
    any_file = False
    for above, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith("."):
                any_file = True
                yield Path(above) / name
    if not any_file:
        raise BadInput(f"{folder} holds no files: give a folder of key points")


def asked(recording: Recording, skeleton: Skeleton) -> Asked:
    """A recording with the joints of a skeleton.

    Raises:
        BadInput: it has other joints.
    """
    remarks = list(recording.remarks)
    if recording.joints != skeleton.joints:
        if len(recording.joints) != skeleton.num_joints or not _unnamed(recording):
            raise BadInput(
                f"{recording.id} has {len(recording.joints)} joints "
                f"({recording.skeleton or 'of no known skeleton'}), where the checkpoint sees the "
                f"{skeleton.num_joints} of {skeleton.name}: map them with map={skeleton.name}, or "
                "make key points of these joints"
            )
        remarks.append(
            f"{recording.id} does not name its joints: taken for those of {skeleton.name}"
        )
    return Asked(
        recording.sample(),
        fps=recording.fps,
        persons=recording.persons,
        remarks=tuple(remarks),
    )


def _unnamed(recording: Recording) -> bool:
    return recording.joints == tuple(str(i) for i in range(len(recording.joints)))


def _inside(folder: Path, file: Path, id: str) -> str:
    above = file.relative_to(folder).parent
    return id if above == Path() else f"{above}/{id}"


def _annotated(source: Path, judges: Judges, split: str | None) -> Iterator[Asked]:
    annotations = read_annotations(source)
    samples = annotations.samples
    if split is not None:
        wanted = set(split_ids(annotations, split))
        samples = [sample for sample in samples if sample.id in wanted]
    for sample in samples:
        yield Asked(sample, label=label_of(sample.label, judges.classes))


def label_of(label: int | None, classes: list[str]) -> str | None:
    """The name of a class by its number; the number where it is none of these classes."""
    if label is None:
        return None
    return classes[label] if 0 <= label < len(classes) else str(label)


def reading_of(said: Mapping[str, object]) -> Reading:
    """What the user says about files, as `sources` takes it."""
    return Reading(**said)  # pyright: ignore[reportArgumentType]
