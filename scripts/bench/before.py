"""What reading files costs beside an earlier version of this package.

    python scripts/bench/before.py SRC [--rounds 9]

SRC is the folder `src` of a checkout of that version. Each version runs in a process of its own,
one thread; both do the same in turn, and each figure is the median of the rounds. Time is the
process's time on the processor. Files are made here: annotations of 56,880 samples of 70 frames, as
many as NTU RGB+D 60 has, their store, a checkpoint of ST-GCN with its optimiser, scores of 16,487
samples.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import lightning
import numpy as np
import torch
from common import MEMORY, load_skeleton, make_model, processor

from stgcn_lightning.evaluation.scores import Scores, write_scores
from stgcn_lightning.sources.annotations import Annotations, Sample
from stgcn_lightning.sources.mmaction2 import write_annotations

SAMPLES, FRAMES, CLASSES, TESTED = 56_880, 70, 60, 16_487
# What a process of each version runs: what a line says; it prints the seconds that it took.
WORKER = """
import gc, json, sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
folder = Path(sys.argv[2])
from stgcn_lightning.data.store import StoreSpec, open_or_build
from stgcn_lightning.evaluation.scores import read_scores
from stgcn_lightning.files.archives import read_checkpoint
from stgcn_lightning.skeleton import Skeleton
skeleton = Skeleton.from_dict(json.loads((folder / "skeleton.json").read_text()))
spec = StoreSpec(skeleton, "2d", normalise="2d", classes=60)
annotations, stores = folder / "a.pkl", folder / sys.argv[3]
tasks = {
    "annotations": lambda: spec.source.annotations(annotations, lambda done: None),
    "store": lambda: open_or_build(annotations, spec, stores),
    "checkpoint": lambda: read_checkpoint(folder / "a.ckpt"),
    "scores": lambda: read_scores(folder / "a.npz"),
}
for line in sys.stdin:
    task, times = line.split()
    gc.collect()
    before = time.process_time()
    for _ in range(int(times)):
        tasks[task]()
    print((time.process_time() - before) / int(times), flush=True)
"""
# task -> what it is called, and how often it is done for one figure
TASKS = {
    "annotations": ("read annotations of 56,880 samples", 1),
    "store": ("open their store", 20),
    "checkpoint": ("read a checkpoint of ST-GCN", 5),
    "scores": ("read scores of 16,487 samples", 3),
}


class Version:
    """A process of one version.

    Args:
        source: its folder `src`.
        folder: where the files lie.
        stores: the folder of its stores in there.
    """

    def __init__(self, source: str, folder: Path, stores: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", WORKER, source, str(folder), stores],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | MEMORY | {"OMP_NUM_THREADS": "1", "PYTHONPATH": ""},
        )

    def seconds(self, task: str, times: int) -> float:
        """How long a task takes."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(task, times, file=self.process.stdin, flush=True)
        return float(self.process.stdout.readline())


def make_files(folder: Path) -> None:
    """What is read."""
    rng = np.random.default_rng(0)
    shape = (1, FRAMES, 17)
    samples = [
        Sample(
            f"S001C001P001R001A{number:06}",
            number % CLASSES,
            (rng.random((*shape, 2)) * (1900, 1000)).astype(np.float16),
            np.ones(shape, np.float16),
            (1080, 1920),
        )
        for number in range(SAMPLES)
    ]
    ids = [sample.id for sample in samples]
    splits = {"train": ids[:40_000], "val": ids[40_000:]}
    write_annotations(folder / "a.pkl", Annotations(samples, splits))
    table = load_skeleton("coco17").to_dict()
    (folder / "skeleton.json").write_text(json.dumps(table))
    model = make_model("2d")
    momentum = {i: {"momentum_buffer": p.detach()} for i, p in enumerate(model.parameters())}
    content = {
        "state_dict": {f"model.{name}": value for name, value in model.state_dict().items()},
        "optimizer_states": [{"state": momentum, "param_groups": [{"lr": 0.1}]}],
        "pytorch-lightning_version": lightning.__version__,
        "epoch": 1,
        "global_step": 1,
    }
    torch.save(content, folder / "a.ckpt")
    answers = rng.random((TESTED, CLASSES), np.float32)
    scores = Scores(
        ids=np.array(ids[:TESTED]),
        labels=np.arange(TESTED) % CLASSES,
        scores=answers / answers.sum(1, keepdims=True),
        classes=np.array([f"class {number}" for number in range(CLASSES)]),
    )
    write_scores(folder / "a.npz", scores)


def main() -> None:
    parser = argparse.ArgumentParser(
        description="What reading files costs beside an earlier version."
    )
    parser.add_argument("before", metavar="SRC")
    parser.add_argument("--rounds", type=int, default=9)
    chosen = parser.parse_args()
    now = str(Path(__file__).parents[2] / "src")
    with tempfile.TemporaryDirectory() as name:
        make_files(Path(name))
        versions = [Version(chosen.before, Path(name), "before"), Version(now, Path(name), "now")]
        print(f"{processor()}, medians of {chosen.rounds} rounds\n")
        print(f"{'':40}{'before (ms)':>12}{'now (ms)':>12}{'now/before':>12}")
        for task, (title, times) in TASKS.items():
            for version in versions:  # stores are built, files come into memory
                version.seconds(task, 1)
            rounds = [[one.seconds(task, times) for one in versions] for _ in range(chosen.rounds)]
            old, new = (1000 * statistics.median(column) for column in zip(*rounds, strict=True))
            ratio = statistics.median(after / before for before, after in rounds)
            print(f"{title:40}{old:12.2f}{new:12.2f}{ratio:12.3f}")
        for version in versions:
            version.process.kill()


if __name__ == "__main__":
    main()
