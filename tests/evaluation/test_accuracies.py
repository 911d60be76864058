"""Figures of scores, against torchmetrics and by hand."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stgcn_lightning.evaluation.figures import NAMES, figures_of
from stgcn_lightning.evaluation.metrics import accuracies
from stgcn_lightning.evaluation.scores import Scores


def scores_of(values, labels):
    values = np.array(values, np.float32)
    classes = np.arange(values.shape[1]).astype(str)
    return Scores(None, np.array(labels, np.int64), values, classes)


@given(
    seed=st.integers(0, 2**32 - 1), samples=st.integers(1, 40), classes=st.integers(2, 12),
    sharp=st.floats(0.1, 8),
)  # fmt: skip
def test_against_torchmetrics(seed, samples, classes, sharp):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, samples)
    logits = rng.normal(size=(samples, classes))
    logits[np.arange(samples), labels] += sharp
    one = scores_of(np.exp(logits) / np.exp(logits).sum(1, keepdims=True), labels)
    counted = accuracies(classes)(torch.from_numpy(one.scores), torch.from_numpy(one.labels))
    found = figures_of(one)
    assert list(found) == list(NAMES)
    for name, value in found.items():
        assert value == pytest.approx(float(counted[name]), abs=1e-6)


def test_of_classes_with_equal_scores_the_first_come_first():
    sure = [0.5, 0.5, 0, 0, 0, 0, 0, 0]
    figures = figures_of(scores_of([sure] * 4, [0, 1, 4, 5]))
    assert figures["top1"] == 1 / 4
    assert figures["top5"] == 3 / 4
    assert figures["mean_class_accuracy"] == 1 / 4  # class 0 alone is answered, of four that occur


def test_without_labels_there_is_nothing_to_count():
    assert figures_of(scores_of([[0.9, 0.1]], [-1])) == {}
