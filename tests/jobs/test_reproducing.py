"""What `tests/doors/test_reproduce_door.py` does not show: ranks, recipes and the zoo."""

import json

import forked
import pytest

from stgcn_lightning.errors import BadInput
from stgcn_lightning.jobs.reproduction.asked import of_the_zoo, streams_of
from stgcn_lightning.jobs.reproduction.setting import (
    composed_for,
    differing_from_published,
    models_of,
    say_setting,
)
from stgcn_lightning.launching.composing import composed
from stgcn_lightning.settings.compose import settings_of

SMALL = [
    "trainer=ddp_cpu",
    "benchmark.synthetic.train_samples=20",
    "benchmark.synthetic.val_samples=11",
    "model.base_channels=4",
    "data.clip_frames=8",
    "data.test_clips=2",
    "data.batch_size=8",
    "recipe.epochs=1",
    "recipe.train_passes_per_epoch=1",
    "trainer.log_every_n_steps=1",
    "hydra.run.dir=run",
]


@pytest.mark.slow
def test_ranks_reproduce_together(tmp_path):
    done = forked.run(tmp_path, "reproduce", *SMALL)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout.count("table: run/reproduction.md") == 1
    facts = json.loads((tmp_path / "run" / "reproduction.json").read_text())
    assert facts["samples"] == 11
    figures, others = (
        json.loads((tmp_path / "run" / ".hydra" / "ranks" / f"rank_{rank}.json").read_text())
        for rank in (0, 1)
    )
    assert figures["result"] == others["result"], "both ranks know the same"


def reproduction(*overrides):
    return settings_of("reproduce", composed("reproduce", "run_dir=run", *overrides))


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        (["model=dgstgcn", "benchmark=ntu60_xsub_3d"], (150, "3d_centred")),
        (["model=dgstgcn", "benchmark=ntu60_xview_3d"], (150, "3d")),
        (["model=protogcn", "benchmark=ntu60_xview_3d"], (150, "3d_centred")),
        (["model=stgcnpp", "benchmark=ntu60_xsub_3d"], (16, "3d")),
        (["model=dgstgcn", "benchmark=ntu60_xsub_2d"], (16, "2d")),  # of which nobody published
        (["model=dgstgcn", "benchmark=ntu60_xsub_3d", "recipe=strong"], (24, "3d")),
    ],
)
def test_a_reproduction_takes_the_recipe_that_was_published_unless_one_is_given(chosen, expected):
    found = reproduction(*chosen)
    assert (found.recipe.epochs, found.benchmark.normalise) == expected


def test_streams_are_shown_in_the_order_of_published_tables():
    assert streams_of(reproduction("streams=[k_bone,bone,joint]")) == ["joint", "bone", "k_bone"]


def test_settings_of_a_stream_are_its_own_in_a_reproduction():
    whole = reproduction("model=protogcn", "benchmark=ntu120_xsub_3d")
    parts = {
        stream: whole.part("train", {"stream.name": stream, "resume": "auto", "test_after": True})
        for stream in ("joint", "bone", "k_bone")
    }
    options = [dict(part.model.options) for part in parts.values()]
    assert [one["prototypes"] for one in options] == [400, 100, 100]
    assert [one["contrast_weight"] for one in options] == [0.2, 0.3, 0.1]
    assert [part.recipe.drop_limb for part in parts.values()] == [0, 0, 0.2]


@pytest.mark.parametrize(
    ("chosen", "differing"),
    [
        (["model=stgcn"], ""),
        (["model=stgcn", "seed=3", "model.compile=default", "data.workers=2"], ""),
        (["model=stgcn", "recipe.epochs=3", "data.test_clips=2"],
         "data.test_clips=2, recipe.epochs=3"),
        (["model=dgstgcn"], ""),
        (["model=dgstgcn", "data.test_sampling=mmaction2", "data.missing=zero"],
         "data.test_sampling=mmaction2, data.missing=zero"),
        (["model=protogcn"], ""),
        (["model=protogcn", "stream=k_bone"], ""),
        (["model=protogcn", "recipe.flip=0", "model.prototypes=400"],
         "recipe.flip=0 of bone and bone_motion, model.prototypes=400 of bone and bone_motion"),
        (["model=protogcn", "model.base_channels=64"], "model.base_channels=64"),
        (["model=stgcn", "recipe.epochs=3", "checkpoints=zoo"], ""),
        (["model=ctrgcn", "checkpoints=zoo"], ""),
        (["model=ctrgcn", "checkpoints=zoo", "data.test_sampling=mmaction2"],
         "data.test_sampling=mmaction2"),
    ],
)  # fmt: skip
def test_a_setting_is_judged_by_that_of_the_family(chosen, differing, capsys):
    settings = reproduction("benchmark=ntu60_xsub_3d", *chosen)
    found = differing_from_published(settings, composed_for(settings, streams_of(settings)))
    assert set(found.split(", ")) == set(differing.split(", "))
    say_setting(settings, found)
    said = capsys.readouterr().out
    assert said.startswith("setting: not the one" if differing else "setting: the one with which ")
    assert found in said


