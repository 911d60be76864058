"""How often a continual stream and one by windows say the same, and who of them is right.

    python scripts/bench/agreement.py RUN/checkpoints/best.ckpt --speed 3
    python scripts/bench/agreement.py RUN/checkpoints/best.ckpt --annotations FILE --split NAME
        --repeat [--window 100] [--limit 100]

Every recording of the split is one person of one stream. He moves once and then stands still, and
both ways are asked about the frames of the recording, the continual one when its delay has passed;
or (`--repeat`) he repeats the recording without end, as clips of the training do with recordings
that are shorter than a clip, and both are asked again and again. `--speed 3` shows the continual
network every third frame, as fps=30 with trained_fps=10 does. Without `--annotations` these are
recordings of the embedded kind, of another seed than those of the training.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stgcn_lightning.data.checks import split_ids
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
    limit = "recordings at most; of the embedded kind, 12 more"
    arguments.add_argument("--limit", type=int, default=200, help=limit)
    arguments.add_argument("--repeat", action="store_true")
    choice = arguments.parse_args()
    predictor = load(choice.checkpoint)
    samples = list(first(choice.annotations, choice.split, predictor, choice.limit))
    labels = np.array([sample.label for sample in samples])
    print(f"{len(samples)} recordings, speed {choice.speed}")
    if choice.repeat:
        window = choice.window or predictor.clip_frames
        slow, fast = (
            scores(predictor, samples, window, choice.speed, way) for way in (False, True)
        )
        delay = predictor.stream(continual=True, img_shape=samples[0].img_shape).delay
        both = sorted(slow.keys() & fast.keys())
        mine, theirs = (np.stack([found[time] for time in both]) for found in (slow, fast))
        compare("at the same moment", mine, theirs, labels)
        later = [time for time in sorted(slow) if time + delay in fast]
        mine = np.stack([slow[time] for time in later])
        theirs = np.stack([fast[time + delay] for time in later])
        compare("about the same frames", mine, theirs, labels)
    else:
        once = moved_once(predictor, samples, choice.speed)
        compare("about the same frames", predictor(samples), once, labels)


def first(
    annotations: Path | None, split: str, predictor: Predictor, limit: int
) -> Iterator[Sample]:
    """Labelled samples of one picture size, since a stream has one."""
    if annotations is None:
        yield from synthetic_annotations("2d", limit, len(predictor.classes), seed=1).samples
        return
    found = read_annotations(annotations)
    wanted = set(split_ids(found, split))
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


def moved_once(predictor: Predictor, samples: list[Sample], speed: int) -> NDArray[np.float32]:
    """Continual scores (recordings, classes) of the mean of all features of each recording."""
    people = [whole(sample, speed) for sample in samples]
    longest = max(len(person) for person in people)
    stream = predictor.stream(
        window=longest, least=1, continual=True, img_shape=samples[0].img_shape
    )
    found = np.zeros((len(people), len(predictor.classes)), np.float32)
    for time in range(longest + stream.delay):
        poses = {i: person[min(time, len(person) - 1)] for i, person in enumerate(people)}
        stream.push(poses)
        for i, person in enumerate(people):
            if time == len(person) - 1 + stream.delay:
                found[i] = stream.answers[i].scores
    return found


def compare(
    what: str, mine: NDArray[np.float32], theirs: NDArray[np.float32], labels: NDArray[np.int64]
) -> None:
    """Print what windowed scores (..., recordings, classes) and continual ones have in common."""
    same = (mine.argmax(-1) == theirs.argmax(-1)).mean()
    right = [(one.argmax(-1) == labels).mean() for one in (mine, theirs)]
    print(
        f"{what}: the same label in {same:.1%} of {mine[..., 0].size:,} pairs, a score differs by "
        f"{np.abs(mine - theirs).mean():.3f} on average; windowed right in {right[0]:.1%}, "
        f"continual in {right[1]:.1%}"
    )


if __name__ == "__main__":
    main()
