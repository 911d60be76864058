"""The data sets besides NTU that PYSKL publishes: looked at, prepared, trained on and tested."""

import json
import re
import shutil

import pytest
from pyskl_files import write_dense, write_listed
from small_runs import refused

from stgcn_lightning.evaluation.scores import read_scores

TINY = [
    "trainer=cpu",
    "model.base_channels=4",
    "data.clip_frames=12",
    "data.test_clips=2",
    "recipe.epochs=1",
    "recipe.train_passes_per_epoch=1",
    "hydra.run.dir=run",
]
FORMS = {
    "gym99_2d": lambda folder: write_dense(folder / "gym_hrnet.pkl", 99, ("train", "val")),
    "ucf101_split2_2d": lambda folder: write_dense(
        folder / "ucf101_hrnet.pkl", 101, ("train2", "test2"), persons=7
    ),
    "k400_2d": lambda folder: write_listed(folder, 400),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMS)
def test_from_the_published_file_to_the_scores(door, tmp_path, name):
    path = FORMS[name](tmp_path)
    classes = int(re.findall(r"\d+", name)[0])
    status, out, err = door("inspect", f"source={path}", "format=json")
    assert status == 0, err
    found = json.loads(out)
    assert found["faults"] == []
    assert (found["facts"]["benchmark"], found["facts"]["classes"]) == (name, classes)
    assert found["facts"]["skeleton"] == "coco17"
    assert found["facts"]["persons"]["most"] > 2

    data = [f"benchmark={name}", f"benchmark.annotations={path}"]
    status, out, err = door("prepare", *data)
    assert status == 0, err
    assert f"{2 * classes} samples, 17 joints (coco17), float16" in out
    status, _, err = door("train", *data, *TINY, "logger=csv")
    assert status == 0, err
    status, _, err = door("test", "checkpoint=run", *data[1:], "scores=s.npz", "trainer=cpu")
    assert status == 0, err
    stores = [one for one in (tmp_path / "stores").iterdir() if one.is_dir()]
    assert len(stores) == 1  # the card leads to the options of the source, too
    scores = read_scores(tmp_path / "s.npz")
    assert scores.scores.shape == (classes, classes)
    assert len(set(scores.classes)) == classes
    assert scores.meta["benchmark"] == name


def test_an_index_is_downloaded_and_says_where_its_key_points_belong(door, tmp_path, server):
    made = write_listed(tmp_path / "made", 12)
    server.files["/data/k400/k400_hrnet.pkl"] = made.read_bytes()
    kept = tmp_path / "kept"
    keys = [f"downloads.pyskl={server.address}", f"downloads.folder={kept}"]
    place = f"copy the files of key points to {kept / 'kpfiles'}"
    for arguments in (
        ["prepare", "benchmark=k400_2d", *keys],
        ["prepare", "benchmark=k400_2d", *keys],
        ["inspect", f"source={kept / made.name}"],
    ):
        refused(door(*arguments), "lie apart", "no data/k400/kpfiles/part_0.pkl", place)
    assert [path for path, _ in server.asked] == ["/data/k400/k400_hrnet.pkl"]
    shutil.copytree(made.parent / "kpfiles", kept / "kpfiles")
    status, out, err = door("prepare", "benchmark=k400_2d", *keys)
    assert status == 0, err
    assert "24 samples, 17 joints (coco17), float16" in out


def test_own_data_of_as_many_classes_are_not_taken_for_a_published_set(door, tmp_path):
    path = write_dense(tmp_path / "own.pkl", 48, ("train", "test"))
    status, out, err = door("inspect", f"source={path}", "format=json")
    assert status == 0, err
    assert json.loads(out)["facts"]["benchmark"] is None


def test_options_of_the_source_are_keys(door, tmp_path):
    path = write_listed(tmp_path, 12)
    data = ["benchmark=k400_2d", f"benchmark.annotations={path}"]
    refused(door("prepare", *data, "benchmark.source.box_score=2"), "from 0 to 1")
    refused(door("prepare", *data, "+benchmark.source.box=1"), "no key benchmark.source.box")
    refused(door("prepare", *data, "benchmark.source.box_score=1"), "has no persons")
    said = r"data.persons=3 are more than the 2 of a frame that benchmark.source.persons=2 keeps"
    refused(door("prepare", *data, "data.persons=3"), said)
    refused(door("prepare", *data, "benchmark.source.persons=0"), "whole number from 1 to 10")
