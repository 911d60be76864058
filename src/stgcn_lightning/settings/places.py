"""Values that name a file: a checkpoint, a video."""

from typing import Any

from stgcn_lightning.errors import BadInput
from stgcn_lightning.settings import fields
from stgcn_lightning.terminal import shown_value

NAMED = "a file, the folder of a run, an address (https://), or zoo:NAME"


def check_checkpoint(key: str, value: Any) -> Any:
    """Return a path or the name of a published file as it was given, or raise BadInput."""
    fields.path_of(key, value)
    return value


def check_resume(key: str, value: Any) -> str:
    """Return ``auto`` or a path as it was given, or raise BadInput."""
    if not isinstance(value, str):
        raise BadInput(f"{key}={shown_value(value)} is neither auto nor a checkpoint")
    if value != "auto":
        fields.path_of(key, value)
    return value


def check_video(key: str, value: Any) -> str | int:
    """Return a camera's number or the path of a video, or raise BadInput."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    return str(fields.path_of(key, value))
