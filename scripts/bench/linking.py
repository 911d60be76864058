"""How well persons are told apart who cross, are hidden, and come back: identity kept, in frames.

People of the embedded data set walk across the picture; a detector lists them in any order, drops
some, loses joints, and sees ghosts. `linking` makes tracks of what is left; a detection counts as
right if its track is the one that most detections of the same person have.

    python scripts/bench/linking.py [--seeds 20]
"""

import argparse
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from stgcn_lightning.shipped import skeleton_named
from stgcn_lightning.sources.linking import linked
from stgcn_lightning.sources.recordings import READING, Reading, Recording
from stgcn_lightning.sources.synthetic import synthetic_annotations

HEIGHT, WIDTH = 1080, 1920
FRAMES = 300
HIDDEN = 0.6  # of a body's size: who is nearer than that behind somebody else is hidden


@dataclass(frozen=True)
class Scene:
    """What happens before the detector.

    Attributes:
        persons: how many there are.
        turn: they meet in the middle and turn back; else they cross.
        dropped: share of detections that are missing.
        gap: most frames in a row in which one person is not detected, once a recording.
        hidden: share of frames in which somebody behind another is not detected.
        ghosts: share of frames with somebody who is not there.
        noise: pixels.
        stride: only every n-th frame of 30 a second is there.
    """

    persons: int
    turn: bool = False
    dropped: float = 0.05
    gap: int = 0
    hidden: float = 0.0
    ghosts: float = 0.0
    noise: float = 3.0
    stride: int = 1


SCENES = {
    "two cross": Scene(2),
    "two cross, one hidden": Scene(2, hidden=0.9),
    "two cross, away for up to 25 frames": Scene(2, gap=25),
    "two cross, ghosts, one hidden": Scene(2, hidden=0.9, ghosts=0.1),
    "two cross, one hidden, 10 frames/s": Scene(2, hidden=0.9, stride=3),
    "three cross": Scene(3),
    "three cross, hidden, away, ghosts": Scene(3, gap=25, hidden=0.9, ghosts=0.1),
    "two meet and turn back, one hidden": Scene(2, turn=True, hidden=0.9),
    "six cross, hidden, away, ghosts": Scene(6, gap=25, hidden=0.9, ghosts=0.1),
}


def bodies(persons: int, seed: int) -> NDArray[np.float32]:
    """(persons, FRAMES, V, 2): people who act where they stand, around the origin."""
    made = synthetic_annotations("2d", 5 * persons, 0, seed=seed, min_frames=60, noise=0)
    alone = [sample for sample in made.samples if len(sample.keypoint) == 1][:persons]
    found = []
    for sample in alone:
        body = sample.keypoint[0].astype(np.float32)
        body = body - body[:, [11, 12]].mean((0, 1))
        there_and_back = np.concatenate([body, body[::-1]])
        found.append(there_and_back[np.arange(FRAMES) % len(there_and_back)])
    return np.stack(found)


