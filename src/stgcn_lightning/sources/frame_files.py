"""Names of files of single frames, which end in the frame's number, and folders of them."""

from collections.abc import Sequence
from pathlib import Path

from stgcn_lightning.errors import BadInput

MOST_DIGITS = 18  # what int64 holds
BETWEEN = "-_. "  # what may stand between the name of the video and the number


def video_and_frame(stem: str) -> tuple[str, int] | None:
    """What a file's name without its ending says; None where it ends in no number of a frame.

    OpenPose adds a word after the number.

    Example:
        >>> video_and_frame("walk_000000000012_keypoints")
        ('walk', 12)
    """
    name = stem.removesuffix("_keypoints")
    video = name.rstrip("0123456789")
    digits = name[len(video) :]
    if not 0 < len(digits) <= MOST_DIGITS:
        return None
    return video[:-1] if video.endswith(tuple(BETWEEN)) else video, int(digits)


def numbered(files: Sequence[Path]) -> list[Path]:
    """The files whose name ends in the number of a frame, in their order."""
    return [file for file in files if video_and_frame(file.stem)]


def videos(files: Sequence[Path]) -> dict[str, dict[int, Path]]:
    """Files by the name of their video and by the number of their frame; both as in file names.

    Files whose name does not end in a number are in none.

    Raises:
        BadInput: two files are of one frame.
    """
    found: dict[str, dict[int, Path]] = {}
    for file in files:
        if not (named := video_and_frame(file.stem)):
            continue
        video, number = named
        frames = found.setdefault(video, {})
        if number in frames:
            raise BadInput(f"{file} and {frames[number].name} are of one frame; remove one of them")
        frames[number] = file
    return found
