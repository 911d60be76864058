"""A process that answers for recordings as long as it lives, as a service does.

    python scripts/soaking/answers.py CHECKPOINT STATUS

It loads the checkpoint again now and then, gives arrays of all shapes, windows, streams and wrong
input, and asks for the same recordings in every cycle: other scores than in the first end it with
status 1. STATUS is a file with the number of recordings answered so far. The shapes come again
after some cycles: what torch keeps for each (oneDNN's primitives) is complete then, and what grows
afterwards is lost.
"""

import hashlib
import itertools
import json
import sys
from pathlib import Path

import numpy as np

import stgcn_lightning as sl
from stgcn_lightning.files.writing import write_atomically
from stgcn_lightning.predictor import Predictor

PICTURE = (480, 640)
CYCLES_OF_A_MODEL = 20
SHAPES = 30  # cycles of different recordings
STREAMED = 40  # frames
AT_ONCE = (1, 2, 5, 17)  # recordings of a call


def main() -> None:
    checkpoint, status = map(Path, sys.argv[1:])
    model, answered, first = sl.load(checkpoint), 0, ""
    for cycle in itertools.count():
        if cycle % CYCLES_OF_A_MODEL == CYCLES_OF_A_MODEL - 1:
            model = sl.load(checkpoint)
        answered += answer_any(
            model, np.random.default_rng(cycle % SHAPES), continual=cycle % 2 == 1
        )
        same = digest(model)
        first = first or same
        if same != first:
            sys.exit(f"answers: cycle {cycle} has other scores for the same recordings than the "
                     "first")  # fmt: skip
        with write_atomically(status) as file:
            file.write(json.dumps({"recordings": answered, "digest": same}).encode())


def answer_any(model: Predictor, random: np.random.Generator, continual: bool) -> int:
    """Ask in every way for recordings of any length; how many were answered."""
    answered = 0
    for several in AT_ONCE:
        model([recording(model, random) for _ in range(several)], img_shape=PICTURE)
        answered += several
    model.windows(recording(model, random), img_shape=PICTURE)
    stream = model.stream(img_shape=PICTURE, together=True, continual=continual)
    body = recording(model, random, STREAMED)
    for frame in body.swapaxes(0, 1):
        stream.push(frame)
    wrong = recording(model, random)
    wrong[0, 0, 0, 0] = np.nan
    for bad in (wrong, wrong[:, :, :-1], wrong[:, :0], "no recording"):
        refuse(model, bad)
    return answered + 2


def refuse(model: Predictor, bad: object) -> None:
    """Ask for what is none."""
    try:
        model(bad, img_shape=PICTURE)  # pyright: ignore[reportArgumentType]
    except sl.BadInput:
        return
    sys.exit(f"answers: {type(bad).__name__} that is no recording was not refused")


def recording(
    model: Predictor, random: np.random.Generator, frames: int | None = None
) -> np.ndarray:
    """One or two persons who move at random in the picture, (M, T, V, 2)."""
    shape = (
        random.integers(1, 3),
        frames or random.integers(5, 200),
        model.skeleton.num_joints,
        2,
    )
    return random.uniform(0, 480, shape)


def digest(model: Predictor) -> str:
    """Of the scores of the same recordings."""
    random = np.random.default_rng(0)
    scores = model([recording(model, random) for _ in range(3)], img_shape=PICTURE)
    return hashlib.sha256(scores.tobytes()).hexdigest()


if __name__ == "__main__":
    main()