def recording(scene: Scene, seed: int) -> Recording:
    """People in any order in each frame; the score of person p's joints is 0.5 + p / 100."""
    rng = np.random.default_rng(seed)
    P = scene.persons
    body = bodies(P, seed)
    nearness = rng.uniform(0.7, 1.3, P)
    where = np.linspace(0, 1, FRAMES)
    if scene.turn:
        where = np.minimum(where, 1 - where)
    # half come from the left, half from the right, one after the other and not side by side
    away = 0.2 * (np.arange(P) // 2)
    start = np.where(np.arange(P) % 2, 1 + away, -away) + rng.uniform(-0.05, 0.05, P)
    end = start + np.where(np.arange(P) % 2, -1, 1) * (1 + 2 * away.max())
    x = WIDTH * (start[:, None] + (end - start)[:, None] * where)
    y = HEIGHT * (0.5 + 0.1 * nearness[:, None]) + 0 * x
    keypoint = body * nearness[:, None, None, None] + np.stack([x, y], -1)[:, :, None]
    size = np.sqrt(((keypoint - keypoint.mean(2, keepdims=True)) ** 2).sum(-1).mean(-1))  # P, T
    keypoint += rng.normal(0, scene.noise, keypoint.shape)

    there = rng.random((P, FRAMES)) >= scene.dropped
    for p in range(P):
        for q in range(P):
            behind = nearness[p] < nearness[q]
            covered = np.abs(x[p] - x[q]) < HIDDEN * size[p]
            there[p] &= ~(behind & covered & (rng.random(FRAMES) < scene.hidden))
    if scene.gap:
        first = rng.integers(20, FRAMES - 60)
        there[rng.integers(P), first : first + rng.integers(5, scene.gap + 1)] = False
    ghosts = rng.random(FRAMES) < scene.ghosts
    ghost = body[0] + rng.uniform(0, (WIDTH, HEIGHT), (FRAMES, 1, 2))
    keypoint = np.concatenate([keypoint, ghost[None]])
    there = np.concatenate([there, ghosts[None]])

    score = np.broadcast_to(0.5 + np.arange(P + 1)[:, None, None] / 100, keypoint.shape[:3]).copy()
    score[rng.random(score.shape) < 0.05] = 0
    score[~there] = 0
    order = rng.permuted(np.tile(np.arange(P + 1)[:, None], FRAMES), axis=0)[..., None]
    keypoint = np.take_along_axis(np.where(score[..., None] > 0, keypoint, 0), order[..., None], 0)
    score = np.take_along_axis(score, order, 0)
    keypoint, score = keypoint[:, :: scene.stride], score[:, :: scene.stride]
    return Recording(
        f"{seed}",
        keypoint.astype(np.float32),
        skeleton_named("coco17").joints,
        score.astype(np.float32),
        skeleton="coco17",
        tracked=False,
        settled=True,
    )


def identity(scene: Scene, seed: int, reading: Reading = READING) -> tuple[int, int]:
    """Detections of real persons whose track is that person's, and how many there are."""
    people = recording(scene, seed)
    found = linked(people, reading)
    assert people.score is not None
    assert found.score is not None

    def who(score: NDArray[np.float32]) -> NDArray[np.int64]:  # -1: nobody
        return np.where(score.any(2), np.rint(100 * score.max(2) - 50).astype(np.int64), -1)

    true, all_true = who(found.score), who(people.score)
    counts = np.array(
        [(true == person).sum(1) for person in range(scene.persons)]
    )  # persons, tracks
    rows, columns = linear_sum_assignment(counts, maximize=True)
    total = int(((all_true >= 0) & (all_true < scene.persons)).sum())
    return int(counts[rows, columns].sum()), total


def kept(scene: Scene, seeds: int) -> float:
    """Share of detections whose identity is kept, over several recordings."""
    right, total = np.sum([identity(scene, seed) for seed in range(seeds)], axis=0)
    return float(right / total)


def seconds(frames: int, persons: int) -> float:
    """To link so many frames of so many people."""
    people = recording(Scene(persons), 0)
    times = -(-frames // FRAMES)
    assert people.score is not None
    long = Recording(
        "long",
        np.tile(people.keypoint, (1, times, 1, 1))[:, :frames],
        people.joints,
        np.tile(people.score, (1, times, 1))[:, :frames],
        tracked=False,
        settled=True,
    )
    start = time.perf_counter()
    linked(long, READING)
    return time.perf_counter() - start


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="identity kept by linking, in % of detections")
    parser.add_argument("--seeds", type=int, default=20, help="recordings of each scene")
    seeds = parser.parse_args().seeds
    print(f"{seeds} recordings of {FRAMES} frames each")
    for name, scene in SCENES.items():
        print(f"{name:40} {100 * kept(scene, seeds):6.2f} %")
    print(f"10,000 frames of 10 people: {seconds(10_000, 10):.1f} s")


if __name__ == "__main__":
    main()
