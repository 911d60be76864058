"""What becomes of training bodies at random: by hand, and that it depends on the draw alone."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from helpers import skeleton
from hypothesis import given
from hypothesis import strategies as st

from stgcn_lightning.data.augment import (
    UNCHANGED,
    Augmentation,
    Augmenter,
    Changes,
    changed,
    limbs_of,
    rotations,
)
from stgcn_lightning.data.batch import ClipGatherer
from stgcn_lightning.data.datamodule import Feed, SkeletonData
from stgcn_lightning.data.names import STREAMS
from stgcn_lightning.data.sampling import draw_keys, train_indices, uniform_numbers
from stgcn_lightning.data.streams import own_stream
from stgcn_lightning.errors import BadInput
from stgcn_lightning.skeleton import Skeleton
from stgcn_lightning.sources.annotations import Sample

NTU25 = skeleton("ntu25")
ALL = Augmentation(scale=0.2, rotate=0.3, flip=0.5, drop_limb=0.5)
LENGTHS = [1, 3, 4, 5, 7, 8, 9, 12, 20, 30, 40]


def keys(count: int, seed: int = 0) -> torch.Tensor:
    return draw_keys(seed, torch.arange(count))


def drawn(count: int = 20_000, body: Skeleton = NTU25, **much: float) -> Changes:
    return Augmenter(Augmentation(**much), body, scored=False)(keys(count))


@given(st.tuples(*[st.floats(-3.2, 3.2)] * 3))
def test_rotations_are_those_of_the_specification(angles):
    (sx, sy, sz), (cx, cy, cz) = map(math.sin, angles), map(math.cos, angles)
    about_x = np.array([[1, 0, 0], [0, cx, sx], [0, -sx, cx]])
    about_y = np.array([[cy, 0, -sy], [0, 1, 0], [sy, 0, cy]])
    about_z = np.array([[cz, sz, 0], [-sz, cz, 0], [0, 0, 1]])
    found = rotations(torch.tensor([angles], dtype=torch.float64))[0].numpy()
    np.testing.assert_allclose(found, about_z @ about_y @ about_x, atol=1e-14)


def test_a_body_is_scaled_and_turned_by_hand():
    frames = torch.tensor([[1.0, 2, 3], [0, 0, 0]]).expand(2, 4, 2, 3)  # S, K, V, C
    turns = torch.tensor([[[0.0, 2, 0], [1, 0, 0], [0, 0, -1]], [[1, 1, 1], [0, 1, 0], [0, 0, 1]]])
    found = changed(frames, Changes(turns, None))
    assert found[0].tolist() == [[[4, 1, -3], [0, 0, 0]]] * 4
    assert found[1].tolist() == [[[6, 2, 3], [0, 0, 0]]] * 4


def test_joints_exchange_places_and_disappear_by_hand():
    frames = torch.arange(12.0).view(1, 2, 2, 3).expand(3, 2, 2, 3).half()
    joints = torch.tensor([[0, 1], [1, 0], [1, 2]])
    found = changed(frames, Changes(None, joints))
    assert found.dtype == torch.float16, "nothing is computed"
    assert found[:, 0].tolist() == [
        [[0, 1, 2], [3, 4, 5]], [[3, 4, 5], [0, 1, 2]], [[3, 4, 5], [0, 0, 0]]
    ]  # fmt: skip
    assert found[2, 1].tolist() == [[9, 10, 11], [0, 0, 0]]


def test_angles_and_factors_are_uniform_and_independent():
    turns = drawn(rotate=0.2).turns.double()
    angle_x = torch.atan2(-turns[:, 2, 1], turns[:, 2, 2])
    angle_y, angle_z = turns[:, 2, 0].asin(), torch.atan2(-turns[:, 1, 0], turns[:, 0, 0])
    factors = drawn(scale=0.2).turns.diagonal(dim1=1, dim2=2).double()
    numbers = torch.stack([angle_x, angle_y, angle_z, *(factors - 1).T]) / 0.2
    assert numbers.abs().max() <= 1 + 1e-6
    parts = torch.stack([row.histc(10, -1, 1) for row in numbers]) / numbers.shape[1]
    assert (parts - 0.1).abs().max() < 0.01
    apart = torch.corrcoef(numbers) - torch.eye(6)
    assert apart.abs().max() < 0.04


def test_scaling_comes_before_turning():
    one, both = (drawn(9, scale=0.2, rotate=angle).turns for angle in (0, 0.3))
    turned = drawn(9, rotate=0.3).turns
    torch.testing.assert_close(turned @ one, both)
    assert (one @ turned - both).abs().max() > 1e-3


def test_flips_are_those_of_protogcn():
    joints = drawn(flip=0.5).joints
    mirrored = [
        0, 1, 2, 3, 8, 9, 10, 11, 4, 5, 6, 7, 16, 17, 18, 19, 12, 13, 14, 15, 20, 23, 24, 21, 22
    ]  # fmt: skip
    flipped = (joints == torch.tensor(mirrored)).all(1)
    assert torch.equal(flipped, ~(joints == torch.arange(25)).all(1))
    assert abs(flipped.double().mean() - 0.5) < 0.02


def test_a_limb_is_one_of_four_and_lacks_in_a_fifth_of_the_clips():
    joints = drawn(drop_limb=0.2).joints
    limbs = {(4, 5, 6, 7, 21, 22), (12, 13, 14, 15), (8, 9, 10, 11, 23, 24), (16, 17, 18, 19)}
    lacking = [tuple((row == 25).nonzero().flatten().tolist()) for row in joints]
    assert set(lacking) == limbs | {()}
    for limb in limbs:
        assert abs(lacking.count(limb) / len(lacking) - 0.05) < 0.01


def test_a_limb_lacks_where_it_is_after_a_flip():
    joints = drawn(flip=1, drop_limb=1).joints
    assert ((joints == 25).sum(1) >= 4).all()
    left_arm = (joints[:, 4] == 25).nonzero().flatten()
    assert (joints[left_arm][:, 8] == 4).all()


def test_flips_and_limbs_have_nothing_to_do_with_each_other():
    joints = drawn(flip=0.5, drop_limb=0.5).joints
    flipped = (joints == 8)[:, 4] | (joints == 12)[:, 16] | (joints == 4)[:, 8]
    lacking = (joints == 25).any(1)
    for one in (flipped, ~flipped):
        assert abs((one & lacking).double().mean() - 0.25) < 0.02


def test_limbs_of_a_body_in_the_plane_are_what_its_bones_join():
    limbs = limbs_of(skeleton("coco17"))
    assert [5, 7, 9] in limbs
    assert [12, 14, 16] in limbs


def test_what_is_drawn_does_not_depend_on_the_company():
    augmenter, own = Augmenter(ALL, NTU25, scored=False), keys(40)
    together = augmenter(own)
    for part in (slice(0, 1), slice(3, 10), slice(9, 40)):
        for whole, alone in zip(together, augmenter(own[part]), strict=True):
            assert torch.equal(whole[part], alone)


def test_numbers_are_uniform_and_have_nothing_to_do_with_the_frames():
    numbers = uniform_numbers(keys(20_000), 9)
    assert 0 <= numbers.min() < numbers.max() < 1
    parts = torch.stack([row.histc(10, 0, 1) for row in numbers.T]) / len(numbers)
    assert (parts - 0.1).abs().max() < 0.012
    starts = train_indices(torch.full((20_000,), 99), 100, keys(20_000))[:, 0].double()
    assert torch.corrcoef(torch.stack([starts, *numbers.T]))[0, 1:].abs().max() < 0.04


@pytest.mark.parametrize("key", ["scale", "rotate"])
def test_key_points_in_the_plane_are_not_turned(key):
    with pytest.raises(BadInput, match=rf"recipe\.{key}=0\.2 .* 2D: set recipe\.{key}=0, or"):
        Augmenter(Augmentation(**{key: 0.2}), skeleton("coco17"), scored=True)
    with pytest.raises(BadInput, match=r"set recipe\.scale=0 and recipe\.rotate=0, or"):
        Augmenter(ALL, skeleton("coco17"), scored=True)


@pytest.mark.parametrize("key", ["flip", "drop_limb"])
def test_a_body_without_sides_is_not_flipped(key):
    chain = Skeleton("chain", ("a", "b"), ((1, 0),), 0, (0, 0), (), None)
    with pytest.raises(BadInput, match=rf"recipe\.{key}=0\.5 .* skeleton chain has no left_right"):
        Augmenter(Augmentation(**{key: 0.5}), chain, scored=False)


# In batches


@pytest.fixture
def store(make_store):
    """Eleven samples of up to three persons, the second absent here and there or throughout."""
    rng = np.random.default_rng(0)
    samples = []
    for i, T in enumerate(LENGTHS):
        keypoint = rng.normal(size=(1 + i % 3, T, 25, 3))
        keypoint[1:, rng.random(T) < 0.3] = 0
        keypoint[1:, :, :, :] *= i % 2
        keypoint[:, :, 5] = 0  # a joint that was never found
        samples.append(Sample("", i, keypoint.astype(np.float16)))
    return make_store(samples, NTU25, "3d", normalise="3d_centred")


def train_clips(store, rank: int = 0, ranks: int = 1, begin: tuple[int, int] = (0, 0), **feed):
    """(sample, number of its draw) -> clip, of an epoch on one rank."""
    stream = feed.pop("stream", "bone")
    feed = {"clip_frames": 6, "batch_size": 4, "passes": 2, "augmentation": ALL} | feed
    data = SkeletonData(store, stream, train_split="all", val_split="all", feed=Feed(**feed))
    data.begin = begin
    if ranks > 1 or feed.get("on_device"):
        device = SimpleNamespace(root_device=torch.device("cpu"))
        data.trainer = SimpleNamespace(global_rank=rank, world_size=ranks, strategy=device)
        data.setup("fit")
    loader, clips = data.train_dataloader(), []
    loader.sampler.set_epoch(1)
    for batch in loader:
        batch = data.transfer_batch_to_device(batch, torch.device("cpu"), 0)
        if batch.present is not None:
            moving = batch.clips.flatten(3).any(-1)
            assert not (moving & ~batch.present).any(), "nobody is forgotten"
        clips += zip(batch.samples.tolist(), batch.clips, strict=True)
    return clips


def alike(one, other) -> bool:
    """Whether two lists hold the same clips, bit for bit, in any order."""
    one, other = (
        sorted((i, clip.numpy().tobytes()) for i, clip in clips) for clips in (one, other)
    )
    return one == other


@pytest.mark.parametrize("stream", STREAMS)
def test_clips_do_not_depend_on_batches_ranks_or_where_the_frames_lie(store, stream):
    alone = train_clips(store, stream=stream)
    assert len(alone) == 2 * len(LENGTHS)
    assert alike(train_clips(store, stream=stream, batch_size=7), alone)
    assert alike(train_clips(store, stream=stream, on_device=True), alone)
    shares = [train_clips(store, rank, 2, stream=stream) for rank in range(2)]
    assert alike([*shares[0], *shares[1]], alone)
    assert not alike(train_clips(store, stream=stream, seed=1), alone)


# Python 3.12 warns of forking a process that has threads, and torch's has always had some.
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:This DataLoader will create 2 worker processes:UserWarning")
def test_clips_do_not_depend_on_workers_and_a_resumed_epoch_repeats_them(store):
    alone = train_clips(store)
    assert alike(train_clips(store, workers=2), alone)
    resumed = train_clips(store, begin=(1, 2))
    assert len(resumed) == len(alone) - 8
    assert alike(resumed, alone[8:])


def test_passes_and_epochs_change_a_sample_differently(store):
    clips = [clip for i, clip in train_clips(store, stream="joint") if i == 0]  # of one frame
    assert not torch.equal(*clips)
    assert clips[0].any()


def squared(joints, sequences):
    """Not zero where a joint is, and not linear in it."""
    return joints**2 + (sequences.k_bone(joints) > 0)


@pytest.mark.parametrize("stream", [*STREAMS, own_stream("squared", squared)])
def test_streams_are_made_of_the_changed_joints(store, stream):
    """Changing clips on the way is the same as changing the store."""
    numbers = torch.randperm(len(LENGTHS), generator=torch.Generator().manual_seed(0))
    changes = Augmenter(ALL, NTU25, scored=False)(keys(len(LENGTHS)))
    frames = store.num_frames[numbers]
    indices = train_indices(frames, 6, keys(len(LENGTHS)))[:, None]
    found = ClipGatherer(store, stream, 2)
    clips = found.read(found.plan(numbers, indices, changes))

    bodies = store.frames.float()
    for i, number in enumerate(numbers.tolist()):
        first = int(store.first_row[number])
        rows = slice(first, first + int(store.num_frames[number] * store.num_persons[number]))
        moved = bodies[rows] @ changes.turns[i].T
        moved = torch.cat([moved, torch.zeros(len(moved), 1, 3)], 1)
        bodies[rows] = moved[:, changes.joints[i]]
    plain = ClipGatherer(store, stream, 2)
    plain._moved = bodies
    torch.testing.assert_close(clips, plain.read(plain.plan(numbers, indices, UNCHANGED)))
    assert not torch.equal(clips, found(numbers, indices))


def test_what_is_not_there_stays_away(store):
    plain = dict.fromkeys(range(len(LENGTHS)))
    for i, clip in train_clips(store, stream="joint", augmentation=Augmentation()):
        plain[i] = clip.flatten(2).any(-1).any(-1) if plain[i] is None else plain[i]
    for i, clip in train_clips(store, stream="joint", augmentation=Augmentation(0.2, 0.3)):
        assert torch.equal(clip.flatten(2).any(-1).any(-1), plain[i])
        assert not clip[..., 5, :].any()


def test_evaluation_changes_nobody(store):
    kinds = [
        SkeletonData(
            store, "bone", train_split="all", val_split="all",
            feed=Feed(clip_frames=6, batch_size=4, test_clips=2, augmentation=augmentation),
        )
        for augmentation in (ALL, Augmentation())
    ]  # fmt: skip
    for one, other in zip(*(kind.test_dataloader() for kind in kinds), strict=True):
        assert torch.equal(one.clips, other.clips)
    for one, other in zip(*(kind.val_dataloader()[0] for kind in kinds), strict=True):
        assert torch.equal(one.clips, other.clips)
