"""What makes a continual answer differ from a windowed one: the window's edges, or the strides.

    python scripts/bench/edges.py RUN/checkpoints/best.ckpt [--windows 100 200 400 800 1600]
        [--annotations FILE --split NAME]

Persons do one recording after the other, in the order of a seed. Three answers are about the same
frames: that of the window, with zeros around it; the continual one with `every=4`, which has the
same features, but of a person whose frames before and after the window are the real ones; and that
with `every=1`, the mean of all four phases of the strides. The first two differ by the edges alone,
the last two by the phases alone. A window is one clip here, however long it is.
"""

import argparse
from pathlib import Path

import numpy as np
from agreement import first, whole
from numpy.typing import NDArray

from stgcn_lightning.predictor import Predictor, load

STRIDES = 4  # their product
Scores = NDArray[np.float32]


def main() -> None:
    arguments = argparse.ArgumentParser(description="Tell the edges of windows from strides.")
    arguments.add_argument("checkpoint", type=Path)
    arguments.add_argument("--annotations", type=Path)
    arguments.add_argument("--split", default="val")
    arguments.add_argument("--windows", type=int, nargs="+", default=[100, 200, 400, 800, 1600])
    arguments.add_argument("--people", type=int, default=12)
    arguments.add_argument("--moments", type=int, default=12, help="of each person")
    choice = arguments.parse_args()
    predictor = load(choice.checkpoint)
    samples = list(first(choice.annotations, choice.split, predictor, 200))
    recordings, shape = [whole(sample, 1) for sample in samples], samples[0].img_shape
    print(
        "| Window | Edges: same label, mean and largest difference of a score | Phases | Both |\n"
        "|---|---|---|---|"
    )
    for window in choice.windows:
        if window % STRIDES:
            raise SystemExit(f"--windows {window} is no multiple of {STRIDES}")
        predictor.clip_frames = window
        length = window + 40 * choice.moments + 200
        crowd = [endless(recordings, seed, length) for seed in range(choice.people)]
        ends = [window + 99 + 40 * number for number in range(choice.moments)]  # last frames
        windowed = np.stack(
            [
                predictor([one[None, end + 1 - window : end + 1] for one in crowd], img_shape=shape)
                for end in ends
            ]
        )
        strided = continual(predictor, crowd, shape, [end - STRIDES + 1 for end in ends], STRIDES)
        every = continual(predictor, crowd, shape, ends, 1)
        cells = [compared(*two) for two in ((windowed, strided), (strided, every))]
        print(f"| {window} | {' | '.join(cells)} | {compared(windowed, every)} |", flush=True)


def endless(recordings: list[Scores], seed: int, length: int) -> Scores:
    """Frames (T, V, C) of somebody who does one recording after the other."""
    rng, parts, count = np.random.default_rng(seed), list[Scores](), 0
    while count < length:
        parts.append(recordings[rng.integers(len(recordings))])
        count += len(parts[-1])
    return np.concatenate(parts)[:length]


def continual(
    predictor: Predictor,
    crowd: list[Scores],
    shape: tuple[int, int] | None,
    newest: list[int],
    every: int,
) -> Scores:
    """Scores (moments, people, classes) of the answers whose newest feature is at `newest`."""
    stream = predictor.stream(continual=True, every=every, img_shape=shape)
    found: dict[int, Scores] = {}
    for time in range(newest[-1] + stream.delay + 1):
        stream.push({i: one[time] for i, one in enumerate(crowd)})
        if time - stream.delay in newest:
            found[time] = np.stack([stream.answers[i].scores for i in range(len(crowd))])
            assert stream.answers[0].frame == time
    return np.stack(list(found.values()))


def compared(mine: Scores, theirs: Scores) -> str:
    """What two ways say about the same frames."""
    same, far = (mine.argmax(-1) == theirs.argmax(-1)).mean(), np.abs(mine - theirs)
    return f"{same:.1%}, {far.mean():.4f}, {far.max():.3f}"


if __name__ == "__main__":
    main()
