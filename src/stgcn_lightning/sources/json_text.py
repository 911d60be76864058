"""JSON that anybody may have written: read with bounds, and refused in a sentence."""

import functools
import json
import os
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from stgcn_lightning.errors import BadInput, brief
from stgcn_lightning.files.kinds import kind_of
from stgcn_lightning.files.reading import opened

MOST_BYTES = 1 << 29  # of one file: about 5 GB of memory while it is read


def read_json(path: Path) -> object:
    """What a JSON file holds; do not change it, since the last one is kept for the next call.

    Lines of JSON (``.jsonl``) are a list.

    Raises:
        BadInput: the file cannot be read, or is no JSON.
    """
    try:
        stat = os.stat(path)
    except OSError:
        with opened(path):  # says why
            raise
    if stat.st_size > MOST_BYTES:
        raise BadInput(
            f"{path} has {stat.st_size:,} bytes, more than the {MOST_BYTES:,} that are read at "
            "once: write a file for each video"
        )
    return _read(path, stat.st_mtime_ns, stat.st_size)


@functools.lru_cache(maxsize=1)  # a file is read once, however many formats look at it
def _read(path: Path, changed: int, size: int) -> object:
    del changed, size  # tell files of one path apart
    with opened(path) as file:
        text = file.read()
    if not text.strip():
        raise BadInput(f"{path} is empty; copy it again")
    if text.lstrip()[:1] not in b"[{":
        raise BadInput(
            f"{path} is {kind_of(path) or 'no JSON'}; give the file of key points itself"
        )
    if path.suffix.lower() == ".jsonl":
        lines = [line for line in text.splitlines() if line.strip()]
        return [parsed(line, f"{path}, line {i}") for i, line in enumerate(lines, 1)]
    return parsed(text, str(path))


def parsed(text: str | bytes, about: str) -> object:
    """What JSON text holds; a UTF-8 byte order mark does not matter.

    Args:
        text: of one JSON value.
        about: what it is called in the sentence of an error.

    Raises:
        BadInput: it is no JSON.
    """
    if len(text) > MOST_BYTES:
        raise BadInput(
            f"{about} has {len(text):,} characters, more than the {MOST_BYTES:,} that are read at "
            "once: write a file for each video"
        )
    try:
        return json.loads(text.decode("utf-8-sig") if isinstance(text, bytes) else text)
    except json.JSONDecodeError as error:
        cut = error.pos >= len(text) - 1 or error.msg.startswith("Unterminated")
        end = ", as if the file were cut off" if cut else ""
        raise BadInput(
            f"{about} is no JSON in line {error.lineno}, column {error.colno}{end} ({error.msg}); "
            "write or copy it again"
        ) from None
    except RecursionError:
        raise BadInput(f"{about} nests too deep for key points; write it again") from None
    except ValueError as error:  # no UTF-8, or a number of thousands of digits
        raise BadInput(f"{about} is no JSON ({error}); write it again as UTF-8") from None


def numbers(values: object, where: str) -> NDArray[np.float64]:
    """Numbers, nested as they are in the file, as an array; null is NaN.

    Args:
        values: what the file has.
        where: it has them, the beginning of a sentence, such as ``x.json: keypoints of frame 3``.

    Raises:
        BadInput: these are no numbers, or not of one length.
    """
    try:
        found = np.asarray(values)
        if found.dtype.kind == "O":  # with null
            found = np.asarray(values, dtype=np.float64)
        if found.dtype.kind not in "iuf" and found.size:
            raise TypeError
        return found.astype(np.float64)
    except (TypeError, ValueError, OverflowError, RecursionError):
        raise BadInput(f"{where}: {brief(values)} are not numbers; write them again") from None


def whole(value: object, where: str) -> int:
    """A whole number, as one or as text.

    Raises:
        BadInput: it is none.
    """
    try:
        if isinstance(value, float) and value.is_integer():
            return int(value)
        if isinstance(value, str | int) and not isinstance(value, bool):
            return int(value)
    except ValueError:
        pass
    raise BadInput(f"{where}: {brief(value)} is no whole number; write it again")


def table(value: object, where: str) -> dict[str, Any]:
    """A JSON object.

    Raises:
        BadInput: it is none.
    """
    if isinstance(value, dict):
        return cast(dict[str, Any], value)
    raise BadInput(f"{where}: {brief(value)} is no object with names; write it again")


def many(value: object, where: str) -> list[Any]:
    """A JSON array.

    Raises:
        BadInput: it is none.
    """
    if isinstance(value, list):
        return cast(list[Any], value)
    raise BadInput(f"{where}: {brief(value)} is no list; write it again")


def fields(content: object) -> dict[str, Any]:
    """A JSON object; empty where it is none, for recognising."""
    return cast(dict[str, Any], content) if isinstance(content, dict) else {}


def entries(content: object) -> list[Any]:
    """A JSON array; empty where it is none, for recognising."""
    return cast(list[Any], content) if isinstance(content, list) else []


def first_table(content: object) -> dict[str, Any]:
    """The first object of a list of objects; empty where there is none, for recognising."""
    found = entries(content)
    return fields(found[0]) if found else {}
