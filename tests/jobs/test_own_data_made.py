"""Recordings become annotations, splits and configuration; what cannot be is refused."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from own_tables import record, two_classes

from stgcn_lightning.errors import BadInput
from stgcn_lightning.jobs.own import files as own_files
from stgcn_lightning.jobs.own.making import bring_in
from stgcn_lightning.launching.composing import composed
from stgcn_lightning.settings.compose import settings_of
from stgcn_lightning.sources.mmaction2 import read_annotations


@pytest.fixture(scope="module")
def settings():
    return settings_of("prepare", composed("prepare", "run_dir=run"))


@pytest.fixture
def prepare(settings, monkeypatch, tmp_path, capsys):
    """Make a benchmark of recordings: (path, **keys) -> what is printed."""
    monkeypatch.chdir(tmp_path)

    def run(path, **keys):
        bring_in(replace(settings, recordings=str(path), **keys))
        return capsys.readouterr().out

    return run


@pytest.fixture
def clips(tmp_path):
    return two_classes(tmp_path / "My clips")


def refused(prepare, path, said, **keys):
    with pytest.raises(BadInput) as error:
        prepare(path, **keys)
    assert said in str(error.value)


def made_of(name="clips"):
    return read_annotations(f"prepared/{name}/annotations.pkl")


def test_what_a_user_changed_is_kept_and_the_rest_is_made_again(prepare, clips):
    prepare(clips)
    folder = Path("prepared/my_clips")
    experiment = folder / "experiment" / "my_clips.yaml"
    experiment.write_text(experiment.read_text() + "# mine\n")
    record(clips / "walk" / "more.npz", 99)
    assert "my_clips.yaml was changed by hand and is kept" in prepare(clips)
    assert experiment.read_text().endswith("# mine\n")
    assert len(made_of("my_clips").samples) == 17
    assert "17 samples" in (folder / "benchmark" / "my_clips.yaml").read_text()


def test_what_is_read_is_said_beforehand(prepare, clips):
    first, *_ = prepare(clips).splitlines()
    assert re.fullmatch(r"reading My clips: 16 files or folders of frames, 0\.\d MB", first)


def test_a_folder_of_something_else_is_left_alone(prepare, clips, tmp_path):
    record(tmp_path / "other" / "a" / "1.npz")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    refused(prepare, clips, "full holds something else: choose a new folder", out="full")
    prepare(clips, out="made")
    before = Path("made/prepared.json").read_bytes()
    refused(prepare, tmp_path / "other", "made was made of ", out="made")
    assert Path("made/prepared.json").read_bytes() == before
    assert json.loads(before)["made_of"] == str(clips)


def test_folders_of_splits_are_splits(prepare, tmp_path):
    for split in ("train", "test"):
        for action in ("b", "a"):
            record(tmp_path / "clips" / split / action / "1.npz", len(split + action))
    out = prepare(tmp_path / "clips")
    assert "splits as given; trained on train, validated on test" in out
    assert made_of().splits == {
        "train": ["train/a/1", "train/b/1"],
        "test": ["test/a/1", "test/b/1"],
    }


def test_classes_that_are_numbers_are_in_the_order_of_numbers(prepare, tmp_path):
    for name in ("10", "9", "1"):
        for i in range(2):
            record(tmp_path / "clips" / name / f"{i}.npz", i)
    prepare(tmp_path / "clips")
    own = yaml.safe_load(Path("prepared/clips/benchmark/clips.yaml").read_text())
    assert own["classes"] == ["1", "9", "10"]


@pytest.mark.parametrize(
    ("folder", "name"),
    [("Été 2024!", "ete_2024"), ("3 jumps", "data_3_jumps"), ("動作", "data")],
)
def test_a_name_is_one_that_a_command_line_takes(prepare, tmp_path, folder, name):
    for action in ("hüpfen", "it's"):
        record(tmp_path / folder / action / "a b.npz", len(action))
        record(tmp_path / folder / action / "c.npz", 9 + len(action))
    prepare(tmp_path / folder)
    own = yaml.safe_load(Path(f"prepared/{name}/benchmark/{name}.yaml").read_text())
    assert own["classes"] == ["hüpfen", "it's"]


@pytest.fixture
def table(tmp_path):
    """Write a table beside one long recording of 50 frames at 10 a second, and a short one."""
    whole = record(tmp_path / "long.npz", T=50)
    record(tmp_path / "short.npz", T=9, seed=1)

    def write(*lines):
        (tmp_path / "table.csv").write_text("\n".join(lines))
        return whole

    return write


def test_intervals_are_cut_from_a_recording(prepare, table):
    whole = table(
        "file,label,start,end,split",
        "long.npz,a,5,20,train",
        "long.npz,b,30,,train",
        "short.npz,a,,,val",
        "short.npz,b,3,9,val",
    )
    prepare("table.csv")
    samples = made_of("table").samples
    assert [one.id for one in samples] == ["long:5-20", "long:30-50", "short", "short:3-9"]
    np.testing.assert_array_equal(samples[0].keypoint, whole[:, 5:20])
    np.testing.assert_array_equal(samples[1].keypoint, whole[:, 30:])


def test_frames_are_those_of_the_recording(prepare, tmp_path, table):
    whole = record(tmp_path / "numbered.npz", T=6, frames=np.arange(101, 107))
    table("file,label,start,end", "numbered.npz,a,103,105", "long.npz,b,,")
    prepare("table.csv")
    np.testing.assert_array_equal(made_of("table").samples[0].keypoint, whole[:, 2:4])


def test_seconds_are_counted_with_the_frame_rate(prepare, table):
    whole = table(
        "file,label,start_s,end_s", "long.npz,a,0.5,2", "short.npz,b,,", "short.npz,a,,0.5"
    )
    prepare("table.csv")
    np.testing.assert_array_equal(made_of("table").samples[0].keypoint, whole[:, 5:20])


def test_intervals_of_one_recording_stay_on_one_side(prepare, tmp_path):
    rows = ["file,label,start,end"]
    for i in range(6):
        record(tmp_path / f"{i}.npz", i)
        rows += [f"{i}.npz,a,0,6", f"{i}.npz,b,6,12"]
    (tmp_path / "table.csv").write_text("\n".join(rows))
    assert "the same person may be on both sides" in prepare("table.csv")
    sides = [{id.split(":")[0] for id in ids} for ids in made_of("table").splits.values()]
    assert not sides[0] & sides[1]


def test_a_column_says_who_performs(prepare, table):
    rows = [
        f"long.npz,{label},{who},{10 * i + 4 * j},{10 * i + 4 * j + 4}"
        for i, who in enumerate(("Ann B", "Ben", "Cy"))
        for j, label in enumerate("ab")
    ]
    table("file,label,subject,start,end", *rows)
    prepare("table.csv", val_share=0.34)
    assert made_of("table").samples[0].id == "long:0-4:subject=Ann B"
    own = yaml.safe_load(Path("prepared/table/benchmark/table.yaml").read_text())
    assert own["subject"] == ":subject=(.+)$"
    sides = [{id.split("=")[1] for id in ids} for ids in made_of("table").splits.values()]
    assert [len(side) for side in sides] == [2, 1]
    assert not sides[0] & sides[1]


def test_each_person_is_a_sample(prepare, tmp_path):
    for action in "ab":
        for i in range(2):
            record(tmp_path / "clips" / action / f"{i}.npz", i, M=2)
    prepare(tmp_path / "clips", per_person=True)
    made = made_of()
    assert [one.id for one in made.samples][:2] == ["a/0:person1", "a/0:person2"]
    assert {one.keypoint.shape[0] for one in made.samples} == {1}
    for action in "ab":  # both persons of a recording are on one side
        assert sum(id.startswith(action) for id in made.splits["val"]) == 2


def test_an_interval_without_anybody_gives_no_person(prepare, tmp_path, table):
    keypoint = np.zeros((1, 8, 17, 2), np.float32)
    keypoint[:, 4:] = 50
    record(tmp_path / "late.npz", keypoint=keypoint)
    table("file,label,start,end", "late.npz,a,0,3", "late.npz,b,0,4")
    refused(prepare, "table.csv", "nobody is in any interval of table.csv", per_person=True)


def test_joints_are_mapped(prepare, tmp_path):
    for i, action in enumerate("aabb"):
        record(tmp_path / "clips" / action / f"{i}.npz", i, skeleton="openpose25", V=25)
    out = prepare(tmp_path / "clips", map="coco17")
    assert "4 recordings: map: 17 of the 17 joints of coco17 are of openpose25 by name" in out
    assert made_of().samples[0].keypoint.shape[2] == 17


def test_bad_files_are_refused_or_left_out(prepare, clips, settings):
    (clips / "walk" / "bad.npz").write_bytes(b"PK")
    (clips / "hop" / "bad.csv").write_text("what,is,this\n1,2,3\n")
    refused(prepare, clips, "(2 files are bad); data.on_bad_sample=drop leaves bad files out")
    assert not Path("prepared").exists()
    out = prepare(clips, data=replace(settings.data, on_bad_sample="drop"))
    assert "2 files are left out:" in out
    assert len(made_of("my_clips").samples) == 16


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"name": "2d"}, "name=2d must be letters, digits and _"),
        ({"name": "quickstart"}, "the name quickstart is taken by an experiment that ships"),
        ({"split_by": "subject"}, "needs to know who performs"),
        ({"split_by": "given"}, "has no split: fill it in"),
        ({"subject": r"P(\d)", "split_by": "seed"}, "may put a subject on both sides"),
        ({"subject": r"X(\d)"}, r"subject=X(\d) finds no subject in the id hop/P0_0"),
        ({"subject": "("}, "subject=( is no regular expression"),
        ({"class_order": ("hop", "run")}, "class_order does not have the class walk"),
        ({"map": "stick"}, "there is no skeleton stick"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(prepare, clips, keys, said):
    refused(prepare, clips, said, **keys)
    assert not Path("prepared").exists()


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (("file,label,start,end", "short.npz,a,5,12"), "has the frames 0 to 8: correct start and"),
        (("file,label", "long.npz,a", "short.npz,a"), "all recordings are of the class a"),
        (("file,label", "long.npz,a", "short.npz,${b}"), "the class ${b} has ${ in its name"),
        (("file,label", "long.npz,a", "long.npz,b"), "long is named 2 times"),
        (("file,label,split", "long.npz,a,train", "short.npz,b,"), "line 3 of table.csv has no sp"),
        (("file,label,split", "long.npz,a,x", "short.npz,b,y"), "none of the splits x, y is one"),
        (
            ("file,label,split,subject", "long.npz,a,train,A", "short.npz,b,val,A"),
            "the subjects A are in train and in another split",
        ),
        (("file,label,subject", "long.npz,a,A", "short.npz,b,A"), "recordings are of one subject"),
        (("file,label,subject", "long.npz,a,A", "short.npz,b,"), "line 3 of table.csv has no subj"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused(prepare, table, lines, said):
    table(*lines)
    refused(prepare, "table.csv", said)
    assert not Path("prepared").exists()


def test_a_subject_may_be_on_both_sides_if_asked(prepare, table):
    table("file,label,split,subject", "long.npz,a,train,A", "short.npz,b,val,A")
    prepare("table.csv", share_subjects=True)
    assert [len(ids) for ids in made_of("table").splits.values()] == [1, 1]


def test_other_data_than_recordings_of_classes_is_refused(prepare, tmp_path):
    record(tmp_path / "clips" / "a" / "1.npz")
    record(tmp_path / "clips" / "b" / "1.npz", V=25, skeleton="openpose25")
    refused(prepare, "clips", "prepare them apart, or map them to one skeleton with map=coco17")
    record(tmp_path / "unknown" / "a" / "1.npz", V=5, skeleton=None)
    refused(prepare, "unknown", "5 joints in 2D (0, 1, 2, ...), whose skeleton is not known")
    refused(prepare, "nowhere", "data=nowhere is no folder and no table: check the path")
    refused(prepare, "clips/a/1.npz", "is a file but no table: give a folder whose folders are")
    frame = {"people": [{"pose_keypoints_2d": [1.0, 2.0, 0.5] * 25}]}
    for name in ("x", "y"):
        (tmp_path / "frames" / name).mkdir(parents=True)
        for i in range(2):
            file = tmp_path / "frames" / name / f"{name}_{i:012}_keypoints.json"
            file.write_text(json.dumps(frame))
    refused(prepare, "frames", "x is a recording and no class: put the recordings of each class")


@pytest.mark.parametrize(
    ("few", "some", "expected"),
    [(200, 1000, (16, 16, 8, 0.05)), (1, 1000, (32, 100, 16, 0.025)), (1, 2, (64, 100, 16, 0.025))],
)
def test_the_experiment_suits_the_number_of_recordings(
    prepare, clips, monkeypatch, few, some, expected
):
    monkeypatch.setattr(own_files, "FEW", few)
    monkeypatch.setattr(own_files, "SOME", some)
    prepare(clips)
    made = yaml.safe_load(Path("prepared/my_clips/experiment/my_clips.yaml").read_text())
    data, recipe = made["data"], made["recipe"]
    chosen = (
        made["model"]["base_channels"], data["clip_frames"], data["batch_size"], recipe["lr"]
    )  # fmt: skip
    assert chosen == expected
    assert data["persons"] == 1
    assert 12 * recipe["epochs"] * recipe["train_passes_per_epoch"] == 12 * 80
