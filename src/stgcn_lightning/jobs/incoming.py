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
from stgcn_lightning.sources.joint_names import concepts
from stgcn_lightning.sources.mapping import mapped
from stgcn_lightning.sources.mmaction2 import read_annotations
from stgcn_lightning.sources.recordings import Reading, Recording

PICKLES = (".pkl", ".pickle")


class Fault(NamedTuple):
    """A recording or file that cannot be answered for, and why, in a sentence."""

    name: str
    reason: str


def asked_in(
    source: Path, reading: Reading, judges: Judges, *, split: str | None, map_to: str | None
) -> Iterator[Asked | Fault]:
    """Recordings of a file or folder, one after the other, each read when its turn comes.

    Args:
        source: a file; a folder, whose files are read one by one; annotations (.pkl).
        reading: what the user says about the files.
        judges: whose joints the recordings get.
        split: of annotations; None: all samples.
        map_to: name of the judges' skeleton, to impute joints that recordings lack.

    Raises:
        BadInput: there is nothing at `source`, it is one file that cannot be read, or the judges
            have another skeleton than `map_to`.
    """
    skeleton = judges.skeleton
    if map_to not in (None, skeleton.name):
        raise BadInput(
            f"map={map_to} is not the skeleton that the checkpoint sees: set map={skeleton.name}"
        )
    if not source.exists():
        raise BadInput(f"there is no file {source}: give key points, source=FILE or a folder")
    if source.suffix in PICKLES:
        yield from _annotated(source, judges, split)
        return
    if split is not None:
        raise BadInput(f"split={split} is one of annotations, and {source} are none: leave it out")
    if not source.is_dir():
        for recording in read_recordings(source, reading):
            yield asked(recording, skeleton, map_always=map_to is not None)
        return
    for file in files_below(source):
        name = str(file.relative_to(source))
        try:
            for recording in read_recordings(file, reading):
                inside = replace(recording, id=_inside(source, file, recording.id))
                yield asked(inside, skeleton, map_always=map_to is not None)
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


def asked(recording: Recording, skeleton: Skeleton, *, map_always: bool = False) -> Asked:
    """A recording with the joints of a skeleton.

    Args:
        recording: settled.
        skeleton: what the checkpoint sees.
        map_always: impute joints that the recording lacks; else only joints that are all there are
            put in order.

    Raises:
        BadInput: it has other joints.
    """
    V = len(recording.joints)
    if recording.joints != skeleton.joints:
        unnamed = recording.joints == tuple(str(i) for i in range(V))
        if unnamed and skeleton.num_joints == V:
            said = f"{recording.id} does not name its joints: taken for those of {skeleton.name}"
            recording = replace(recording, remarks=(*recording.remarks, said))
        elif map_always or _all_there(recording, skeleton):
            recording = mapped(recording, skeleton)
        else:
            raise BadInput(
                f"{recording.id} has {V} joints ({recording.skeleton or 'of no known skeleton'}), "
                f"not all of the {skeleton.num_joints} of {skeleton.name} among them, which the "
                f"checkpoint sees: map={skeleton.name} makes the others of those near them"
            )
    return Asked(
        recording.sample(),
        fps=recording.fps,
        persons=recording.persons,
        remarks=recording.remarks,
        up=recording.y == "up",
    )


def _all_there(recording: Recording, skeleton: Skeleton) -> bool:
    """Whether a recording has every joint of a skeleton, by its name."""
    found = set(concepts(recording.joints, recording.skeleton))
    return found.issuperset(concepts(skeleton.joints, skeleton.name))


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
        # y grows upwards in NTU RGB+D's space, which the 3D samples of these files are in
        solid = judges.first.dimension == "3d"
        yield Asked(sample, label=label_of(sample.label, judges.classes), up=solid)


def label_of(label: int | None, classes: list[str]) -> str | None:
    """The name of a class by its number; the number where it is none of these classes."""
    if label is None:
        return None
    return classes[label] if 0 <= label < len(classes) else str(label)


def reading_of(said: Mapping[str, object]) -> Reading:
    """What the user says about files, as `sources` takes it."""
    return Reading(**said)  # pyright: ignore[reportArgumentType]
