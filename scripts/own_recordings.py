"""Write recordings such as a user's own: key-point files of the embedded data's bodies.

python scripts/own_recordings.py FOLDER
python scripts/own_recordings.py FOLDER --format openpose --actions 5 --recordings 40

FOLDER/recordings has a folder for each action, with recordings whose names begin with the person
who performs, P01 and so on. Beside it lie two recordings of a person who is in none of them:
`unseen_ACTION`, and `long` of several actions one after the other. `mediapipe` gives a CSV file a
recording, one person; `openpose` a folder with a JSON file a frame, and two persons who do the same
side by side, in an order that changes between the frames, as OpenPose does not track.

Axes: T frames, V joints, (x, y) in pixels.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stgcn_lightning.shipped import skeleton_named
from stgcn_lightning.skeleton import Skeleton
from stgcn_lightning.sources.annotations import Sample
from stgcn_lightning.sources.synthetic import synthetic_annotations
from stgcn_lightning.sources.synthetic_actions import ACTIONS, PAIRS

Array = NDArray[np.float32]
COCO = skeleton_named("coco17")
CHOICES = [pair[0] for pair in PAIRS[:5]] + [pair[1] for pair in PAIRS[:5]]  # of one person
PERSONS = 10  # who perform in the recordings
HEIGHT, WIDTH = 1080, 1920
LONGEST = 120  # frames of a recording

# joint that COCO lacks -> joints that it is made of, with their weights, which sum to 1
BESIDE = {
    "left_eye_inner": {"left_eye": 0.75, "nose": 0.25},
    "right_eye_inner": {"right_eye": 0.75, "nose": 0.25},
    "left_eye_outer": {"left_eye": 0.7, "left_ear": 0.3},
    "right_eye_outer": {"right_eye": 0.7, "right_ear": 0.3},
    "mouth_left": {"nose": 0.85, "left_shoulder": 0.15},
    "mouth_right": {"nose": 0.85, "right_shoulder": 0.15},
    "neck": {"left_shoulder": 0.5, "right_shoulder": 0.5},
    "mid_hip": {"left_hip": 0.5, "right_hip": 0.5},
}
BEYOND = {  # the forearm or the shin, and how far beyond its end
    **dict.fromkeys(("pinky", "index"), ("elbow", "wrist", 0.3)),
    "thumb": ("elbow", "wrist", 0.2),
    "heel": ("knee", "ankle", 0.08),
    **dict.fromkeys(("foot_index", "big_toe", "small_toe"), ("knee", "ankle", 0.15)),
}


def places(joints: Skeleton) -> Array:
    """Weights (V, 17) that make the joints of another skeleton from those of coco17."""
    weights = np.zeros((joints.num_joints, COCO.num_joints), np.float32)
    for row, name in zip(weights, joints.joints, strict=True):
        side, _, part = name.partition("_")
        if name in COCO.joints:
            row[COCO.joints.index(name)] = 1
        elif name in BESIDE:
            for other, weight in BESIDE[name].items():
                row[COCO.joints.index(other)] = weight
        else:
            start, end, beyond = BEYOND[part]
            row[COCO.joints.index(f"{side}_{start}")] = -beyond
            row[COCO.joints.index(f"{side}_{end}")] = 1 + beyond
    return weights


class Pool:
    """Samples of the embedded data by action, of one side of its split.

    Args:
        samples: of one person each, or of two.
    """

    def __init__(self, samples: list[Sample]):
        self._left = {
            name: [s for s in samples if ACTIONS[s.label or 0] == name] for name in CHOICES
        }

    def take(self, action: str, persons: int) -> tuple[int, Array, Array]:
        """A subject's number, key points (M, T, 17, 2) and scores (M, T, 17) of an action."""
        taken = [self._left[action].pop(0) for _ in range(persons)]
        T = min(sample.keypoint.shape[1] for sample in taken)
        points: Array = np.concatenate([s.keypoint[:, :T] for s in taken]).astype(np.float32)
        scores = np.concatenate([s.score[:, :T] for s in taken if s.score is not None])
        if persons == 2:  # side by side, each in a half of the picture
            middle = np.array([WIDTH / 2, HEIGHT / 2], np.float32)
            points = ((points - middle) * 0.6 + middle).astype(np.float32)
            points[0, ..., 0] -= WIDTH / 4
            points[1, ..., 0] += WIDTH / 4
        return int(taken[0].id[9:12]), points, scores.astype(np.float32)


