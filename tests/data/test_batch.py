"""Annotations -> store -> clips, compared with the reference and with a naive implementation."""

import numpy as np
import pytest
import torch
from helpers import GOLDEN, skeleton
from naive import NaivePipeline

from stgcn_lightning.data.batch import ClipGatherer
from stgcn_lightning.data.datamodule import ClipDataset
from stgcn_lightning.data.names import STREAMS
from stgcn_lightning.data.sampling import evaluation_indices, train_indices
from stgcn_lightning.data.streams import own_stream
from stgcn_lightning.errors import BadInput
from stgcn_lightning.skeleton import Normalisation, Skeleton
from stgcn_lightning.sources.annotations import Sample
from stgcn_lightning.sources.mmaction2 import DEFAULT_IMG_SHAPE

SHORT = {"j": "joint", "b": "bone", "jm": "joint_motion", "bm": "bone_motion"}
BODIES = {"2d": "coco17", "3d": "ntu25"}
# In 2D every step is rounded alike; in 3D the rotation matrix is computed in another order.
TOLERANCE = {"2d": 0, "3d": 1e-5}
SUM_TOLERANCE = {"2d": 1e-9, "3d": 1e-4}  # of up to 5,000 such values

CHAIN = Skeleton(
    name="chain",
    joints=tuple("abcde"),
    edges=((1, 0), (2, 1), (3, 2), (4, 3)),
    graph_centre=0,
    bone_parents=(0, 0, 1, 2, 3),
    left_right=(),
    normalise=Normalisation(centre=1, body=(0, 1), shoulders=(3, 4)),
)


def golden(dimension: str) -> tuple[list[Sample], dict[str, np.ndarray]]:
    """The reference's input and its figures."""
    figures = {}
    for path in GOLDEN.glob(f"pipeline_{dimension}*.npz"):
        figures |= np.load(path)
    samples = [
        Sample(
            id=str(i),
            label=0,
            keypoint=figures[f"{i}|keypoint"],
            score=figures.get(f"{i}|keypoint_score"),
            img_shape=tuple(figures[f"{i}|img_shape"].tolist())
            if dimension == "2d"
            else DEFAULT_IMG_SHAPE,
        )
        for i in range(int(figures["n"]))
    ]
    return samples, figures


@pytest.mark.parametrize(("name", "stream"), SHORT.items())
@pytest.mark.parametrize("dimension", BODIES)
def test_against_mmaction2_test_clips(make_store, dimension, name, stream):
    samples, figures = golden(dimension)
    body = skeleton(BODIES[dimension])
    store = make_store(samples, body, dimension)
    gather = ClipGatherer(store, stream, persons=2)
    data = ClipDataset(gather, store.split("all"), clip_frames=100, clips=10, seed=0)
    clips = data[list(range(len(samples)))].clips.numpy()  # B, N, M, T, V, C
    assert clips.shape == (len(samples), 10, 2, 100, body.num_joints, 3)
    for i, sample in enumerate(clips):
        first = figures[f"{i}|{name}|test_clip0"]
        assert np.allclose(sample[0], first, rtol=0, atol=TOLERANCE[dimension]), i
        tolerance = SUM_TOLERANCE[dimension]
        sums, sizes = (x.astype(np.float64).sum((1, 2, 3)) for x in (sample, np.abs(sample)))
        assert np.allclose(sums, figures[f"{i}|{name}|test_sum"], rtol=0, atol=tolerance), i
        assert np.allclose(sizes, figures[f"{i}|{name}|test_abs"], rtol=0, atol=tolerance), i


@pytest.mark.parametrize(("name", "stream"), SHORT.items())
@pytest.mark.parametrize("dimension", BODIES)
def test_the_naive_implementation_makes_the_training_clips_of_mmaction2(dimension, name, stream):
    samples, figures = golden(dimension)
    naive = NaivePipeline(skeleton(BODIES[dimension]), dimension, stream)
    for i, sample in enumerate(samples):
        clip = naive.train_batch([sample], np.random.RandomState(20260 + i))[0, 0].numpy()
        expected = figures[f"{i}|{name}|train"]
        if i < 2:
            assert np.allclose(clip, expected, rtol=0, atol=TOLERANCE[dimension]), i
        else:
            size = np.abs(clip).astype(np.float64).sum((0, 1, 2))
            assert np.allclose(size, expected, rtol=0, atol=SUM_TOLERANCE[dimension]), i


