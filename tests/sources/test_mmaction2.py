import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from helpers import annotations_of_five_joints as good
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from stgcn_lightning.errors import BadInput
from stgcn_lightning.sources.annotations import Annotations, Sample
from stgcn_lightning.sources.mmaction2 import read_annotations, write_annotations


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


def test_frame_inds_beside_key_points_of_persons_mean_nothing(tmp_path):
    (sample,) = read_annotations(written(tmp_path, [record(frame_inds=np.arange(4))])).samples
    assert sample.keypoint.shape == (2, 4, 5, 2)


def test_the_older_plain_list_is_one_split_called_all(tmp_path):
    content = [record(), record(frame_dir="S2")]
    annotations = read_annotations(written(tmp_path, content))
    assert annotations.splits == {"all": ["S1", "S2"]}


def test_what_may_be_absent_has_its_default(tmp_path):
    bare = record(img_shape=None, original_shape=None, keypoint_score=None, total_frames=None)
    (sample,) = read_annotations(written(tmp_path, [bare])).samples
    assert sample.score is None
    assert sample.img_shape == (1080, 1920)


def test_what_is_none_is_absent_and_a_tuple_is_a_list(tmp_path):
    content = {"split": {"t": ("S1",)}, "annotations": (record() | {"total_frames": None},)}
    annotations = read_annotations(written(tmp_path, content))
    assert annotations.splits == {"t": [annotations.samples[0].id]}


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
        ([record(total_frames=10**5000)], "has total_frames a number of .* but 4 frames of key po"),
        ([record(total_frames=[4])], r"'S1' of .* has the total_frames \[4\]; give a whole number"),
        ([record(img_shape=480)], "'S1' of .* has img_shape 480; give the height and width"),
        ([record(img_shape=("a", 1))], "'S1' of .* has img_shape .* give the height and width"),
        ([record(img_shape=(np.inf, 1))], "'S1' of .* has img_shape .* give the height and width"),
        ({"split": {"t": "S1"}, "annotations": [record()]}, "split 't' of .* is not a list of ids"),
        ({"split": {"t": [1]}, "annotations": [record()]}, "split 't' of .* is not a list of ids"),
        ({"split": {3: []}, "annotations": [record()]}, "split 3 of .* is not a list of ids"),
        ({"split": {"t": {"S1": 0}}, "annotations": []}, "is not a list of ids, but a dict: give"),
        ({"split": {"t": [{"S1": 0}]}, "annotations": []}, r"holds \{'S1': 0\} in place of a sam"),
        ({"train": [record()], "val": []}, "no list called 'annotations', but 'train', 'val'; a"),
        (record(), "no list called 'annotations', but is one sample: give"),
        ((["S1"], [0]), "no list called 'annotations' and is a tuple; annotations are"),
        ({"annotations": {"S1": record()}}, r"but a dict: give list\(annotations.values\(\)\)"),
        ([record(keypoint=None, keypoints=1)], "has no keypoint; add it, or rename its keypoints"),
        ([record(label="1")], r"label '1'; give a whole number, int\(label\)$"),
        ([record(label="run")], "the place of its class in benchmark.classes, from 0$"),
        ([record(label=np.eye(3)[1])], r"give a whole number, int\(np.argmax\(label\)\)$"),
        ([record(label=[2])], r"give a whole number, int\(label\[0\]\)$"),
        ([record(label=2.0)], r"give a whole number, int\(label\)$"),
        ([record(label=np.nan)], "give a whole number, or leave label out$"),
        ([record(keypoint=np.ones(0))], r"an empty keypoint, of shape \(0,\); take the sample out"),
        ([record(total_frames=2)], r"correct one of the two, or give keypoint.swapaxes\(1, 0\)"),
        ([record(img_shape="48")], "img_shape '48'; give the height and width"),
        ([record(img_shape=(0.48, 0.64))], r"img_shape \(0.48, 0.64\); give the height and width"),
        ([record(img_shape=(480, 640, 3))], r"give the height .* in pixels, img_shape\[:2\]$"),
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
    with pytest.raises(BadInput, match=r"x\.pkl is truncated"):
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


def test_a_sample_whose_picture_has_no_size_is_written_without(tmp_path):
    write_annotations(tmp_path / "x.pkl", good({"img_shape": None}, {}))
    first, second = pickle.loads((tmp_path / "x.pkl").read_bytes())["annotations"]
    assert set(second) - set(first) == {"img_shape", "original_shape"}


def test_a_sample_may_have_no_label(tmp_path):
    (sample,) = read_annotations(written(tmp_path, [record(label=None)])).samples
    assert sample.label is None
    path = tmp_path / "again.pkl"
    write_annotations(path, Annotations([sample], {"all": ["S1"]}))
    assert read_annotations(path).samples[0].label is None
