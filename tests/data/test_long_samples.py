"""A recording of hours costs a batch no more memory than a short one."""

import numpy as np
import torch
from helpers import skeleton

from stgcn_lightning.data.datamodule import Feed, SkeletonData
from stgcn_lightning.data.spec import StoreSpec
from stgcn_lightning.sources.annotations import Sample

FRAMES = 200_000  # nearly two hours


def test_a_batch_of_a_long_sample_holds_its_clips_alone(make_store):
    body = skeleton("coco17")
    frames = np.arange(FRAMES, dtype=np.float32)[None, :, None, None]
    moving = np.broadcast_to(frames, (1, FRAMES, 17, 2))
    store = make_store([Sample("", 0, moving)], body, "2d", normalise="none")
    assert int(store.num_frames[0]) == FRAMES
    feed = Feed(clip_frames=100, test_clips=3)
    data = SkeletonData(store, "joint", train_split="all", val_split="all", feed=feed)
    for loader, clips in ((data.train_dataloader(), 1), (data.test_dataloader(), 3)):
        batch = next(iter(loader))
        assert batch.clips.shape == (1, clips, 2, 100, 17, 3)
        assert batch.clips.untyped_storage().nbytes() <= 2 * batch.clips.nbytes
        times = batch.clips[0, 0, 0, :, 0, 0]
        assert torch.equal(times // (FRAMES // 100), torch.arange(100.0))  # one of each segment


def test_the_limit_is_a_part_of_a_store_s_name_only_where_there_is_one():
    body = skeleton("coco17")
    plain = StoreSpec(body, "2d", "2d", 3).describe()
    assert "max_frames" not in plain
    assert StoreSpec(body, "2d", "2d", 3, max_frames=9).describe() == plain | {"max_frames": 9}
