"""How fast clips are made, compared with a naive pipeline, and how fast a large store opens.

    python scripts/bench/data.py [--streams joint bone joint_motion bone_motion]
        [--old SRC | --open]

One process, one thread, batches of 128 of 2,000 synthetic samples, from the annotation or the store
to a tensor of the batch; all run in turn, and the figures are medians of 7 rounds (`--rounds`).
Time is this process's time on the processor: on an idle machine the elapsed time, on a busy one
less. `--old` compares with version 0.1.0, whose folder `src` is given, instead of the naive
pipeline.
"""

import argparse
import importlib
import pickle
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from common import keep_memory, load_skeleton, old_package, processor
from naive import NaivePipeline

from stgcn_lightning.data.datamodule import Feed, SkeletonData
from stgcn_lightning.data.names import STREAMS
from stgcn_lightning.data.overlaps import judge_splits
from stgcn_lightning.data.store import StoreSpec, open_or_build
from stgcn_lightning.sources.annotations import Annotations, Sample
from stgcn_lightning.sources.mmaction2 import write_annotations
from stgcn_lightning.sources.synthetic import synthetic_annotations

SAMPLES, BATCH, CLIP_FRAMES, TEST_CLIPS, PERSONS = 2000, 128, 100, 10, 2
ROUNDS = 7
Pipeline = Callable[[], Iterable[object]]  # makes all batches
BODIES: dict[Literal["2d", "3d"], str] = {"2d": "coco17", "3d": "ntu25"}
NTU120 = {"train": 63_026, "val": 50_919}  # NTU RGB+D 120, cross-subject

# What a fresh process runs to open a store: prints milliseconds and private kilobytes.
OPENING = """
import pickle, sys, time
from stgcn_lightning.data.store import open_or_build

def private():
    with open("/proc/self/smaps_rollup") as file:
        return sum(int(line.split()[1]) for line in file if line.startswith("Private_"))

annotations, spec, root = pickle.loads(sys.stdin.buffer.read())
before, start = private(), time.perf_counter()
store = open_or_build(annotations, spec, root)
print(1000 * (time.perf_counter() - start), private() - before)
"""


def main() -> None:
    arguments = argparse.ArgumentParser(description="Time the data pipeline.")
    arguments.add_argument("--streams", nargs="+", choices=STREAMS, default=["joint"])
    arguments.add_argument("--open", action="store_true", help="open a store of NTU120's size")
    arguments.add_argument("--old", metavar="SRC", help="`src` of a checkout of version 0.1.0")
    arguments.add_argument("--rounds", type=int, default=ROUNDS)
    choice = arguments.parse_args()
    torch.set_num_threads(1)
    print(f"{processor()}, torch {torch.__version__}, numpy {np.__version__}, one thread")
    with tempfile.TemporaryDirectory() as folder:
        if choice.open:
            open_large_store(Path(folder))
        else:
            race(Path(folder), choice.streams, choice.rounds, choice.old)


def race(folder: Path, streams: Sequence[str], rounds: int, old: str | None) -> None:
    """Print samples per second of both pipelines."""
    print(f"{'':29}samples/s {'old' if old else 'naive':>6}  ratio")
    for dimension, body in BODIES.items():
        skeleton = load_skeleton(body)
        annotations = synthetic_annotations(dimension, SAMPLES, 1, seed=0)
        samples = annotations.samples[:SAMPLES]
        write_annotations(folder / f"{dimension}.pkl", annotations)
        spec = StoreSpec(skeleton, dimension, normalise=dimension, classes=12)
        store = open_or_build(folder / f"{dimension}.pkl", spec, folder)
        for stream in streams:
            data = SkeletonData(
                store,
                stream,
                train_split="train",
                val_split="train",
                feed=Feed(CLIP_FRAMES, TEST_CLIPS, PERSONS, BATCH),
            )
            if old:
                data_of_old = old_data(old, folder, dimension, stream)
                training, testing = data_of_old.train_dataloader, data_of_old.test_dataloader
            else:
                naive = NaivePipeline(skeleton, dimension, stream, CLIP_FRAMES, PERSONS)
                training = partial(naive_training, naive, samples)
                testing = partial(naive_test, naive, samples)
            name = f"{dimension} {stream}"
            print_rates(f"{name}, training", data.train_dataloader, training, rounds)
            print_rates(f"{name}, {TEST_CLIPS} clips", data.test_dataloader, testing, rounds)


