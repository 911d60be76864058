"""How long a user waits for an answer that needs no job, and for the smallest job of each door.

    python scripts/bench/startup.py [--against SRC] [--rounds 5] [--only TEXT]

`--against SRC` is the folder `src` of another checkout, whose commands run in turn with those of
this one. Figures are medians of whole processes; jobs work on the files of `make_files`.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from common import CHECKOUT, take_turns

OURS = CHECKOUT / "src"
LEGACY = CHECKOUT / "tests" / "legacy"
DOORS = ("train", "test", "fuse", "reproduce", "prepare", "export", "inspect", "predict", "zoo")
SMALL = (
    "benchmark=synthetic benchmark.synthetic.train_samples=64 benchmark.synthetic.val_samples=32"
)
# what is timed -> (arguments, status)
ALONE = {
    "python alone": (["-c", "pass"], 0),
    "import stgcn_lightning": (["-c", "import stgcn_lightning"], 0),
    "read scores from Python": (
        ["-c", "from stgcn_lightning import read_scores as r; r('a.npz')"],
        0,
    ),
    "load a model from Python": (["-c", "from stgcn_lightning import load; load('best.ckpt')"], 0),
    "stgcn": (["-m", "stgcn_lightning"], 0),
}
QUESTIONS = {
    "--help": ("--help", 0),
    "--cfg job": ("--cfg job", 0),
    "a misspelt key": ("debgu=true", 2),
}
JOBS = {
    "train, an impossible value": ("train recipe.epochs=-1", 2),
    "train, a misspelt experiment": ("train experiment=quickstrt", 2),
    "fuse two files": ("fuse streams={joint:a.npz,again:b.npz}", 0),
    "inspect scores": ("inspect source=a.npz", 0),
    "inspect a recording": ("inspect source=walk.npz", 0),
    "inspect annotations": ("inspect source=annotations.pkl", 0),
    "inspect a checkpoint": ("inspect source=best.ckpt", 0),
    "predict a recording": ("predict checkpoint=best.ckpt source=walk.npz", 0),
    "export to safetensors": ("export checkpoint=best.ckpt format=safetensors", 0),
    "prepare, the store is there": (f"prepare {SMALL}", 0),
    "test two batches": (f"test checkpoint=best.ckpt {SMALL} trainer=cpu debug=fast", 0),
    "train two batches": ("train experiment=quickstart trainer=cpu debug=fast test_after=false", 0),
}


def commands() -> dict[str, tuple[list[str], int]]:
    """What is timed: arguments of Python, and the status that they end with."""
    doors = {
        f"{door}, {question}" if status else f"{door} {question}": (f"{door} {asked}", status)
        for question, (asked, status) in QUESTIONS.items()
        for door in DOORS
    }
    found = dict(ALONE)
    for name, (line, status) in (doors | JOBS).items():
        door, *rest = line.split(" ")
        found[name] = (["-m", f"stgcn_lightning.{door}", *rest], status)
    return found


def main() -> None:
    arguments = argparse.ArgumentParser(description="Time the start of the doors.")
    arguments.add_argument("--against", type=Path, help="`src` of another checkout")
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--only", default="", help="only what has this text in its name")
    choice = arguments.parse_args()
    sides = {"ours": OURS} | ({"other": choice.against} if choice.against else {})
    print(f"{'':30}" + "".join(f"{side:>8} (s)" for side in sides))
    with tempfile.TemporaryDirectory() as folder:
        make_files(Path(folder))
        for name, (command, status) in commands().items():
            if choice.only not in name:
                continue
            jobs = {
                side: starting(command, status, source, folder) for side, source in sides.items()
            }
            times = take_turns(jobs, choice.rounds)
            took = {side: statistics.median(times[side]) for side in sides}
            line = f"{name:30}" + "".join(f"{seconds:12.2f}" for seconds in took.values())
            if choice.against:
                line += f"  {took['other'] / took['ours']:6.1f} times as long"
            print(line, flush=True)


def make_files(folder: Path) -> None:
    """Score files, a checkpoint, a recording and annotations, as the jobs name them."""
    from stgcn_lightning.sources.mmaction2 import write_annotations
    from stgcn_lightning.sources.synthetic import synthetic_annotations

    for name in ("a.npz", "b.npz"):
        shutil.copy(LEGACY / "version_0_1_0_scores.npz", folder / name)
    shutil.copy(LEGACY / "version_0_1_0_finished.ckpt", folder / "best.ckpt")
    annotations = synthetic_annotations("2d", 96, 48)
    write_annotations(folder / "annotations.pkl", annotations)
    sample = annotations.samples[0]
    np.savez(folder / "walk.npz", keypoint=sample.keypoint, img_shape=np.array(sample.img_shape))


def starting(command: list[str], status: int, source: Path, folder: str):
    """A whole process that runs the package in `source`, and must end with `status`."""
    environment = os.environ | {"PYTHONPATH": str(source.resolve())}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # the first round, not counted, compiles

    def run() -> None:
        done = subprocess.run(
            [sys.executable, *command],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != status:
            raise RuntimeError(f"{' '.join(command)}: status {done.returncode}\n{done.stderr}")

    return run


if __name__ == "__main__":
    main()
