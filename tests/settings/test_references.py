"""A benchmark is found by its name among files, and what is given goes before what is known."""

from hydra import compose, initialize_config_dir

from stgcn_lightning.launching.composing import composed
from stgcn_lightning.settings.compose import filled, settings_of, stated
from stgcn_lightning.settings.references import benchmark_named
from stgcn_lightning.shipped import CONF

DOWNLOADS = {"address": "http://mirror", "folder": "kept here", "timeout": 1, "tries": 1, "wait": 1}
GYM = """defaults:
  - _self_
  - override /skeleton@_global_.skeleton: openpose18
name: gym
annotations: ${downloads.folder}/gym.pkl
dimension: 2d
normalise: none
train_split: a
val_split: b
classes: [sit, stand]
"""


def test_a_benchmark_of_a_folder_is_found_by_its_name_alone(tmp_path):
    folder = tmp_path / "it's ${mine}, or [not]"
    (folder / "benchmark").mkdir(parents=True)
    (folder / "benchmark" / "gym.yaml").write_text(GYM)
    (folder / "secret.yaml").write_text("name: secret")
    found = benchmark_named("gym", [str(folder)], DOWNLOADS)
    assert found["benchmark"]["annotations"] == "kept here/gym.pkl"
    assert found["benchmark"]["classes"] == ["sit", "stand"]
    assert len(found["skeleton"]["joints"]) == 18
    assert benchmark_named("gym", [], DOWNLOADS) is None
    for name in ("../secret", "_ntu", "", "${oc.env:HOME}", "gym,synthetic", f"{folder}/secret"):
        assert benchmark_named(name, [str(folder)], DOWNLOADS) is None


def test_a_benchmark_is_looked_up_within_a_door_without_closing_it():
    with initialize_config_dir(str(CONF), version_base="1.3"):
        assert benchmark_named("synthetic_3d", [], DOWNLOADS)["benchmark"]["dimension"] == "3d"
        assert compose("train", ["stream=bone"]).stream.name == "bone"


def test_what_is_stated_is_what_is_not_missing():
    groups = {"a": {"b": "???", "c": None, "d": {"e": "???"}}, "f": {"g": "???"}, "h": {}}
    assert stated(groups) == {"a": {"c": None}, "h": {}}


def test_a_file_of_a_group_is_not_mixed_with_another():
    known = {
        "benchmark": {"name": "synthetic", "train_split": "train", "synthetic": {"seed": 0}},
        "model": {"name": "stgcn", "graph": "spatial", "base_channels": 64},
    }
    file = {"benchmark": {"name": "gym", "train_split": "a"}, "model": {"base_channels": 4}}
    whole = filled(known, file)
    assert whole["benchmark"] == {"name": "gym", "train_split": "a"}
    assert whole["model"] == {"name": "stgcn", "graph": "spatial", "base_channels": 4}


def test_a_test_knows_which_keys_are_given():
    def given(*overrides):
        return settings_of("test", composed("test", "run_dir=run", *overrides)).given

    nothing = given()
    assert all(not keys for keys in nothing.values())
    some = given("stream=joint", "benchmark.val_split=null", "data.batch_size=4")
    assert dict(some["stream"]) == {"name": "joint"}  # which is what it would be anyway
    assert dict(some["benchmark"]) == {"val_split": None}
    assert dict(some["data"]) == {"batch_size": 4}
    chosen = given("experiment=quickstart")
    assert chosen["model"]["base_channels"] == 16
    assert chosen["benchmark"]["synthetic"]["train_samples"] == 800
    assert chosen["skeleton"]["name"] == "coco17"
    assert "test_clips" not in chosen["data"]


def test_without_a_card_a_test_is_what_train_is():
    found = settings_of("test", composed("test", "run_dir=run"))
    train = settings_of("train", composed("train", "run_dir=run"))
    for group in ("skeleton", "benchmark", "stream", "data", "model"):
        assert getattr(found, group) == getattr(train, group)
