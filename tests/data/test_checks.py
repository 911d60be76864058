"""What is checked of annotations, whoever read them."""

import re
from dataclasses import replace

import numpy as np
import pytest
from helpers import annotations_of_five_joints as good
from helpers import shared
from hypothesis import given
from hypothesis import strategies as st

from stgcn_lightning.data.checks import check_annotations, split_ids
from stgcn_lightning.errors import BadInput
from stgcn_lightning.skeleton import Skeleton
from stgcn_lightning.sources.annotations import Annotations
from stgcn_lightning.sources.mmaction2 import read_annotations

CHAIN = Skeleton(
    name="chain",
    joints=("a", "b", "c", "d", "e"),
    edges=((1, 0), (2, 1), (3, 2), (4, 3)),
    graph_centre=0,
    bone_parents=(0, 0, 1, 2, 3),
    left_right=(),
    normalise=None,
)


def check(annotations, on_bad_sample="error", **changes):
    settings = {"skeleton": CHAIN, "classes": 3, "dimension": "2d"} | changes
    return check_annotations(annotations, on_bad_sample=on_bad_sample, **settings)


def with_value(shape, index, value) -> np.ndarray:
    array = np.ones(shape, np.float16)
    array[index] = value
    return array


# Splits


def test_a_split_is_in_the_order_of_the_samples():
    annotations = replace(good({}, {}, {}), splits={"t": ["S2", "S0"]})
    assert split_ids(annotations, "t") == ["S0", "S2"]


def test_an_unknown_split_offers_the_nearest_names():
    annotations = Annotations([], {"xsub_train": [], "xsub_val": [], "other": []})
    with pytest.raises(BadInput, match="no split 'xsub_vl'; did you mean xsub_val") as caught:
        split_ids(annotations, "xsub_vl")
    assert str(caught.value).endswith("there are: other, xsub_train, xsub_val")
    with pytest.raises(BadInput, match=r"no split '\?'; there are: other, xsub_train"):
        split_ids(annotations, "?")


# Checking


def test_good_annotations_pass_unchanged():
    annotations = good({}, {"score": None}, {"label": 0}, {"label": 2})
    for on_bad_sample in ("error", "drop"):
        found, lines = check(annotations, on_bad_sample)
        assert found is annotations
        assert lines == []


def test_3d_without_score_passes():
    body = {"keypoint": np.zeros((1, 2, 5, 3)), "score": None}
    annotations = good(body, body)
    assert check(annotations, dimension="3d") == (annotations, [])


CONTENT = [
    ({"keypoint": np.ones((0, 4, 5, 2)), "score": None}, "has no persons"),
    ({"keypoint": np.ones((2, 0, 5, 2)), "score": None}, "has no frames"),
    ({"label": 3}, r"has label 3, outside 0 to 2 of benchmark\.classes"),
    ({"label": -1}, r"has label -1, outside 0 to 2 of benchmark\.classes"),
    (
        {"keypoint": with_value((2, 4, 5, 2), (1, 2, 3, 0), np.nan)},
        r"has coordinate nan \(person 1, frame 2, joint 3\)",
    ),
    (
        {"keypoint": with_value((2, 4, 5, 2), (0, 3, 4, 1), -np.inf)},
        r"has coordinate -inf \(person 0, frame 3, joint 4\)",
    ),
    (
        {"score": with_value((2, 4, 5), (1, 0, 2), np.inf)},
        r"has score inf \(person 1, frame 0, joint 2\)",
    ),
]


@pytest.mark.parametrize(("change", "fault"), CONTENT)
def test_bad_content_names_the_sample_the_value_and_the_remedy(change, fault):
    with pytest.raises(
        BadInput, match=f"^sample 'S1' {fault}; correct it, or .*data.on_bad_sample=drop"
    ):
        check(good({}, change, {}, {}))


def test_dropping_is_not_offered_where_it_takes_a_split_or_a_class_away():
    hole = {"keypoint": with_value((2, 4, 5, 2), (1, 2, 3, 0), np.nan)}
    for annotations in (good({}, hole), good({}, hole | {"label": 0}, {}, hole | {"label": 0})):
        with pytest.raises(BadInput, match=r"correct it, or fill .* or data\.missing=zero$"):
            check(annotations)
    with pytest.raises(BadInput, match=r"\(2 of 4 samples are bad\); correct it, or .*=drop$"):
        check(good({}, hole, {}, hole))
    with pytest.raises(BadInput, match=r"e\.g\. .S1., which has coordinate nan .* data\.mis"):
        check(good({}, hole), "drop")


