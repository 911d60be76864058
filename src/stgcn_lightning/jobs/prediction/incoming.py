"""What the predict door answers for: recordings of files, folders, annotations.

Axes: M persons, T frames, V joints, C coordinates.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from stgcn_lightning.data.checks import split_ids
from stgcn_lightning.errors import BadInput
from stgcn_lightning.jobs.prediction.judging import Judges
from stgcn_lightning.jobs.prediction.pieces import Asked
from stgcn_lightning.skeleton import Skeleton
from stgcn_lightning.sources.concepts import concepts
from stgcn_lightning.sources.formats import find_recordings, read_found, read_recordings, read_text
from stgcn_lightning.sources.mapping import mapped
from stgcn_lightning.sources.mmaction2 import read_annotations
from stgcn_lightning.sources.recordings import Reading, Recording

PICKLES = (".pkl", ".pickle")


class Fault(NamedTuple):
    """A recording or file that cannot be answered for, and why, in a sentence."""

    name: str
    reason: str


class Incoming:
    """Recordings of a source, one after the other, each read when its turn comes.

    Args:
        judges: whose joints the recordings get.
        reading: what the user says about the files.
        split: of annotations; None: all samples.
        map_to: name of the judges' skeleton, to impute joints that recordings lack.

    Raises:
        BadInput: the judges have another skeleton than `map_to`.
    """

    def __init__(self, judges: Judges, reading: Reading, *, split: str | None, map_to: str | None):
        self.judges, self.reading, self.split = judges, reading, split
        self.imputing = map_to is not None
        skeleton = judges.skeleton.name
        if map_to not in (None, skeleton):
            raise BadInput(
                f"map={map_to} is not the skeleton that the checkpoint sees: set map={skeleton}"
            )

    def at(self, source: Path) -> Iterator[Asked | Fault]:
        """Those of a file, a folder of files, or annotations (.pkl).

        Raises:
            BadInput: there is nothing, or it is one file that cannot be read.
        """
        if not source.exists():
            raise BadInput(f"there is no file {source}: give key points, source=FILE or a folder")
        if source.suffix in PICKLES and self.reading.format in ("auto", "annotations"):
            yield from self._annotated(source)
            return
        if self.split is not None:
            raise BadInput(
                f"split={self.split} is one of annotations, and {source} are none: leave it out"
            )
        if not source.is_dir():
            yield from self._each(read_recordings(source, self.reading))
            return
        refused: list[Fault] = []
        names: set[str] = set()

        def refuse(path: Path, error: BadInput) -> None:
            refused.append(Fault(str(path.relative_to(source)), str(error)))

        for found in find_recordings(source, self.reading, refuse):
            yield from refused
            refused.clear()
            name = str(found.path.relative_to(source))
            try:
                for recording in read_found(found, self.reading, source):
                    yield self._asked(self._named_once(recording, found.path.suffix, names))
            except BadInput as error:
                yield Fault(name, str(error))
        yield from refused

    def _named_once(self, recording: Recording, ending: str, names: set[str]) -> Recording:
        """A recording whose name no other has: a.json and a.npz are `a` and `a.npz`."""
        if recording.id in names:
            before, colon, within = recording.id.partition(":")
            recording = replace(recording, id=f"{before}{ending}{colon}{within}")
        if recording.id in names:
            raise BadInput(f"there are two recordings of the name {recording.id}: rename one")
        names.add(recording.id)
        return recording

    def _each(self, recordings: list[Recording]) -> Iterator[Asked | Fault]:
        """Those of one file or value; of several, one that cannot be used spoils no other."""
        for recording in recordings:
            try:
                one = self._asked(recording)
            except BadInput as error:
                if len(recordings) == 1:
                    raise
                one = Fault(recording.id, str(error))
            yield one

    def from_lines(self, lines: Iterable[bytes]) -> Iterator[Asked | Fault]:
        """Those of JSON Lines, an answer for each before the next is read, or of one JSON value.

        Raises:
            BadInput: they are one JSON value that cannot be read.
        """
        rest = iter(lines)
        first = next((line for line in rest if line.strip()), b"")
        if not first:
            raise BadInput("standard input is empty: write key points to it, source=- < FILE")
        if not _whole(first):  # a value of many lines
            yield from self._each(read_text(first + b"".join(rest), self.reading))
            return
        for number, line in enumerate(chain([first], rest), 1):
            if not line.strip():
                continue
            name = f"line {number}"
            try:
                for recording in read_text(line, self.reading, name):
                    yield self._asked(recording)
            except BadInput as error:
                yield Fault(name, str(error))

    def _annotated(self, source: Path) -> Iterator[Asked]:
        annotations = read_annotations(source)
        samples = annotations.samples
        if self.split is not None:
            wanted = set(split_ids(annotations, self.split))
            samples = [sample for sample in samples if sample.id in wanted]
        for sample in samples:
            # y grows upwards in NTU RGB+D's space, which the 3D samples of these files are in
            solid = self.judges.first.dimension == "3d"
            yield Asked(sample, label=label_of(sample.label, self.judges.classes), up=solid)

    def _asked(self, recording: Recording) -> Asked:
        given, seen = f"{recording.keypoint.shape[-1]}d", self.judges.first.dimension
        if given != seen:
            raise BadInput(
                f"{recording.id} has {given.upper()} key points and the checkpoint sees "
                f"{seen.upper()}: give recordings of the kind that it was trained on"
            )
        return asked(recording, self.judges.skeleton, imputing=self.imputing)


def _whole(line: bytes) -> bool:
    """Whether a line is a JSON value by itself."""
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def asked(recording: Recording, skeleton: Skeleton, *, imputing: bool = False) -> Asked:
    """A recording with the joints of a skeleton.

    Args:
        recording: settled.
        skeleton: what the checkpoint sees.
        imputing: impute joints that the recording lacks; else only joints that are all there are
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
        elif imputing or _all_there(recording, skeleton):
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


def label_of(label: int | None, classes: list[str]) -> str | None:
    """The name of a class by its number; the number where it is none of these classes."""
    if label is None:
        return None
    return classes[label] if 0 <= label < len(classes) else str(label)
