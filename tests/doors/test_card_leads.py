"""A checkpoint is tested by its card: the rest may be given, but must not contradict it."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from small_runs import refused

from stgcn_lightning.evaluation.scores import read_scores

SMALL = [
    "trainer=cpu",
    "model.base_channels=6",
    "data.clip_frames=12",
    "data.test_clips=2",
    "recipe.epochs=1",
    "recipe.train_passes_per_epoch=1",
]
SIZES = ["benchmark.synthetic.train_samples=40", "benchmark.synthetic.val_samples=20"]
GYM = """defaults:
  - _self_
  - override /skeleton@_global_.skeleton: coco17
name: gym
annotations: {annotations}
dimension: 2d
normalise: 2d
train_split: train
val_split: val
classes: [{classes}]
"""


def succeeded(result):
    status, out, err = result
    assert status == 0, err
    return out


def same_scores(one, other, rtol=0.0):
    one, other = read_scores(Path(one)), read_scores(Path(other))
    assert one.ids.tolist() == other.ids.tolist()
    assert one.classes.tolist() == other.classes.tolist()
    np.testing.assert_allclose(one.scores, other.scores, rtol=rtol)
    for key in ("benchmark", "split", "stream", "test_clips"):
        assert one.meta[key] == other.meta[key]


def changed(source, target, **card):
    content = torch.load(source, weights_only=True)
    content["stgcn_lightning"] |= card
    torch.save(content, target)


def test_a_checkpoint_is_tested_by_its_card_alone(door):
    chosen = ["benchmark=synthetic_3d", "stream=bone_motion", "model=stgcnpp"]
    succeeded(door("train", *chosen, *SMALL, *SIZES, "hydra.run.dir=run"))
    long = [*chosen, *SMALL, *SIZES, "checkpoint=run", "scores=long.npz"]
    out = succeeded(door("test", *long))
    assert "says:" not in out
    out = succeeded(door("test", "checkpoint=run"))
    assert "as run/checkpoints/best.ckpt says: benchmark synthetic_3d, stream bone_motion, " in out
    assert "as the checkpoint says" not in out
    (short,) = Path("runs/test").glob("*/scores.npz")
    same_scores("long.npz", short)

    succeeded(door("export", "checkpoint=run", "format=safetensors", "out=a.safetensors"))
    out = succeeded(door("test", "checkpoint=a.safetensors", "data.test_clips=3", "scores=3.npz"))
    assert "3 clips of a sample are tested, not 2 as the checkpoint says" in out
    assert read_scores(Path("3.npz")).meta["test_clips"] == 3

    sentences = {
        "stream=joint": "was trained with stream bone_motion, not joint: set stream=bone_motion",
        "model=stgcn": "set model=stgcnpp, not stgcn",
        "skeleton=coco17": "trained on skeleton ntu25, which differs from coco17",
        "benchmark=synthetic": "was trained with dimension 3d, not 2d",
        "+data.frame_oder=1": "there is no key data.frame_oder: did you mean data.frame_order",
    }
    for argument, sentence in sentences.items():
        refused(door("test", "checkpoint=run", argument), sentence)


def test_a_benchmark_of_one_s_own_is_found_by_its_name(door):
    succeeded(door("prepare", *SIZES))
    (made,) = Path("stores").glob("*.pkl")
    shutil.copy(made, "gym.pkl")
    Path("mine/benchmark").mkdir(parents=True)
    names = [f"c{i}" for i in range(12)]
    file = Path("mine/benchmark/gym.yaml")
    file.write_text(GYM.format(annotations="gym.pkl", classes=", ".join(names)))
    own = ["--config-dir", "mine"]
    succeeded(door("train", *own, "benchmark=gym", *SMALL, "hydra.run.dir=run", "test_after=true"))
    succeeded(door("test", *own, "checkpoint=run", "scores=found.npz"))
    same_scores("run/scores.npz", "found.npz")

    refused(
        door("test", "checkpoint=run"),
        "was trained on the benchmark gym, of which there is no file here",
        "benchmark.annotations=FILE",
        "--config-dir=FOLDER",
    )
    succeeded(door("test", "checkpoint=run", "benchmark.annotations=gym.pkl", "scores=file.npz"))
    same_scores("run/scores.npz", "file.npz")

    for secret in ("../../gym", "${oc.env:HOME}", "/etc/passwd"):
        changed("run/checkpoints/best.ckpt", "x.ckpt", benchmark=secret)
        refused(door("test", *own, "checkpoint=x.ckpt"), secret, "there is no file here")
    changed("run/checkpoints/best.ckpt", "x.ckpt", stream="${seed}")
    refused(door("test", *own, "checkpoint=x.ckpt"), "stream '${seed}' is none of joint, bone")

    # labels are counted in the order of the file's classes, which is not given but must agree
    file.write_text(GYM.format(annotations="gym.pkl", classes=", ".join(names[::-1])))
    refused(door("test", *own, "checkpoint=run"), "calls class 0 'c0'", "'c11'", "classes=mapped")
    mapped = [*own, "checkpoint=run", "classes=mapped", "scores=mapped.npz"]
    succeeded(door("test", *mapped))
    assert read_scores(Path("mapped.npz")).classes.tolist() == names[::-1]


def test_the_only_split_of_a_file_is_tested(door, tmp_path):
    from stgcn_lightning.sources.annotations import Annotations
    from stgcn_lightning.sources.mmaction2 import read_annotations, write_annotations

    succeeded(door("train", *SMALL, *SIZES, "hydra.run.dir=run"))
    (made,) = Path("stores").glob("*.pkl")
    whole = read_annotations(made)
    fresh = [sample for sample in whole.samples if sample.id in set(whole.splits["val"])]
    ids = [sample.id for sample in fresh]
    write_annotations("fresh.pkl", Annotations(fresh, {"fresh": ids}))
    test = ["test", "checkpoint=run", "benchmark.annotations=fresh.pkl"]
    out = succeeded(door(*test, "scores=fresh.npz"))
    assert "tested is fresh, the only split of the annotations" in out
    succeeded(door("test", "checkpoint=run", "scores=val.npz"))
    np.testing.assert_array_equal(
        read_scores(Path("fresh.npz")).scores, read_scores(Path("val.npz")).scores
    )
    refused(door(*test, "benchmark.val_split=val"), "there are: fresh")


@pytest.mark.slow
def test_after_the_quickstart_the_checkpoint_is_all_that_a_test_needs(door):
    succeeded(door("train", "experiment=quickstart", "trainer=cpu", "recipe.epochs=1",
                   "hydra.run.dir=run"))  # fmt: skip
    succeeded(door("test", "checkpoint=run", "scores=short.npz"))
    succeeded(door("test", "experiment=quickstart", "checkpoint=run", "scores=long.npz"))
    same_scores("short.npz", "long.npz")


@pytest.mark.slow
def test_several_devices_find_the_benchmark_as_well(door):
    succeeded(door("prepare", *SIZES))
    (made,) = Path("stores").glob("*.pkl")
    Path("mine/benchmark").mkdir(parents=True)
    text = GYM.format(annotations=made, classes=", ".join(f"c{i}" for i in range(12)))
    Path("mine/benchmark/gym.yaml").write_text(text)
    own = ["--config-dir", "mine"]
    succeeded(door("train", *own, "benchmark=gym", *SMALL, "hydra.run.dir=run", "test_after=true"))
    ranks = ["trainer=ddp_cpu", "data.batch_size=4", "checkpoint=run", "scores=two.npz"]
    succeeded(door("test", *own, *ranks))
    same_scores("run/scores.npz", "two.npz", rtol=1e-6)  # of batches of half the size
