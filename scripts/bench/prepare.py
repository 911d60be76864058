"""What preparing takes: time and memory of the door, on annotations of NTU120's size.

    python scripts/bench/prepare.py [--dimensions 3d 2d] [--samples 114480] [--protocols 4]
        [--old SRC]

Synthetic annotations, float16, 70 frames a sample on average (NTU RGB+D 120 has 8 million frames).
In 3D two persons are stored of each sample, of whom the second is absent in four of five, which
makes 2.4 GB; in 2D those who are there, with their scores. The figures are of a whole process of
`prepare`, from its start to its end, and of those that it starts: elapsed time, and the largest sum
of their memory, `Pss_Anon` and `Pss_Shmem` of /proc/PID/smaps_rollup (Linux), read every 50 ms.
That is what the processes hold alone, without the pages of files that the system keeps for them.
`--old` measures another version as well, whose folder `src` is given. The page cache holds the
annotations, which have just been written.
"""

import argparse
import os
import pickle
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Literal

import numpy as np
from common import CHECKOUT, processor

from stgcn_lightning.sources.synthetic import synthetic_annotations

FEW = 2000  # different samples, of which the others are made
FRAMES = 70  # on average
INTERVAL = 0.05  # seconds between two readings
TOGETHER = 5  # one of so many samples shows two persons
SPLITS = {"xsub_train": 0.553, "xsub_val": 1.0}  # ends of the parts


def main() -> None:
    arguments = argparse.ArgumentParser(description="Measure the prepare door.")
    arguments.add_argument("--dimensions", nargs="+", choices=["2d", "3d"], default=["3d", "2d"])
    arguments.add_argument("--samples", type=int, default=114_480)
    arguments.add_argument("--protocols", nargs="+", type=int, default=[4], help="of the pickle")
    arguments.add_argument("--old", metavar="SRC", help="`src` of a checkout of another version")
    arguments.add_argument("--make", nargs=2, help=argparse.SUPPRESS)
    choice = arguments.parse_args()
    if choice.make:
        path, dimension = choice.make
        write(Path(path), dimension, choice.samples, choice.protocols[0])
        return
    cores = len(os.sched_getaffinity(0))
    print(f"{processor()}, {cores} cores, {choice.samples:,} samples")
    sources = {"this version": CHECKOUT / "src"} | ({"old": choice.old} if choice.old else {})
    for dimension in choice.dimensions:
        for protocol in choice.protocols:
            for name, source in sources.items():
                with tempfile.TemporaryDirectory() as folder:
                    report(Path(folder), dimension, protocol, choice.samples, name, Path(source))


def report(
    folder: Path, dimension: str, protocol: int, samples: int, name: str, source: Path
) -> None:
    """Print a line of one run."""
    path = folder / "annotations.pkl"
    size = ["--samples", f"{samples}", "--protocols", f"{protocol}"]
    # in a process of its own, which keeps its memory from this one
    making = [sys.executable, __file__, "--make", f"{path}", dimension]
    subprocess.run([*making, *size], check=True)
    command = [
        *(sys.executable, "-m", "stgcn_lightning.prepare", f"benchmark=ntu120_xsub_{dimension}"),
        *(f"annotations={path}", f"data.store_dir={folder / 'stores'}"),
        f"hydra.run.dir={folder / 'run'}",
    ]
    seconds, memory = measured(command, os.environ | {"PYTHONPATH": f"{source}"})
    stored = sum(file.stat().st_size for file in (folder / "stores").rglob("*.*"))
    print(
        f"{dimension}, protocol {protocol}, {name}: {path.stat().st_size / 1e9:.2f} GB -> "
        f"{stored / 1e9:.2f} GB in {seconds:.1f} s, at most {memory / 1e3:.0f} MB",
        flush=True,
    )


def measured(command: list[str], env: dict[str, str]) -> tuple[float, int]:
    """Seconds that a command takes, and kilobytes of its processes together at most."""
    start, most = time.perf_counter(), 0
    with subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            most = max(most, sum(map(private, family(process.pid))))
            time.sleep(INTERVAL)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return time.perf_counter() - start, most


def family(pid: int) -> list[int]:
    """A process and those below it."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [pid, *(one for child in children for one in family(int(child)))]


def private(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith(("Pss_Anon", "Pss_Shmem")))


def write(path: Path, dimension: Literal["2d", "3d"], samples: int, protocol: int) -> None:
    """Write annotations of no two samples that are alike."""
    few = synthetic_annotations(dimension, min(FEW, samples), 0, seed=0).samples
    draw = np.random.default_rng(0)
    lengths = np.clip(draw.gamma(4, FRAMES / 4, samples), 20, 300).astype(int)
    records: list[dict[str, Any]] = []
    for i, length in enumerate(lengths):
        one = few[i % len(few)]
        # elsewhere in the picture, or in the room
        moved = np.array(divmod(i // len(few), 8), np.float16) / (1 if dimension == "2d" else 64)
        frames = np.arange(length) % one.keypoint.shape[1]
        keypoint = one.keypoint[:, frames]
        keypoint[..., :2] += moved
        if dimension == "3d" and len(keypoint) == 1:
            keypoint = np.concatenate([keypoint, np.zeros_like(keypoint)])
        records.append(
            {
                "frame_dir": f"S{i // 3456 + 1:03}C{i % 3 + 1:03}P{i % 106 + 1:03}R{i:06}A001",
                "label": i % 120,
                "img_shape": (1080, 1920),
                "original_shape": (1080, 1920),
                "total_frames": int(length),
                "keypoint": keypoint,
            }
            | ({} if one.score is None else {"keypoint_score": one.score[:, frames]})
        )
    ids = [record["frame_dir"] for record in records]
    ends = [0, *(round(end * samples) for end in SPLITS.values())]
    splits = {name: ids[a:b] for name, a, b in zip(SPLITS, ends[:-1], ends[1:], strict=True)}
    with path.open("wb") as file:
        pickle.dump({"split": splits, "annotations": records}, file, protocol)


if __name__ == "__main__":
    main()
