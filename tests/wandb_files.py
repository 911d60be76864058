"""Reads what W&B keeps of an offline run: the file that `wandb sync` uploads."""

import json
import struct
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from wandb.proto.wandb_internal_pb2 import Record

BLOCK, HEADER = 32768, 7


class OfflineRun:
    """A run as its records tell it.

    Attributes:
        run: group, tags, job_type, ...: the last record that describes the run.
        config, summary: key -> value.
        history: key -> values, in the order they were logged.
        files: names of the media.
        status: with which the run ended.
    """

    def __init__(self, folder: Path):
        self.config: dict[str, Any] = {}
        self.summary: dict[str, Any] = {}
        self.history: dict[str, list[Any]] = defaultdict(list)
        self.files: list[str] = []
        for record in finished(folder):
            kind = record.WhichOneof("record_type")
            if kind == "run":
                self.run = record.run
                self.config |= unpacked(record.run.config.update)
            elif kind == "config":
                self.config |= unpacked(record.config.update)
            elif kind == "summary":
                self.summary |= unpacked(record.summary.update)
            elif kind == "history":
                for key, value in unpacked(record.history.item).items():
                    self.history[key].append(value)
            elif kind == "files":
                self.files += [file.path for file in record.files.files]
            elif kind == "exit":
                self.status = record.exit.exit_code


def finished(folder: Path) -> list[Record]:
    """The records of a run that has ended; W&B's own process writes the last ones a bit later."""
    (path,) = folder.glob("run-*.wandb")
    for _ in range(1000):
        found = records(path)
        if any(record.WhichOneof("record_type") == "exit" for record in found):
            return found
        time.sleep(0.01)
    raise AssertionError(f"{path} has no end")


def unpacked(items: Any) -> dict[str, Any]:
    """Key and JSON value of each item."""
    return {"/".join(i.nested_key) or i.key: json.loads(i.value_json) for i in items}


def records(path: Path) -> list[Record]:
    """The records of a file in LevelDB's log format, which W&B writes, after its own 7 bytes."""
    content, found, part = path.read_bytes(), [], b""
    at = HEADER
    while at + HEADER <= len(content):
        if BLOCK - at % BLOCK < HEADER:  # the rest of a block is too short for a record
            at += BLOCK - at % BLOCK
            continue
        _, size, kind = struct.unpack("<IHB", content[at : at + HEADER])
        part += content[at + HEADER : at + HEADER + size]
        at += HEADER + size
        if kind in (1, 4):  # whole, or the last piece
            found.append(Record.FromString(part))
            part = b""
    return found
