"""C3D: markers of motion capture, in a binary file of blocks of 512 bytes.

A header with the numbers of markers and frames, a section of parameters in groups, then for each
frame x, y, z and a fourth word of every marker, and the samples of analog channels, which are not
read. Values are float32, or int16 times a scale; of processors of Intel, DEC or MIPS, as the
section of parameters says. A negative fourth word is a marker that was occluded.

Markers are not joints: they lie on the skin, and what a body is made of them is the user's to say,
by ``map=`` where their names are those of joints, or a skeleton of their own. ``POINT:UNITS`` gives
the unit, ``POINT:Y_SCREEN`` the axis that is up; where that is missing, z is taken, as most
laboratories have it.

The libraries for C3D are not used, since the fast one crashes the process on damaged files.

Source: The C3D File Format, A Technical User Guide, Motion Lab Systems 2021.

Axes: N markers, T frames.
"""

# NumPy's stubs lose the element type when an array changes its shape:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stgcn_lightning.errors import BadInput
from stgcn_lightning.files.reading import opened
from stgcn_lightning.sources.detections import MOST_VALUES
from stgcn_lightning.sources.joint_names import skeleton_of
from stgcn_lightning.sources.recordings import Reading, Recording, Unit, as_float32
from stgcn_lightning.sources.upright import TURNS, turned_up

BLOCK = 512
KEY = 0x50  # second byte of every C3D file
DEC, MIPS = 85, 86  # processors; all others are as Intel's
CHARACTER, INT8, INT16, FLOAT = -1, 1, 2, 4  # types of parameters
UNITS: dict[str, Unit] = {"m": "metres", "cm": "centimetres", "mm": "millimetres"}
MOST_BYTES = 1 << 31


@dataclass(frozen=True)
class Header:
    """What the first block says."""

    markers: int
    analog: int  # values of all channels in a frame
    first: int
    last: int
    scale: float  # of int16; negative: values are float32
    start: int  # block of the data, from 1
    rate: float


def recognise(path: Path) -> str | None:
    """See `formats`."""
    if path.suffix.lower() != ".c3d" or not path.is_file():
        return None
    with opened(path) as file:
        head = file.read(2)
    return "its name ends in .c3d and its second byte is 0x50" if head[1:] == bytes([KEY]) else None


def read(path: Path, reading: Reading) -> list[Recording]:
    """See `formats`.

    Raises:
        BadInput: it has no header of the format, is cut off or too large, or has no markers.
    """
    size = path.stat().st_size if path.exists() else 0
    if size > MOST_BYTES:
        raise BadInput(f"{path} has {size:,} bytes; divide it into shorter recordings")
    with opened(path) as file:
        content = file.read()
    if len(content) < BLOCK or content[1] != KEY:
        raise BadInput(f"{path} has no header of a C3D file; copy it again")
    where = (content[0] - 1) * BLOCK
    if not 0 < where <= len(content) - BLOCK:
        raise BadInput(f"{path} has no parameters where its header says; copy it again")
    processor = content[where + 3]
    try:
        parameters = _Parameters(content, where, processor).found
    except (struct.error, IndexError):
        raise BadInput(f"{path} ends within its parameters; copy it again") from None
    header = _header(content, processor)
    points, fourth = _points(content, header, parameters, processor, path)
    keypoint = np.where((fourth < 0)[..., None] | ~np.isfinite(points), np.nan, points)
    up = _text(parameters, "Y_SCREEN").upper()
    remark = f"{up[-1].lower()} is up (POINT:Y_SCREEN)" if up in TURNS else ""
    if not remark:
        up, remark = "+Z", "z is taken to be up: the file has no POINT:Y_SCREEN"
    names = _names(parameters, header.markers)
    return [
        Recording(
            id=path.stem,
            keypoint=as_float32(turned_up(keypoint, up))[None],
            joints=names,
            skeleton=skeleton_of(names) or reading.skeleton,
            unit=UNITS.get(_text(parameters, "UNITS").lower(), "unknown"),
            y="up",
            fps=header.rate if 0 < header.rate < 1e6 else None,
            remarks=(remark,),
        )
    ]


def _header(content: bytes, processor: int) -> Header:
    order = ">" if processor == MIPS else "<"
    markers, analog, first, last = struct.unpack(f"{order}4H", content[2:10])
    (start,) = struct.unpack(f"{order}H", content[16:18])
    scale, rate = (_floats(content[at : at + 4], processor)[0] for at in (12, 20))
    return Header(markers, analog, first, last, float(scale), start, float(rate))


