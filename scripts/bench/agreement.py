"""How often a continual stream and one by windows say the same, and who of them is right.

    python scripts/bench/agreement.py RUN/checkpoints/best.ckpt
    python scripts/bench/agreement.py RUN/checkpoints/best.ckpt --annotations FILE --split NAME
        [--window 100] [--speed 3] [--limit 100]

Every recording of the split is one person of one stream, who repeats it without end. `--speed 3`
shows every third frame alone, as fps=30 with trained_fps=10 does. Without `--annotations` these are
recordings of the embedded kind, of another seed than those of the training.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stgcn_lightning.predictor import Predictor, load
from stgcn_lightning.sources.annotations import Sample
from stgcn_lightning.sources.mmaction2 import read_annotations
from stgcn_lightning.sources.synthetic import synthetic_annotations

PAUSE = 8  # frames from one comparison to the next


def main() -> None:
    arguments = argparse.ArgumentParser(description="Compare two ways of streaming.")
    arguments.add_argument("checkpoint", type=Path)
    arguments.add_argument("--annotations", type=Path)
    arguments.add_argument("--split", default="val")
    arguments.add_argument("--window", type=int)
    arguments.add_argument("--speed", type=int, default=1)
    arguments.add_argument("--limit", type=int, default=200)
    choice = arguments.parse_args()
    predictor = load(choice.checkpoint)
    samples = list(first(choice.annotations, choice.split, predictor, choice.limit))
    labels = np.array([sample.label for sample in samples])
    window = choice.window or predictor.clip_frames
    slow, fast = (scores(predictor, samples, window, choice.speed, way) for way in (False, True))
    delay = predictor.stream(continual=True, img_shape=samples[0].img_shape).delay
    offline = predictor(samples).argmax(-1)
    print(f"{len(samples)} recordings, window {window}, delay {delay}, speed {choice.speed}")
    print(f"offline, whole recordings: right in {(offline == labels).mean():.1%}")
    both = sorted(slow.keys() & fast.keys())
    mine, theirs = (np.stack([found[time] for time in both]) for found in (slow, fast))
    for name, found in (("windowed", mine), ("continual", theirs)):
        print(f"{name:>10}: right in {(found.argmax(-1) == labels).mean():.1%} of the answers")
    compare("at the same moment", mine, theirs)
    later = [time for time in sorted(slow) if time + delay in fast]
    compare(
        "about the same frames",
        np.stack([slow[time] for time in later]),
        np.stack([fast[time + delay] for time in later]),
    )


def first(
    annotations: Path | None, split: str, predictor: Predictor, limit: int
) -> Iterator[Sample]:
    """Labelled samples of one picture size, since a stream has one."""
    if annotations is None:
        yield from synthetic_annotations("2d", limit, len(predictor.classes), seed=1).samples
        return
    found = read_annotations(annotations)
    wanted = set(found.splits[split])
    chosen = [
        sample for sample in found.samples if sample.id in wanted and sample.label is not None
    ]
    yield from [one for one in chosen if one.img_shape == chosen[0].img_shape][:limit]


def scores(
    predictor: Predictor, samples: list[Sample], window: int, speed: int, continual: bool
) -> dict[int, NDArray[np.float32]]:
    """Moment -> (recordings, classes), after every person has been there for long enough."""
    every = 1 if continual else PAUSE
    stream = predictor.stream(
        window=window, continual=continual, every=every, img_shape=samples[0].img_shape
    )
    people = [whole(sample, speed) for sample in samples]
    found: dict[int, NDArray[np.float32]] = {}
    for time in range(window + 2 * (76 + PAUSE * 4)):
        stream.push({i: person[time % len(person)] for i, person in enumerate(people)})
        if len(stream.answers) == len(people) and stream.answers[0].frame == time:
            found[time] = np.stack([stream.answers[i].scores for i in range(len(people))])
    return found


def whole(sample: Sample, speed: int) -> NDArray[np.float32]:
    """Frames (T, V, C) of the first person, with scores."""
    parts = [sample.keypoint[0]]
    if sample.score is not None:
        parts.append(sample.score[0][..., None])
    return np.concatenate(parts, -1).astype(np.float32)[::speed]


def compare(what: str, mine: NDArray[np.float32], theirs: NDArray[np.float32]) -> None:
    same = (mine.argmax(-1) == theirs.argmax(-1)).mean()
    difference = np.abs(mine - theirs)
    print(
        f"{what}: the same label in {same:.1%} of {mine[..., 0].size:,} pairs, a score differs by "
        f"{difference.mean():.3f} on average"
    )


if __name__ == "__main__":
    main()
