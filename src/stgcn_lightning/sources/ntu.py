"""Official NTU RGB+D `.skeleton` files -> annotations.

A file is text: the number of frames; per frame the number of bodies; per body a line of 10 numbers
(the first is the tracker's id of the body), a line with the number of joints (25), and per joint a
line of 12 numbers, the first three of which are x, y, z in metres in the camera's space.

The tracker gives an id to everything that it mistakes for a body, chairs included, and another id
to a person whom it has lost and found again. Bodies become persons by these rules:

1. A body is all that a file holds under one id. A file with one body is taken as it is.
2. Bodies of at most `SHORTEST` frames are dropped.
3. A frame of a body is noise if the body is wider (x) than `WIDEST` times its height (y); a body of
   whose frames `NOISIEST` or more are noise is dropped.
   Where step 2 or 3 would leave no body, it drops none.
4. The bodies are ordered by motion energy, greatest first: the variance of x, y and z over all
   joints and frames of the body, summed.
5. In this order, a body goes to the first person none of whose bodies overlaps it in time (from its
   first to its last frame), or else is a new person; beyond two persons, or one in an action of a
   single person, it is dropped.

Frames in which a person is not seen are all zero, and no frame is left out. The rules and
their thresholds follow the tools that CTR-GCN's authors published (Chen et al., ICCV 2021,
arXiv:2107.12213). The published annotation files were made by their authors' own tools, so samples
of several bodies may differ from those.

Axes: M persons, T frames, V joints, C coordinates; F frames in which a body is seen.
"""

import hashlib
import json
import multiprocessing
import re
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stgcn_lightning.errors import BadInput
from stgcn_lightning.sources.annotations import Annotations, Sample

VERSION = 1  # of these rules: raise it whenever a file gives another sample
JOINTS = 25
IMG_SHAPE = (1080, 1920)  # height, width of the colour camera
BODY_FIELDS = 10
SHORTEST = 11  # frames
WIDEST = 0.8
NOISIEST = 0.69754
TOGETHER = {*range(50, 61), *range(106, 121)}  # actions of two persons, from 1

# Subjects and cameras of the training splits, from 1: Shahroudy et al., CVPR 2016, section 4.2
# (arXiv:1604.02808), and Liu et al., TPAMI 2020, section 3.2 (arXiv:1905.04757). NTU RGB+D 60 has
# subjects up to 40.
TRAIN_SUBJECTS = {
    1, 2, 4, 5, 8, 9, 13, 14, 15, 16, 17, 18, 19, 25, 27, 28, 31, 34, 35, 38, 45, 46, 47, 49, 50,
    52, 53, 54, 55, 56, 57, 58, 59, 70, 74, 78, 80, 81, 82, 83, 84, 85, 86, 89, 91, 92, 93, 94, 95,
    97, 98, 100, 103,
}  # fmt: skip
TRAIN_CAMERAS = {2, 3}


class Name(NamedTuple):
    """What a sample's name SsssCcccPpppRrrrAaaa says; all numbers start at 1."""

    setup: int
    camera: int
    performer: int
    replication: int
    action: int


@dataclass(frozen=True)
class DataSet:
    """NTU RGB+D 60 or 120: how many actions, and which samples each protocol trains on."""

    actions: int
    protocols: dict[str, Callable[[Name], bool]]


DATA_SETS = {
    "ntu60": DataSet(
        60,
        {
            "xsub": lambda name: name.performer in TRAIN_SUBJECTS,
            "xview": lambda name: name.camera in TRAIN_CAMERAS,
        },
    ),
    "ntu120": DataSet(
        120,
        {
            "xsub": lambda name: name.performer in TRAIN_SUBJECTS,
            "xset": lambda name: name.setup % 2 == 0,
        },
    ),
}

Body = tuple[NDArray[np.int64], NDArray[np.float64]]  # frame numbers (F,), joints (F, V, C)


class Listing(NamedTuple):
    """The files of a folder."""

    files: list[Path]  # to be read, by name
    missing: int  # left out because their skeletons are missing or incomplete
    others: int  # left out because the data set does not have their actions