def _floats(content: bytes, processor: int) -> NDArray[np.float32]:
    if processor != DEC:
        return np.frombuffer(content, ">f4" if processor == MIPS else "<f4").astype(np.float32)
    halves = np.frombuffer(content, "<u2").reshape(-1, 2)[:, ::-1]  # VAX: the high half first
    values = np.ascontiguousarray(halves).view("<f4")[:, 0] / 4  # its bias is another one
    return values.astype(np.float32)


class _Parameters:
    """The parameters of the groups POINT and TRIAL, by name: lists of texts or numbers."""

    def __init__(self, content: bytes, where: int, processor: int) -> None:
        self.content, self.processor = content, processor
        self.order = ">" if processor == MIPS else "<"
        self.found: dict[str, list[str] | list[float]] = {}
        groups: dict[int, str] = {}
        waiting: list[tuple[int, str, list[str] | list[float]]] = []
        at = where + 4
        while at + 2 < len(content):
            length, group = struct.unpack("2b", content[at : at + 2])
            if not length:
                break
            at += 2
            name = content[at : at + abs(length)].decode("latin-1").upper().strip()
            at += abs(length)
            (step,) = struct.unpack(f"{self.order}H", content[at : at + 2])
            if group < 0:
                groups[-group] = name
            elif group > 0:
                waiting.append((group, name, self._values(at + 2)))
            if not step:
                break
            at += step
        for group, name, values in waiting:  # a group may be named after its parameters
            if groups.get(group) in ("POINT", "TRIAL"):
                self.found.setdefault(name, values)

    def _values(self, at: int) -> list[str] | list[float]:
        kind, count = struct.unpack("bB", self.content[at : at + 2])
        sides = list(self.content[at + 2 : at + 2 + count])
        at += 2 + count
        size = abs(kind)
        for side in sides:
            size *= side
        content = self.content[at : at + size]
        if len(content) < size or size > len(self.content):
            raise IndexError
        if kind == CHARACTER:
            width = sides[0] if sides else 1
            texts = [content[n : n + width] for n in range(0, size, width)] if width else []
            return [text.decode("latin-1").strip(" \0") for text in texts]
        if kind == INT8:
            return [float(value) for value in content]
        if kind == INT16:  # unsigned: numbers of frames go beyond 32,767
            return np.frombuffer(content, f"{self.order}u2").astype(float).tolist()
        return _floats(content, self.processor).astype(float).tolist() if kind == FLOAT else []


def _points(
    content: bytes,
    header: Header,
    parameters: dict[str, list[str] | list[float]],
    processor: int,
    path: Path,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(T, N, 3) coordinates and (T, N) fourth words."""
    N, width = header.markers, 4 if header.scale < 0 else 2
    row = (4 * N + header.analog) * width
    start = (header.start - 1) * BLOCK
    left = len(content) - start if start > 0 else 0
    T = _frames(header, parameters)
    if not N or T < 1:
        raise BadInput(f"{path} has {N} markers in {T} frames; leave it out")
    if T * row > left or T * N * 3 > MOST_VALUES:
        raise BadInput(
            f"{path} promises {N:,} markers in {T:,} frames, which its {len(content):,} bytes do "
            "not hold; copy it again"
        )
    if width == 4:
        values = _floats(content[start : start + T * row], processor).reshape(T, -1)
        four = values[:, : 4 * N].reshape(T, N, 4)
        return four[..., :3], four[..., 3]
    form = ">i2" if processor == MIPS else "<i2"
    values = np.frombuffer(content, form, T * row // 2, start).reshape(T, -1)
    four = values[:, : 4 * N].reshape(T, N, 4).astype(np.float32)
    return four[..., :3] * np.float32(header.scale), four[..., 3]


def _frames(header: Header, parameters: dict[str, list[str] | list[float]]) -> int:
    """Number of frames; beyond 65,535, TRIAL's fields say it in two words each."""
    start, end = parameters.get("ACTUAL_START_FIELD"), parameters.get("ACTUAL_END_FIELD")
    if start and end and len(start) == len(end) == 2 and header.last >= 65_535:
        first, last = (float(low) + 65_536 * float(high) for low, high in (start, end))
        if last >= first:
            return int(last - first) + 1
    return header.last - header.first + 1


def _text(parameters: dict[str, list[str] | list[float]], name: str) -> str:
    return str(next(iter(parameters.get(name, [])), "")).strip()


def _names(parameters: dict[str, list[str] | list[float]], N: int) -> tuple[str, ...]:
    """Names of the markers: LABELS, LABELS2, ..., each of at most 255; numbers where they end."""
    names = list(parameters.get("LABELS", []))
    for more in range(2, 2 + N // 255):
        names += list(parameters.get(f"LABELS{more}", []))
    called: dict[str, None] = {}
    for n in range(N):
        name = str(names[n]).strip() if n < len(names) else ""
        called[name if name and name not in called else f"marker {n + 1}"] = None
    return tuple(called)
