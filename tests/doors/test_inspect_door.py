"""The inspect door: text, JSON and pages, and what it refuses."""

import json
from xml.etree import ElementTree

import numpy as np
import pytest
import yaml
from small_runs import refused

from stgcn_lightning.evaluation.scores import Scores, write_scores


@pytest.fixture
def scores(tmp_path):
    """A file of scores."""
    values = np.array([[0.9, 0.1], [0.8, 0.2]], np.float32)
    ids = np.array(["first", "second"])
    path = tmp_path / "scores.npz"
    write_scores(path, Scores(ids, np.array([0, 1]), values, np.array(["sit", "fall"])))
    return path


def test_text_begins_with_the_verdict_and_nothing_is_left_behind(door, scores, tmp_path):
    before = sorted(tmp_path.iterdir())
    status, out, err = door("inspect", "source=scores.npz")
    assert (status, err) == (0, "")
    first, second, *_ = out.splitlines()
    assert first == "scores.npz: scores, because it is an .npz with scores and labels"
    assert second == "verdict: ready, but look"
    assert "  top1: 50.00 %" in out
    assert sorted(tmp_path.iterdir()) == before


def test_json_is_all_that_is_on_standard_output(door, scores):
    status, out, _ = door("inspect", "source=scores.npz", "format=json", "out=page.html")
    assert status == 0
    found = json.loads(out)
    assert (found["kind"], found["verdict"]) == ("scores", "ready, but look")
    assert found["facts"]["top1"] == 0.5


def test_a_page_is_written_where_out_says(door, scores, tmp_path):
    status, out, _ = door("inspect", "source=scores.npz", "out=page.html")
    assert status == 0
    assert out.splitlines()[-1] == "page: page.html"
    assert "What will hurt" in (tmp_path / "page.html").read_text()


def test_a_skeleton_is_drawn_as_a_tree_and_as_a_picture(door, tmp_path):
    status, out, _ = door("inspect", "skeleton=coco17", "out=body.svg")
    assert status == 0
    assert "0 nose\n├─ 1 left_eye\n│  └─ 3 left_ear\n" in out
    root = ElementTree.parse(tmp_path / "body.svg").getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert len(root.findall("{http://www.w3.org/2000/svg}circle")) == 17
    assert len(root.findall("{http://www.w3.org/2000/svg}line")) == 16


def test_a_skeleton_of_the_user_s_own_is_drawn_from_its_tree(door, tmp_path):
    own = {
        "name": "worm", "joints": ["<a>", "b", "c"], "edges": [[1, 0], [2, 0]],
        "graph_centre": 0, "bone_parents": [0, 0, 0], "left_right": [[1, 2]], "normalise": None,
    }  # fmt: skip
    (tmp_path / "mine" / "skeleton").mkdir(parents=True)
    (tmp_path / "mine" / "skeleton" / "worm.yaml").write_text(yaml.safe_dump(own))
    status, out, _ = door("inspect", "skeleton=worm", "--config-dir=mine", "out=worm.html")
    assert status == 0
    assert "0 <a>\n├─ 1 b\n└─ 2 c\n" in out
    page = (tmp_path / "worm.html").read_text()
    assert "&lt;a&gt;" in page
    assert "<a>" not in page


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "say what to look at: source=PATH"),
        (("source=nothing.pkl",), "there is no file or folder nothing.pkl"),
        (("source=scores.npz", "out=page.txt"), "out=page.txt must end in .html"),
        (("source=scores.npz", "out=page.svg"), "must end in .html"),
        (("source=scores.npz", "out=no/page.html"), "lies in no folder that there is"),
        (("source=scores.npz", "format=xml"), "format=xml"),
        (("sauce=scores.npz",), "source"),
        (("skeleton=coco71",), "coco17"),
    ],
)
def test_what_cannot_be_looked_at_is_refused(door, scores, arguments, words):
    refused(door("inspect", *arguments), words)
