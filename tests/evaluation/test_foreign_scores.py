"""Score files of other projects, read beside one that says the true classes."""

import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stgcn_lightning.errors import BadInput
from stgcn_lightning.evaluation.foreign_scores import read_table
from stgcn_lightning.evaluation.fusion import fuse
from stgcn_lightning.evaluation.scores import NoLabels, Scores, read_scores

IDS = np.array(["S001C001", "S001C002", "S001C003"])
VALUES = np.array([[0.75, 0.25], [0.5, 0.5], [0.125, 0.875]], np.float32)
OURS = Scores(IDS, np.array([0, 1, 1]), VALUES[:, ::-1], np.array(["sit", "fall"]), {"split": "v"})


def written(folder, content, name="x.pkl", protocol=4):
    path = folder / name
    path.write_bytes(pickle.dumps(content, protocol))
    return path


FORMS = {  # what the file lacks, and its content
    "PYSKL": ("names and labels of samples", list(VALUES)),
    "PYSKL, half": ("names and labels of samples", list(VALUES.astype(np.float16))),
    "one array": ("names and labels of samples", VALUES),
    "lists": ("names and labels of samples", VALUES.tolist()),
    "tensors": ("names and labels of samples", list(torch.from_numpy(VALUES))),
    "rows of one": ("names and labels of samples", [row[None] for row in VALUES]),
    "CTR-GCN": ("names and labels of samples", {f"test_{i}": VALUES[i] for i in (2, 0, 1)}),
    "NW-UCLA": ("names and labels of samples", dict(enumerate(VALUES))),
    "2s-AGCN": ("labels", {f"{IDS[i]}.skeleton": VALUES[i] for i in (1, 2, 0)}),
    "MS-G3D": ("labels", {IDS[i]: VALUES[i] for i in (2, 1, 0)}),
    "with folders": ("labels", {f"/data/{IDS[i]}.avi": VALUES[i] for i in (2, 1, 0)}),
    "MMAction2 without labels": (
        "names and labels of samples",
        [{"pred_score": torch.tensor(row)} for row in VALUES],
    ),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("protocol", [2, 4])
def test_a_file_without_labels_has_them_from_the_one_beside_it(tmp_path, form, protocol):
    lacks, content = FORMS[form]
    path = written(tmp_path, content, protocol=protocol)
    with pytest.raises(NoLabels, match=rf"holds scores without {lacks}: fuse it beside") as caught:
        read_scores(path)
    assert caught.value.lacks == lacks
    found = read_scores(path, beside=OURS)
    np.testing.assert_array_equal(found.scores, VALUES)
    np.testing.assert_array_equal(found.ids, OURS.ids)
    np.testing.assert_array_equal(found.labels, OURS.labels)
    fused = fuse({"a": found, "b": OURS}, {"a": 3, "b": 1})
    np.testing.assert_allclose(fused.scores, (3 * VALUES + VALUES[:, ::-1]) / 4)


@given(order=st.permutations(range(3)), shift=st.floats(-5, 5))
def test_names_join_logits_in_any_order(tmp_path_factory, order, shift):
    logits = {IDS[i]: np.log(VALUES[i]) + np.float32(shift) for i in order}
    path = written(tmp_path_factory.mktemp("scores"), logits, "epoch1_test_score.pkl")
    found = read_scores(path, apply_softmax=True, beside=OURS)
    np.testing.assert_allclose(found.scores, VALUES, rtol=1e-4)


@given(order=st.permutations(range(3)))
def test_numbers_are_names_where_the_samples_are_called_so(tmp_path_factory, order):
    names = np.array(["10", "2", "7"])
    ours = Scores(names, OURS.labels, OURS.scores, OURS.classes)
    rows = {int(names[i]): VALUES[i] for i in order}
    found = read_scores(written(tmp_path_factory.mktemp("scores"), rows), beside=ours)
    np.testing.assert_array_equal(found.scores, VALUES)


def test_names_in_bytes_are_names(tmp_path):
    rows = {IDS[i].encode(): VALUES[i] for i in (2, 0, 1)}
    np.testing.assert_array_equal(read_scores(written(tmp_path, rows), beside=OURS).scores, VALUES)


def test_an_older_dump_of_mmaction2_is_read(tmp_path):
    dump = [
        {"pred_scores": {"item": torch.tensor(row)}, "gt_labels": {"item": torch.tensor([label])}}
        for row, label in zip(VALUES, OURS.labels, strict=True)
    ]
    found = read_scores(written(tmp_path, dump))
    assert found.ids is None
    np.testing.assert_array_equal(found.scores, VALUES)
    np.testing.assert_array_equal(found.labels, OURS.labels)


@pytest.mark.parametrize(
    "label", [3, True, "3", [3], [[3]], np.int64(3), np.array([[3]]), [np.array(3)]]
)
@pytest.mark.parametrize(
    "row", [[[0.25, 0.75]], [VALUES[0]], [*map(np.array, VALUES[0])], VALUES[:1]]
)
def test_numbers_may_stand_in_lists_of_one(tmp_path, label, row):
    found = read_table(written(tmp_path, [{"pred_score": row, "gt_label": label}]))
    assert found.values.shape == (1, 2)
    assert found.labels.tolist() == [int(label is True) or 3]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (list(VALUES[:2]), "x.pkl holds 2 samples of 2 classes, but .* 3 of 2: give scores of one"),
        (list(np.full((3, 4), 0.25)), "3 samples of 4 classes"),
        ({"a": VALUES[0], "b": VALUES[1], "c": VALUES[2]}, "x.pkl lacks S001C001, S001C002, S0"),
        ({"x/S001C001.a": VALUES[0], "S001C001": VALUES[0], "S001C003": VALUES[2]}, "lacks S001C0"),
        ([], "there are no rows"),
        ({}, "there are no rows"),
        ("text", "holds one str, where scores are a test dump of MMAction2"),
        ((list(IDS), VALUES), "holds one tuple, where scores are"),
        ({IDS[0]: VALUES[0], IDS[1]: VALUES[1]}, "x.pkl lacks S001C003, where"),
        (dict(zip([*IDS, "x"], VALUES[[0, 1, 2, 2]], strict=True)), "has other samples .*: x, "),
        ([1.0, 2.0, 3.0], "rows are no vectors"),
        ([["a", "b"]] * 3, "'a' stands in a list of numbers"),
        ([VALUES[0] + 1j] * 3, "rows are no numbers"),
        ([[VALUES[0]] * 2] * 3, "an array.* stands in a list of numbers"),
        (
            [{"pred_score": VALUES[0], "gt_label": [VALUES[0]] * 2}],
            "no class: an array.* stands in a list",
        ),
        ({"s" * 5000: VALUES[0], "b": VALUES[1]}, "a sample with a name of 5000 letters"),
        (["x" * 5000] * 3, "'xxx.* is no number"),
        (np.zeros((10**12, 0), np.float32), "holds one ndarray"),
        ([VALUES[0], VALUES[0, :1]], "rows are no vectors|same shape"),
        ([np.full(50, 0.02)] * 1_000, "it holds one row several times"),
        ([{"pred_score": VALUES[0], "gt_label": np.inf}] * 2, "a gt_label that is no class"),
        ([{"a": 1}] * 3, "is not a test dump of MMAction2 .*, PYSKL .* or CTR-GCN"),
        (list(10 * VALUES), "rows that all sum to 10, such as sums over clips .*: divide them"),
        (list(VALUES * [[1], [2], [3]]), "holds logits, rows that do not sum to 1: apply_softmax"),
    ],
)
def test_what_cannot_be_joined_is_refused(tmp_path, content, said):
    with pytest.raises(BadInput, match=said) as caught:
        read_scores(written(tmp_path, content), beside=OURS)
    assert "trust" not in str(caught.value)
