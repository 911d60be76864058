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
    status, out, err = door("test", "checkpoint=run", *data[1:], "scores=s.npz", "trainer=cpu")
    assert status == 0, err
    assert f"benchmark {name}" in out
    scores = read_scores(tmp_path / "s.npz")
    assert scores.scores.shape == (classes, classes)
    assert len(set(scores.classes)) == classes


def test_an_index_without_its_key_points_says_where_they_belong(door, tmp_path):
    path = write_listed(tmp_path, 400)
    shutil.rmtree(tmp_path / "kpfiles")
    for arguments in (
        ["prepare", "benchmark=k400_2d", f"benchmark.annotations={path}"],
        ["inspect", f"source={path}"],
    ):
        place = f"copy the files of key points to {tmp_path / 'kpfiles'}"
        refused(door(*arguments), "lie apart", "no data/k400/kpfiles/part_0.pkl", place)


def test_options_of_the_source_are_keys(door, tmp_path):
    path = write_listed(tmp_path, 400)
    data = ["benchmark=k400_2d", f"benchmark.annotations={path}"]
    refused(door("prepare", *data, "benchmark.source.box_score=2"), "from 0 to 1")
    refused(door("prepare", *data, "+benchmark.source.box=1"), "no key benchmark.source.box")
    refused(door("prepare", *data, "benchmark.source.box_score=1"), "data.on_bad_sample=drop")
