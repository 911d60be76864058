"""SLEAP's analysis files (.h5) and tables (.csv): animals, with their skeleton.

The .h5 file has ``tracks``, either (tracks, 2, nodes, frames), as SLEAP and MATLAB have it, or
(frames, tracks, nodes, 2), with the scores ``point_scores`` in the same order, and the names
``node_names`` and ``track_names``; ``edge_inds`` states the skeleton, from parent to child. NaN is
what was not found. A table has the columns ``track, frame_idx, instance.score``, and three for each
node: ``nose.x, nose.y, nose.score``. Pixels. ``.slp`` projects are not read: export them.

Sources: SLEAP's write_tracking_h5 and sleap-io's documentation of the analysis format.

Axes: M tracks, T frames, V nodes.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stgcn_lightning.errors import BadInput
from stgcn_lightning.sources.csv_tables import header, read_table
from stgcn_lightning.sources.detections import Frames, assembled
from stgcn_lightning.sources.hdf5_files import entries, hdf5, is_hdf5, texts, values
from stgcn_lightning.sources.joint_names import skeleton_of
from stgcn_lightning.sources.recordings import Reading, Recording
from stgcn_lightning.sources.wide_tables import columns_of, detections_of

COLUMNS = ("track", "frame_idx", "instance.score")
MATLAB = ("track", "xy", "node", "frame")
ORDER = ("track", "frame", "node", "xy")  # of a recording
STANDARD = ("frame", "track", "node", "xy")


def recognise(path: Path) -> str | None:
    """See `formats`."""
    if path.suffix.lower() == ".csv" and path.is_file():
        if header(path)[:3] == COLUMNS:
            return f"its columns begin with {', '.join(COLUMNS)}, as SLEAP's"
        return None
    if not is_hdf5(path):
        return None
    with hdf5(path) as file:
        if {"tracks", "node_names"} <= set(file.keys()):
            return "it is an HDF5 file with tracks and node_names, as SLEAP's analysis"
    return None


def read(path: Path, reading: Reading) -> list[Recording]:
    """See `formats`."""
    return [_read_csv(path, reading) if path.suffix.lower() == ".csv" else _read_h5(path, reading)]


def _read_csv(path: Path, reading: Reading) -> Recording:
    rows = read_table(path)
    columns = columns_of(rows.names)
    if columns is None or rows.names[:3] != COLUMNS:
        raise BadInput(f"{path} has no columns {', '.join(COLUMNS)}, nose.x, ...; export it again")
    joints = tuple(columns.joints)
    detections = detections_of(rows, columns, list(joints), ("x", "y"))
    skeleton = skeleton_of(joints) or reading.skeleton
    return assembled(Frames(detections, str(path), unit="pixels"), path.stem, joints, skeleton)


def _read_h5(path: Path, reading: Reading) -> Recording:
    with hdf5(path) as file:
        for key in ("tracks", "node_names"):
            if key not in file:
                raise BadInput(f"{path} has no {key}, as SLEAP's analysis files have; export it")
        joints = texts(file["node_names"])
        tracks = values(file["tracks"], f"{path}: tracks", ndim=4)
        persons = texts(file["track_names"]) if "track_names" in file else ()
        axes = _axes(file["tracks"], len(joints), len(persons), path)
        keypoint = np.transpose(tracks, [axes.index(axis) for axis in ORDER])
        score = None
        if "point_scores" in file:
            scores = values(file["point_scores"], f"{path}: point_scores", ndim=3)
            rest = [axis for axis in axes if axis != "xy"]
            score = np.transpose(scores, [rest.index(axis) for axis in ORDER[:3]])
            if score.shape != keypoint.shape[:3]:
                raise BadInput(
                    f"{path} has point_scores of shape {scores.shape} beside tracks of shape "
                    f"{tracks.shape}; export it again"
                )
            score = np.nan_to_num(score.astype(np.float32))
        edges = _edges(file, len(joints))
    M = len(keypoint)
    return Recording(
        id=path.stem.removesuffix(".analysis"),
        keypoint=np.ascontiguousarray(keypoint, np.float32),
        joints=joints,
        score=score,
        skeleton=skeleton_of(joints) or reading.skeleton,
        unit="pixels",
        persons=persons if len(persons) == M else (),
        edges=edges,
    )


def _axes(tracks: Any, nodes: int, names: int, path: Path) -> tuple[str, ...]:
    """The order of the axes of `tracks`: what the file says, else the one that fits its shape.

    Where both fit, as with two tracks in two frames, it is the one with as many tracks as `names`.
    """
    shape = tuple(tracks.shape)
    fits = [
        axes
        for axes in (MATLAB, STANDARD)
        if shape[axes.index("xy")] == 2 and shape[axes.index("node")] == nodes
    ]
    stated = _stated(tracks)
    if stated is not None and stated in fits:
        return stated
    if not fits:
        raise BadInput(
            f"{path} has tracks of shape {shape} for {nodes} nodes; it should be (tracks, 2, "
            f"{nodes}, frames): export it again"
        )
    return next((axes for axes in fits if shape[axes.index("track")] == names), fits[0])


def _stated(tracks: Any) -> tuple[str, ...] | None:
    """The names of axes in the attribute `dims`, as sleap-io writes them."""
    try:
        names = json.loads(tracks.attrs["dims"])
        short = tuple(str(name).lower().rstrip("s") for name in names)
    except (KeyError, ValueError, TypeError):
        return None
    return tuple("xy" if name in ("xy", "coord", "coordinate") else name for name in short)


def _edges(file: Any, nodes: int) -> tuple[tuple[int, int], ...]:
    """(child, parent) pairs; none where the file has none that make sense."""
    if "edge_inds" not in file:
        return ()
    pairs: NDArray[Any] = entries(file["edge_inds"])
    if pairs.ndim != 2 or pairs.shape[1] != 2 or pairs.dtype.kind not in "iu" or not pairs.size:
        return ()
    if pairs.min() < 0 or pairs.max() >= nodes:
        return ()
    return tuple((int(child), int(parent)) for parent, child in pairs)
