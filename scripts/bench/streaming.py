"""How long a label takes while persons move: by windows, frame by frame, and with strides.

    python scripts/bench/streaming.py [--threads 2] [--people 1 4 16] [--model stgcnpp]

Full width, 17 joints, windows of 100 frames, float32; from key points in pixels to labels, so that
normalising and classifying count. Prints the rows of the table in docs/streaming.md, for one thread
and for two.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from common import graph_mode, keep_memory, load_skeleton, machine, make_model

from stgcn_lightning.predictor import Predictor, load

WINDOW = 100
PICTURE = (480, 640)
WAYS = {
    "windowed": {"continual": False, "every": 1},
    "continual": {"continual": True, "every": 1},
    "continual, every 4th": {"continual": True, "every": 4},
}


def main() -> None:
    arguments = argparse.ArgumentParser(description="Time streams of frames.")
    arguments.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    arguments.add_argument("--people", type=int, nargs="+", default=[1, 4, 16])
    arguments.add_argument("--model", default="stgcn")
    arguments.add_argument("--windows", type=int, default=30, help="windowed answers to time")
    arguments.add_argument("--frames", type=int, default=600, help="continual frames to time")
    choice = arguments.parse_args()
    print(machine())
    print(
        "| Way | People | Threads | Answers/s | Median (ms) | p99 (ms) |\n|---|---|---|---|---|---|"
    )
    with tempfile.TemporaryDirectory() as folder:
        predictor = load(checkpoint(Path(folder), choice.model))
    for way, options in WAYS.items():
        for people in choice.people:
            for threads in choice.threads:
                torch.set_num_threads(threads)
                frames = choice.frames if options["continual"] else choice.windows
                times = np.array(latencies(predictor, options, people, frames))
                every = 4 if "4th" in way else 1
                rate = people * len(times) / every / times.sum()
                median, late = 1000 * np.quantile(times, (0.5, 0.99))
                print(
                    f"| {way} | {people} | {threads} | {rate:,.0f} | {median:.2f} | {late:.2f} |",
                    flush=True,
                )


def checkpoint(folder: Path, family: str) -> Path:
    """A model of full width with random weights."""
    model = make_model("2d", family=family).eval()
    card = {
        "model": {"name": family, "graph": graph_mode(family), "base_channels": 64},
        "skeleton": load_skeleton("coco17").to_dict(),
        "classes": [f"class {i}" for i in range(60)],
        "stream": "joint",
        "benchmark": "bench",
        "dimension": "2d",
        "normalise": "2d",
        "clip_frames": WINDOW,
        "test_clips": 10,
        "persons": 2,
        "missing": "error",
    }
    state = {f"model.{name}": value for name, value in model.state_dict().items()}
    torch.save({"state_dict": state, "stgcn_lightning": card}, folder / "bench.ckpt")
    return folder / "bench.ckpt"


def latencies(
    predictor: Predictor, options: dict[str, int], people: int, frames: int
) -> list[float]:
    """Seconds from a frame to its labels, once every frame has one."""
    stream = predictor.stream(fps=30, img_shape=PICTURE, window=WINDOW, **options)
    rng = np.random.default_rng(0)
    bodies = rng.uniform(50, 430, (64, people, 17, 3)).astype(np.float32)
    times: list[float] = []
    for number in range(WINDOW + stream.delay + frames):
        keypoints = dict(enumerate(bodies[number % len(bodies)]))
        start = time.perf_counter()
        stream.push(keypoints)
        times.append(time.perf_counter() - start)
        if not options["continual"] and number < WINDOW - 2:
            times.clear()
    return times[-frames:]


if __name__ == "__main__":
    keep_memory()
    main()
