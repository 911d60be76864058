"""`prepare data=FOLDER` and what it says to type next, as a user does."""

from pathlib import Path

import pytest
import yaml
from own_tables import two_classes
from small_runs import refused

from stgcn_lightning.skeleton import Skeleton
from stgcn_lightning.sources.mmaction2 import read_annotations


@pytest.fixture
def clips(tmp_path):
    return two_classes(tmp_path / "My clips")


def prepare(door, *arguments):
    status, out, err = door("prepare", *arguments)
    assert status == 0, err
    return out


def test_a_folder_becomes_a_benchmark(door, clips):
    out = prepare(door, f"data={clips}", r"subject=P(\d)", "seed=1")
    command = "python -m stgcn_lightning.train --config-dir prepared/my_clips experiment=my_clips"
    assert f"next: {command}" in out
    assert "16 recordings: P0_0.npz is taken for npz" in out
    made = read_annotations("prepared/my_clips/annotations.pkl")
    assert {(s.id.split("/")[0], s.label) for s in made.samples} == {("hop", 0), ("walk", 1)}
    subjects = {name: {id[-3] for id in ids} for name, ids in made.splits.items()}
    assert len(subjects["val"]) == 1
    assert not subjects["train"] & subjects["val"]
    for ids in made.splits.values():
        assert {id.split("/")[0] for id in ids} == {"hop", "walk"}

    own = yaml.safe_load(Path("prepared/my_clips/benchmark/my_clips.yaml").read_text())
    assert own["classes"] == ["hop", "walk"]
    assert own["subject"] == r"P(\d)"
    assert (own["dimension"], own["normalise"]) == ("2d", "2d")


BVH = """HIERARCHY
ROOT Hips
{
  OFFSET 0 0 0
  CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
  JOINT LeftLeg
  {
    OFFSET 10 -40 0
    CHANNELS 3 Zrotation Xrotation Yrotation
    End Site
    {
      OFFSET 0 -40 0
    }
  }
  JOINT RightLeg
  {
    OFFSET -10 -40 0
    CHANNELS 3 Zrotation Xrotation Yrotation
    End Site
    {
      OFFSET 0 -40 0
    }
  }
}
MOTION
Frames: 3
Frame Time: 0.04
0 90 0 0 0 0 0 0 0 0 0 0
1 90 0 0 0 0 0 10 0 0 0 0
2 91 0 0 0 %d 0 20 0 0 0 0
"""


def test_the_next_command_trains_on_a_skeleton_that_files_state(door, tmp_path):
    for i, action in enumerate("aabb"):
        path = tmp_path / "clips" / action / f"{i}.bvh"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(BVH % i)
    prepare(door, "data=clips", "name=moved", "out=made here")
    skeleton = Skeleton.from_dict(yaml.safe_load(Path("made here/skeleton/moved.yaml").read_text()))
    assert skeleton.joints[:2] == ("Hips", "LeftLeg")
    own = yaml.safe_load(Path("made here/benchmark/moved.yaml").read_text())
    assert own["defaults"][1] == {"override /skeleton@_global_.skeleton": "moved"}
    assert own["dimension"] == "3d"
    quick = ["trainer=cpu", "model.base_channels=2", "recipe.epochs=1", "data.clip_frames=8"]
    quick += ["recipe.train_passes_per_epoch=1"]
    status, out, err = door("train", "--config-dir", "made here", "experiment=moved", *quick)
    assert status == 0, err
    assert "training moved, joint stream" in out
    assert "2 to train on, 2 to validate on" in out


def test_recordings_are_no_further_annotations(door, clips):
    said = "leave annotations= and raw= out"
    refused(door("prepare", f"data={clips}", "annotations=a.pkl"), said)
    said = "benchmark=synthetic is another benchmark than the one that is made of data="
    refused(door("prepare", f"data={clips}", "benchmark=synthetic"), said)
