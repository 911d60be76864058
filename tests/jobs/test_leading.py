"""What a checkpoint is tested as: given, else of the benchmark's file, else of the card."""

from pathlib import Path

import pytest
from helpers import skeleton

from stgcn_lightning.checkpoints.agreement import refuse_other_card
from stgcn_lightning.checkpoints.card import Card
from stgcn_lightning.checkpoints.zoo import zoo_entry
from stgcn_lightning.errors import BadInput
from stgcn_lightning.jobs.cards import model_card
from stgcn_lightning.jobs.classes import class_names
from stgcn_lightning.jobs.leading import led, say_what_led
from stgcn_lightning.launching.composing import composed
from stgcn_lightning.settings.compose import settings_of

FILE = Path("a.ckpt")


def asked(*overrides):
    return settings_of("test", composed("test", "run_dir=run", *overrides))


def model_card_of(*overrides):
    train = settings_of("train", composed("train", "run_dir=run", *overrides))
    return model_card(train, class_names(train.benchmark.classes))


def card_of(*overrides, **training):
    return Card.from_dict(model_card_of(*overrides) | {"training": training}, FILE)


def test_what_is_not_given_is_of_the_card_and_what_no_card_says_of_its_benchmark_s_file():
    card = card_of("experiment=ntu60_xsub_3d_bone", "data.clip_frames=12", "model.base_channels=4")
    found = led(asked("data.batch_size=3", "downloads.folder=kept"), card, FILE)
    assert found.skeleton == skeleton("ntu25")
    assert (found.benchmark.name, found.benchmark.val_split) == ("ntu60_xsub_3d", "xsub_val")
    assert found.benchmark.annotations == "kept/ntu60_3d.pkl"
    assert (found.stream.name, found.data.clip_frames, found.data.batch_size) == ("bone", 12, 3)
    assert found.model.options["base_channels"] == 4
    assert found.composed["stream"]["name"] == "bone"  # which loggers show


def test_the_card_leads_where_a_file_is_not_about_the_data():
    card = card_of("benchmark.normalise=none", **{"data.frame_order": "single"})
    found = led(asked(), card, FILE)
    assert (found.benchmark.normalise, found.data.frame_order) == ("none", "single")
    card = card_of("stream=bone")
    assert led(asked("stream=joint"), card, FILE).stream.name == "joint"  # to be refused


def test_the_embedded_data_have_the_sizes_of_the_training_if_they_are_modest():
    sizes = {"train_samples": 40, "val_samples": 20, "seed": 3}
    found = led(asked(), card_of(**{"benchmark.synthetic": sizes}), FILE)
    assert dict(found.benchmark.synthetic) == sizes
    found = led(
        asked("benchmark.synthetic.seed=4"), card_of(**{"benchmark.synthetic": sizes}), FILE
    )
    assert dict(found.benchmark.synthetic) == sizes | {"seed": 4}
    many = card_of(**{"benchmark.synthetic": sizes | {"val_samples": 900_000}})
    with pytest.raises(BadInput, match=r"val_samples 900000: .*benchmark.synthetic.val_samples=90"):
        led(asked(), many, FILE)


def test_annotations_that_are_given_are_not_made():
    found = led(asked("benchmark.annotations=mine.pkl"), card_of(), FILE)
    assert (found.benchmark.annotations, found.benchmark.synthetic) == ("mine.pkl", None)


def test_a_benchmark_without_a_file_needs_annotations_and_has_the_splits_of_the_training():
    card = card_of("benchmark.name=gym", **{"benchmark.val_split": "dev"})
    with pytest.raises(BadInput, match=r"benchmark gym, of which there is no file here"):
        led(asked(), card, FILE)
    found = led(asked("benchmark.annotations=gym.pkl"), card, FILE)
    assert (found.benchmark.name, found.benchmark.val_split) == ("gym", "dev")
    assert found.benchmark.annotations == "gym.pkl"


def test_a_published_file_is_known_by_its_name():
    entry = zoo_entry("ntu60_xsub_2d_bone")
    found = led(asked(), None, Path("anywhere") / entry.filename)
    assert (found.benchmark.name, found.stream.name) == ("ntu60_xsub_2d", "bone")
    assert len(found.benchmark.classes) == 60
    assert found.model.options["base_channels"] == 64
    entry = zoo_entry("pyskl/stgcnpp/ntu120_xset_3d_joint_motion")
    assert entry.filename == "pyskl/stgcnpp/stgcnpp_ntu120_xset_3dkp/jm.pth"
    found = led(asked(), None, Path("anywhere") / entry.filename)
    assert (found.benchmark.name, found.stream.name) == ("ntu120_xset_3d", "joint_motion")
    assert (found.model.name, found.skeleton.name) == ("stgcnpp", "ntu25")
    assert (found.benchmark.normalise, found.data.test_sampling) == ("3d", "pyskl")
    found = led(asked(), None, Path("pyskl/dgstgcn/ntu60_xsub_3dkp/j.pth"))
    assert (found.benchmark.normalise, found.data.test_sampling) == ("3d_centred", "dgstgcn")


def test_a_checkpoint_without_a_card_is_what_the_keys_say():
    settings = asked("experiment=ntu60_xsub_2d_bone")
    assert led(settings, None, FILE) is settings


def test_what_contradicts_the_card_is_named_with_both_values():
    card = model_card_of("model.base_channels=4", "stream=bone")
    for given, sentence in {
        "model.base_channels=8": "set model.base_channels=4 instead of model.base_channels=8",
        "benchmark.normalise=none": "with normalise 2d, not none: set benchmark.normalise=2d",
        "data.persons=1": "with persons 2, not 1: set data.persons=2",
        "benchmark.classes=13": "knows 12 classes but the benchmark has 13",
    }.items():
        settings = led(asked(given), Card.from_dict(card, FILE), FILE)
        ours = model_card(settings, class_names(settings.benchmark.classes))
        with pytest.raises(BadInput, match=sentence):
            refuse_other_card(card, ours, FILE)


def test_clips_and_frames_that_differ_from_the_card_s_are_said_and_no_others(capsys):
    card = card_of("model.base_channels=4", **{"data.frame_order": "ordered"})

    def said(*given):
        say_what_led(led(asked(*given), card, FILE), card, FILE)
        return capsys.readouterr().out

    alike = said()
    assert "clips" not in alike
    assert "frames" not in alike
    assert "clips have 48 frames, in the training they had 100" in said("data.clip_frames=48")
    three = said("data.test_clips=3")
    assert "3 clips of a sample are tested, not 10 as the checkpoint says" in three
    assert "clips have" not in three
    assert "frames are single, in the training they were ordered" in said("data.frame_order=single")