@pytest.mark.parametrize(("change", "fault"), CONTENT)
def test_bad_content_can_be_dropped_also_from_the_splits(change, fault):
    found, (line,) = check(good({}, change, {}, {}), "drop")
    assert [sample.id for sample in found.samples] == ["S0", "S2", "S3"]
    assert found.splits == {"train": ["S0"], "val": ["S2", "S3"]}
    assert re.fullmatch(f"dropped sample 'S1', which {fault}", line)


def test_every_dropped_sample_has_its_line():
    found, lines = check(good({}, {"label": 9}, {"label": 8}, {}), "drop")
    assert len(found.samples) == 2
    assert ["'S1'" in lines[0], "'S2'" in lines[1]] == [True, True]


def test_a_split_that_dropping_empties_is_refused():
    with pytest.raises(BadInput, match="split 'train' has no samples left without its bad ones"):
        check(good({"label": 9}, {}), "drop")


def test_a_split_that_is_empty_from_the_start_is_left_out():
    annotations = good({}, {})
    splits = annotations.splits | {"train": []}
    found, lines = check(replace(annotations, splits=splits), "error")
    assert found.splits == {"val": ["S1"]}
    assert lines == []


STRUCTURE = [
    (
        good({}, {"keypoint": np.ones((2, 4, 6, 2)), "score": None}),
        "sample 'S1' has 6 joints but the skeleton chain has 5; choose the skeleton",
    ),
    (
        good({}, {"keypoint": np.ones((2, 4, 5, 3))}),
        r"sample 'S1' has 3 coordinates .* has 2; give keypoint\[..., :2\] as keypoint and",
    ),
    (
        good({}, {"keypoint": np.full((2, 4, 5, 3), -3.0)}),
        "sample 'S1' has 3 coordinates .* a 2d benchmark has 2; choose the other dimension",
    ),
    (
        good({}, {"keypoint": np.ones((2, 4, 5, 1)), "score": np.ones((1, 4, 5))}),
        r"sample 'S1' has .* scores of \(1, 4, 5\); its axes are in another order, give keypoint",
    ),
    (
        good({}, {"score": np.ones((2, 5, 4))}),
        r"sample 'S1' has key points of shape \(2, 4, 5, 2\) but scores of \(2, 5, 4\)",
    ),
    (
        good({}, {"img_shape": (0, 9)}),
        r"sample 'S1' has img_shape \(0, 9\); give the height and width",
    ),
    (good({}, {"img_shape": (9, -1)}), r"sample 'S1' has img_shape \(9, -1\)"),
    (
        replace(good({}, {}), samples=good({}, {}).samples * 2),
        r"2 ids \('S0', 'S1'\) occur more than once in the annotations",
    ),
    (replace(good({}), splits={"t": []}), "split 't' has no samples; list ids in it, or remove it"),
]


@pytest.mark.parametrize("on_bad_sample", ["error", "drop"])
@pytest.mark.parametrize(("annotations", "sentence"), STRUCTURE)
def test_a_fault_in_the_structure_is_always_raised(annotations, sentence, on_bad_sample):
    with pytest.raises(BadInput, match=f"^{sentence}"):
        check(annotations, on_bad_sample)


def test_2d_key_points_for_a_3d_benchmark_are_refused():
    with pytest.raises(
        BadInput, match="'S0' has 2 coordinates per joint where a 3d benchmark has 3"
    ):
        check(good({}, {}), dimension="3d")


# Labels that are not single faults


@given(st.integers(2, 12), st.integers(1, 4), st.sampled_from(["error", "drop"]))
def test_labels_that_count_from_one_are_recognised(classes, times, on_bad_sample):
    from_zero = [{"label": label} for label in range(classes)] * times
    assert check(good(*from_zero, *from_zero), classes=classes)[1] == []
    from_one = [{"label": change["label"] + 1} for change in from_zero]
    with pytest.raises(BadInput, match=f"^labels run from 1 to {classes}, .* subtract 1") as error:
        check(good(*from_one), on_bad_sample, classes=classes)
    assert "drop" not in str(error.value)


@given(st.integers(2, 6), st.integers(1, 6), st.sampled_from(["error", "drop"]))
def test_whole_classes_beyond_those_named_are_not_dropped(classes, more, on_bad_sample):
    labels = [{"label": label} for label in range(classes + more)] * 3
    sentence = f"^labels run from 0 to {classes + more - 1}, .*: give all {classes + more} classes"
    with pytest.raises(BadInput, match=sentence):
        check(good(*labels), on_bad_sample, classes=classes)


@pytest.mark.parametrize("label", [-1, 3, 255])
def test_a_single_wrong_label_can_be_dropped(label):
    found, (line,) = check(good(*[{"label": i % 3} for i in range(30)], {"label": label}), "drop")
    assert len(found.samples) == 30
    assert f"has label {label}, outside" in line


# Joints that were not found