def list_files(folder: Path, data_set: str) -> Listing:
    """The `.skeleton` files in `folder` and the folders in it that belong to `data_set`.

    Raises:
        BadInput: there are none, a name is no sample's, or two files have the same.
    """
    if not folder.is_dir():
        raise BadInput(
            f"there is no folder {folder}: give the one with NTU RGB+D's .skeleton files"
        )
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*.skeleton"), key=lambda path: path.name):
        parse_name(path)
        if path.stem in found:
            raise BadInput(f"{found[path.stem]} and {path} are the same sample: remove one of them")
        found[path.stem] = path
    if not found:
        raise BadInput(
            f"there are no .skeleton files in {folder}: give the folder into which NTU RGB+D's "
            "archive of skeletons was unpacked"
        )
    actions = DATA_SETS[data_set].actions
    ours = [path for path in found.values() if parse_name(path).action <= actions]
    missing = missing_samples()
    files = [path for path in ours if path.stem not in missing]
    if not files:
        raise BadInput(
            f"none of the {len(found)} .skeleton files in {folder} belongs to {data_set}"
        )
    return Listing(files, len(ours) - len(files), len(found) - len(ours))


def missing_samples() -> set[str]:
    """Names of the samples that every published split leaves out."""
    lines = Path(__file__).with_name("ntu_missing.txt").read_text().splitlines()
    return {line for line in lines if not line.startswith("#")}


def parse_name(path: Path) -> Name:
    """What the name of a `.skeleton` file says, or BadInput."""
    match = re.fullmatch(r"S(\d{3})C(\d{3})P(\d{3})R(\d{3})A(\d{3})", path.stem, re.ASCII)
    name = Name(*map(int, match.groups())) if match else None
    if name is None or not (min(name) >= 1 and name.action <= 120):
        raise BadInput(
            f"{path} is no sample of NTU RGB+D, whose names are like S001C002P003R002A013.skeleton:"
            " rename or remove it"
        )
    return name


def fingerprint(files: Sequence[Path]) -> str:
    """8 characters that change when the files or these rules change."""
    stats = [path.stat() for path in files]
    state = (
        VERSION,
        [str(path.resolve()) for path in (files[0], files[-1])],
        len(files),
        sum(stat.st_size for stat in stats),
        max(stat.st_mtime_ns for stat in stats),
    )
    return hashlib.sha256(json.dumps(state).encode()).hexdigest()[:8]


def read_samples(files: Sequence[Path], workers: int) -> Iterator[tuple[Sample, int]]:
    """Each file's sample and how many of its bodies were dropped, in order.

    Args:
        files: as `list_files` gives them.
        workers: processes that read; 0 reads in this one.

    Raises:
        BadInput: a file is truncated or garbled.
    """
    if not workers:
        yield from map(read_sample, files)
        return
    with ProcessPoolExecutor(
        workers,
        # a fork would inherit locks that torch's threads hold
        multiprocessing.get_context("spawn"),
        signal.signal,  # only the parent process responds to Ctrl-C
        (signal.SIGINT, signal.SIG_IGN),
    ) as pool:
        try:
            yield from pool.map(read_sample, files, chunksize=16)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def annotations_of(samples: Iterable[Sample], data_set: str) -> Annotations:
    """The samples with the splits of all protocols of `data_set` that have any of them."""
    samples = list(samples)
    splits: dict[str, list[str]] = {}
    for protocol, trained_on in DATA_SETS[data_set].protocols.items():
        for sample in samples:
            part = "train" if trained_on(parse_name(Path(sample.id))) else "val"
            splits.setdefault(f"{protocol}_{part}", []).append(sample.id)
    return Annotations(samples, splits)


def read_sample(path: Path) -> tuple[Sample, int]:
    """A file's sample, key points (M, T, V, C) float16, and how many bodies were dropped.

    A sample without bodies has no persons (M = 0).
    """
    name = parse_name(path)
    frames, bodies = read_bodies(path)
    persons = persons_of(denoised(bodies), 2 if name.action in TOGETHER else 1)
    keypoint = np.zeros((len(persons), frames, JOINTS, 3), np.float16)
    with np.errstate(over="ignore"):  # too large a number becomes infinite, which is refused later
        for person, parts in zip(keypoint, persons, strict=True):
            for seen, joints in parts:
                person[seen] = joints
    dropped = len(bodies) - sum(len(parts) for parts in persons)
    return Sample(path.stem, name.action - 1, keypoint, img_shape=IMG_SHAPE), dropped


