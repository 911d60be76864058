import dataclasses
import json

import numpy as np
import pytest

from stgcn_lightning.errors import BadInput
from stgcn_lightning.evaluation.scores import Scores, read_scores, write_scores

SCORES = Scores(
    ids=np.array(["b", "a"]),
    labels=np.array([1, 0]),
    scores=np.array([[0.25, 0.75], [0.5, 0.5]], np.float32),
    classes=np.array(["sit down", "stand up"]),
    meta={"benchmark": "toy", "split": "val", "stream": "bone"},
)


def test_scores_come_back_as_they_were_written(tmp_path):
    write_scores(tmp_path / "scores.npz", SCORES)
    read = read_scores(tmp_path / "scores.npz")
    for field in dataclasses.fields(Scores):
        np.testing.assert_array_equal(getattr(read, field.name), getattr(SCORES, field.name))


def test_score_file_holds_what_the_contract_says_and_no_pickle(tmp_path):
    write_scores(tmp_path / "scores.npz", SCORES)
    with np.load(tmp_path / "scores.npz", allow_pickle=False) as file:
        assert set(file) == {"ids", "labels", "scores", "classes", "meta"}
        assert file["labels"].dtype == np.int64
        assert file["scores"].dtype == np.float32
        assert json.loads(str(file["meta"])) == SCORES.meta


def test_a_dump_of_mmaction2_keeps_scores_and_labels_but_no_ids(tmp_path):
    write_scores(tmp_path / "result.pkl", SCORES)
    read = read_scores(tmp_path / "result.pkl")
    assert read.ids is None
    np.testing.assert_array_equal(read.scores, SCORES.scores)
    np.testing.assert_array_equal(read.labels, SCORES.labels)


def test_scores_without_ids_can_only_be_written_as_a_dump(tmp_path):
    nameless = dataclasses.replace(SCORES, ids=None)
    with pytest.raises(BadInput, match=r"scores.npz have no ids: .* FILE.pkl"):
        write_scores(tmp_path / "scores.npz", nameless)
    write_scores(tmp_path / "scores.pkl", nameless)
    assert read_scores(str(tmp_path / "scores.pkl")).hits.tolist() == [True, True]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ids": np.array(["a", "a"])}, "holds sample a more than once"),
        ({"labels": np.array([1])}, "contradicts itself"),
        ({"ids": np.array([1, 2])}, "its ids have another form"),
        ({"ids": np.array([b"b", b"a"])}, "its ids have another form"),
        ({"classes": np.array([0, 1])}, "its classes have another form"),
        ({"classes": np.array(["one"])}, "names 1 classes but scores 2"),
        ({"scores": np.array([[3, -1], [0, 2]], np.float32)}, "holds logits.*apply_softmax=true"),
        ({"scores": np.array([[np.nan, 1], [0, 1]], np.float32)}, "scores sample b with NaN"),
    ],
)
def test_scores_that_contradict_themselves_are_refused(tmp_path, change, message):
    write_scores(tmp_path / "scores.npz", dataclasses.replace(SCORES, **change))
    with pytest.raises(BadInput, match=message):
        read_scores(tmp_path / "scores.npz")


def test_missing_and_foreign_files_are_named(tmp_path):
    with pytest.raises(BadInput, match=r"no score file .*absent.npz"):
        read_scores(tmp_path / "absent.npz")
    (tmp_path / "text.npz").write_text("no numbers here")
    with pytest.raises(BadInput, match=r"text.npz cannot be read as .npz"):
        read_scores(tmp_path / "text.npz")
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    with pytest.raises(BadInput, match=r"other.npz cannot be read as .npz"):
        read_scores(tmp_path / "other.npz")


def test_logits_become_scores_when_asked_and_scores_are_not_softmaxed_twice(tmp_path):
    logits = np.array([[3, -1], [0, 2]], np.float32)
    write_scores(tmp_path / "logits.npz", dataclasses.replace(SCORES, scores=logits))
    read = read_scores(tmp_path / "logits.npz", apply_softmax=True)
    np.testing.assert_allclose(read.scores[:, 0], [1 / (1 + np.exp(-4)), 1 / (1 + np.exp(2))], 1e-6)
    write_scores(tmp_path / "scores.npz", SCORES)
    with pytest.raises(BadInput, match="holds scores, not logits"):
        read_scores(tmp_path / "scores.npz", apply_softmax=True)
