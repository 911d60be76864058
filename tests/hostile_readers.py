"""Read files that mean harm, one after the other, and print how each ended: a program of its own.

    python tests/hostile_readers.py FILE...

A line a file, separated by tabs: name, `clean`, `refused` or `escaped`, seconds, megabytes by which
the largest memory of this process grew, and what was said.
"""

import resource
import sys
import tempfile
import time
from pathlib import Path

from stgcn_lightning import skeleton_named
from stgcn_lightning.checkpoints.weights import read_weights
from stgcn_lightning.data.spec import StoreSpec
from stgcn_lightning.data.store import open_or_build
from stgcn_lightning.errors import BadInput
from stgcn_lightning.evaluation.scores import read_scores
from stgcn_lightning.jobs.classes import class_names

CHECKPOINTS = (".pth", ".pt", ".ckpt", ".safetensors")


def read_annotations(path: Path) -> None:
    spec = StoreSpec(skeleton_named("coco17"), "2d", normalise="2d", classes=12)
    with tempfile.TemporaryDirectory() as folder:
        open_or_build(path, spec, folder)


def reader_of(name: str):
    """What opens a file of such a name; those found by mutation are called after their reader."""
    if name.startswith("fuzz_"):
        kinds = {"ckpt": read_weights, "dump": read_scores, "npz": read_scores, "cls": names_in}
        return kinds.get(name.split("_")[1], read_annotations)
    if name.endswith(CHECKPOINTS):
        return read_weights
    return read_scores if name.endswith(".npz") or name.startswith("dump") else read_annotations


def names_in(path: Path) -> None:
    class_names(str(path))


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def outcome(path: Path) -> tuple[str, str]:
    try:
        reader_of(path.name)(path)
    except BadInput as error:
        return "refused", str(error)
    except Exception as error:
        return "escaped", f"{type(error).__name__}: {error}"
    return "clean", ""


def main(paths: list[str]) -> None:
    for path in map(Path, paths):
        start, before = time.monotonic(), peak()
        ended, said = outcome(path)
        seconds = time.monotonic() - start
        print(
            path.name, ended, f"{seconds:.1f}", peak() - before, said.encode(), sep="\t", flush=True
        )


if __name__ == "__main__":
    main(sys.argv[1:])
