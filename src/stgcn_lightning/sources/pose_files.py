"""`.pose` files of the package pose-format (sign languages; MediaPipe Holistic, OpenPose).

Little endian: a header (version, picture, components with their points' names), then the body:
coordinates of all frames, then confidences, float32. Versions 0.0, which lists persons frame by
frame, 0.1, whose number of frames is only 16 bits and therefore comes from the file's size, and
0.2. Confidence 0 marks a point that was not found.

A file has several components; one becomes the recording: the body's world landmarks, which are
metres, if ``reading.unit=metres``, else the body in the picture; ``reading.skeleton=hand21`` takes
the two hands instead, as two persons. pose-format multiplies x and y of world landmarks by the
picture's sides, as those of all others, which is taken back.

Source: pose-format's docs/specs/v0.0.md, v0.1.md and v0.2.md.

Axes: P people, T frames, V points of all components, D coordinates.
"""

# NumPy's stubs lose the element type when an array changes its shape:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stgcn_lightning.errors import BadInput
from stgcn_lightning.files.reading import opened
from stgcn_lightning.sources.detections import MOST_VALUES
from stgcn_lightning.sources.joint_names import plain_name, skeleton_of
from stgcn_lightning.sources.recordings import Reading, Recording, Unit

WORLD, BODIES = "POSE_WORLD_LANDMARKS", ("POSE_LANDMARKS", "pose_keypoints_2d")
HANDS = ("LEFT_HAND_LANDMARKS", "RIGHT_HAND_LANDMARKS")
HANDS_OF_OPENPOSE = ("hand_left_keypoints_2d", "hand_right_keypoints_2d")
LARGEST = 3.0  # metres from the hips
MOST_BYTES = 1 << 30  # of one file
VERSIONS = (0.0, 0.1, 0.2)


class Component(NamedTuple):
    """One part of what a file has: name, letters of its values, points."""

    name: str
    format: str
    points: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Body:
    """What a file holds.

    Attributes:
        fps: frames per second.
        data: (T, P, V, D).
        confidence: (T, P, V).
        tracked: persons keep their places; not so in version 0.0.
    """

    fps: float
    data: NDArray[np.float32]
    confidence: NDArray[np.float32]
    tracked: bool


class _Bytes:
    """Reads values one after the other, and says what is missing where a file ends too early."""

    def __init__(self, content: bytes, path: Path) -> None:
        self.content, self.at, self.path = content, 0, path

    def numbers(self, form: str) -> tuple[Any, ...]:
        return struct.unpack("<" + form, self.take(struct.calcsize("<" + form)))

    def take(self, size: int) -> bytes:
        if size > len(self.content) - self.at:
            raise BadInput(
                f"{self.path} ends at byte {len(self.content):,}, where its header promises "
                f"{self.at + size:,}; copy it again"
            )
        self.at += size
        return self.content[self.at - size : self.at]

    def text(self) -> str:
        (length,) = self.numbers("H")
        return self.take(length).decode("utf-8", "replace")

    def floats(self, *shape: int) -> NDArray[np.float32]:
        size = 1
        for side in shape:
            size *= side
        return np.frombuffer(self.take(4 * size), "<f4").reshape(shape).astype(np.float32)

    @property
    def left(self) -> int:
        return len(self.content) - self.at


def recognise(path: Path) -> str | None:
    """See `formats`."""
    if path.suffix.lower() != ".pose" or not path.is_file():
        return None
    with opened(path) as file:
        head = file.read(4)
    if len(head) < 4 or _version(struct.unpack("<f", head)[0]) is None:
        return None
    return "its name ends in .pose and it begins with a version of pose-format"


def _version(number: float) -> float | None:
    return next((known for known in VERSIONS if abs(known - number) < 1e-4), None)


def read(path: Path, reading: Reading) -> list[Recording]:
    """See `formats`.

    Raises:
        BadInput: it is of another version, cut off or too large, or has no body that is known.
    """
    size = path.stat().st_size if path.exists() else 0
    if size > MOST_BYTES:
        raise BadInput(f"{path} has {size:,} bytes; divide it into shorter recordings")
    with opened(path) as file:
        source = _Bytes(file.read(), path)
    (number,) = source.numbers("f")
    version = _version(number)
    if version is None:
        raise BadInput(
            f"{path} is of version {number:g} of pose-format; versions 0.0, 0.1 and 0.2 are read: "
            "write it with another one"
        )
    width, height, _depth, components = source.numbers("4H")
    found = [_component(source) for _ in range(components)]
    if not any(component.points for component in found):
        raise BadInput(f"{path} has no points; write it again")
    body = _frames(source, found) if version == 0 else _arrays(source, found, version)
    return [_recording(path, reading, found, body, (height, width))]


def _component(source: _Bytes) -> Component:
    name, form = source.text(), source.text()
    points, limbs, colours = source.numbers("3H")
    names = tuple(source.text() for _ in range(points))
    source.take(4 * limbs + 6 * colours)
    if not form.upper().startswith("XY"):
        raise BadInput(f"{source.path}: {name} has the values {form[:20]}; XYC or XYZC are read")
    return Component(name, form.upper(), names)


