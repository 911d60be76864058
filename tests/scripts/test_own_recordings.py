"""The generator of recordings such as a user's own."""

import json
import subprocess
import sys

import numpy as np
from helpers import CHECKOUT

from stgcn_lightning.sources.formats import read_recordings
from stgcn_lightning.sources.recordings import READING


def generate(folder, *options):
    script = CHECKOUT / "scripts" / "own_recordings.py"
    subprocess.run([sys.executable, str(script), str(folder), *options], check=True)


def test_mediapipe_tables_hold_bodies_in_parts_of_the_picture(tmp_path):
    generate(tmp_path, "--actions", "3", "--recordings", "7")
    made = sorted(path.relative_to(tmp_path).parts for path in tmp_path.rglob("*.csv"))
    assert len(made) == 9
    assert {parts[1] for parts in made if len(parts) == 3} == {
        "sit_down", "pick_up", "walk_forwards",
    }  # fmt: skip
    assert [parts[0] for parts in made if len(parts) == 1] == [
        "long.csv",
        "unseen_walk_forwards.csv",
    ]
    (body,) = read_recordings(tmp_path / "unseen_walk_forwards.csv", READING)
    assert (body.skeleton, body.keypoint.shape[2:]) == ("mediapipe33", (33, 2))
    height = {name: body.keypoint[0, :, v, 1].mean() for v, name in enumerate(body.joints)}
    assert height["nose"] < height["mouth_left"] < height["left_hip"] < height["left_heel"]
    assert height["right_knee"] < height["right_ankle"] < height["right_foot_index"]


def test_openpose_frames_list_two_persons_in_any_order(tmp_path):
    generate(tmp_path, "--format", "openpose", "--actions", "2", "--recordings", "2")
    folder = tmp_path / "unseen_pick_up"
    frames = [json.loads(file.read_text())["people"] for file in sorted(folder.iterdir())]
    noses = np.array([[one["pose_keypoints_2d"][0] for one in people] for people in frames])
    assert noses.shape[1] == 2
    assert len({bool(left < right) for left, right in noses}) == 2  # the order flips
    (pair,) = read_recordings(folder, READING)
    nose = pair.keypoint[:, :, pair.joints.index("nose"), 0]
    assert pair.keypoint.shape[:1] == (2,)
    assert (np.abs(np.diff(nose, axis=1)) < 400).all()  # and the persons are linked
