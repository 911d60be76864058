"""This package's own form of a recording as a table (CSV), wide or long.

Wide: a row for each frame and person, columns ``left_knee_x``, ``left_knee_y``, perhaps
``left_knee_z`` and ``left_knee_score`` of each joint. Long: a row for each joint, columns
``frame``, ``joint``, ``x``, ``y``, perhaps ``z``, ``score`` and ``person``. In both, ``frame`` is
the number of the frame (left out in a wide table of one person: rows are frames), and ``person``
the name of the person in all frames. An empty cell was not found. 3D has y up unless `reading.y`
says otherwise.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from stgcn_lightning.errors import BadInput
from stgcn_lightning.sources.csv_tables import Table, header, read_table
from stgcn_lightning.sources.detections import Detection, Frames, assembled, most_values
from stgcn_lightning.sources.joint_names import JOINTS, numbered, plain_name, skeleton_of
from stgcn_lightning.sources.recordings import Reading, Recording
from stgcn_lightning.sources.wide_tables import columns_of, detections_of, frame_numbers

LONG = ("frame", "joint", "x", "y")


def recognise(path: Path) -> str | None:
    """See `formats`."""
    if path.suffix.lower() not in (".csv", ".tsv") or not path.is_file():
        return None
    names = header(path)
    if set(LONG) <= set(names):
        return "it has the columns frame, joint, x and y"
    columns = columns_of(names)
    return f"its columns are x and y of {len(columns.joints)} joints" if columns else None


def read(path: Path, reading: Reading) -> list[Recording]:
    """See `formats`.

    Raises:
        BadInput: it has no columns of joints, a joint twice in a frame, or no person in any frame.
    """
    table = read_table(path)
    if set(LONG) <= set(table.names):
        joints, frames = _long(table)
    elif columns := columns_of(table.names):
        joints = list(columns.joints)
        deep = any("z" in found for found in columns.joints.values())
        frames = detections_of(table, columns, joints, ("x", "y", "z") if deep else ("x", "y"))
    else:
        raise BadInput(
            f"{path} has no columns of joints, such as left_knee_x and left_knee_y; name them so"
        )
    if not any(frames.values()):
        raise BadInput(f"{path} has no person in any frame; leave it out")
    C = next(one for found in frames.values() for one in found).keypoint.shape[1]
    return [_recording(Frames(frames, str(path)), joints, path.stem, C, reading)]


def _recording(frames: Frames, joints: list[str], id: str, C: int, reading: Reading) -> Recording:
    names = tuple(plain_name(joint) for joint in joints)
    if reading.skeleton and all(name.isdigit() for name in names):
        known = JOINTS.get(reading.skeleton, ())
        names = known if len(known) == len(names) else numbered(len(names))
    found = assembled(frames, id, names, reading.skeleton or skeleton_of(names))
    return replace(found, y="up") if C == 3 else found


def _long(table: Table) -> tuple[list[str], dict[int, list[Detection]]]:
    """Joints, and persons by frame, of a table with a row for each joint."""
    place = {name: column for column, name in enumerate(table.names)}
    words = [word for word in ("x", "y", "z") if word in place]
    scored = ["score"] if "score" in place else []
    values = table.numbers([place[word] for word in words + scored])
    numbers = frame_numbers(table, place["frame"])
    joints = list(dict.fromkeys(row[place["joint"]] for row in table.rows))
    index = {joint: v for v, joint in enumerate(joints)}
    shape = (len(joints), len(words) + len(scored))
    most = most_values(len(table.rows) * shape[1])
    bodies: dict[tuple[int, str | None], np.ndarray] = {}
    for row, number, value in zip(table.rows, numbers, values, strict=True):
        person = row[place["person"]] if "person" in place else None
        key = (int(number), person)
        if key not in bodies:
            if (len(bodies) + 1) * shape[0] * shape[1] > most:
                raise BadInput(f"{table.about} has too many frames and joints; divide it")
            bodies[key] = np.full(shape, np.nan)
        point = bodies[key][index[row[place["joint"]]]]
        if not np.isnan(point).all():
            raise BadInput(
                f"{table.about} has joint {row[place['joint']]} twice in frame {int(number)}; add "
                "a column person, or remove one"
            )
        point[:] = value
    frames: dict[int, list[Detection]] = {}
    C = len(words)
    for (number, person), points in bodies.items():
        score = points[:, C] if scored else None
        frames.setdefault(number, []).append(Detection(points[:, :C], score, person))
    return joints, frames