def _arrays(source: _Bytes, components: list[Component], version: float) -> Body:
    fps, frames, people = source.numbers("fIH" if version > 0.15 else "3H")
    points = sum(len(component.points) for component in components)
    D = max(len(component.format) for component in components) - 1
    per_frame = people * points * (D + 1) * 4
    if version < 0.15:  # its number of frames overflows at 65,536
        frames = source.left // per_frame if per_frame else 0
    _check_size(source, frames, people, points, D)
    data = source.floats(frames, people, points, D)
    return Body(float(fps), data, source.floats(frames, people, points), tracked=True)


def _frames(source: _Bytes, components: list[Component]) -> Body:
    """Version 0.0: in each frame a number of people, of each an id and its points."""
    fps, frames = source.numbers("2H")
    points = sum(len(component.points) for component in components)
    D = max(len(component.format) for component in components) - 1
    people: list[list[tuple[NDArray[np.float32], NDArray[np.float32]]]] = []
    for _ in range(frames):
        here: list[tuple[NDArray[np.float32], NDArray[np.float32]]] = []
        (count,) = source.numbers("H")
        for _ in range(count):
            source.numbers("h")  # the person's id, which its writers leave at -1 or 0
            data = np.zeros((points, D), np.float32)
            confidence = np.zeros(points, np.float32)
            start = 0
            for component in components:
                end = start + len(component.points)
                values = source.floats(len(component.points), len(component.format))
                data[start:end, : len(component.format) - 1] = values[:, :-1]
                confidence[start:end], start = values[:, -1], end
            here.append((data, confidence))
        people.append(here)
    P = max([len(here) for here in people], default=0)
    _check_size(source, frames, P, points, D)
    data = np.zeros((frames, P, points, D), np.float32)
    confidence = np.zeros((frames, P, points), np.float32)
    for t, here in enumerate(people):
        for p, one in enumerate(here):
            data[t, p], confidence[t, p] = one
    return Body(float(fps), data, confidence, tracked=P < 2)


def _check_size(source: _Bytes, frames: int, people: int, points: int, D: int) -> None:
    if not frames or not people:
        raise BadInput(f"{source.path} has {frames} frames of {people} people; leave it out")
    if frames * people * points * (D + 1) > MOST_VALUES:
        raise BadInput(
            f"{source.path} has {people:,} people in {frames:,} frames, which is more than fits "
            "into memory; divide it into shorter recordings"
        )


def _recording(
    path: Path,
    reading: Reading,
    components: list[Component],
    body: Body,
    img_shape: tuple[int, int],
) -> Recording:
    starts = np.cumsum([0, *(len(component.points) for component in components)])
    where = {
        component.name: (component, slice(int(start), int(start) + len(component.points)))
        for component, start in zip(components, starts, strict=False)
    }
    chosen = _chosen(where, reading, path)
    component = where[chosen[0]][0]
    C = 3 if chosen[0] == WORLD else 2  # MediaPipe's z in a picture is no distance in it
    data = [body.data[:, :, where[name][1], :C] for name in chosen]
    confidence = [body.confidence[:, :, where[name][1]] for name in chosen]
    keypoint = np.concatenate(data, axis=1).swapaxes(0, 1)  # M, T, V, C
    score = np.concatenate(confidence, axis=1).swapaxes(0, 1)
    keypoint = np.where(score[..., None] > 0, keypoint, np.float32(np.nan))
    joints = tuple(plain_name(point) for point in component.points)
    remarks = [f"{' and '.join(chosen)} of {', '.join(where)} are read"]
    unit: Unit = "metres" if chosen[0] == WORLD else "unknown"
    if unit == "metres" and _in_pixels(keypoint) and min(img_shape) > 0:
        sides = np.array([img_shape[1], img_shape[0], 1], np.float32)
        keypoint = (keypoint / sides).astype(np.float32)
        remarks.append("x and y were divided by the picture's sides, by which they were multiplied")
    return Recording(
        id=path.stem,
        keypoint=np.ascontiguousarray(keypoint),
        joints=joints,
        score=np.ascontiguousarray(score),
        skeleton=skeleton_of(joints) or reading.skeleton,
        unit=unit,
        img_shape=img_shape if min(img_shape) > 0 else None,
        fps=body.fps or None,
        tracked=body.tracked,
        remarks=tuple(remarks),
    )


def _in_pixels(keypoint: NDArray[np.float32]) -> bool:
    """Whether x and y of world landmarks are larger than a body is in metres."""
    found = keypoint[np.isfinite(keypoint).all(-1)]
    return bool(len(found) and np.quantile(np.abs(found[:, :2]), 0.9) > LARGEST)


def _chosen(
    where: dict[str, tuple[Component, slice]], reading: Reading, path: Path
) -> tuple[str, ...]:
    """The names of the components that become the recording."""
    if reading.skeleton == "hand21":
        for hands in (HANDS, HANDS_OF_OPENPOSE):
            if found := tuple(name for name in hands if name in where):
                return found
    if reading.unit == "metres" and WORLD in where:
        return (WORLD,)
    for body in (*BODIES, WORLD):
        if body in where:
            return (body,)
    if len(where) == 1:
        return tuple(where)
    raise BadInput(
        f"{path} has {', '.join(where)}, none of which is known as a body; set "
        "reading.skeleton=hand21 for hands, or write one component to the file"
    )
