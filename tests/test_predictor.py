"""A checkpoint answers for arrays as the test does for a split."""

import numpy as np
import pytest
import torch
from helpers import LEGACY

from stgcn_lightning.checkpoints.weights import load_model
from stgcn_lightning.data.streams import stream_named
from stgcn_lightning.errors import BadInput
from stgcn_lightning.evaluation.scores import read_scores
from stgcn_lightning.predictor import Predictor, load
from stgcn_lightning.sources.synthetic import synthetic_annotations

CHECKPOINT = LEGACY / "version_0_1_0_finished.ckpt"
PICTURE = (480, 640)


@pytest.fixture(scope="module")
def predictor():
    return load(CHECKPOINT)


@pytest.fixture(scope="module")
def samples():
    annotations = synthetic_annotations("2d", 24, 12, seed=0)
    wanted = set(annotations.splits["val"])
    return [sample for sample in annotations.samples if sample.id in wanted]


def test_the_scores_are_those_of_a_test(predictor, samples):
    tested = read_scores(LEGACY / "version_0_1_0_scores.npz")
    assert tested.ids is not None
    assert [sample.id for sample in samples] == tested.ids.tolist()
    np.testing.assert_allclose(predictor(samples), tested.scores, atol=1e-6)  # order of sums


def test_an_array_and_a_sample_have_the_same_scores(predictor, samples):
    sample = samples[0]
    array = np.concatenate([sample.keypoint, sample.score[..., None]], -1)
    scores = predictor(array, img_shape=sample.img_shape)
    assert scores.shape == (12,)
    assert scores.sum() == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(scores, predictor([sample])[0], atol=1e-6)


def test_many_recordings_are_answered_like_one(predictor, samples):
    many = predictor(samples * 5)
    np.testing.assert_allclose(many, np.tile(predictor(samples), (5, 1)), atol=1e-6)
    assert predictor([]).shape == (0, 12)


def test_prepared_clips_get_logits(predictor):
    clips = torch.randn(3, 2, 24, 17, 3, generator=torch.Generator().manual_seed(0))
    plain, _ = load_model(CHECKPOINT)
    with torch.no_grad():
        torch.testing.assert_close(predictor.logits(clips), plain(clips), rtol=1e-4, atol=1e-5)


def test_key_points_without_scores_are_certain(predictor):
    array = np.random.default_rng(0).uniform(0, 400, (1, 30, 17, 2))
    certain = np.concatenate([array, np.ones((1, 30, 17, 1))], -1)
    ours, theirs = (predictor(one, img_shape=PICTURE) for one in (array, certain))
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((1, 5, 16, 2)), "16"),
        (np.zeros((5, 17, 2)), "give an array"),
        (np.full((1, 5, 17, 2), np.nan), "recording 0"),
        (np.zeros((1, 5, 17, 5)), "recording 0"),
        (np.zeros((1, 0, 17, 2)), "recording 0"),
    ],
    ids=["joints", "axes", "nan", "channels", "frames"],
)
def test_a_recording_of_another_kind_is_refused(predictor, array, words):
    with pytest.raises(BadInput, match=words):
        predictor([array], img_shape=PICTURE)


def test_pictures_of_unknown_size_are_refused(predictor):
    with pytest.raises(BadInput, match="img_shape"):
        predictor(np.ones((1, 5, 17, 2)))


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(BadInput, match="there is no file"):
        Predictor(tmp_path / "none.ckpt")


def test_a_stream_that_the_model_was_not_trained_on_is_refused():
    with pytest.raises(BadInput, match="trained with stream joint, not bone"):
        load(CHECKPOINT, stream=stream_named("bone"))
