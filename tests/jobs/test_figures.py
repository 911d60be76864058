"""metrics.json: what a test answered, for programs."""

import json

import numpy as np
import pytest

from stgcn_lightning.errors import BadInput
from stgcn_lightning.evaluation.figures import figures_of
from stgcn_lightning.evaluation.published import Published
from stgcn_lightning.evaluation.scores import Scores
from stgcn_lightning.jobs.figures import figures_path, scores_path, write_figures

CLASSES = np.array(["sit", "stand", "fall"])
KNOWN = [Published(91.69, "MMAction2", 60), Published(91.2, "PYSKL", 60)]
VALUES = np.array([[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.1, 0.8, 0.1]], np.float32)


def scores(*labels, **meta):
    return Scores(np.array(["a", "b", "c"]), np.array(labels), VALUES, CLASSES, meta)


def test_the_figures_lie_beside_the_scores_with_what_they_are_of(tmp_path):
    one = scores(0, 1, 1, benchmark="mine", split="val", stream="bone", test_clips=10, version="1")
    write_figures(tmp_path / "scores.npz", one, figures_of(one), KNOWN)
    found = json.loads((tmp_path / "metrics.json").read_text())
    assert found == {
        "form": 1, "samples": 3, "classes": 3, "top1": pytest.approx(2 / 3), "top5": 1.0,
        "mean_class_accuracy": 0.75,
        "published": {"top1": pytest.approx(0.9169), "by": "MMAction2"},
        "also_published": [{"top1": pytest.approx(0.912), "by": "PYSKL"}],
        "benchmark": "mine", "split": "val", "held_out": None, "stream": "bone", "weights": None,
        "test_clips": 10, "checkpoint_sha256": None, "version": "1", "partial": None,
        "per_class": [
            {"class": "sit", "samples": 1, "top1": 1.0},
            {"class": "stand", "samples": 2, "top1": 0.5},
            {"class": "fall", "samples": 0, "top1": None},
        ],
    }  # fmt: skip


def test_without_labels_there_are_no_figures(tmp_path):
    one = scores(-1, -1, -1)
    write_figures(tmp_path / "bone.npz", one, figures_of(one))
    found = json.loads((tmp_path / "bone_metrics.json").read_text())
    assert found["samples"] == 3
    assert found["top1"] is found["top5"] is found["mean_class_accuracy"] is None
    assert found["per_class"][0] == {"class": "sit", "samples": None, "top1": None}


@pytest.mark.parametrize("text", ['{"loss": 1}', "[1]", "not JSON", "3"])
def test_a_file_of_another_kind_is_not_overwritten(tmp_path, text):
    (tmp_path / "metrics.json").write_text(text)
    with pytest.raises(BadInput, match=r"metrics\.json exists and holds something else"):
        scores_path(None, tmp_path)
    (tmp_path / "metrics.json").write_text('{"top1": null}')
    assert figures_path(tmp_path / "scores.npz") == tmp_path / "metrics.json"
