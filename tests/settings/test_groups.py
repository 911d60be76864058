"""Each key of a group refuses what it does not allow, with the sentence that names it."""

from dataclasses import FrozenInstanceError, replace

import pytest
import torch

from stgcn_lightning.engine.modes import COMPILE_MODES
from stgcn_lightning.errors import BadInput
from stgcn_lightning.launching.composing import composed
from stgcn_lightning.settings.compose import settings_of
from stgcn_lightning.settings.fields import read
from stgcn_lightning.settings.groups import Data, Model, Recipe

MODEL = {"name": "stgcn", "graph": "stgcn_spatial", "base_channels": 8}


def train(*overrides):
    return settings_of("train", composed("train", "run_dir=run", *overrides))


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("seed=-1", "seed=-1 must be a whole number of at least 0"),
        ("seed=4294967296", "seed=4294967296 must be a whole number of at most 4294967295"),
        ("data.clip_frames=0", "data.clip_frames=0 must be a whole number of at least 1"),
        ("data.test_clips=0", "data.test_clips=0 must be a whole number of at least 1"),
        ("data.persons=2000", "data.persons=2000 must be a whole number of at most 1000"),
        ("data.batch_size=0", "data.batch_size=0 must be a whole number of at least 1"),
        ("data.workers=-1", "data.workers=-1 must be a whole number of at least 0"),
        ("data.on_device=yes", "data.on_device=yes is none of true, false, auto"),
        ("data.on_device=1", "data.on_device=1 is none of true, false, auto"),
        ("data.on_bad_sample=eror", "data.on_bad_sample=eror is none of error, drop"),
        ("data.store_dir=null", "data.store_dir=null is no name: give one, data.store_dir=NAME"),
        ("data.holdout_subjects=2", "data.holdout_subjects=2 is neither a list of subjects"),
        ("model.base_channels=1.5", "model.base_channels=1.5 must be a whole number of at least 1"),
        ("model.base_channels=null", "model.base_channels=null must be a whole number"),
        ("model.norm_group=0", "model.norm_group=0 must be a whole number of at least 1"),
        ("model.compile=fast", "model.compile=fast is none of null, default, reduce-overhead"),
        ("model.name=resnet", "model.name=resnet is none of stgcn"),
        ("downloads.timeout=0", "downloads.timeout=0 must be a number of at least 0.001"),
        ("downloads.tries=0", "downloads.tries=0 must be a whole number of at least 1"),
        ("downloads.wait=-1", "downloads.wait=-1 must be a number of at least 0"),
        ("downloads.address=5", "downloads.address=5 must be text"),
        ("downloads.folder=null", "downloads.folder=null is no path"),
        ("recipe.lr=fast", "recipe.lr=fast must be a number of at least 0"),
        ("recipe.lr=1e31", "recipe.lr=1e+31 must be a number of at most 1e+30"),
        ("recipe.base_lr=null", "recipe.base_lr=null must be a number of at least 0"),
        ("recipe.epochs=0", "recipe.epochs=0 must be a whole number of at least 1"),
        (
            "recipe.train_passes_per_epoch=65536",
            "recipe.train_passes_per_epoch=65536 must be a whole number of at most 65535",
        ),
        ("recipe.momentum=2", "recipe.momentum=2 must be a number of at most 1"),
        ("recipe.weight_decay=-1", "recipe.weight_decay=-1 must be a number of at least 0"),
        ("recipe.label_smoothing=2", "recipe.label_smoothing=2 must be a number of at most 1"),
        ("recipe.dropout=2", "recipe.dropout=2 must be a number of at most 1"),
        ("recipe.nesterov=1", "recipe.nesterov=1 is none of true, false"),
        ("recipe.scale_lr=null", "recipe.scale_lr=null is none of true, false"),
        ("recipe.momentum=0", "recipe.nesterov=true needs momentum: set recipe.nesterov=false"),
        ("tf32=high", "tf32=high is none of true, false"),
        ("benchmark.dimension=4d", "benchmark.dimension=4d is none of 2d, 3d"),
        ("benchmark.train_split=null", "benchmark.train_split=null is no name: give one"),
        ("benchmark.val_split=3", "benchmark.val_split=3 is no name"),
        ("debug=slow", "debug=slow is none of true, false, fast"),
        ("checkpoint=5", "checkpoint=5 is no path: give a file or folder"),
        ("checkpoint='~nobody_here/x'", "checkpoint=~nobody_here/x cannot be found"),
        ("checkpoint=''", "checkpoint= is no path: give a file or folder"),
        ("resume=false", "resume=false is neither auto nor a checkpoint"),
        ("test_after=perhaps", "test_after=perhaps is none of true, false"),
    ],
)
def test_a_key_refuses_what_it_does_not_allow(override, sentence):
    with pytest.raises(BadInput) as refused:
        train(override)
    assert str(refused.value).startswith(sentence)


@pytest.mark.parametrize(
    ("group", "key", "value"),
    [("data", "clip_frames", 1), ("recipe", "lr", 0.1), ("model", "name", "x"), (None, "seed", 1)],
)
def test_settings_are_frozen(group, key, value):
    settings = train()
    with pytest.raises(FrozenInstanceError):
        setattr(getattr(settings, group) if group else settings, key, value)
    with pytest.raises(TypeError):
        settings.composed["seed"] = 1
    with pytest.raises(TypeError):
        settings.composed["data"]["workers"] = 1


def test_what_is_derived_from_a_recipe_is_checked_as_well():
    recipe = train().recipe
    assert replace(recipe, momentum=0.5).momentum == 0.5
    with pytest.raises(BadInput, match="needs momentum"):
        replace(recipe, momentum=0)


def test_a_share_and_a_list_of_subjects_are_both_subjects():
    assert train("data.holdout_subjects=0.1").data.holdout_subjects == 0.1
    assert train("data.holdout_subjects=[1,P008]").data.holdout_subjects == (1, "P008")
    assert train().data.holdout_subjects is None


def test_every_other_key_of_the_model_is_an_option_of_the_backbone():
    model = read(Model, MODEL | {"depth": [1, 2]}, "model.")
    assert dict(model.options) == {"base_channels": 8, "depth": (1, 2)}
    assert model.card(4) == MODEL | {"compile": None, "norm_group": 4, "depth": [1, 2]}


def test_a_backbone_of_one_s_own_chooses_its_name_and_options():
    model = read(Model, MODEL | {"name": "mine", "_target_": "my.Net", "base_channels": "wide"})
    assert (model.name, model.target) == ("mine", "my.Net")
    assert "_target_" not in model.card(None)
    with pytest.raises(BadInput, match=r"model\._target_=5 is no name"):
        read(Model, MODEL | {"_target_": 5})
    with pytest.raises(BadInput, match=r"model\.name=null is no name"):
        read(Model, MODEL | {"name": None, "_target_": "my.Net"})


def test_compile_modes_are_torch_s():
    assert set(COMPILE_MODES) <= set(torch._inductor.list_mode_options())


def test_a_key_that_nobody_knows_is_refused_unless_it_begins_with_an_underscore():
    with pytest.raises(BadInput, match=r"there is no key recipe\.mine: "):
        train("+recipe.mine=1")
    assert isinstance(train("+recipe._mine=1").recipe, Recipe)
    data = dict(train().composed["data"])  # of a checkpoint's card, which may be newer
    assert read(Data, data | {"mine": 1}) == read(Data, data)
