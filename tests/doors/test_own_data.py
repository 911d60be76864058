"""`prepare data=FOLDER` and `data=TABLE.csv`: recordings become a benchmark, without Python."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from small_runs import refused

from stgcn_lightning.skeleton import Skeleton
from stgcn_lightning.sources.mmaction2 import read_annotations


def record(path, seed=0, *, T=12, M=1, skeleton="coco17", V=17, **more):
    """Write a recording of people at random places in a picture of 200 x 300."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    people = np.arange(M)[:, None, None, None] * 100 + 20
    keypoint = (people + rng.uniform(10, 80, (M, T, V, 2))).astype(np.float32)
    content = {"keypoint": keypoint, "img_shape": [200, 300], "fps": 10.0}
    np.savez(path, **content | ({"skeleton": skeleton} if skeleton else {}) | more)
    return keypoint


@pytest.fixture
def clips(tmp_path):
    """A folder of the classes hop and walk: 4 subjects, each with 2 recordings of both."""
    root = tmp_path / "My clips"
    for i in range(16):
        action, subject, number = ("walk", "hop")[i % 2], i // 4, i // 2 % 2
        record(root / action / f"P{subject}_{number}.npz", i)
    (root / "walk" / ".DS_Store").touch()
    return root


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


def test_the_next_command_trains(door, clips):
    prepare(door, f"data={clips}", "name=mine", "out=made here")
    quick = ["trainer=cpu", "model.base_channels=2", "recipe.epochs=1", "data.clip_frames=8"]
    quick += ["recipe.train_passes_per_epoch=1"]
    status, out, err = door("train", "--config-dir", "made here", "experiment=mine", *quick)
    assert status == 0, err
    assert "training mine, joint stream" in out
    assert "12 to train on, 4 to validate on" in out


def test_what_a_user_changed_is_kept_and_the_rest_is_made_again(door, clips):
    prepare(door, f"data={clips}")
    folder = Path("prepared/my_clips")
    experiment = folder / "experiment" / "my_clips.yaml"
    experiment.write_text(experiment.read_text() + "# mine\n")
    record(clips / "walk" / "more.npz", 99)
    out = prepare(door, f"data={clips}")
    assert "my_clips.yaml was changed by hand and is kept" in out
    assert experiment.read_text().endswith("# mine\n")
    assert len(read_annotations(folder / "annotations.pkl").samples) == 17
    assert "17 samples" in (folder / "benchmark" / "my_clips.yaml").read_text()


def test_a_folder_of_something_else_is_left_alone(door, clips, tmp_path):
    record(tmp_path / "other" / "a" / "1.npz")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    refused(door("prepare", f"data={clips}", "out=full"), "full holds something else")
    prepare(door, f"data={clips}", "out=made")
    before = Path("made/prepared.json").read_bytes()
    refused(door("prepare", f"data={tmp_path / 'other'}", "out=made"), "made was made of ")
    assert Path("made/prepared.json").read_bytes() == before
    assert json.loads(before)["made_of"] == str(clips)


def test_folders_of_splits_are_splits(door, tmp_path):
    for split in ("train", "test"):
        for action in ("b", "a"):
            record(tmp_path / "clips" / split / action / "1.npz", len(split + action))
    out = prepare(door, "data=clips")
    assert "splits as given; trained on train, validated on test" in out
    made = read_annotations("prepared/clips/annotations.pkl")
    assert made.splits == {
        "train": ["train/a/1", "train/b/1"],
        "test": ["test/a/1", "test/b/1"],
    }


@pytest.fixture
def table(tmp_path):
    """Write a table beside one long recording of 50 frames at 10 a second, and a short one."""
    whole = record(tmp_path / "long.npz", T=50)
    record(tmp_path / "short.npz", T=9, seed=1)

    def write(text):
        (tmp_path / "table.csv").write_text(text)
        return whole

    return write


