"""Human3.6M as VideoPose3D packs it: ``data_3d_h36m.npz`` and ``data_2d_h36m_*.npz``.

``positions_3d`` is a pickled dictionary subject -> action -> (T, 32 or 17, 3) metres with z up,
which becomes y up here; of 32 joints the 17 that are commonly used are kept. ``positions_2d`` is
subject -> action -> one (T, 17, 2) array of pixels for each camera; ``metadata`` says whether their
joints are ``h36m`` or ``coco``. Pickles are read without executing them.

Source: VideoPose3D, DATASETS.md, and its loader, which takes the third coordinate for the height.
"""

# NumPy's stubs lose the element type when an array changes its shape:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from stgcn_lightning.errors import BadInput
from stgcn_lightning.files.numpy_files import most_unpacked, opened_npz
from stgcn_lightning.sources.joint_names import JOINTS, numbered
from stgcn_lightning.sources.own_npz import names_of_arrays
from stgcn_lightning.sources.recordings import Reading, Recording, as_float32
from stgcn_lightning.sources.upright import z_up_to_y_up

OF_32 = [0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27]
KEYS = ("positions_3d", "positions_2d")
LAYOUTS = {"h36m": "h36m17", "coco": "coco17"}


def recognise(path: Path) -> str | None:
    """See `formats`."""
    found = next((key for key in KEYS if key in names_of_arrays(path)), None)
    return found and f"it is an .npz with {found}, as VideoPose3D's"


def read(path: Path, reading: Reading) -> list[Recording]:
    """See `formats`.

    Raises:
        BadInput: it has no positions, or they are not arrays by subject and action.
    """
    content = _content(path)
    key = next((key for key in KEYS if key in content), None)
    if key is None:
        raise BadInput(f"{path} has neither positions_3d nor positions_2d; give VideoPose3D's file")
    skeleton = reading.skeleton or _layout(content.get("metadata"))
    recordings = [
        _recording(name, array, f"{path}: {name}", path.stem, skeleton)
        for name, array in _takes(content[key], str(path))
    ]
    if not recordings:
        raise BadInput(f"{path} has no action of any subject; copy it again")
    return recordings


def _content(path: Path) -> dict[str, Any]:
    """The pickled members of the archive, by name."""
    from stgcn_lightning.files.pickles import read_pickled

    with opened_npz(path, "copy it again") as archive:
        return {
            key: read_pickled(io.BytesIO(archive.pickled(key, most_unpacked(path))), path)
            for key in (*KEYS, "metadata")
            if key in archive.names
        }


def _layout(metadata: Any) -> str | None:
    if not isinstance(metadata, Mapping):
        return None
    return LAYOUTS.get(str(cast("Mapping[str, Any]", metadata).get("layout_name")))


def _takes(positions: Any, about: str) -> Iterator[tuple[str, Any]]:
    """Name and array of each subject, action and camera."""
    for subject, actions in _items(positions, about):
        for action, takes in _items(actions, f"{about}: {subject}"):
            name = f"{subject}.{action}"
            if isinstance(takes, list):
                yield from ((f"{name}.{camera}", one) for camera, one in enumerate(takes))
            else:
                yield name, takes


def _items(value: Any, about: str) -> Iterator[tuple[str, Any]]:
    if not isinstance(value, Mapping):
        raise BadInput(f"{about} holds no dictionary of subjects and actions; copy it again")
    for name, found in cast("Mapping[Any, Any]", value).items():
        yield str(name), found


def _recording(name: str, array: Any, about: str, stem: str, skeleton: str | None) -> Recording:
    points: NDArray[Any] | None = array if isinstance(array, np.ndarray) else None
    if points is None or points.ndim != 3 or points.dtype.kind != "f" or not points.size:
        raise BadInput(f"{about} is no array (frames, joints, 2 or 3); copy the file again")
    C = points.shape[-1]
    if C not in (2, 3):
        raise BadInput(f"{about} has {C} coordinates; give 2 or 3")
    remarks: tuple[str, ...] = ()
    if points.shape[1] == 32:
        points = points[:, OF_32]
        remarks = ("of 32 joints the 17 of h36m17 are kept",)
    V = points.shape[1]
    skeleton = skeleton or ("h36m17" if V == 17 else None)
    joints = JOINTS.get(skeleton or "", ())
    points = z_up_to_y_up(points) if C == 3 else points
    return Recording(
        id=f"{stem}:{name}",
        keypoint=as_float32(points)[None],
        joints=joints if len(joints) == V else numbered(V),
        skeleton=skeleton,
        unit="metres" if C == 3 else "pixels",
        y="up" if C == 3 else "down",
        fps=50.0,
        remarks=remarks,
    )
