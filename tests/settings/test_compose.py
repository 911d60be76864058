"""Every experiment becomes settings at every door that it fits."""

import json

import pytest
from omegaconf import OmegaConf

from stgcn_lightning.errors import BadInput
from stgcn_lightning.launching.composing import composed
from stgcn_lightning.settings import doors
from stgcn_lightning.settings.compose import keys_of, merged, settings_of, trained
from stgcn_lightning.settings.frozen import thawed
from stgcn_lightning.settings.references import DESCRIBED
from stgcn_lightning.shipped import CONF

EXPERIMENTS = [
    *sorted(file.stem for file in (CONF / "experiment").glob("[!_]*.yaml")),
    *("stgcnpp/ntu60_xsub_2d_bone", "dgstgcn/ntu60_xview_3d_joint"),
    "protogcn/ntu60_xsub_3d_k_bone",
]


def settings(door, *overrides):
    return settings_of(door, composed(door, "run_dir=run", *overrides))


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_becomes_settings_at_every_door(name):
    for door in ("test", "train", "prepare", "reproduce"):
        found = settings(door, f"experiment={name}")
        # a test's configuration holds what is given alone: the rest is as `train` has it
        cfg = composed("train" if door == "test" else door, "run_dir=run", f"experiment={name}")
        assert type(found) is doors.DOORS[door]
        for group in ("benchmark", "stream", "data", "model", "recipe"):
            kept = getattr(found, group)
            for key in ("name", "val_split", "clip_frames", "graph", "epochs", "base_lr"):
                if key in cfg[group]:
                    assert getattr(kept, key) == cfg[group][key]
        assert found.model.options["base_channels"] == cfg.model.base_channels
        assert list(found.skeleton.joints) == cfg.skeleton.joints
        whole, kept = OmegaConf.to_container(cfg, resolve=True), thawed(found.composed)
        for key in DESCRIBED if door == "test" else whole | kept:
            assert kept[key] == whole[key]
        json.dumps(kept)

    exported = settings("export", f"experiment={name}")
    what = trained(merged(exported.reference, exported.given))
    assert (what.benchmark.name, what.stream.name) == (cfg.benchmark.name, cfg.stream.name)
    assert what.model.options["base_channels"] == cfg.model.base_channels
    assert what.data.test_clips == 10
    assert what.skeleton == found.skeleton


def test_what_a_user_says_goes_before_what_is_known():
    known = {"model": {"name": "stgcn", "graph": "spatial"}, "stream": {"name": "bone"}}
    said = {"model": {"graph": "binary_adj"}, "data": {"persons": 1}}
    assert merged(known, said) == {
        "model": {"name": "stgcn", "graph": "binary_adj"},
        "stream": {"name": "bone"},
        "data": {"persons": 1},
    }
    assert known["model"]["graph"] == "spatial"


def test_a_description_need_not_be_complete_but_is_checked():
    assert trained({"stream": {"name": "bone"}}).benchmark.name is None
    with pytest.raises(BadInput, match=r"data\.persons=0 must be a whole number of at least 1"):
        trained({"data": {"persons": 0}})
    with pytest.raises(BadInput, match="model=5 is no group of keys"):
        trained({"model": 5})


def test_fuse_takes_what_the_command_line_says():
    found = settings("fuse", "streams={joint: a.npz}", "weights={joint: 2}", "apply_softmax=true")
    assert found.streams == {"joint": "a.npz"}
    assert found.weights == {"joint": 2}
    assert found.apply_softmax is True
    assert not found.logger


def test_the_parts_of_a_reproduction_lie_in_its_folder():
    whole = settings("reproduce", "benchmark=synthetic", "seeds=[0,1]")
    values = {"stream.name": "bone", "seed": 1, "run_dir": "run/bone/seed_1"}
    part = whole.part("train", values | {"resume": "auto", "test_after": True})
    assert (part.stream.name, part.seed, part.resume, part.test_after) == ("bone", 1, "auto", True)
    assert str(part.run_dir) == "run/bone/seed_1"
    assert part.callbacks["best"].get("dirpath") == "run/bone/seed_1/checkpoints"
    assert part.logger["csv"].get("save_dir") == "run/bone/seed_1"
    assert part.composed["stream"]["name"] == "bone"
    tested = whole.part("test", values | {"checkpoint": "a.ckpt", "split": None, "scores": "b.npz"})
    assert (tested.checkpoint, tested.scores) == ("a.ckpt", "b.npz")
    assert (whole.stream.name, whole.seed, str(whole.run_dir)) == ("joint", 0, "run")


@pytest.mark.parametrize("door", doors.DOORS)
def test_all_keys_but_a_few_are_documented(door):
    defaults = composed(door)
    documented = {row.key.split(".")[0]: row for row in keys_of(door, defaults)}
    left = set(defaults) - set(documented) - {"sweep", "reference"}
    assert not left
    for row in keys_of(door, defaults):
        assert row.meaning
