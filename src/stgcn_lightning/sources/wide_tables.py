"""Tables with a row for each person and frame, and columns for each joint's coordinates.

Columns are ``x1``, ``y_1`` (joints by number, from 0 or 1), or ``left_knee_x``, ``Nose.y`` (by
name). Besides, ``frame`` and ``person`` (or ``track``) say which row is which; others are ignored.
"""

# NumPy's stubs lose the element type when an array is reshaped or reduced:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stgcn_lightning.errors import BadInput, brief
from stgcn_lightning.sources.csv_tables import Table
from stgcn_lightning.sources.detections import Detection

WORDS = {
    "x": "x",
    "y": "y",
    "z": "z",
    **dict.fromkeys(("v", "vis", "visibility", "c", "s", "score", "conf", "confidence"), "score"),
}
_word = "|".join(sorted(WORDS, key=len, reverse=True))
BY_NUMBER = re.compile(rf"({_word})[_ .-]?(\d{{1,4}})", re.IGNORECASE)
BY_NAME = re.compile(rf"(.+?)[_ .-]({_word})", re.IGNORECASE)
FRAME = ("frame", "frame_id", "frame_idx", "frame_index", "frame_no", "frame_number", "fnum")
PERSON = ("person", "person_id", "track", "track_id", "id", "subject")


@dataclass(frozen=True)
class Columns:
    """Where a table has what.

    Attributes:
        joints: name, or number as text, of each joint -> column of its x, y, z and score.
        numbered: joints are known by number.
        frame: column of the frame's number.
        person: column of the person.
        others: names of columns that are none of these.
    """

    joints: dict[str, dict[str, int]]
    numbered: bool
    frame: int | None
    person: int | None
    others: tuple[str, ...]


def columns_of(names: tuple[str, ...]) -> Columns | None:
    """Where a table with these names has key points; None: it has none."""
    joints: dict[str, dict[str, int]] = {}
    others: list[str] = []
    frame, person, by_number = None, None, 0
    for column, name in enumerate(names):
        if name.lower() in FRAME and frame is None:
            frame = column
        elif name.lower() in PERSON and person is None:
            person = column
        elif match := BY_NUMBER.fullmatch(name):
            by_number += 1
            joints.setdefault(str(int(match[2])), {})[WORDS[match[1].lower()]] = column
        elif match := BY_NAME.fullmatch(name):
            joints.setdefault(match[1], {})[WORDS[match[2].lower()]] = column
        else:
            others.append(name)
    for joint in [joint for joint, found in joints.items() if not {"x", "y"} <= found.keys()]:
        others += [names[column] for column in joints.pop(joint).values()]
    if not joints:
        return None
    return Columns(joints, by_number > 0, frame, person, tuple(others))


def detections_of(
    table: Table, columns: Columns, joints: list[str], words: tuple[str, ...]
) -> dict[int, list[Detection]]:
    """Persons by frame.

    Args:
        table: as it was read.
        columns: of it.
        joints: which ones, in order; keys of `columns.joints`.
        words: their coordinates, ``x``, ``y`` and perhaps ``z``, which all must have.

    Raises:
        BadInput: a cell is wrong, a joint lacks what others have, or a person is twice in a frame.
    """
    T, V, C = len(table.rows), len(joints), len(words)
    scored = any("score" in columns.joints[joint] for joint in joints)
    wanted = (*words, "score") if scored else words
    for joint in joints:
        if lacking := [word for word in wanted if word not in columns.joints[joint]]:
            raise BadInput(
                f"{table.about} has no {lacking[0]} of joint {joint}, which others have; add the "
                "column"
            )
    flat = [columns.joints[joint][word] for joint in joints for word in wanted]
    values = table.numbers(flat).reshape(T, V, len(wanted))
    if columns.frame is None:
        numbers = np.arange(T)
        if columns.person is not None:
            raise BadInput(f"{table.about} has persons but no column frame; add it")
    else:
        numbers = frame_numbers(table, columns.frame)
    found: dict[int, list[Detection]] = {}
    for row, (number, points) in enumerate(zip(numbers, values, strict=True)):
        track = None if columns.person is None else table.rows[row][columns.person]
        score = points[:, C] if scored else None
        here = found.setdefault(int(number), [])
        if columns.person is None and here:
            raise BadInput(
                f"{table.about} has frame {brief(int(number))} twice; add a column person, or one "
                "row for each frame"
            )
        if np.isfinite(points[:, :C]).any():
            here.append(Detection(points[:, :C], score, track))
    return found


def frame_numbers(table: Table, column: int) -> NDArray[np.int64]:
    """The numbers of the frames of a table's rows.

    Raises:
        BadInput: a cell is empty, or no whole number that int64 has.
    """
    found = table.numbers([column])[:, 0]
    wrong = ~(np.isfinite(found) & (np.abs(found) < 2.0**53)) | (found != np.floor(found))
    if wrong.any():
        row = int(wrong.argmax())
        raise BadInput(
            f"{table.about} has the frame {brief(table.rows[row][column])} in row {row + 1}; give "
            "whole numbers from 0"
        )
    return found.astype(np.int64)
