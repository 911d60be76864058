import json

import numpy as np
import pytest

from stgcn_lightning.evaluation.published import Published
from stgcn_lightning.evaluation.reproduction import rows_of, to_json, to_markdown
from stgcn_lightning.evaluation.scores import Scores


def answers(hits, samples=1000):
    """Scores of two classes that are right on the first `hits` samples."""
    right = np.arange(samples) < hits
    values = np.stack([right, ~right], 1).astype(np.float32)
    ids = np.arange(samples).astype(str)
    return Scores(ids, np.zeros(samples, np.int64), values, np.array(["a", "b"]))


@pytest.mark.parametrize(
    ("top1", "verdict", "difference"),
    [(90.5, "reproduced", -0.5), (85.0, "above", 5.0), (95.0, "below", -5.0)],
)
def test_verdict_says_where_the_published_figure_lies(top1, verdict, difference):
    (row,) = rows_of({"joint": [answers(900)]}, {"joint": [Published(top1, "them", 2)]})
    assert row.verdict == verdict
    assert row.difference == pytest.approx(difference)


def test_seeds_give_their_mean_and_standard_deviation():
    (row,) = rows_of({"joint": [answers(900), answers(880)]}, {"joint": []})
    assert row.seeds == (0.9, 0.88)
    assert row.cells[:2] == ("joint", "89.00 ± 1.41")
    assert row.cells[3:] == ("", "", "")
    assert "published" not in to_markdown("toy", [row], [])


def test_markdown_and_json_hold_the_same_figures():
    published = Published(90.5, "them", 2)
    rows = rows_of({"joint": [answers(900)]}, {"joint": [published]})
    markdown = to_markdown("toy", rows, ["a note"])
    assert "| joint | 90.00 | 88.10 - 91.80 | 90.50 | -0.50 | reproduced |" in markdown
    assert markdown.endswith("- a note\n")
    (row,) = json.loads(to_json(rows, {"benchmark": "toy"}))["rows"]
    assert row["top1"] == 0.9
    assert row["published"] == {"top1": 90.5, "source": "them", "classes": 2}
    assert row["verdict"] == "reproduced"


def test_further_sources_stand_beside_the_one_that_is_compared():
    known = {
        "joint": [Published(90.5, "them", 2), Published(91, "others", 2)],
        "bone": [Published(90.5, "them", 2)],
    }
    rows = rows_of({name: [answers(900)] for name in known}, known)
    markdown = to_markdown("toy", rows, [])
    assert "| published | difference | verdict | others |" in markdown
    assert "| joint | 90.00 | 88.10 - 91.80 | 90.50 | -0.50 | reproduced | 91.00 |" in markdown
    assert "| bone | 90.00 | 88.10 - 91.80 | 90.50 | -0.50 | reproduced |  |" in markdown
    joint, bone = json.loads(to_json(rows, {}))["rows"]
    assert joint["also_published"] == [{"top1": 91, "source": "others", "classes": 2}]
    assert bone["also_published"] == []
