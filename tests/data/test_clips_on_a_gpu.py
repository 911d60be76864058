"""Clips that are read where the frames lie on a GPU are those that are read on a CPU."""

from types import SimpleNamespace

import gpus
import pytest
import torch
from gpus import DEVICE
from helpers import skeleton

from stgcn_lightning.data.augment import AS_THEY_ARE, Augmentation
from stgcn_lightning.data.datamodule import Feed, SkeletonData
from stgcn_lightning.sources.synthetic import synthetic_annotations

pytestmark = gpus.NEEDED
BODIES = {"2d": "coco17", "3d": "ntu25"}
STREAMS = ("joint", "bone", "joint_motion", "bone_motion", "k_bone", "k_bone_motion")


@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize(
    ("dimension", "much"),
    [
        ("2d", AS_THEY_ARE),
        ("3d", AS_THEY_ARE),
        ("3d", Augmentation(scale=0.2, rotate=0.3, flip=0.5, drop_limb=0.5)),
    ],
    ids=["2d", "3d", "3d, changed"],
)
def test_clips_are_the_same(dimension, much, stream, make_store):
    samples = synthetic_annotations(dimension, 20, 0).samples
    store = make_store(samples, skeleton(BODIES[dimension]), dimension)
    feed = Feed(clip_frames=30, batch_size=8, on_device=True, augmentation=much)
    found = []
    for device in (DEVICE, torch.device("cpu")):
        data = SkeletonData(store, stream, train_split="all", val_split="all", feed=feed)
        data.trainer = SimpleNamespace(
            global_rank=0, world_size=1, strategy=SimpleNamespace(root_device=device)
        )
        data.setup("fit")
        for loader in (data.train_dataloader(), data.test_dataloader()):
            batches = [data.transfer_batch_to_device(one, device, 0) for one in loader]
            assert {one.clips.device.type for one in batches} == {device.type}
            found.append(torch.cat([one.clips.cpu() for one in batches]))
    for ours, theirs in zip(found[:2], found[2:], strict=True):
        assert theirs.any()
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
