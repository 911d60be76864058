"""BVH: motion capture as a hierarchy of joints, offsets, and angles for each frame.

Joints are computed by forward kinematics: a joint lies at its parent's, moved by OFFSET and its
position channels in its parent's frame; its own frame is its parent's, turned by its rotation
channels in the order in which they are listed, in degrees. Some writers repeat the OFFSET in the
position channels of joints that are not the root: positions that are nearer to the OFFSET than to
zero replace it. End sites have no name and are left out. The unit is not stated (mostly
centimetres; `settling` decides by the size of the body), y is mostly up.

Source: Meredith and Maddock, "Motion Capture File Formats Explained", University of Sheffield 2001.

Axes: T frames, V joints.
"""

# NumPy's stubs lose the element type when an array changes its shape:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stgcn_lightning.errors import BadInput
from stgcn_lightning.files.reading import bytes_of, opened
from stgcn_lightning.sources.detections import MOST_VALUES
from stgcn_lightning.sources.joint_names import skeleton_of
from stgcn_lightning.sources.recordings import Reading, Recording, as_float32

MOST_BYTES = 1 << 28
MOST_JOINTS = 10_000
CHANNELS = ("Xposition", "Yposition", "Zposition", "Xrotation", "Yrotation", "Zrotation")


@dataclass
class Joint:
    """A joint of the hierarchy.

    Attributes:
        name: of the joint; with a number where another one has the same.
        parent: index of its parent; its own for a root.
        offset: (3,) from the parent.
        channels: names of its channels, in order.
        first: of its channels in a frame's row.
    """

    name: str
    parent: int
    offset: NDArray[np.float64]
    channels: tuple[str, ...] = ()
    first: int = 0


def recognise(path: Path) -> str | None:
    """See `formats`."""
    if path.suffix.lower() != ".bvh" or not path.is_file():
        return None
    with opened(path) as file:
        begins = file.read(256).split()[:1] == [b"HIERARCHY"]
    return "it begins with HIERARCHY, as BVH does" if begins else None


def read(path: Path, reading: Reading) -> list[Recording]:
    """See `formats`.

    Raises:
        BadInput: its HIERARCHY or MOTION is missing or not as the format says, or it is too large.
    """
    content = bytes_of(path, MOST_BYTES, "divide the recording")
    head, found, motion = content.partition(b"MOTION")
    if not found or head.split()[:1] != [b"HIERARCHY"]:
        raise BadInput(f"{path} has no HIERARCHY followed by MOTION, as BVH has; export it again")
    joints = hierarchy(head.decode("utf-8", "replace").split(), path)
    rows, seconds = _motion(motion, joints, path)
    if len(rows) * len(joints) * 3 > MOST_VALUES:
        raise BadInput(f"{path} has {len(rows):,} frames of {len(joints):,} joints; divide it")
    names = tuple(joint.name for joint in joints)
    return [
        Recording(
            id=path.stem,
            keypoint=as_float32(forward(joints, rows))[None],
            joints=names,
            skeleton=skeleton_of(names) or reading.skeleton,
            y="up",
            fps=1 / seconds if seconds > 0 else None,
            edges=tuple((v, one.parent) for v, one in enumerate(joints) if one.parent != v),
        )
    ]


