"""Which keys of the predict door go together."""

from typing import TYPE_CHECKING

from stgcn_lightning.errors import BadInput
from stgcn_lightning.terminal import shown_value

if TYPE_CHECKING:  # they call this
    from stgcn_lightning.settings.doors import PredictSettings


def check_answering(keys: "PredictSettings") -> None:
    """Refuse what windows alone have where there are none, and what live answers cannot have.

    Raises:
        BadInput: these do not go together.
    """
    if not keys.live and not isinstance(keys.video, int):
        if keys.continual:
            raise BadInput(
                "continual=true is of what is answered while frames come: add live=true, with "
                "source=- or video=FILE"
            )
        if keys.window is None and keys.stride is not None:
            raise BadInput(f"stride={keys.stride} is one of windows: add window=FRAMES")
        if keys.window is None and keys.chart:
            raise BadInput(f"chart={shown_value(keys.chart)} shows windows: add window=FRAMES")
        return
    if keys.video is None and keys.source != "-":
        raise BadInput(
            f"live=true answers while frames come, and source={shown_value(keys.source)} is there "
            "already: give source=- or video=FILE, or leave live out"
        )
    for key, value in {"animate": keys.animate, "chart": keys.chart}.items():
        if value:
            raise BadInput(
                f"{key}={shown_value(value)} is of whole recordings, and live answers come before "
                f"their end: leave {key} out"
            )
