from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from helpers import GOLDEN

from stgcn_lightning.errors import BadInput
from stgcn_lightning.evaluation.figures import figures_of
from stgcn_lightning.evaluation.fusion import PRESETS, fuse, learned_weights, refuse_tuning_on
from stgcn_lightning.evaluation.scores import Scores, read_scores, write_scores
from stgcn_lightning.jobs.fusing import read_files

NAMES = ("joint", "joint_motion", "bone", "bone_motion")


def scores_of(values, labels=(0, 1), ids=("a", "b"), **meta):
    values = np.array(values, np.float32)
    classes = np.array([str(i) for i in range(values.shape[1])])
    return Scores(None if ids is None else np.array(ids), np.array(labels), values, classes, meta)


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN / "fusion_schedule.npz") as file:
        return dict(file)


def golden_streams(golden):
    ids = np.array([f"s{i:03d}" for i in range(len(golden["labels"]))])
    return {
        name: Scores(ids, golden["labels"], values, np.arange(60).astype(str))
        for name, values in zip(NAMES, golden["scores"], strict=True)
    }


@pytest.mark.parametrize(("preset", "figure"), [("two_stream", "two"), ("four_stream", "four")])
def test_against_mmaction2_fusions_reach_its_figures(golden, preset, figure):
    weights = PRESETS[preset]
    fused = fuse({name: golden_streams(golden)[name] for name in weights}, weights)
    ours = figures_of(fused)
    np.testing.assert_allclose(
        [ours["top1"], ours["top5"], ours["mean_class_accuracy"]], golden[figure], atol=1e-7
    )


def test_six_streams_are_weighed_as_protogcn_weighs_them():
    labels, classes = np.array([0]), np.array(["sit", "stand"])
    even = np.array([[0.5, 0.5]], np.float32)
    for name, share in {"joint": 2, "k_bone": 2, "bone_motion": 1, "k_bone_motion": 1}.items():
        streams = {
            one: Scores(
                None, labels, even + (one == name) * np.array([[0.5, -0.5]], np.float32), classes
            )
            for one in PRESETS["six_stream"]
        }
        fused = fuse(streams, PRESETS["six_stream"]).scores
        np.testing.assert_allclose(fused, [[0.5 + share / 18, 0.5 - share / 18]], rtol=1e-6)


def test_against_mmaction2_single_streams_reach_its_figures(golden):
    for i, scores in enumerate(golden_streams(golden).values()):
        ours = figures_of(scores)
        np.testing.assert_allclose(
            [ours["top1"], ours["top5"], ours["mean_class_accuracy"]],
            golden[f"single{i}"],
            atol=1e-7,
        )


@pytest.mark.parametrize(("preset", "figure"), [("two_stream", "two"), ("four_stream", "four")])
def test_against_mmaction2_dumps_of_its_format_fuse_to_its_figures(
    golden, preset, figure, tmp_path
):
    weights = PRESETS[preset]
    streams = {}
    for name in weights:
        write_scores(tmp_path / f"{name}.pkl", golden_streams(golden)[name])
        streams[name] = read_scores(tmp_path / f"{name}.pkl")
        assert streams[name].ids is None
    ours = figures_of(fuse(streams, weights))
    figures = [ours["top1"], ours["top5"], ours["mean_class_accuracy"]]
    assert [f"{value:.4f}" for value in figures] == [f"{value:.4f}" for value in golden[figure]]


def test_fusion_ignores_the_order_of_rows(golden):
    streams = golden_streams(golden)
    joint, bone = streams["joint"], streams["bone"]
    order = np.random.default_rng(0).permutation(len(bone.labels))
    shuffled = Scores(bone.ids[order], bone.labels[order], bone.scores[order], bone.classes)
    weights = PRESETS["two_stream"]
    expected = fuse({"joint": joint, "bone": bone}, weights).scores
    np.testing.assert_array_equal(
        fuse({"joint": joint, "bone": shuffled}, weights).scores, expected
    )


def test_fusion_is_the_weighted_mean():
    joint = scores_of([[1, 0], [0.5, 0.5]])
    bone = scores_of([[0, 1], [0.25, 0.75]])
    fused = fuse({"joint": joint, "bone": bone}, {"joint": 3, "bone": 1})
    np.testing.assert_allclose(fused.scores, [[0.75, 0.25], [0.4375, 0.5625]])