def random_samples(dimension: str, dtype: str) -> list[Sample]:
    """One to four persons, any of them absent here and there or throughout, 1 to 90 frames."""
    rng = np.random.default_rng(0)
    samples = []
    for i, T in enumerate((1, 1, 2, 7, 19, 20, 21, 39, 40, 41, 90, 90)):
        M, C = 1 + i % 4, int(dimension[0])
        keypoint = rng.uniform(0, 500, (M, T, 5, 2)) if C == 2 else rng.normal(0, 1, (M, T, 5, 3))
        keypoint[rng.random((M, T)) < 0.2] = 0
        keypoint[rng.random(M) < 0.2] = 0
        score = rng.random((M, T, 5)).astype(dtype) if C == 2 and i % 3 else None
        samples.append(Sample("", 0, keypoint.astype(dtype), score, (480, 640 + i)))
    return samples


@pytest.mark.parametrize("persons", [1, 2, 4])
@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("dimension", ["2d", "3d"])
def test_a_batch_is_what_the_naive_implementation_makes_of_each_sample(
    make_store, dimension, dtype, stream, persons
):
    samples = random_samples(dimension, dtype)
    store = make_store(samples, CHAIN, dimension)
    gather = ClipGatherer(store, stream, persons)
    naive = NaivePipeline(CHAIN, dimension, stream, clip_frames=20, persons=persons)
    sequences = [naive.sequence(sample) for sample in samples]
    numbers = torch.randperm(len(samples), generator=torch.Generator().manual_seed(0))
    frames = store.num_frames[numbers]
    assert frames.tolist() == [sequences[i].shape[1] for i in numbers]
    random = train_indices(frames, 20, torch.arange(len(samples)))[:, None]
    fixed = torch.stack([torch.from_numpy(evaluation_indices(int(T), 20, 10)) for T in frames])
    for indices in (random, fixed):
        expected = np.stack(
            [
                naive.clips(sequences[i], rows.numpy())
                for i, rows in zip(numbers, indices, strict=True)
            ]
        )
        clips = gather(numbers, indices)
        assert clips.dtype == torch.float32
        # float64 is stored as float32, and differences of it are taken there
        tolerance = max(TOLERANCE[dimension], 1e-6 if dtype == "float64" else 0)
        assert np.allclose(clips.numpy(), expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("stream", STREAMS)
def test_not_normalised_key_points_are_those_of_the_annotations(make_store, stream):
    samples = random_samples("2d", "float16")
    store = make_store(samples, CHAIN, "2d", normalise="none")
    naive = NaivePipeline(CHAIN, "none", stream, clip_frames=20)
    gather = ClipGatherer(store, stream, persons=2)
    data = ClipDataset(gather, store.split("all"), clip_frames=20, clips=3, seed=0)
    clips = data[list(range(len(samples)))].clips
    assert torch.equal(clips, naive.test_batch(samples, 3))


def test_clips_may_be_changed_without_changing_the_store(make_store):
    store = make_store(random_samples("2d", "float32"), CHAIN, "2d")
    before = store.frames.clone()
    for stream in STREAMS:
        gather = ClipGatherer(store, stream, persons=2)
        gather(torch.arange(3), torch.zeros(3, 1, 4, dtype=torch.int64)).fill_(7)
    assert torch.equal(store.frames, before)


def test_an_unknown_stream_is_refused(make_store):
    store = make_store(random_samples("2d", "float16"), CHAIN, "2d")
    with pytest.raises(BadInput, match="stream 'speed' is none of"):
        ClipGatherer(store, "speed", persons=2)


def shifted(joints, sequences):
    """Each frame minus the first of its sequence, plus one."""
    starts = torch.cat([sequences.last.new_zeros(1), sequences.last.unique() + 1])[:-1]
    sizes = torch.diff(torch.cat([starts, starts.new_tensor([len(joints)])]))
    return joints - joints[starts].repeat_interleave(sizes, 0) + 1


@pytest.mark.parametrize("persons", [1, 2, 4])
@pytest.mark.parametrize("dimension", ["2d", "3d"])
def test_a_stream_of_the_user_s_own_is_made_of_whole_sequences(make_store, dimension, persons):
    samples = random_samples(dimension, "float32")
    store = make_store(samples, CHAIN, dimension)
    gather = ClipGatherer(store, own_stream("shifted", shifted), persons)
    naive = NaivePipeline(CHAIN, dimension, "joint", clip_frames=20, persons=persons)
    numbers = torch.arange(len(samples))
    frames = store.num_frames[numbers]
    indices = train_indices(frames, 20, numbers)[:, None]
    expected = []
    for sample, rows in zip(samples, indices, strict=True):
        sequence = np.asarray(naive.sequence(sample))[:persons]
        made = np.where(
            sequence.any((1, 2, 3), keepdims=True), sequence - sequence[:, :1] + np.float32(1), 0
        )
        expected.append(naive.clips(made, rows.numpy()))
    tolerance = TOLERANCE[dimension]
    assert np.allclose(gather(numbers, indices).numpy(), np.stack(expected), rtol=0, atol=tolerance)
