"""Recipes of 3D skeletons on the embedded data, and six streams in one fusion."""

import numpy as np
import pytest
import torch
from small_runs import TINY, refused

from stgcn_lightning.data.names import STREAMS
from stgcn_lightning.evaluation.scores import read_scores

SMALL = [*TINY, "benchmark=synthetic_3d", "recipe.epochs=1"]
MODES = {"pyskl": "3d_centred", "protogcn": "3d_centred", "strong": "3d"}


def succeeded(result):
    status, out, err = result
    assert status == 0, err
    return out


@pytest.mark.parametrize("recipe", MODES)
def test_a_recipe_trains_and_its_checkpoint_is_tested_as_it_was_trained(door, recipe):
    chosen = [*SMALL, f"recipe={recipe}", "stream=k_bone", "hydra.run.dir=run", "test_after=true"]
    out = succeeded(door("train", *chosen))
    batch = 128 if recipe == "strong" else 64
    assert f"lr 0.1 -> {0.1 * 16 / batch:g} (batch {batch} -> 16)" in out
    card = torch.load("run/checkpoints/best.ckpt", weights_only=True)["stgcn_lightning"]
    assert card["normalise"] == MODES[recipe]
    assert card["test_sampling"] == ("mmaction2" if recipe == "strong" else "dgstgcn")
    assert card["training"]["recipe.rotate"] == (0.3 if recipe == "strong" else 0.2)
    succeeded(door("test", "checkpoint=run", "scores=again.npz", "trainer=cpu"))
    trained, again = (read_scores(name) for name in ("run/scores.npz", "again.npz"))
    np.testing.assert_array_equal(again.scores, trained.scores)
    other = {"3d": "none", "3d_centred": "3d"}[MODES[recipe]]
    refused(
        door("test", "checkpoint=run", f"benchmark.normalise={other}"),
        f"was trained with normalise {MODES[recipe]}, not {other}",
    )
    out = succeeded(door("test", "checkpoint=run", "data.test_sampling=pyskl", "scores=other.npz"))
    assert "frames are those of data.test_sampling=pyskl, not of" in out


def test_bodies_that_are_changed_at_random_train_other_weights(door):
    weights = {}
    for name, more in {"plain": [], "changed": ["recipe.rotate=0.3"], "again": []}.items():
        succeeded(door("train", *SMALL, f"hydra.run.dir={name}", *more))
        state = torch.load(f"{name}/checkpoints/last.ckpt", weights_only=True)["state_dict"]
        weights[name] = state["model.classify.weight"]
    assert torch.equal(weights["plain"], weights["again"])
    assert not torch.equal(weights["plain"], weights["changed"])


def test_2d_key_points_are_not_turned(door):
    flat = [*TINY, "benchmark=synthetic"]
    refused(door("train", *flat, "recipe=strong"), "recipe.scale=0.1", "2D", "recipe.scale=0")
    refused(door("train", *flat, "recipe=pyskl"), "benchmark.normalise=3d_centred", "2d or none")


def test_six_streams_are_fused(door):
    for stream in STREAMS:
        run = [*SMALL, f"stream={stream}", f"hydra.run.dir={stream}", "test_after=true"]
        succeeded(door("train", *run, "recipe=strong", "recipe.epochs=1"))
    files = ", ".join(f"{stream}: {stream}/scores.npz" for stream in STREAMS)
    streams = f"streams={{{files}}}"
    succeeded(door("fuse", streams, "preset=six_stream", "scores=six.npz"))
    scores = {stream: read_scores(f"{stream}/scores.npz").scores for stream in STREAMS}
    weights = {stream: 1 if stream.endswith("motion") else 2 for stream in STREAMS}
    expected = sum(weights[stream] * scores[stream] for stream in STREAMS) / 9
    np.testing.assert_allclose(read_scores("six.npz").scores, expected, atol=1e-6)
    refused(door("fuse", streams, "preset=four_stream"), "leave out k_bone, k_bone_motion, or")
    fewer = f"streams={{{files.replace('k_bone:', 'k_bones:')}}}"
    refused(door("fuse", fewer, "preset=six_stream"), "add k_bone by name and leave out k_bones")