def test_scores_without_ids_are_joined_by_order():
    joint = scores_of([[1, 0], [0, 1]], ids=None)
    fused = fuse({"joint": joint, "bone": joint}, {"joint": 1, "bone": 1})
    np.testing.assert_array_equal(fused.scores, joint.scores)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (scores_of([[1, 0], [0, 1]], ids=("a", "c")), "bone lacks 1 samples that joint has: b"),
        (scores_of([[1, 0], [0, 1]], labels=(0, 0)), "sample b has label 1 in joint but 0 in bone"),
        (scores_of([[1, 0, 0], [0, 1, 0]]), "joint has 2 classes but bone 3"),
        (scores_of([[1, 0]], labels=(0,), ids=None), "joint holds 2 samples but bone 1"),
        (scores_of([[1, 0], [0, 1]], split="b"), "joint was tested on split a but bone on b"),
    ],
)
def test_fusion_refuses_scores_that_do_not_match(other, message):
    joint = scores_of([[1, 0], [0, 1]], split="a")
    with pytest.raises(BadInput, match=message):
        fuse({"joint": joint, "bone": other}, {"joint": 1, "bone": 1})


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"joint": 1, "limb": 1}, "weights are given for joint, limb but scores for joint, bone"),
        ({"joint": -1, "bone": 2}, "not negative"),
        ({"joint": 0, "bone": 0}, "not all zero"),
        ({"joint": np.nan, "bone": 1}, "must be numbers from 1e-09 to 1e"),
        ({"joint": 1e308, "bone": 1e308}, "must be numbers from 1e-09 to 1e"),
        ({"joint": 1e-320, "bone": 0}, "must be numbers from 1e-09 to 1e"),
    ],
)
def test_fusion_refuses_weights_that_make_no_sense(weights, message):
    joint = scores_of([[1, 0], [0, 1]])
    with pytest.raises(BadInput, match=message):
        fuse({"joint": joint, "bone": joint}, weights)


def test_learned_weights_are_the_proportions_that_make_the_labels_likeliest():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 5, 400)
    ids = [f"s{i}" for i in range(400)]
    streams = {
        name: scores_of(
            rng.dirichlet(np.ones(5), 400) * 0.7 + gain * np.eye(5)[labels], labels, ids
        )
        for name, gain in {"joint": 0.3, "bone": 0.25}.items()
    }
    weights = learned_weights(streams)
    chances = [scores.scores[np.arange(400), labels] for scores in streams.values()]
    grid = np.linspace(0, 1, 1001)[:, None]
    likelihood = np.log(grid * chances[0] + (1 - grid) * chances[1]).sum(1)
    assert weights["joint"] == pytest.approx(grid[likelihood.argmax(), 0], abs=2e-3)
    assert sum(weights.values()) == pytest.approx(1)


def test_learned_weights_leave_out_a_stream_that_guesses():
    labels = np.arange(100) % 4
    ids = [str(i) for i in range(100)]
    streams = {
        "joint": scores_of(0.1 + 0.6 * np.eye(4)[labels], labels, ids),
        "noise": scores_of(np.full((100, 4), 0.25), labels, ids),
    }
    assert learned_weights(streams)["joint"] > 0.999


@pytest.mark.parametrize(
    ("meta", "ids", "message"),
    [
        ({}, ("c", "d"), "not of held-out training samples: train with data.holdout_subjects"),
        ({"held_out": True, "checkpoint_sha256": "2"}, ("c", "d"), "from another checkpoint"),
        ({"held_out": True, "checkpoint_sha256": "1"}, ("c", "b"), "1 samples of the eval.*, b a"),
        ({"held_out": True}, None, "not of held-out"),
    ],
)
def test_weights_are_not_learned_on_what_the_streams_know(meta, ids, message):
    stream = scores_of([[1, 0], [0, 1]], checkpoint_sha256="1")
    tuning = scores_of([[1, 0], [0, 1]], ids=ids, **meta)
    with pytest.raises(BadInput, match=message):
        refuse_tuning_on({"joint": stream}, {"joint": tuning})


def test_streams_without_labels_are_fused_and_take_those_of_the_others():
    joint = scores_of([[0.75, 0.25], [0.5, 0.5]], labels=(1, 0))
    bare = scores_of([[0.25, 0.75], [1, 0]], labels=(-1, -1), ids=("b", "a"))
    fused = fuse({"bare": bare, "joint": joint}, {"bare": 1, "joint": 1})
    assert fused.ids.tolist() == ["b", "a"]
    assert fused.labels.tolist() == [0, 1]
    alone = fuse({"bare": bare}, {"bare": 1})
    assert not alone.labelled
    assert figures_of(alone) == {}
    for of in (lambda: alone.hits, lambda: learned_weights({"bare": bare})):
        with pytest.raises(BadInput, match="labels"):
            of()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_scores_that_are_no_numbers_are_refused_with_stream_and_sample(value, tmp_path):
    bad = scores_of([[0.5, 0.5], [value, 0]])
    with pytest.raises(BadInput, match=r"bone scores sample b with NaN or infinity, as 1 of 2"):
        fuse({"joint": scores_of([[0.5, 0.5], [0, 1]]), "bone": bad}, {"joint": 1, "bone": 1})
    write_scores(tmp_path / "bone.npz", bad)
    settings = cast("Any", SimpleNamespace(annotations=None))
    with pytest.raises(BadInput, match=r"bone: .*bone.npz scores sample b with NaN"):
        read_files(settings, {"bone": str(tmp_path / "bone.npz")}, [])


def test_classes_of_another_order_are_named_and_a_number_agrees_with_names():
    joint = scores_of([[1, 0], [0, 1]])
    named = replace(joint, classes=np.array(["sit", "jump"]))
    other = replace(joint, classes=np.array(["jump", "sit"]))
    weights = {"joint": 1, "bone": 1}
    assert fuse({"joint": joint, "bone": named}, weights).classes.tolist() == ["sit", "jump"]
    with pytest.raises(BadInput, match="class 0 is sit in joint but jump in bone"):
        fuse({"joint": named, "bone": other}, weights)
