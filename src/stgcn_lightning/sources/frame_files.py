"""Folders that are recordings: a file a frame, whose names end in the frame's number."""

import re
from collections.abc import Sequence
from pathlib import Path

from stgcn_lightning.errors import BadInput

MOST_DIGITS = 18  # what int64 holds
# OpenPose adds its word after the number: video_000000000012_keypoints.json
NUMBERED = re.compile(r"(?P<video>.*?)[-_. ]?(?P<frame>\d+)(?:_keypoints)?", re.DOTALL)


def videos(files: Sequence[Path]) -> dict[str, dict[int, Path]]:
    """Files by the name of their video and by the number of their frame; both as in file names.

    Files whose name does not end in a number are in none.

    Raises:
        BadInput: two files are of one frame, or a number is absurd.
    """
    found: dict[str, dict[int, Path]] = {}
    for file in files:
        if not (named := NUMBERED.fullmatch(file.stem)):
            continue
        if len(named["frame"]) > MOST_DIGITS:
            raise BadInput(f"{file} has no number of a frame in its name; number frames from 0")
        frames = found.setdefault(named["video"], {})
        number = int(named["frame"])
        if number in frames:
            raise BadInput(f"{file} and {frames[number].name} are of one frame; remove one of them")
        frames[number] = file
    return found