@pytest.mark.parametrize(
    ("chosen", "law"),
    [
        (["model=ctrgcn", "checkpoints=zoo"], "pyskl"),
        (["model=dgstgcn", "checkpoints=zoo"], "dgstgcn"),
        (["model=stgcn", "checkpoints=zoo"], "mmaction2"),
        (["checkpoints={joint: 'zoo:pyskl/stgcn/ntu60_xsub_3d_joint'}"], "pyskl"),
        (["model=ctrgcn", "checkpoints=zoo", "data.test_sampling=dgstgcn"], "dgstgcn"),
        (["model=ctrgcn", "checkpoints={joint: mine.ckpt}"], "mmaction2"),
        (["model=ctrgcn"], "mmaction2"),
    ],
)
def test_a_published_file_is_tested_by_its_own_law_of_clips(chosen, law):
    settings = reproduction("benchmark=ntu60_xsub_3d", *chosen)
    part = settings.part("test", {"stream.name": "joint", "split": None, "scores": "s.npz"})
    assert part.data.test_sampling == law


def test_the_table_knows_the_model_of_each_stream():
    whole = reproduction("model=protogcn", "benchmark=ntu60_xsub_3d")
    found = models_of(composed_for(whole, ["joint", "bone"]))
    assert found["model_of_stream"] == {
        "joint": {"prototypes": 400, "contrast_weight": 0.2},
        "bone": {"prototypes": 100, "contrast_weight": 0.3},
    }
    assert found["model"]["name"] == "protogcn"
    assert not found["model"].keys() & found["model_of_stream"]["joint"].keys()
    assert models_of(composed_for(reproduction(), ["joint", "bone"])).keys() == {"model"}


def test_another_recipe_than_the_published_one_is_said(capsys):
    def say(*chosen):
        settings = reproduction("model=dgstgcn", *chosen)
        say_setting(settings, differing_from_published(settings, composed_for(settings, ["joint"])))
        return capsys.readouterr().out

    said = say("benchmark=ntu60_xsub_3d", "recipe=mmaction2")
    assert "published on ntu60_xsub_3d (recipe=pyskl): data.test_sampling=mmaction2, " in said
    assert "benchmark.normalise=3d, " in said
    assert "recipe.epochs=16" in said
    assert say("benchmark=synthetic") == ""


def test_the_zoo_gives_every_family_its_own_checkpoints():
    names = of_the_zoo(reproduction("benchmark=ntu60_xview_3d", "model=dgstgcn"), ["joint", "bone"])
    assert names == {
        "joint": "zoo:dgstgcn/ntu60_xview_3d_joint",
        "bone": "zoo:dgstgcn/ntu60_xview_3d_bone",
    }
    with pytest.raises(
        BadInput, match=r"no checkpoints for ntu60_xsub_3d of protogcn, .*Google Drive"
    ):
        of_the_zoo(reproduction("benchmark=ntu60_xsub_3d", "model=protogcn"), ["joint"])


@pytest.mark.parametrize(
    ("model", "folder"), [("stgcn", "ntu60_xsub_2d"), ("stgcnpp", "stgcnpp_ntu60_xsub_2d")]
)
def test_a_folder_tells_models_apart(model, folder):
    chosen = [f"model={model}", "benchmark=ntu60_xsub_2d"]
    cfg = composed("reproduce", *chosen, with_hydra=True)
    assert cfg.hydra.run.dir == f"runs/reproduce/{folder}"
    cfg = composed("train", *chosen, with_hydra=True)
    assert cfg.hydra.run.dir.startswith(f"runs/{folder}_joint/")
