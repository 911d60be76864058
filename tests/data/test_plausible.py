"""What is judged of annotations while a store is built: each kind of fault, and no false alarm."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from helpers import shared, skeleton
from hypothesis import given, settings
from hypothesis import strategies as st

from stgcn_lightning.data.missing import without_missing
from stgcn_lightning.data.plausible import Surveyed, bone_length, judge, tree_length
from stgcn_lightning.data.spec import StoreSpec
from stgcn_lightning.data.survey import Survey
from stgcn_lightning.errors import BadInput
from stgcn_lightning.sources.mmaction2 import read_annotations
from stgcn_lightning.sources.synthetic import synthetic_annotations

BODIES = {"2d": "coco17", "3d": "ntu25"}
SEEDS = st.integers(0, 1000)
few = settings(max_examples=5)


@cache
def good(dimension="2d", seed=0, samples=36):
    """Samples of the embedded data set."""
    made = synthetic_annotations(dimension, samples, 0, seed=seed, max_frames=60)
    return made.samples


def spec_of(dimension="2d", **changes):
    body = skeleton(changes.pop("body", BODIES[dimension]))
    return StoreSpec(body, dimension, **({"normalise": dimension, "classes": 12} | changes))


def said(samples, dimension="2d", **changes):
    """All findings as sentences."""
    spec = spec_of(dimension, **changes)
    first = samples[0].keypoint
    survey = Survey(*first.shape[2:], pictures=spec.normalise == "2d", samples=len(samples))
    for sample in samples:
        survey.add(sample)
    ids = [sample.id for sample in samples]
    return [str(one) for one in judge(Surveyed(survey, survey.counts(), ids, spec))]


def changed(samples, change, every=1):
    """The samples, each `every`-th one with what `change` returns for it."""
    return [
        replace(sample, **change(sample)) if i % every == 0 else sample
        for i, sample in enumerate(samples)
    ]


def moved(sample, factor=1.0, by=0.0):
    """Key points moved and scaled; absent persons stay at zero."""
    keypoint = sample.keypoint.astype(np.float32)
    there = (keypoint != 0).any(-1, keepdims=True)
    return {"keypoint": np.where(there, keypoint * np.float32(factor) + np.float32(by), keypoint)}


def one(found):
    """The only sentence, so that nothing else is alarmed by the same fault."""
    (sentence,) = found
    return sentence


# No false alarm


@few
@given(seed=SEEDS, dimension=st.sampled_from(["2d", "3d"]))
def test_the_embedded_data_are_plausible(seed, dimension):
    assert said(good(dimension, seed), dimension) == []


@pytest.mark.parametrize(
    ("name", "dimension", "normalise", "body"),
    [
        ("data/jhmdb14_2d.pkl", "2d", "none", "jhmdb15"),
        ("data/msr_action3d.pkl", "3d", "3d", "kinect20"),
        ("data/msr_action3d.pkl", "3d", "none", "kinect20"),
    ],
)
def test_real_data_are_plausible(name, dimension, normalise, body):
    samples = read_annotations(shared(name)).samples
    assert said(samples, dimension, normalise=normalise, body=body) == []


def test_three_dimensions_without_normalisation_may_be_centred_on_a_joint():
    def centre(sample):
        return {"keypoint": sample.keypoint - sample.keypoint[:, :, :1]}

    assert said(changed(good("3d"), centre), "3d", normalise="none") == []


# Units and pictures


@few
@given(seed=SEEDS, signed=st.booleans(), every=st.integers(1, 2))
def test_scaled_key_points_are_refused_where_they_were_to_be_scaled(seed, signed, every):
    def scale(sample):
        h, w = sample.img_shape
        return moved(sample, 2 / np.array([w, h]), -1) if signed else moved(sample, [1 / w, 1 / h])

    samples = changed(good("2d", seed), scale, every)
    with pytest.raises(BadInput, match=r"as if they were scaled to .* already") as error:
        said(samples)
    assert f"{-(-36 // every)} of 36 samples" in str(error.value)
    # of a mixture, no normalisation is right
    assert ("benchmark.normalise=none" in str(error.value)) == (every == 1)
    if every == 1:
        assert said(samples, normalise="none") == []


def test_a_few_scaled_samples_are_named():
    scaled = changed(good(), lambda sample: moved(sample, 1 / 2000), every=12)
    assert "3 of 36 samples lie within 2 pixels" in one(said(scaled))


@few
@given(seed=SEEDS)
def test_an_exchanged_width_and_height_are_recognised(seed):
    exchanged = changed(good("2d", seed), lambda sample: {"img_shape": sample.img_shape[::-1]})
    sentence = one(said(exchanged))
    assert "if its width and height are exchanged" in sentence
    assert "give img_shape as (height, width)" in sentence


def test_width_and_height_exchanged_in_all_key_points_of_most_samples_are_refused():
    right = changed(good(), lambda sample: moved(sample, [0.2, 0.6], [1300, 0]))
    exchanged = changed(right, lambda sample: {"img_shape": sample.img_shape[::-1]})
    with pytest.raises(BadInput, match=r"lie outside the picture, and 0.0 % if its width"):
        said(exchanged)


@few
@given(factor=st.floats(1.5, 2))
def test_key_points_outside_the_picture_are_reported(factor):
    sentence = one(said(changed(good(), lambda sample: moved(sample, factor))))
    assert "lie outside the picture (e.g. 'S001" in sentence
    assert "benchmark.normalise=none" in sentence


@few
@given(by=st.floats(2500, 9000))
def test_key_points_that_cannot_be_of_the_picture_are_refused(by):
    with pytest.raises(BadInput, match="100 % of the key points, in 36 of 36 samples, lie outside"):
        said(changed(good(), lambda sample: moved(sample, by=by)))


def test_a_picture_that_the_file_does_not_state_is_named():
    sentence = one(said(changed(good(), lambda _: {"img_shape_assumed": True})))
    assert "36 of 36 samples have no img_shape, and 1080 x 1920 (height x width) is" in sentence
    assumed = changed(good(), lambda _: {"img_shape_assumed": True})
    assert said(assumed, normalise="none") == []


def test_a_picture_much_larger_than_the_key_points_is_named():
    small = changed(good(), lambda sample: moved(sample, 0.1))
    assert "stay within 25% of the picture's width and height" in one(said(small))


@pytest.mark.parametrize(("factor", "unit"), [(100, "centimetres"), (1000, "millimetres")])
def test_bodies_in_another_unit_than_metres_are_named(factor, unit):
    large = changed(good("3d"), lambda sample: moved(sample, factor))
    assert f"coordinates in {unit} are to be divided by {factor}" in one(said(large, "3d"))


def test_pixels_with_a_confidence_are_no_3d_key_points():
    def pixels(sample):
        return {"keypoint": np.concatenate([sample.keypoint, sample.score[..., None]], -1)}

    with pytest.raises(BadInput, match="as pixels with a confidence do: give keypoint"):
        said(changed(good(), pixels), "3d", body="coco17")


def test_a_coordinate_that_is_always_zero_is_named():
    flat = changed(good("3d"), lambda sample: moved(sample, [1, 1, 0]))
    assert "the coordinate z is 0 in all samples" in one(said(flat, "3d"))


# Scores


@few
@given(score=st.sampled_from([2, 100, -1]), every=st.integers(1, 3))
def test_scores_that_are_no_confidence_are_named(score, every):
    scored = changed(good(), lambda sample: {"score": sample.score * score}, every)
    words = "below 0" if score < 0 else "above 1"
    found = said(scored) if score != 2 else said(scored, normalise="none")
    assert f"of the scores are {words}" in one(found)


def test_heat_maps_a_little_above_one_are_scores():
    high = changed(good(), lambda sample: {"score": sample.score * np.float32(1.2) - 0.05})
    assert said(high) == []


def test_scores_of_zero_alone_are_named():
    zero = changed(good(), lambda sample: {"score": sample.score * 0})
    assert "all scores are 0 in 36 of 36 samples" in one(said(zero))


# Frames


@few
@given(times=st.integers(2, 4))
def test_repeated_frames_are_named(times):
    def slow(sample):
        return {
            "keypoint": sample.keypoint.repeat(times, 1),
            "score": sample.score.repeat(times, 1),
        }

    assert "of the frames repeat the one before" in one(said(changed(good(), slow)))


def test_samples_in_which_nothing_moves_are_named():
    def frozen(sample):
        return {"keypoint": sample.keypoint[:, :1].repeat(sample.keypoint.shape[1], 1)}

    assert "nothing moves in 12 of 36 samples" in one(said(changed(good(), frozen, every=3)))


def test_padding_with_empty_frames_is_named_in_2d_and_dropped_in_3d():
    def padded(sample):
        pad = [(0, 0), (0, sample.keypoint.shape[1]), (0, 0)]
        score = None if sample.score is None else np.pad(sample.score, pad)
        return {"keypoint": np.pad(sample.keypoint, [*pad, (0, 0)]), "score": score}

    assert "of the frames show no one" in one(said(changed(good(), padded)))
    assert said(changed(good("3d"), padded), "3d") == []


# Joints


def holed(mark, joints, frames=slice(None)):
    """Joints (a slice) that were not found, of persons who are there."""

    def change(sample):
        keypoint = sample.keypoint.astype(np.float32)
        there = (keypoint != 0).any((2, 3), keepdims=True)
        part = keypoint[:, frames, joints]
        keypoint[:, frames, joints] = np.where(there[:, frames], mark, part)
        return {"keypoint": keypoint}

    return change


@few
@given(joint=st.integers(0, 16), mark=st.sampled_from([0, -1, np.nan]))
def test_a_joint_that_is_missing_everywhere_is_named(joint, mark):
    name = skeleton("coco17").joints[joint]
    found = said(changed(good(), holed(mark, slice(joint, joint + 1))), missing="zero")
    assert found[0].startswith(f"joint {joint} ({name}) of 17 are missing in all samples")


@few
@given(mark=st.sampled_from([0, -1]), frames=st.integers(12, 25))
def test_missing_joints_are_counted(mark, frames):
    missing = changed(good(), holed(mark, slice(3, 6), slice(frames)))
    sentence = one(said(missing))
    assert f"of the joints are missing, mostly as {mark}" in sentence
    assert "data.missing=interpolate" in sentence


def test_filled_joints_are_counted_however_few_they_are():
    missing = changed(good(), holed(np.nan, slice(3, 4), slice(1)))
    found = one(said(missing, missing="interpolate"))
    assert "of the joints are missing, mostly as NaN" in found
    assert "filled from the frames around, with score 0" in found
    mended = [without_missing(sample, "interpolate") for sample in missing]
    assert said(mended) == []


@few
@given(first=st.sampled_from([1, 2, 3, 7, 8, 9, 13]))
def test_joints_in_another_order_than_the_skeleton_s_are_named(first):
    other = changed(good(), lambda sample: {"keypoint": np.roll(sample.keypoint, first, axis=2)})
    assert "form bodies, but not of the skeleton coco17" in one(said(other))


def test_human36m_is_told_from_coco():
    h36m = [0, 16, 17, 18, 12, 13, 14, 1, 20, 2, 3, 4, 5, 6, 8, 9, 10]  # of ntu25

    def seen(sample):  # a camera, from the front
        keypoint = sample.keypoint[:, :, h36m].astype(np.float32)
        flat = np.where(keypoint.any(-1, keepdims=True), keypoint[..., :2] * 250 + [900, 500], 0)
        return {"keypoint": flat.astype(np.float32), "score": None}

    assert "Human3.6M has 17 joints, too" in one(said(changed(good("3d"), seen)))


@few
@given(seed=SEEDS)
def test_points_that_are_no_body_are_not_accused_of_another_skeleton(seed):
    def noise(sample):
        rng = np.random.default_rng([seed, len(sample.id)])
        M, T = sample.keypoint.shape[:2]
        return {"keypoint": rng.uniform(100, 900, (M, T, 17, 2)), "score": None}

    assert said(changed(good(), noise)) == []


def test_the_shortest_tree_of_a_chain_is_the_chain():
    chain = np.arange(5.0)[:, None]
    assert tree_length(np.abs(chain - chain.T)) == 1
    assert bone_length([chain], [(0, 1), (1, 2), (2, 3), (3, 4)]) == pytest.approx(0.5)
    assert bone_length([chain], [(0, 4), (4, 1), (1, 3), (3, 2)]) == pytest.approx(1.25)


def test_annotations_without_any_key_point_say_so():
    nothing = changed(good(), lambda sample: {"keypoint": sample.keypoint * 0})
    with pytest.raises(BadInput, match="no sample holds a single key point"):
        said(nothing)


@pytest.mark.parametrize("dimension", ["2d", "3d"])
def test_samples_without_any_key_point_are_named_however_few(dimension):
    some = good(dimension)
    nothing = replace(some[3], keypoint=some[3].keypoint * 0)
    sentence = one(said([*some[:3], nothing, *some[4:]], dimension))
    assert sentence.startswith(f"1 of 36 samples hold no key point at all (e.g. {nothing.id!r})")


def test_samples_of_one_frame_are_named_where_all_are():
    def first(sample):
        return {"keypoint": sample.keypoint[:, :1], "score": sample.score[:, :1]}

    assert "all 36 samples have one frame" in one(said(changed(good(), first)))
    assert said(changed(good(), first, every=2)) == []


def test_bodies_that_are_centred_on_a_joint_are_recognised():
    def centred(sample):
        away = sample.keypoint[:, :, 11:12].astype(np.float32)
        return {"keypoint": np.abs(sample.keypoint - away)}

    assert any("=none, if bodies are centred on it" in x for x in said(changed(good(), centred)))
