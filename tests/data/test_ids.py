"""Ids of splits that differ from the samples' in what a file name has besides."""

from dataclasses import replace

import pytest
from helpers import annotations_of_five_joints
from hypothesis import given
from hypothesis import strategies as st

from stgcn_lightning.data.ids import bare, find_samples
from stgcn_lightning.errors import BadInput
from stgcn_lightning.sources.annotations import Annotations

NAMES = st.lists(
    st.text("abcXYZ019_-", min_size=1, max_size=6), min_size=2, max_size=6, unique_by=str.casefold
)
DRESSED = {
    "extension": lambda id: f"{id}.mp4",
    "folder": lambda id: f"videos/train/{id}",
    "spaces around them": lambda id: f"{id} \n",
    "case": str.swapcase,
    "extension, folder or case": lambda id: f"D:\\clips\\{id.upper()}.SKELETON",
}


def annotated(names, **splits):
    samples = annotations_of_five_joints(*[{}] * len(names)).samples
    named = [replace(sample, id=name) for sample, name in zip(samples, names, strict=True)]
    return Annotations(named, splits)


@given(NAMES, st.sampled_from(sorted(DRESSED)), st.booleans())
def test_ids_in_other_dress_find_their_samples(names, difference, on_the_samples):
    dressed = [DRESSED[difference](name) for name in names]
    given_ids, known = (names, dressed) if on_the_samples else (dressed, names)
    found, lines = find_samples(annotated(known, train=given_ids))
    assert found.splits == {"train": known}
    if dressed == names:  # no letter to swap
        assert lines == []
    else:
        assert "of the split 'train' were found by other names" in lines[0]


@given(NAMES)
def test_ids_that_are_known_are_left_as_they_are(names):
    annotations = annotated(names, train=names, val=names[:1])
    assert find_samples(annotations) == (annotations, [])
    assert find_samples(annotations)[0] is annotations


def test_only_unknown_ids_are_replaced_and_said():
    found, (line,) = find_samples(annotated(["a", "b.mp4"], train=["a", "b"]))
    assert found.splits == {"train": ["a", "b.mp4"]}
    assert line == (
        "1 id ('b') of the split 'train' were found by other names, which differ in extension: "
        "'b' is the sample 'b.mp4'"
    )


@pytest.mark.parametrize(
    ("known", "ids", "nearest"),
    [
        (["a/x", "b/x"], ["x.mp4"], "did you mean 'a/x' or 'b/x'"),  # two samples
        (["x", "y"], ["x.mp4", "x.avi"], "did you mean 'x'"),  # one sample twice
        (["x", "y"], ["x", "x.avi"], "did you mean 'x'"),
        (["vid000", "vid001"], ["vid000.mp4", "other"], "did you mean 'vid000'"),
        (["S001C001"], ["S001C01"], "did you mean 'S001C001'"),
        (["S001"], ["else"], "annotate or remove what is missing"),
    ],
)
def test_ids_that_mean_no_sample_or_several_are_refused_with_the_nearest(known, ids, nearest):
    with pytest.raises(BadInput, match=f"^split 't' lists .* without annotation; .*{nearest[:20]}"):
        find_samples(annotated(known, t=ids))


@pytest.mark.parametrize(
    ("ids", "sentence"),
    [
        (["S0", "A", "B", "C", "D"], r"lists 4 ids \('A', 'B', 'C', \.\.\.\) without annotation"),
        (["X"], r"lists 1 id \('X'\) without annotation"),
    ],
)
def test_ids_without_annotation_are_counted(ids, sentence):
    with pytest.raises(BadInput, match=f"^split 't' {sentence}"):
        find_samples(annotated(["S0"], t=ids))


def test_a_number_at_the_end_is_no_extension():
    assert bare("walk_v1.5") == "walk_v1.5"
    assert bare("walk.2") == "walk.2"


def test_a_split_of_which_nothing_is_annotated_is_left_out_and_said():
    found, (first, second) = find_samples(
        annotated(["a", "b"], train=["squat", "lunge"], val=["b", "a"], spare=[])
    )
    assert found.splits == {"val": ["b", "a"]}
    assert first == (
        "the split 'train' lists 2 ids ('squat', 'lunge'), none of which is annotated: it is left "
        "out"
    )
    assert second == "the split 'spare' lists no ids: it is left out"


def test_splits_of_which_nothing_is_annotated_are_refused_where_there_are_no_others():
    with pytest.raises(BadInput, match=r"split 'train' lists 1 id \('squat'\) without annotation"):
        find_samples(annotated(["a"], train=["squat"], val=["lunge"]))
    with pytest.raises(BadInput, match="split 'train' lists"):
        find_samples(annotated(["a"], train=["squat"], val=[]))


def test_a_split_of_which_a_part_is_annotated_is_not_left_out():
    with pytest.raises(BadInput, match=r"split 'train' lists 1 id \('squat'\)"):
        find_samples(annotated(["a", "b"], train=["a", "squat"], val=["b"]))
