"""A checkpoint answers for arrays as the test does for a split."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import LEGACY

from stgcn_lightning.checkpoints.weights import load_model
from stgcn_lightning.data.streams import stream_named
from stgcn_lightning.errors import BadInput
from stgcn_lightning.evaluation.scores import read_scores
from stgcn_lightning.predictor import Predictor, load
from stgcn_lightning.sources.recordings import Recording
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


POINTS = np.random.default_rng(0).uniform(50, 400, (1, 20, 17, 2))


@pytest.mark.parametrize("img_shape", [480, "480x640", (480,), (480, 640, 3), (0, 640), ("4", "6")])
def test_what_is_no_size_of_a_picture_is_named(predictor, img_shape):
    with pytest.raises(BadInput, match=r"img_shape=.* is no size of a picture: give \(height, wid"):
        predictor(POINTS, img_shape=img_shape)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (None, "recordings are one NoneType: give an array"),
        ({"keypoint": POINTS}, "recordings are one dict"),
        ("ann.pkl", "recordings are one str"),
        (POINTS[0], r"recording 0 has shape \(20, 17, 2\).*of one person keypoints\[None\]"),
        ([POINTS.tolist()], "recording 0 is a list: give an array"),
        (POINTS.astype(str), "recording 0 holds <U32, no coordinates"),
        (POINTS + 1j, "recording 0 holds complex128, no coordinates"),
        (
            POINTS / 640,
            r"recording 0 has key points within 0.\d+ of 0, where pixels of a picture of",
        ),
    ],
)
def test_what_is_no_recording_is_named(predictor, given, words):
    with pytest.raises(BadInput, match=words):
        predictor(given, img_shape=(480, 640))


def test_tensors_are_recordings(predictor):
    want = predictor(POINTS, img_shape=(480, 640))
    tensor = torch.tensor(POINTS, requires_grad=True)
    np.testing.assert_array_equal(predictor(tensor, img_shape=[480, 640]), want)
    np.testing.assert_array_equal(predictor([tensor], img_shape=np.array([480, 640]))[0], want)


@pytest.mark.parametrize("clips", [np.zeros((1, 2, 9, 17, 3)), [], None, torch.zeros(2, 9, 17, 3)])
def test_clips_are_one_tensor(predictor, clips):
    with pytest.raises(BadInput, match=r"clips are one .*: give a float tensor \(N, M, T, V, C\)"):
        predictor.logits(clips)
    with pytest.raises(BadInput, match="are empty"):
        predictor.logits(torch.zeros(0, 2, 9, 17, 3))


@pytest.mark.parametrize(
    ("checkpoint", "options", "words"),
    [
        (None, {}, "the checkpoint is one NoneType: give the path"),
        ({"state_dict": {}}, {}, "the checkpoint is one dict: give the path"),
        ("zoo:ntu60_xsub_2d_joint", {}, "no file: export it first"),
        ("https://host/x.pth", {}, "https://host/x.pth is no file: export it first"),
        (CHECKPOINT, {"stream": "bone"}, "stream='bone' is no Stream of your own"),
        (CHECKPOINT, {"device": "gpu"}, "device=gpu cannot be used: .*; try device='cpu'"),
    ],
)
def test_what_cannot_be_loaded_is_named(checkpoint, options, words):
    with pytest.raises(BadInput, match=words):
        load(checkpoint, **options)


# Windows and recordings


def test_each_window_has_the_scores_of_a_recording_of_its_frames(predictor):
    starts, scores = predictor.windows(POINTS, 8, 5, img_shape=PICTURE)
    assert starts.tolist() == [0, 5, 10, 12]
    offline = [predictor(POINTS[:, start : start + 8], img_shape=PICTURE) for start in starts]
    np.testing.assert_allclose(scores, offline, atol=1e-6)
    starts, scores = predictor.windows(POINTS, img_shape=PICTURE)  # a clip is longer
    assert starts.tolist() == [0]
    np.testing.assert_allclose(scores[0], predictor(POINTS, img_shape=PICTURE), atol=1e-6)


def test_windows_as_long_as_a_clip_are_one_clip(predictor, samples, monkeypatch):
    sample = next(one for one in samples if one.keypoint.shape[1] > predictor.clip_frames + 20)
    seen = []
    logits = predictor.logits
    monkeypatch.setattr(predictor, "logits", lambda clips: seen.append(len(clips)) or logits(clips))
    starts, scores = predictor.windows(sample, stride=7)
    assert sum(seen) == len(starts) > 3
    L = predictor.clip_frames
    cut = replace(sample, keypoint=sample.keypoint[:, 7 : 7 + L], score=sample.score[:, 7 : 7 + L])
    np.testing.assert_allclose(scores[1], predictor(cut), atol=1e-6)


@pytest.mark.parametrize("given", [{"window": 0}, {"window": "5"}, {"window": 8, "stride": 2.5}])
def test_a_window_is_a_number_of_frames(predictor, given):
    with pytest.raises(BadInput, match=r"(window=0|window=.5.|stride=2.5) is no number of frames"):
        predictor.windows(POINTS, **given, img_shape=PICTURE)


def recording(predictor, **changes):
    shape = {"joints": predictor.skeleton.joints, "img_shape": PICTURE, "settled": True}
    return Recording("walk", POINTS.astype(np.float32), **shape | changes)


def test_a_recording_is_answered_as_its_key_points(predictor):
    want = predictor(POINTS.astype(np.float32), img_shape=PICTURE)
    np.testing.assert_array_equal(predictor(recording(predictor)), want)
    np.testing.assert_array_equal(predictor([recording(predictor)])[0], want)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"settled": False}, "recording walk is as its file says.* read it with"),
        (
            {"skeleton": "h36m17", "joints": tuple(map(str, range(17)))},
            "recording walk has the joints of h36m17, the checkpoint those of coco17: .*map=coco17",
        ),
    ],
)
def test_a_recording_that_is_not_ready_is_refused(predictor, changes, words):
    with pytest.raises(BadInput, match=words):
        predictor(recording(predictor, **changes))