def read_bodies(path: Path) -> tuple[int, list[Body]]:
    """Number of frames, and the bodies in the order in which they appear.

    Where a frame holds two bodies of one id, the later one counts.

    Raises:
        BadInput: the file is not as the format says; file and line are named.
    """
    lines = _Lines(path)
    frames = lines.count("the number of frames")
    bodies: dict[int, dict[int, list[tuple[float, float, float]]]] = {}  # id -> frame -> V x C
    for frame in range(frames):
        for _ in range(lines.count("the number of bodies")):
            # ids are too large for a float
            id = lines.whole(lines.fields(BODY_FIELDS, "the 10 numbers of a body")[0], "an id")
            if lines.count("the number of joints") != JOINTS:
                raise lines.refusal(f"{JOINTS} joints")
            bodies.setdefault(id, {})[frame] = lines.joints()
    lines.end()
    return frames, [
        (np.array(list(seen)), np.array(list(seen.values()), np.float64))
        for seen in bodies.values()
    ]


class _Lines:
    """The lines of a file one by one, or a sentence that names the line."""

    def __init__(self, path: Path) -> None:
        try:
            self.lines = path.read_bytes().splitlines()
        except OSError as error:
            raise BadInput(f"cannot read {path}: {error.strerror}; check the file") from error
        self.path, self.at = path, 0

    def refusal(self, expected: str) -> BadInput:
        """Says what the last line that was read should have been."""
        if self.at > len(self.lines):
            return BadInput(
                f"{self.path} is truncated: line {self.at} should hold {expected}; copy it again"
            )
        found = self.lines[self.at - 1][:40].decode(errors="backslashreplace")
        return BadInput(
            f"{self.path} is garbled: line {self.at} should hold {expected} but is {found!r}; "
            "copy it again"
        )

    def fields(self, count: int, expected: str) -> list[bytes]:
        self.at += 1
        fields = self.lines[self.at - 1].split() if self.at <= len(self.lines) else []
        if len(fields) != count:
            raise self.refusal(expected)
        return fields

    def whole(self, text: bytes, expected: str) -> int:
        try:
            return int(text)
        except ValueError:
            raise self.refusal(expected) from None

    def count(self, expected: str) -> int:
        number = self.whole(self.fields(1, expected)[0], expected)
        if number < 0:
            raise self.refusal(expected)
        return number

    def joints(self) -> list[tuple[float, float, float]]:
        """The x, y, z of a body's joints. Nearly all lines of a file are read here."""
        expected = "the 12 numbers of a joint"
        positions: list[tuple[float, float, float]] = []
        for line in self.lines[self.at : self.at + JOINTS]:
            self.at += 1
            try:
                x, y, z, _, _, _, _, _, _, _, _, _ = line.split()
                positions.append((float(x), float(y), float(z)))
            except ValueError:
                raise self.refusal(expected) from None
        if len(positions) < JOINTS:
            self.at += 1
            raise self.refusal(expected)
        return positions

    def end(self) -> None:
        """Nothing may follow the last frame."""
        while self.at < len(self.lines):
            self.fields(0, "nothing, after the last frame,")


def denoised(bodies: list[Body]) -> list[Body]:
    """Steps 1 to 4: the bodies that are not noise, the one that moves most first."""
    if len(bodies) < 2:
        return bodies
    with np.errstate(invalid="ignore"):  # NaN is refused when the annotations are checked
        bodies = [body for body in bodies if len(body[0]) > SHORTEST] or bodies
        bodies = [body for body in bodies if noise(body[1]) < NOISIEST] or bodies
        return sorted(bodies, key=lambda body: motion_energy(body[1]), reverse=True)


def noise(joints: NDArray[np.float64]) -> float:
    """Share of the frames (F, V, C) in which a body is too wide for its height."""
    width, height, _ = np.moveaxis(joints.max(1) - joints.min(1), -1, 0)  # F each
    return float((width > WIDEST * height).mean())


def motion_energy(joints: NDArray[np.float64]) -> float:
    """Variance of x, y and z over all joints and frames (F, V, C), summed."""
    return float(joints.var(axis=(0, 1)).sum())


def persons_of(bodies: list[Body], most: int) -> list[list[Body]]:
    """Step 5: the bodies of each person, of `most` persons at most."""
    persons: list[list[Body]] = []
    for body in bodies:
        person = next((parts for parts in persons if _apart(body, parts)), None)
        if person is not None:
            person.append(body)
        elif len(persons) < most:
            persons.append([body])
    return persons


def _apart(body: Body, parts: list[Body]) -> bool:
    """Whether `body` begins after each of `parts` has ended, or ends before it begins."""
    return all(body[0][0] > part[0][-1] or body[0][-1] < part[0][0] for part in parts)
