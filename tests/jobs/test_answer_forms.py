import csv
import io
import json

import numpy as np
import pytest

from stgcn_lightning.errors import BadInput
from stgcn_lightning.jobs.prediction.forms import Best, form_named
from stgcn_lightning.jobs.prediction.incoming import Fault
from stgcn_lightning.jobs.prediction.pieces import Answered, Asked, pieces_of
from stgcn_lightning.sources.annotations import Sample

CLASSES = ["sit, down", "手を振る", "fall\x1b[31m"]


def answered(id="walk", frames=6, window=None, fps=30.0, label=None, persons=1, alone=False):
    keypoint = np.ones((persons, frames, 5, 2), np.float32)
    asked = Asked(Sample(id, None, keypoint, None, (4, 4)), label=label, fps=fps)
    pieces = pieces_of(asked, window=window, stride=window, per_person=alone)
    scores = np.array([[0.25, 0.625, 0.125]], np.float32).repeat(len(pieces), 0)
    return Answered(asked, pieces, scores)


def written(name, *recordings, top=2):
    form = form_named(name, Best(CLASSES, top), {"checkpoint": "best.ckpt"})
    parts = [form.head()]
    for one in recordings:
        parts.append(form.fault(one) if isinstance(one, Fault) else form.answered(one))
    return "".join([*parts, form.tail()])


def test_a_table_names_the_best_classes_of_each_recording():
    assert written("table", answered(label="fall")) == (
        "walk: 手を振る 62.5 %, sit, down 25.0 %, labelled fall\n"
    )
    assert written("table", answered(window=3, fps=None), top=1) == (
        "walk\n  frames     0 -     2  手を振る 62.5 %\n  frames     3 -     5  手を振る 62.5 %\n"
    )
    assert "person 2     0.00 -    0.20 s" in written("table", answered(persons=2, alone=True))


def test_a_table_holds_nothing_that_a_terminal_obeys():
    assert "\x1b" not in written("table", answered(id="a\x1b[2J"), top=3)


def test_json_is_one_document_in_ascii_whatever_comes():
    text = written("json", answered("a"), Fault("b.npz", "b is broken"), answered("c"))
    assert text.isascii()  # any terminal can be sent it
    content = json.loads(text)
    assert content["checkpoint"] == "best.ckpt"
    assert content["calibrated"] is False
    assert content["classes"] == CLASSES
    assert [one["recording"] for one in content["recordings"]] == ["a", "c"]
    assert content["faults"] == [{"recording": "b.npz", "error": "b is broken"}]
    assert content["recordings"][0]["answers"][0]["top"] == [
        {"class": "手を振る", "index": 1, "score": 0.625},
        {"class": "sit, down", "index": 0, "score": 0.25},
    ]
    assert json.loads(written("json"))["recordings"] == []


def test_json_lines_are_a_document_each():
    lines = written("jsonl", answered("a"), Fault("b.npz", "b is broken")).splitlines()
    assert [json.loads(line)["recording"] for line in lines] == ["a", "b.npz"]
    assert json.loads(lines[1])["error"] == "b is broken"


def test_csv_has_a_row_for_each_class_and_quotes_names():
    rows = list(csv.DictReader(io.StringIO(written("csv", answered(window=3)))))
    assert [(row["start"], row["rank"], row["class"]) for row in rows] == [
        ("0", "1", "手を振る"), ("0", "2", "sit, down"),
        ("3", "1", "手を振る"), ("3", "2", "sit, down"),
    ]  # fmt: skip
    assert rows[2]["start_seconds"] == "0.1"
    assert written("csv", Fault("b", "broken")).count("\n") == 1


def test_scores_are_written_to_seven_digits_and_ties_keep_the_order_of_classes():
    best = Best(["a", "b", "c"], 3)(np.array([1e-9, 0.33333334, 0.33333334], np.float32))
    assert [(i, score) for i, _, score in best] == [(1, 0.3333333), (2, 0.3333333), (0, 1e-09)]


def test_another_form_is_refused():
    with pytest.raises(BadInput, match="format=xml is none of json, table, jsonl, csv"):
        form_named("xml", Best([], 1), {})