def test_intervals_are_cut_from_a_recording(door, table):
    whole = table(
        "file,label,start,end,split\nlong.npz,a,5,20,train\nlong.npz,b,30,,train\n"
        "short.npz,a,,,val\nshort.npz,b,3,9,val\n"
    )
    prepare(door, "data=table.csv")
    samples = read_annotations("prepared/table/annotations.pkl").samples
    assert [one.id for one in samples] == ["long:5-20", "long:30-50", "short", "short:3-9"]
    np.testing.assert_array_equal(samples[0].keypoint, whole[:, 5:20])
    np.testing.assert_array_equal(samples[1].keypoint, whole[:, 30:])


def test_seconds_are_counted_with_the_frame_rate(door, table):
    whole = table("file,label,start_s,end_s\nlong.npz,a,0.5,2\nshort.npz,b,,\nshort.npz,a,,0.5\n")
    prepare(door, "data=table.csv")
    first, *_ = read_annotations("prepared/table/annotations.pkl").samples
    np.testing.assert_array_equal(first.keypoint, whole[:, 5:20])


def test_intervals_of_one_recording_stay_on_one_side(door, tmp_path):
    rows = ["file,label,start,end"]
    for i in range(6):
        record(tmp_path / f"{i}.npz", i)
        rows += [f"{i}.npz,a,0,6", f"{i}.npz,b,6,12"]
    (tmp_path / "table.csv").write_text("\n".join(rows))
    out = prepare(door, "data=table.csv")
    assert "the same person may be on both sides" in out
    splits = read_annotations("prepared/table/annotations.pkl").splits
    sides = [{id.split(":")[0] for id in ids} for ids in splits.values()]
    assert not sides[0] & sides[1]


def test_a_column_says_who_performs(door, table):
    table("file,label,subject\n" + "".join(f"long.npz,{c},Ann B\n" for c in "a"))
    rows = "file,label,subject,start,end\n"
    for at, who in enumerate(("Ann B", "Ben", "Cy")):
        rows += "".join(f"long.npz,{c},{who},{10 * at},{10 * at + 5}\n" for c in "ab")
    table(rows.replace(",b,Ann B,0,5", ",b,Ann B,1,6").replace(",b,Ben,10,15", ",b,Ben,11,16"))
    text = Path("table.csv").read_text().replace(",b,Cy,20,25", ",b,Cy,21,26")
    Path("table.csv").write_text(text)
    prepare(door, "data=table.csv", "val_share=0.34")
    made = read_annotations("prepared/table/annotations.pkl")
    assert made.samples[0].id == "long:0-5:subject=Ann B"
    own = yaml.safe_load(Path("prepared/table/benchmark/table.yaml").read_text())
    assert own["subject"] == ":subject=(.+)$"
    sides = [{id.split("=")[1] for id in ids} for ids in made.splits.values()]
    assert not sides[0] & sides[1]


def test_each_person_is_a_sample(door, tmp_path):
    for action in "ab":
        for i in range(2):
            record(tmp_path / "clips" / action / f"{i}.npz", i, M=2)
    prepare(door, "data=clips", "per_person=true")
    made = read_annotations("prepared/clips/annotations.pkl")
    assert [one.id for one in made.samples][:2] == ["a/0:person1", "a/0:person2"]
    assert {one.keypoint.shape[0] for one in made.samples} == {1}
    for action in "ab":  # both persons of a recording are on one side
        assert sum(id.startswith(action) for id in made.splits["val"]) == 2


def test_joints_are_mapped(door, tmp_path):
    for i, action in enumerate("aabb"):
        record(tmp_path / "clips" / action / f"{i}.npz", i, skeleton="openpose25", V=25)
    out = prepare(door, "data=clips", "map=coco17")
    assert "17 joints (coco17)" in out
    assert "4 recordings: map: 17 of the 17 joints of coco17 are of openpose25 by name" in out


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


