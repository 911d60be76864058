"""Keys of our own groups that nothing uses are refused at every door, others are not."""

import inspect

import pytest

from stgcn_lightning.errors import BadInput
from stgcn_lightning.launching.arguments import refuse_unused
from stgcn_lightning.launching.composing import composed
from stgcn_lightning.settings.compose import settings_of
from stgcn_lightning.settings.doors import DOORS
from stgcn_lightning.settings.unknown import SIZES
from stgcn_lightning.sources.synthetic import synthetic_annotations

GROUPS = ("recipe", "data", "benchmark", "benchmark.synthetic", "stream", "downloads", "skeleton")


def read(door, *arguments):
    refuse_unused(door, arguments)
    return settings_of(door, composed(door, "run_dir=run", *arguments))


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("plus", ["+", "++"])
def test_a_key_that_nobody_knows_is_refused(group, plus):
    for door in ("train", "test", "prepare", "reproduce"):
        with pytest.raises(BadInput, match=r"there is no key|`clas_weights`"):
            read(door, f"{plus}{group}.clas_weights=balanced")


@pytest.mark.parametrize("door", DOORS)
def test_a_group_that_all_doors_have_is_closed_too(door):
    sentence = r"there is no key sweep.jobs \(2\): did you mean sweep.devices_per_job"
    with pytest.raises(BadInput, match=sentence):
        read(door, "+sweep.jobs=2")
    with pytest.raises(BadInput, match=r"there is no key recipes"):
        read(door, "+recipes=2")


def test_the_nearest_names_are_offered():
    for argument, near in (
        ("+data.batch_sise=4", "data.batch_size"),
        ("+recipe.epoch=4", "recipe.epochs"),
        ("+model.base_chanels=4", "model.base_channels"),
        ("+benchmark.synthetic.samples=4", "benchmark.synthetic.train_samples"),
    ):
        with pytest.raises(BadInput, match=rf"did you mean .*{near}"):
            read("train", argument)
    assert set(SIZES) == set(inspect.signature(synthetic_annotations).parameters) - {"dimension"}


def test_a_yaml_file_is_no_way_round(tmp_path):
    (tmp_path / "experiment").mkdir()
    file = tmp_path / "experiment" / "mine.yaml"
    arguments = (f"hydra.searchpath=[file://{tmp_path}]", "experiment=mine")
    for text, sentence in (
        ("recipe: {warmup: 3}", "no key recipe.warmup"),
        ("data: {bach_size: 3}", "no key data.bach_size: did you mean data.batch_size"),
        ("benchmark: {split: x}", "no key benchmark.split"),
        ("recip: {epochs: 3}", "no key recip: did you mean recipe"),
    ):
        file.write_text(f"# @package _global_\n{text}\n")
        for door in ("train", "test"):
            with pytest.raises(BadInput, match=sentence):
                read(door, *arguments)


@pytest.mark.parametrize(
    "argument",
    [
        "+trainer.gradient_clip_val=1", "+callbacks.best.save_weights_only=true",
        "+callbacks.mine._target_=lightning.pytorch.callbacks.DeviceStatsMonitor",
        "+logger.csv.prefix=a",
        "+recipe._mine=1", "+_mine=1",
    ],
)  # fmt: skip
def test_arguments_of_classes_are_open_and_a_name_with_an_underscore_is_the_user_s(argument):
    read("train", argument)


def test_a_backbone_of_one_s_own_takes_options(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "toy.yaml").write_text("_target_: my.Toy\nname: toy\nwidth: 8\n")
    arguments = (f"hydra.searchpath=[file://{tmp_path}]", "model=toy", "+model.depth=3")
    assert dict(read("train", *arguments).model.options) == {"width": 8, "depth": 3}
    with pytest.raises(BadInput, match=r"no key model\.depth"):
        read("train", "+model.depth=3")
