import os
import pickle
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers import shared
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from stgcn_lightning.data.checks import check_annotations, split_ids
from stgcn_lightning.errors import BadInput
from stgcn_lightning.skeleton import Skeleton
from stgcn_lightning.sources.annotations import Annotations, Sample
from stgcn_lightning.sources.mmaction2 import read_annotations, write_annotations

CHAIN = Skeleton(
    name="chain",
    joints=("a", "b", "c", "d", "e"),
    edges=((1, 0), (2, 1), (3, 2), (4, 3)),
    graph_centre=0,
    bone_parents=(0, 0, 1, 2, 3),
    left_right=(),
    normalise=None,
)


def record(**changes) -> dict:
    """A good annotation of 2 persons, 4 frames, 5 joints in 2D; None removes a key."""
    good = {
        "frame_dir": "S1",
        "label": 1,
        "img_shape": (480, 640),
        "original_shape": (480, 640),
        "total_frames": 4,
        "keypoint": np.ones((2, 4, 5, 2), np.float16),
        "keypoint_score": np.ones((2, 4, 5), np.float16),
    }
    return {key: value for key, value in (good | changes).items() if value is not None}


def written(folder: Path, content: object) -> Path:
    path = folder / "x.pkl"
    path.write_bytes(pickle.dumps(content))
    return path


def good(*changes: dict) -> Annotations:
    """Samples S0, S1, ... with changes, the first half of them in `train` and the rest in `val`."""
    base = Sample(
        "", 1, np.ones((2, 4, 5, 2), np.float32), np.ones((2, 4, 5), np.float32), (480, 640)
    )
    samples = [replace(base, id=f"S{i}", **change) for i, change in enumerate(changes)]
    ids = [sample.id for sample in samples]
    half = len(ids) // 2
    return Annotations(samples, {"train": ids[:half], "val": ids[half:]})


def check(annotations, on_bad_sample="error", **changes):
    settings = {"skeleton": CHAIN, "classes": 3, "dimension": "2d"} | changes
    return check_annotations(annotations, on_bad_sample=on_bad_sample, **settings)


def with_value(shape, index, value) -> np.ndarray:
    array = np.ones(shape, np.float16)
    array[index] = value
    return array


# Reading


def test_the_dict_format_is_read(tmp_path):
    content = {"split": {"train": ["S1"], "val": ["S1"]}, "annotations": [record()]}
    annotations = read_annotations(written(tmp_path, content))
    (sample,) = annotations.samples
    assert (sample.id, sample.label, sample.img_shape) == ("S1", 1, (480, 640))
    assert sample.keypoint.dtype == np.float16
    assert sample.keypoint.shape == (2, 4, 5, 2)
    assert sample.score is not None
    assert sample.score.shape == (2, 4, 5)
    assert annotations.splits == {"train": ["S1"], "val": ["S1"]}


def test_the_older_plain_list_is_one_split_called_all(tmp_path):
    content = [record(), record(frame_dir="S2")]
    annotations = read_annotations(written(tmp_path, content))
    assert annotations.splits == {"all": ["S1", "S2"]}


def test_what_may_be_absent_has_its_default(tmp_path):
    bare = record(img_shape=None, original_shape=None, keypoint_score=None, total_frames=None)
    (sample,) = read_annotations(written(tmp_path, [bare])).samples
    assert sample.score is None
    assert sample.img_shape == (1080, 1920)


def test_numpy_numbers_and_text_become_plain(tmp_path):
    content = record(
        frame_dir=np.str_("S1"), label=np.int64(2), img_shape=np.array([480, 640]),
        total_frames=np.int32(4), person_name="ignored",
    )  # fmt: skip
    (sample,) = read_annotations(written(tmp_path, [content])).samples
    assert [type(v) for v in (sample.id, sample.label, *sample.img_shape)] == [str, int, int, int]
    assert (sample.id, sample.label, sample.img_shape) == ("S1", 2, (480, 640))