def write_mediapipe(target: Path, points: Array, scores: Array) -> None:
    """A CSV file with x, y in [0, 1], z and visibility of the 33 landmarks, a line a frame."""
    weights = places(skeleton_named("mediapipe33"))
    points = weights @ points[0] / np.array([WIDTH, HEIGHT], np.float32)  # T, 33, 2
    scores = np.abs(weights) @ scores[0, ..., None] / np.abs(weights).sum(1)[:, None]  # T, 33, 1
    heads = [f"{axis}{joint}" for joint in range(1, 34) for axis in "xyzv"]
    with target.with_name(f"{target.name}.csv").open("w") as file:
        file.write(",".join(heads) + "\n")
        for row in np.concatenate([points, 0 * scores, scores], -1):  # 33, 4
            file.write(",".join(f"{value:.5f}" for value in row.flat) + "\n")


def write_openpose(target: Path, points: Array, scores: Array) -> None:
    """A folder with a JSON file a frame, whose people are in any order."""
    weights = places(skeleton_named("openpose25"))
    points = weights @ points  # M, T, 25, 2
    scores = np.abs(weights) @ scores[..., None] / np.abs(weights).sum(1)[:, None]
    rng = np.random.default_rng(points.shape[1])
    target.mkdir(parents=True, exist_ok=True)
    for frame, people in enumerate(np.concatenate([points, scores], -1).swapaxes(0, 1)):
        content = {
            "version": 1.3,
            "people": [
                {"person_id": [-1], "pose_keypoints_2d": [round(float(x), 3) for x in one.flat]}
                for one in rng.permutation(people)
            ],
        }
        file = target / f"{target.name}_{frame:012}_keypoints.json"
        file.write_text(json.dumps(content))


WRITERS = {"mediapipe": (write_mediapipe, 1), "openpose": (write_openpose, 2)}


def main() -> None:
    """Write the recordings that the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--format", choices=WRITERS, default="mediapipe")
    parser.add_argument("--actions", type=int, default=5, choices=range(2, len(CHOICES) + 1))
    parser.add_argument("--recordings", type=int, default=40)
    options = parser.parse_args()
    write, persons = WRITERS[options.format]
    names = CHOICES[: options.actions]
    each = persons * (options.recordings // len(names) + 1)  # samples of an action
    made = synthetic_annotations(
        "2d", each * 13, each * 13, train_subjects=PERSONS, max_frames=LONGEST
    )  # of 12.5 samples, each action of one person has one
    known = Pool([sample for sample in made.samples if sample.id in {*made.splits["train"]}])
    unseen = Pool([sample for sample in made.samples if sample.id in {*made.splits["val"]}])

    for number in range(options.recordings):
        action = names[number % len(names)]
        folder = options.folder / "recordings" / action
        folder.mkdir(parents=True, exist_ok=True)
        subject, points, scores = known.take(action, persons)
        write(folder / f"P{subject:02}_{number // len(names) + 1:02}", points, scores)
    _, points, scores = unseen.take(names[-1], persons)
    write(options.folder / f"unseen_{names[-1]}", points, scores)
    parts = [unseen.take(name, persons)[1:] for name in names[:3]]
    points, scores = (np.concatenate(both, axis=1) for both in zip(*parts, strict=True))
    write(options.folder / "long", points, scores)
    print(
        f"{options.recordings} recordings of {', '.join(names)} in {options.folder / 'recordings'};"
        f" beside them unseen_{names[-1]}, and long of {', '.join(names[:3])}"
    )


if __name__ == "__main__":
    main()