@pytest.mark.parametrize("missing", ["zero", "interpolate"])
def test_nan_passes_where_it_is_filled_and_infinity_does_not(missing):
    hole = {"keypoint": with_value((2, 4, 5, 2), (1, 2, 3, 0), np.nan)}
    assert check(good({}, hole), missing=missing)[1] == []
    with pytest.raises(
        BadInput,
        match=r"correct it, or fill .* data\.missing=interpolate or data\.missing=zero",
    ):
        check(good({}, hole))
    hole["keypoint"][0, 0, 0, 0] = np.inf
    with pytest.raises(BadInput, match=r"has coordinate inf .person 0, frame 0, joint 0"):
        check(good({}, hole), missing=missing)


# Axes in another order


def test_another_order_of_the_axes_is_named():
    turned = {"keypoint": np.ones((2, 40, 5, 1), np.float32), "score": None}  # C, T, V, M
    with pytest.raises(BadInput, match=r"order, give keypoint.transpose\(3, 1, 2, 0\)"):
        check(good({}, turned))
    scored = {"keypoint": np.ones((1, 4, 5, 3), np.float32), "score": None}
    with pytest.raises(BadInput, match=r"give keypoint\[..., :2\] as keypoint and"):
        check(good({}, scored))


# Real files


@pytest.mark.parametrize(
    ("name", "V", "classes", "dimension", "splits"),
    [
        ("data/jhmdb14_2d.pkl", 15, 14, "2d", {"split1_train": 433, "split1_val": 176}),
        ("data/msr_action3d.pkl", 20, 20, "3d", {"xsub_train": 291, "xsub_val": 275}),
        ("interop/tiny_2d.pkl", 17, 4, "2d", {"xsub_train": 28, "xsub_val": 12}),
    ],
)
def test_real_annotations_are_read_and_pass(name, V, classes, dimension, splits):
    skeleton = replace(CHAIN, joints=tuple(map(str, range(V))))
    annotations = read_annotations(shared(name))
    assert check(annotations, skeleton=skeleton, classes=classes, dimension=dimension)[1] == []
    assert {split: len(split_ids(annotations, split)) for split in splits} == splits
    with pytest.raises(BadInput, match=f"{V} joints but the skeleton chain has 5"):
        check(annotations, classes=classes, dimension=dimension)
    with pytest.raises(BadInput, match=f"outside 0 to {classes - 2}"):
        check(annotations, skeleton=skeleton, classes=classes - 1, dimension=dimension)


# What a reader of the user's own may get wrong


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"keypoint": [[1.0]]}, "a list as keypoint; give a numpy array .persons, frames, joints"),
        (
            {"keypoint": np.ones((4, 5, 2))},
            r"an array of float64 and shape \(4, 5, 2\) as",
        ),
        ({"keypoint": np.ones((2, 4, 5, 2), int)}, "an array of int64 and shape .* of float16"),
        (
            {"score": np.ones((2, 4), np.float32)},
            r"an array of float32 and shape \(2, 4\) as",
        ),
        ({"label": "run"}, "the label 'run'; give a whole number"),
    ],
)
def test_a_field_of_another_type_is_refused(change, fault):
    with pytest.raises(BadInput, match=f"^sample 'S1' has {fault}"):
        check(good({}, change), "drop")


def test_an_id_is_text():
    annotations = good({}, {})
    samples = [replace(sample, id=7) for sample in annotations.samples]
    with pytest.raises(BadInput, match="a sample has the id 7; give its id as text"):
        check(replace(annotations, samples=samples))


def test_numpy_s_whole_numbers_are_labels_and_the_picture_may_have_no_size():
    annotations = good({"label": np.int64(2)}, {"img_shape": None})
    assert check(annotations) == (annotations, [])


def test_an_id_that_is_no_unicode_text_is_named():
    with pytest.raises(BadInput, match=r"'S0.udce9' has an id that is no Unicode text"):
        check(replace(good({}), samples=[replace(good({}).samples[0], id="S0\udce9")]))


def test_a_sample_that_is_too_long_is_named_or_left_out():
    annotations = good({}, {"keypoint": np.ones((1, 5, 5, 2), np.float16), "score": None}, {}, {})
    assert check(annotations, max_frames=5)[1] == []
    sentence = (
        r"'S1' has 5 frames, more than data.max_frames=4; cut it .* raise data.max_frames, or"
    )
    with pytest.raises(BadInput, match=sentence):
        check(annotations, max_frames=4)
    kept, lines = check(annotations, "drop", max_frames=4)
    assert [sample.id for sample in kept.samples] == ["S0", "S2", "S3"]
    assert lines == ["dropped sample 'S1', which has 5 frames, more than data.max_frames=4"]
