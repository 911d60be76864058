"""A card is untrusted: each of its values has a type, a length and a range."""

from pathlib import Path

import pytest
import torch
from helpers import LEGACY, skeleton

from stgcn_lightning.checkpoints.card import Card, admitted
from stgcn_lightning.checkpoints.weights import load_model, read_weights
from stgcn_lightning.errors import BadInput
from stgcn_lightning.files.archives import Inert

FILE = Path("a.ckpt")
CARD = {
    "version": "1",
    "model": {"name": "stgcn", "graph": "spatial", "base_channels": 4, "compile": None},
    "skeleton": skeleton("coco17").to_dict(),
    "classes": ["sit", "stand"],
    "stream": "bone",
    "benchmark": "gym",
    "dimension": "2d",
    "normalise": "2d",
    "clip_frames": 12,
    "test_clips": 3,
    "persons": 2,
}


def test_a_card_is_read_and_what_an_older_one_lacks_has_its_default():
    card = Card.from_dict(CARD, FILE)
    assert (card.stream, card.benchmark, card.clip_frames) == ("bone", "gym", 12)
    assert card.skeleton == skeleton("coco17")
    assert card.classes == ("sit", "stand")
    assert (card.missing, card.held_out_subjects, card.val_split) == ("error", None, None)
    training = {"benchmark.val_split": "val", "data.frame_order": "single", "more": object()}
    card = Card.from_dict(CARD | {"training": training, "held_out_subjects": ["1"]}, FILE)
    assert (card.val_split, card.frame_order, card.held_out_subjects) == ("val", "single", ("1",))


def test_the_cards_of_version_0_1_0_are_cards():
    path = LEGACY / "version_0_1_0_finished.ckpt"
    card = Card.from_dict(read_weights(path)[1], path)
    assert (card.benchmark, card.clip_frames, card.synthetic) == ("synthetic", 24, {})


def test_a_part_of_a_card_is_admitted_as_it_is():
    some = {"stream": "bone", "fps": 30.0, "training": {"recipe.lr": 0.1}, "run": {"epochs": 3}}
    assert admitted(some, FILE) == some
    assert admitted(None, FILE) == admitted([1], FILE) == {}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"note": object()}, "no table of names, numbers and text"),
        ({"note": torch.ones(2)}, "no table of names, numbers and text"),
        ({"note": Inert}, "no table of names, numbers and text"),
        ({"note": 1 << 99}, "no table of names, numbers and text"),
        ({"note": "x" * 2000}, "no table of names, numbers and text"),
        ({7: "note"}, "no table of names, numbers and text"),
        ({"training": 5}, "training is 5"),
        ({"run": [1]}, r"run is \[1\]"),
        ({"model": {"name": 5, "graph": "spatial"}}, "name is 5"),
        ({"classes": {"a": 1}}, "classes is .*a list of 2 to"),
        ({"version": 3}, "version is 3"),
        ({"persons": 10**9}, "persons is 1000000000"),
    ],
)
def test_what_no_card_holds_is_refused_as_soon_as_a_file_is_read(change, sentence):
    with pytest.raises(BadInput, match=sentence):
        admitted(CARD | change, FILE)


@pytest.mark.parametrize("key", [key for key in CARD if key != "version"])
def test_a_card_without_a_key_is_named(key):
    card = {name: value for name, value in CARD.items() if name != key}
    with pytest.raises(BadInput, match=f"a.ckpt has a card without '{key}': train it again"):
        Card.from_dict(card, FILE)


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("stream", 5, "card whose stream is 5, where a name of one line belongs"),
        ("stream", "a\nb", r"stream is .*where a name of one line"),
        ("benchmark", "x" * 2000, "benchmark is .*where a name of one line"),
        ("dimension", "4d", "dimension is '4d', where one of 2d, 3d belongs"),
        ("normalise", ["2d"], "normalise is .*one of 2d, 3d, 3d_centred, none"),
        ("missing", "guess", "missing is 'guess', where one of error, zero, interpolate"),
        (
            "test_sampling",
            "mine",
            "test_sampling is 'mine', where one of mmaction2, pyskl, dgstgcn",
        ),
        ("clip_frames", True, "clip_frames is True, where a whole number from 1 to 100,000"),
        ("test_clips", 10**9, "test_clips is 1000000000, where a whole number from 1 to 10,000"),
        ("persons", 0, "persons is 0, where a whole number from 1 to 1,000"),
        ("classes", "sit", "classes is 'sit', where a list of 2"),
        ("classes", ["sit", None], "classes is None, where a name of one line"),
        ("classes", ["sit", "sit"], "classes is .*where different names belong"),
        ("held_out_subjects", [1], "held_out_subjects is 1, where a name"),
        ("skeleton", {"name": "x"}, "card whose skeleton is none: .*`joints` is missing"),
        ("skeleton", [], "skeleton is .*where a name"),
        (
            "skeleton",
            CARD["skeleton"] | {"joints": ["a"] * 5000},
            "`joints` has more than 1,000 entries",
        ),
        ("model", {"name": "stgcn"}, "has a card without 'graph'"),
        ("model", CARD["model"] | {"depth": object()}, "model is .*options that are numbers"),
        ("model", CARD["model"] | {"depth": list(range(2000))}, "options that are numbers"),
        ("training", {"benchmark.val_split": ["a"]}, "benchmark.val_split is .*where a name"),
        ("training", {"benchmark.synthetic": {"seed": 0.5}}, "seed is 0.5, where a whole number"),
    ],
)
def test_a_value_that_no_card_may_have_is_refused(key, value, sentence):
    with pytest.raises(BadInput, match=sentence):
        Card.from_dict(CARD | {key: value}, FILE)


def test_clips_that_fill_any_memory_are_refused():
    huge = {"clip_frames": 100_000, "test_clips": 10_000}
    with pytest.raises(BadInput, match="clip_frames 100000, test_clips 10000, persons 2 and 17"):
        Card.from_dict(CARD | huge, FILE)


def test_no_model_is_made_of_a_width_that_the_weights_have_not(tmp_path, monkeypatch):
    content = torch.load(LEGACY / "version_0_1_0_finished.ckpt", weights_only=True)
    content["stgcn_lightning"]["model"]["base_channels"] = 10_000
    torch.save(content, tmp_path / "x.ckpt")
    monkeypatch.setattr("stgcn_lightning.models.registry.build", None)
    with pytest.raises(BadInput, match=r"has 2 base channels: set model.base_channels=2"):
        load_model(tmp_path / "x.ckpt")


def test_no_model_is_made_of_more_joints_than_the_weights_can_be_of(tmp_path, monkeypatch):
    content = torch.load(LEGACY / "version_0_1_0_finished.ckpt", weights_only=True)
    body = content["stgcn_lightning"]["skeleton"]
    body["joints"] = [f"joint {i}" for i in range(900)]
    body["edges"] = [[i, 0] for i in range(1, 900)]
    body["bone_parents"] = [0] * 900
    torch.save(content, tmp_path / "x.ckpt")
    monkeypatch.setattr("stgcn_lightning.models.registry.build", None)
    with pytest.raises(BadInput, match="a card of 900 joints, which its weights are too few for"):
        load_model(tmp_path / "x.ckpt")
