"""Pickles that no pickler would write, and what a reader answers to them."""

import pickle
import zipfile
from pathlib import Path

import pytest

from stgcn_lightning.errors import BadInput


def save(folder: Path, content: bytes, reader: str = "pickle") -> Path:
    """The pickle `content` as a file that `reader` opens."""
    path = folder / "input"
    if reader != "checkpoint":
        path.write_bytes(content)
        return path
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", content)
    return path


class Calls:
    """Pickles as `function(*args)`, then `state` set on the result."""

    def __init__(self, function, *args, state=None):
        self.parts = (function, args) if state is None else (function, args, state)

    def __reduce__(self):
        return self.parts


def assembled(name: str, *args: object, state: object = None) -> bytes:
    """The pickle of calling the global `module name` with arguments, and of a state for it."""
    content = f"c{name.replace(' ', chr(10))}\n".encode()
    content += pickle.dumps(args, 0)[:-1] + b"R"
    if state is not None:
        content += pickle.dumps(state, 0)[:-1] + b"b"
    return content + b"."


def message(read, path) -> str:
    with pytest.raises(BadInput) as caught:
        read(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)
