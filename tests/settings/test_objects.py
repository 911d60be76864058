from datetime import timedelta
from pathlib import Path

import pytest

from stgcn_lightning.errors import BadInput
from stgcn_lightning.settings.objects import Object, objects
from stgcn_lightning.settings.trainer import Trainer

PATH = {"_target_": "pathlib.Path", "_args_": ["a", "b"]}


def test_an_object_is_made_of_its_options_and_more():
    assert Object.read("key", PATH).make() == Path("a/b")
    wait = Object.read("key", {"_target_": "datetime.timedelta", "seconds": 5})
    assert wait.make(minutes=1) == timedelta(seconds=65)
    assert wait.make(seconds=1) == timedelta(seconds=1)
    assert wait.but(seconds=2).make() == timedelta(seconds=2)
    assert wait.get("seconds") == 5


def test_lists_and_mappings_arrive_plain():
    made = Object.read("key", {"_target_": "builtins.dict", "a": [1, {"b": 2}]}).make()
    assert type(made["a"]) is list
    assert type(made["a"][1]) is dict


@pytest.mark.parametrize(
    "value", [{"_target_": "pathlib.Pth"}, {"_target_": "datetime.timedelta", "secs": 1}]
)
def test_what_cannot_be_made_is_named_with_its_key(value):
    with pytest.raises(BadInput, match=r"^logger\.csv cannot be built: "):
        Object.read("logger.csv", value).make()


@pytest.mark.parametrize("value", [5, None, {}, {"_target_": 3}, {"seconds": 5}])
def test_what_is_no_object_is_refused(value):
    with pytest.raises(BadInput, match=r"logger\.csv=.* does not say what to make: give it"):
        Object.read("logger.csv", value)


def test_a_group_of_objects_leaves_out_those_that_are_null():
    found = objects("callbacks", {"speed": None, "best": PATH})
    assert list(found) == ["best"]
    with pytest.raises(TypeError):
        found["best"] = None
    with pytest.raises(BadInput, match=r"callbacks=5 is no group of objects: callbacks=\[\]"):
        objects("callbacks", 5)


def test_a_trainer_knows_whether_several_devices_can_share_it():
    one = Trainer.read("trainer", {"_target_": "lightning.Trainer", "precision": "32-true"})
    assert not one.for_several
    assert (one.precision, one.log_every_n_steps) == ("32-true", 50)
    assert one.but(strategy="ddp", log_every_n_steps=3).for_several
    assert one.but(log_every_n_steps=3).log_every_n_steps == 3
