"""C3D: markers of motion capture, by the library ezc3d.

Markers are not joints: they lie on the skin, and what a body is made of them is the user's to say,
by ``map=`` where their names are those of joints, or a skeleton of their own. Markers that were
occluded (a negative residual) are not found. ``POINT:UNITS`` gives the unit, ``POINT:Y_SCREEN`` the
axis that is up; where it is missing, z is taken, as most laboratories have it.

Source: The C3D file format, a technical user guide (Motion Lab Systems), and ezc3d's documentation.

Axes: N markers, T frames.
"""

# NumPy's stubs lose the element type when an array changes its shape, and ezc3d has none:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false

import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stgcn_lightning.errors import BadInput
from stgcn_lightning.files.reading import opened
from stgcn_lightning.sources.detections import MOST_VALUES
from stgcn_lightning.sources.hdf5_files import EXTRA
from stgcn_lightning.sources.joint_names import skeleton_of
from stgcn_lightning.sources.recordings import Reading, Recording, Unit, as_float32
from stgcn_lightning.sources.upright import TURNS, turned_up

KEY = 0x50  # second byte of every C3D file
UNITS: dict[str, Unit] = {"m": "metres", "cm": "centimetres", "mm": "millimetres"}


def recognise(path: Path) -> str | None:
    """See `formats`."""
    if path.suffix.lower() != ".c3d" or not path.is_file():
        return None
    with opened(path) as file:
        head = file.read(2)
    return "its name ends in .c3d and its second byte is 0x50" if head[1:] == bytes([KEY]) else None


def read(path: Path, reading: Reading) -> list[Recording]:
    """See `formats`."""
    _check_header(path)
    try:
        import ezc3d
    except ImportError:
        raise BadInput(f"{path} is a C3D file, which needs ezc3d: {EXTRA}") from None
    try:
        content: Any = ezc3d.c3d(str(path))
        points: NDArray[Any] = np.asarray(content["data"]["points"])  # 4, N, T
        residuals: NDArray[Any] = np.asarray(content["data"]["meta_points"]["residuals"])
        point: Any = content["parameters"]["POINT"]
    except Exception as error:  # of the library, about damaged files
        raise BadInput(f"{path} cannot be read as C3D ({error}); copy it again") from None
    N, T = points.shape[1:]
    if not N or not T:
        raise BadInput(f"{path} has {N} markers in {T} frames; leave it out")
    keypoint = points[:3].transpose(2, 1, 0)  # T, N, 3
    if residuals.shape == (1, N, T):
        keypoint = np.where((residuals[0].T < 0)[..., None], np.nan, keypoint)
    up = _text(point, "Y_SCREEN").upper()
    remark = f"{up[-1].lower()} is up (POINT:Y_SCREEN)" if up in TURNS else ""
    if not remark:
        up, remark = "+Z", "z is taken to be up: the file has no POINT:Y_SCREEN"
    names = _names(point, N)
    rate = float(np.ravel(_value(point, "RATE") or [0])[0])
    return [
        Recording(
            id=path.stem,
            keypoint=as_float32(turned_up(keypoint, up))[None],
            joints=names,
            skeleton=skeleton_of(names) or reading.skeleton,
            unit=UNITS.get(_text(point, "UNITS").lower(), "unknown"),
            y="up",
            fps=rate if rate > 0 else None,
            remarks=(remark,),
        )
    ]


def _check_header(path: Path) -> None:
    """Refuse a file whose header promises more than the file holds, before a library believes it.

    Words of 16 bits: 2 markers, 4 and 5 first and last frame; a coordinate takes 2 or 4 bytes.
    """
    size = path.stat().st_size if path.exists() else 0
    with opened(path) as file:
        head = file.read(512)
    if len(head) < 512 or head[1] != KEY:
        raise BadInput(f"{path} has no header of a C3D file; copy it again")
    markers, _, first, last = struct.unpack("<4H", head[2:10])
    frames = last - first + 1
    if markers * max(frames, 0) * 8 > size or markers * frames * 3 > MOST_VALUES:
        raise BadInput(
            f"{path} promises {markers:,} markers in {frames:,} frames, which do not fit into its "
            f"{size:,} bytes; copy it again"
        )


def _value(point: Any, name: str) -> Any:
    return point[name]["value"] if name in point else None


def _text(point: Any, name: str) -> str:
    value = _value(point, name)
    return str(value[0]).strip() if value else ""


def _names(point: Any, N: int) -> tuple[str, ...]:
    """Names of the markers: LABELS, LABELS2, ..., each of at most 255; numbers where they end."""
    names = list(_value(point, "LABELS") or [])
    for more in range(2, 2 + N // 255):
        names += list(_value(point, f"LABELS{more}") or [])
    names = [str(name).strip() for name in names[:N]]
    names += ["" for _ in range(N - len(names))]
    called: list[str] = []
    for n, name in enumerate(names):
        called.append(name if name and name not in called else f"marker {n + 1}")
    return tuple(called)