def test_a_skeleton_that_files_state_is_written(door, tmp_path):
    for i, action in enumerate("aabb"):
        path = tmp_path / "clips" / action / f"{i}.bvh"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(BVH % i)
    prepare(door, "data=clips", "name=moved")
    folder = Path("prepared/moved")
    skeleton = Skeleton.from_dict(yaml.safe_load((folder / "skeleton" / "moved.yaml").read_text()))
    assert skeleton.joints[:2] == ("Hips", "LeftLeg")
    own = yaml.safe_load((folder / "benchmark" / "moved.yaml").read_text())
    assert own["defaults"][1] == {"override /skeleton@_global_.skeleton": "moved"}
    assert own["dimension"] == "3d"
    quick = ["trainer=cpu", "model.base_channels=2", "recipe.epochs=1", "data.clip_frames=8"]
    quick += ["recipe.train_passes_per_epoch=1", "benchmark=moved"]
    status, _, err = door("train", "--config-dir", "prepared/moved", *quick)
    assert status == 0, err


def test_bad_files_are_refused_or_left_out(door, clips):
    (clips / "walk" / "bad.npz").write_bytes(b"PK")
    (clips / "hop" / "bad.csv").write_text("what,is,this\n1,2,3\n")
    refused(door("prepare", f"data={clips}"), "(2 files are bad)", "data.on_bad_sample=drop leaves")
    assert not Path("prepared").exists()
    out = prepare(door, f"data={clips}", "data.on_bad_sample=drop")
    assert "2 files are left out:" in out
    assert len(read_annotations("prepared/my_clips/annotations.pkl").samples) == 16


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["benchmark=synthetic"], "benchmark=synthetic is another benchmark than the one"),
        (["annotations=a.pkl"], "leave annotations= and raw= out"),
        (["name=2d"], "name=2d must be letters, digits and _"),
        (["name=quickstart"], "the name quickstart is taken by an experiment that ships"),
        (["split_by=subject"], "needs to know who performs"),
        (["split_by=given"], "has no split: fill it in"),
        ([r"subject=P(\d)", "split_by=seed"], "split_by=seed may put a subject on both sides"),
        ([r"subject=X(\d)"], r"subject=X(\d) finds no subject in the id hop/P0_0"),
        (["subject=("], "subject=( is no regular expression"),
        (["class_order=[hop,run]"], "class_order does not have the class walk"),
        (["val_share=1"], "val_share=1 must be a number of at most"),
        (["map=stick"], "there is no skeleton stick"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(door, clips, arguments, said):
    refused(door("prepare", f"data={clips}", *arguments), said)
    assert not Path("prepared").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("file,label,start,end\nshort.npz,a,5,12\n", "has the frames 0 to 8: correct start and"),
        ("file,label\nlong.npz,a\nshort.npz,a\n", "all recordings are of the class a"),
        ("file,label\nlong.npz,a\nlong.npz,b\n", "long is named 2 times"),
        ("file,label,split\nlong.npz,a,train\nshort.npz,b,\n", "line 3 of table.csv has no split"),
        ("file,label,split\nlong.npz,a,x\nshort.npz,b,y\n", "none of the splits x, y is one to"),
        (
            "file,label,split,subject\nlong.npz,a,train,A\nshort.npz,b,val,A\n",
            "the subjects A are in train and in another split",
        ),
        ("file,label,subject\nlong.npz,a,A\nshort.npz,b,A\n", "all recordings are of one subject"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused(door, table, text, said):
    table(text)
    refused(door("prepare", "data=table.csv"), said)
    assert not Path("prepared").exists()


def test_other_data_than_recordings_is_refused(door, tmp_path):
    record(tmp_path / "clips" / "a" / "1.npz")
    record(tmp_path / "clips" / "b" / "1.npz", V=25, skeleton="openpose25")
    refused(door("prepare", "data=clips"), "prepare them apart, or map them to one skeleton")
    record(tmp_path / "unknown" / "a" / "1.npz", V=5, skeleton=None)
    refused(door("prepare", "data=unknown"), "5 joints in 2D", "whose skeleton is not known")
    refused(door("prepare", "data=nowhere"), "data=nowhere is no folder and no table")
    refused(door("prepare", "data=clips/a/1.npz"), "is a file but no table")