def test_an_id_listed_twice_in_a_split_counts_once(tmp_path):
    content = {"split": {"t": ["S2", "S1", "S2"]}, "annotations": [record()]}
    assert read_annotations(written(tmp_path, content)).splits == {"t": ["S2", "S1"]}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"annotations": []}, "has no dict called 'split'"),
        ({"split": {}}, "has no list called 'annotations'"),
        ({"split": [], "annotations": []}, "has no dict called 'split'"),
        ("text", "has no list called 'annotations'"),
        ([record(), 3], "annotation 1 of .* is a int; each must be a dict"),
        ([record(frame_dir=None)], "annotation 0 of .* has no frame_dir"),
        ([record(label=None)], "sample 'S1' of .* has no label"),
        ([record(keypoint=None)], "sample 'S1' of .* has no keypoint"),
        ([record(frame_dir=7)], "annotation 0 of .* frame_dir 7; give its id as text"),
        ([record(label=1.5)], r"sample 'S1' of .* label 1\.5; give a whole number"),
        ([record(label="run")], "sample 'S1' of .* label 'run'; give a whole number"),
        ([record(keypoint=[[1.0]])], "'S1' of .* has a list as keypoint; give a numpy array"),
        (
            [record(keypoint=np.ones((4, 5, 2)))],
            r"'S1' of .* has a keypoint of shape \(4, 5, 2\); it must be \(persons, frames, joints",
        ),
        (
            [record(keypoint=np.ones((2, 4, 5, 2), int))],
            "'S1' .* keypoint of int64; make it float16",
        ),
        ([record(keypoint_score=np.ones((2, 4)))], r"'S1' .* a keypoint_score of shape \(2, 4\)"),
        ([record(total_frames=5)], "'S1' of .* has total_frames 5 but 4 frames of key points"),
        ([record(total_frames=[4])], r"'S1' of .* has the total_frames \[4\]; give a whole number"),
        ([record(img_shape=480)], "'S1' of .* has img_shape 480; give the height and width"),
        ([record(img_shape=("a", 1))], "'S1' of .* has img_shape .* give the height and width"),
        ([record(img_shape=(np.inf, 1))], "'S1' of .* has img_shape .* give the height and width"),
        ({"split": {"t": "S1"}, "annotations": [record()]}, "split 't' of .* is not a list of ids"),
        ({"split": {"t": [1]}, "annotations": [record()]}, "split 't' of .* is not a list of ids"),
        ({"split": {3: []}, "annotations": [record()]}, "split 3 of .* is not a list of ids"),
    ],
)
def test_a_fault_in_the_structure_names_the_sample_and_the_remedy(tmp_path, content, sentence):
    path = written(tmp_path, content)
    with pytest.raises(BadInput, match=sentence) as caught:
        read_annotations(path)
    assert str(path) in str(caught.value)


def test_a_hostile_pickle_executes_nothing(tmp_path):
    class Hostile:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'touched'}",)

    path = written(tmp_path, {"split": {}, "annotations": [record(keypoint=Hostile())]})
    with pytest.raises(BadInput, match=r"asks for posix\.system.*nothing in it was executed"):
        read_annotations(path)
    assert not (tmp_path / "touched").exists()


def test_a_truncated_pickle_is_named(tmp_path):
    path = written(tmp_path, [record()])
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(BadInput, match=r"x\.pkl is truncated or not a pickle"):
        read_annotations(path)


# Writing


def test_the_written_pickle_is_what_mmaction2_expects(tmp_path):
    write_annotations(tmp_path / "x.pkl", good({}, {"score": None}))
    content = pickle.loads((tmp_path / "x.pkl").read_bytes())
    assert content["split"] == {"train": ["S0"], "val": ["S1"]}
    first, second = content["annotations"]
    assert set(first) == set(record())
    assert first["total_frames"] == 4
    assert first["img_shape"] == first["original_shape"] == (480, 640)
    assert set(first) - set(second) == {"keypoint_score"}


@given(data=st.data(), dtype=st.sampled_from([np.float16, np.float32, np.float64]))
def test_annotations_survive_writing_and_reading(tmp_path_factory, data, dtype):
    shapes = st.tuples(*[st.integers(0, 3)] * 3, st.integers(2, 3))
    samples = []
    for position in range(data.draw(st.integers(0, 3))):
        shape = data.draw(shapes)
        score = data.draw(st.none() | hnp.arrays(dtype, shape[:3]))
        keypoint = data.draw(hnp.arrays(dtype, shape))
        samples.append(Sample(f"s{position}", position, keypoint, score, (position, 7)))
    path = tmp_path_factory.mktemp("annotations") / "x.pkl"
    write_annotations(path, Annotations(samples, {"t": [s.id for s in samples]}))
    found = read_annotations(path)
    assert found.splits == {"t": [s.id for s in samples]}
    for one, other in zip(found.samples, samples, strict=True):
        assert (one.id, one.label, one.img_shape) == (other.id, other.label, other.img_shape)
        np.testing.assert_array_equal(one.keypoint, other.keypoint, strict=True)
        assert (one.score is None) == (other.score is None)
        if one.score is not None:
            np.testing.assert_array_equal(one.score, other.score, strict=True)


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
        check(good({}, change))


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


STRUCTURE = [
    (
        good({}, {"keypoint": np.ones((2, 4, 6, 2)), "score": None}),
        "sample 'S1' has 6 joints but the skeleton chain has 5; choose the skeleton",
    ),
    (
        good({}, {"keypoint": np.ones((2, 4, 5, 3))}),
        "sample 'S1' has 3 coordinates per joint where a 2d benchmark has 2",
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
    (
        replace(good({}), splits={"t": ["S0", "A", "B", "C", "D"]}),
        r"split 't' lists 4 ids \('A', 'B', 'C', \.\.\.\) without annotation",
    ),
    (replace(good({}), splits={"t": ["X"]}), r"split 't' lists 1 id \('X'\) without annotation"),
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
