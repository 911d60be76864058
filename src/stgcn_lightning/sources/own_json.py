"""This package's own form of a recording as JSON: the keys of `own_npz`, with nested lists.

One object is a recording; a list of them, or JSON Lines with one in each (``.jsonl``), are several.
An object may have ``id`` besides. null is a number that is not known. A frame of a stream is a
recording of one frame.
"""

from typing import Any

from stgcn_lightning.errors import BadInput, nearest
from stgcn_lightning.sources.json_text import fields, first_table, many, table
from stgcn_lightning.sources.own_form import KEYS, recording_of
from stgcn_lightning.sources.recordings import Reading, Recording


def recognise(content: object) -> str | None:
    """See `formats`."""
    first = fields(content) or first_table(content)
    return "it has keypoint, as this package's own form" if "keypoint" in first else None


def read(content: object, id: str, about: str, reading: Reading) -> list[Recording]:
    """See `formats`."""
    if one := fields(content):
        return [_recording(one, id, about, reading)]
    return [
        _recording(table(one, f"{about}: recording {i}"), id, f"{about}, recording {i}", reading, i)
        for i, one in enumerate(many(content, about))
    ]


def _recording(
    content: dict[str, Any], id: str, about: str, reading: Reading, number: int | None = None
) -> Recording:
    for key in content:
        if key not in (*KEYS, "id"):
            raise BadInput(f"{about} has the key {key}: {nearest(key, KEYS)}")
    name = content.get("id")
    if not isinstance(name, str | None):
        raise BadInput(f"{about} has an id that is no text; write a text")
    within = name or number
    return recording_of(content, id if within is None else f"{id}:{within}", about, reading)