def hierarchy(words: list[str], path: Path) -> list[Joint]:
    """The joints in the order of the file, so that parents come before their children.

    Raises:
        BadInput: the hierarchy is not as BVH has it.
    """
    joints: list[Joint] = []
    names: dict[str, int] = {}
    open_: list[int] = []  # joints whose braces are open; -1: an end site
    at, first = 1, 0

    def word(ahead: int = 0) -> str:
        if at + ahead >= len(words):
            raise BadInput(f"{path}: HIERARCHY ends within a joint; copy the file again")
        return words[at + ahead]

    while at < len(words):
        what = word()
        if what in ("ROOT", "JOINT", "End"):
            end = at + 1  # names may have spaces in them
            while word(end - at) != "{":
                end += 1
            name = " ".join(words[at + 1 : end])
            at = end + 1
            if what == "End":
                open_.append(-1)
                continue
            if (what == "ROOT") != (not open_) or (open_ and open_[-1] < 0):
                raise BadInput(f"{path}: {what} {name} is in no joint that it can hang on")
            if len(joints) == MOST_JOINTS:
                raise BadInput(f"{path} has more than {MOST_JOINTS:,} joints; is it a body?")
            names[name] = times = names.get(name, 0) + 1
            called = name if times == 1 else f"{name}.{times}"
            joints.append(Joint(called, open_[-1] if open_ else len(joints), np.zeros(3)))
            open_.append(len(joints) - 1)
        elif what == "OFFSET":
            offset = _numbers([word(1), word(2), word(3)], path)
            if open_ and open_[-1] >= 0:
                joints[open_[-1]].offset = offset
            at += 4
        elif what == "CHANNELS" and open_ and open_[-1] >= 0 and not joints[open_[-1]].channels:
            count = word(1)
            number = int(count) if count.isdecimal() and len(count) < 9 else -1
            channels = tuple(word(2 + n) for n in range(number))
            if not set(channels) <= set(CHANNELS) or number < 0:
                raise BadInput(f"{path}: CHANNELS {count} {' '.join(channels)} are not BVH's")
            joints[open_[-1]].channels, joints[open_[-1]].first = channels, first
            first += len(channels)
            at += 2 + len(channels)
        elif what == "}" and open_:
            open_.pop()
            at += 1
        else:
            raise BadInput(f"{path}: {what[:40]} is out of place in HIERARCHY; export it again")
    if not joints or open_:
        raise BadInput(f"{path}: HIERARCHY has no joint, or ends within one; copy it again")
    return joints


def _numbers(words: list[str], path: Path) -> NDArray[np.float64]:
    try:
        return np.array(words, np.float64)
    except ValueError as error:
        raise BadInput(f"{path} has a value that is no number ({error}); export it") from None


def _motion(motion: bytes, joints: list[Joint], path: Path) -> tuple[NDArray[np.float64], float]:
    """(T, channels) of the rows, and the seconds of a frame."""
    head, found, body = motion.partition(b"Frame Time:")
    words = head.replace(b":", b": ").split()
    if not found or not re.fullmatch(rb"Frames: \d{1,15}", b" ".join(words)):
        raise BadInput(f"{path} has no Frames: and Frame Time: after MOTION; export it again")
    texts = body.decode("utf-8", "replace").split()
    values = _numbers(texts, path)
    frames, width = int(words[1]), sum(len(joint.channels) for joint in joints)
    if not frames or not width or len(values) != 1 + frames * width:
        raise BadInput(
            f"{path} promises {frames:,} frames of {width} channels but has {len(values) - 1:,} "
            "values; copy it again"
        )
    if not np.isfinite(values).all():
        raise BadInput(f"{path} has values that are not finite; export it again")
    return values[1:].reshape(frames, width), float(values[0])


def forward(joints: list[Joint], rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """(T, V, 3): where the joints are, in the file's unit.

    Args:
        joints: parents before their children.
        rows: (T, channels).
    """
    T = len(rows)
    where = np.zeros((T, len(joints), 3))
    frames: list[NDArray[np.float64]] = []  # of each joint, (T, 3, 3)
    for v, joint in enumerate(joints):
        turn = np.broadcast_to(np.eye(3), (T, 3, 3))
        moved = np.zeros((T, 3))
        for n, channel in enumerate(joint.channels):
            values = rows[:, joint.first + n]
            axis = "XYZ".index(channel[0])
            if channel.endswith("position"):
                moved[:, axis] = values
            else:
                turn = turn @ _about(axis, np.radians(values))
        if joint.parent == v:
            where[:, v] = joint.offset + moved
            frames.append(turn)
            continue
        mean = moved.mean(0)
        repeated = np.linalg.norm(mean - joint.offset) < np.linalg.norm(mean)
        local = moved if repeated else joint.offset + moved
        parent = frames[joint.parent]
        where[:, v] = where[:, joint.parent] + (parent @ local[..., None])[..., 0]
        frames.append(parent @ turn)
    return where


def _about(axis: int, angle: NDArray[np.float64]) -> NDArray[np.float64]:
    """(T, 3, 3) turns of column vectors about an axis."""
    turn = np.zeros((len(angle), 3, 3))
    b, c = (axis + 1) % 3, (axis + 2) % 3
    cos, sin = np.cos(angle), np.sin(angle)
    turn[:, axis, axis] = 1
    turn[:, b, b] = turn[:, c, c] = cos
    turn[:, b, c], turn[:, c, b] = -sin, sin
    return turn