def old_data(source: str, folder: Path, dimension: Literal["2d", "3d"], stream: str) -> Any:
    """The data module of version 0.1.0 for the annotations of `race`.

    Args:
        source: the folder `src` of a checkout of that version.
        folder: where the annotations lie, and where a store is made.
        dimension: of the annotations.
        stream: one of the four.
    """
    with old_package(source):
        old_store, old_module, old_skeleton = (
            importlib.import_module(f"stgcn_lightning.{name}")
            for name in ("data.store", "data.datamodule", "skeleton")
        )
        table = load_skeleton(BODIES[dimension]).to_dict()
        skeleton = old_skeleton.Skeleton.from_dict(table)
        spec = old_store.StoreSpec(skeleton, dimension, normalise=dimension, classes=12)
        store = old_store.open_or_build(folder / f"{dimension}.pkl", spec, folder / "old")
        return old_module.SkeletonData(
            store,
            skeleton.bone_parents,
            stream,
            train_split="train",
            val_split="train",
            clip_frames=CLIP_FRAMES,
            test_clips=TEST_CLIPS,
            persons=PERSONS,
            batch_size=BATCH,
            workers=0,
            passes=1,
            seed=0,
        )


def naive_training(naive: NaivePipeline, samples: Sequence[Sample]) -> Iterator[torch.Tensor]:
    """One epoch in random order."""
    rng = np.random.RandomState(0)
    for numbers in np.split(rng.permutation(len(samples)), range(BATCH, len(samples), BATCH)):
        yield naive.train_batch([samples[i] for i in numbers], rng)


def naive_test(naive: NaivePipeline, samples: Sequence[Sample]) -> Iterator[torch.Tensor]:
    """All samples in order."""
    for start in range(0, len(samples), BATCH):
        yield naive.test_batch(samples[start : start + BATCH], TEST_CLIPS)


def print_rates(name: str, ours: Pipeline, other: Pipeline, rounds: int) -> None:
    """Time both pipelines, which make all their batches in turn."""
    times = [(seconds(ours), seconds(other)) for _ in range(rounds)]
    rates = [SAMPLES / statistics.median(side) for side in zip(*times, strict=True)]
    ratio = statistics.median(slow / fast for fast, slow in times)
    print(f"{name:29}{rates[0]:9,.0f} {rates[1]:6,.0f} {ratio:6.2f}", flush=True)


def seconds(pipeline: Pipeline) -> float:
    start = time.process_time()
    for _ in pipeline():
        pass
    return time.process_time() - start


def large_annotations(folder: Path) -> tuple[Path, StoreSpec]:
    """Annotations of NTU120's size in 2D, and the specification of their store."""
    few = synthetic_annotations("2d", SAMPLES, 0, seed=0).samples
    count = sum(NTU120.values())
    samples = [
        replace(
            few[i % SAMPLES],
            id=f"S{i:06}",
            # elsewhere in the picture: no two samples are alike
            keypoint=few[i % SAMPLES].keypoint + np.array(divmod(i // SAMPLES, 8), np.float16),
        )
        for i in range(count)
    ]
    ids = [sample.id for sample in samples]
    splits = {"train": ids[: NTU120["train"]], "val": ids[NTU120["train"] :]}
    write_annotations(folder / "large.pkl", Annotations(samples, splits))
    spec = StoreSpec(load_skeleton("coco17"), "2d", normalise="2d", classes=12)
    return folder / "large.pkl", spec


def open_large_store(folder: Path) -> None:
    """Print what it takes to open a store of NTU120's size in a fresh process."""
    annotations, spec = large_annotations(folder)
    start = time.perf_counter()
    store = open_or_build(annotations, spec, folder)
    seconds = time.perf_counter() - start
    size = store.frames.numel() * store.frames.element_size()
    print(f"{len(store.ids):,} samples, {size / 1e9:.2f} GB, built in {seconds:.0f} s")
    classes = [str(number) for number in range(spec.classes)]
    findings = store.findings + judge_splits(store.divided(), "train", "val", classes, None)
    print(f"implausible: {'; '.join(finding.what for finding in findings) or 'nothing'}")
    runs = [open_once(annotations, spec, folder) for _ in range(ROUNDS)]
    milliseconds, kilobytes = (statistics.median(column) for column in zip(*runs, strict=True))
    print(f"opened in {milliseconds:.1f} ms, with {kilobytes / 1000:.1f} MB of private memory")


def open_once(annotations: Path, spec: StoreSpec, root: Path) -> tuple[float, float]:
    """Milliseconds and private kilobytes of a process that opens the store."""
    done = subprocess.run(
        [sys.executable, "-c", OPENING],
        input=pickle.dumps((annotations, spec, root)),
        stdout=subprocess.PIPE,
        check=True,
    )
    milliseconds, kilobytes = done.stdout.split()
    return float(milliseconds), float(kilobytes)


if __name__ == "__main__":
    keep_memory()
    main()
