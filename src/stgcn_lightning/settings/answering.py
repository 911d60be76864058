"""Which keys of the predict door go together."""

from collections.abc import Mapping
from typing import Any

from stgcn_lightning.errors import BadInput
from stgcn_lightning.terminal import shown_value


def check_live(coming: bool, source: Any, pictures: Mapping[str, Any]) -> None:
    """Refuse what cannot be answered while frames come.

    Args:
        coming: the frames are those of a video or a camera.
        source: else the source of the frames.
        pictures: keys of pictures, and what they are set to.

    Raises:
        BadInput: the source is there already, or a picture needs all of a recording.
    """
    if not coming and source != "-":
        raise BadInput(
            f"live=true answers while frames come, and source={shown_value(source)} is there "
            "already: give source=- or video=FILE, or leave live out"
        )
    for key, value in pictures.items():
        if value:
            raise BadInput(
                f"{key}={shown_value(value)} is of whole recordings, and live answers come before "
                f"their end: leave {key} out"
            )


def check_whole(window: int | None, stride: int | None, chart: Any, continual: bool) -> None:
    """Refuse what whole recordings cannot have, and without windows what windows alone have.

    Raises:
        BadInput: these do not go together.
    """
    if continual:
        raise BadInput(
            "continual=true is of what is answered while frames come: add live=true, with source=- "
            "or video=FILE"
        )
    if window is None and stride is not None:
        raise BadInput(f"stride={stride} is one of windows: add window=FRAMES")
    if window is None and chart:
        raise BadInput(f"chart={shown_value(chart)} shows windows: add window=FRAMES")
