import numpy as np

from stgcn_lightning.evaluation.intervals import compare, top1_interval, wilson
from stgcn_lightning.evaluation.scores import Scores


def scores_of(values, labels=(0, 1), ids=("a", "b"), **meta):
    values = np.array(values, np.float32)
    classes = np.array([str(i) for i in range(values.shape[1])])
    return Scores(None if ids is None else np.array(ids), np.array(labels), values, classes, meta)


def test_bootstrap_interval_has_the_width_of_a_binomial():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 400)
    predicted = np.where(rng.random(400) < 0.8, labels, 1 - labels)
    scores = scores_of(np.eye(2)[predicted], labels, [str(i) for i in range(400)])
    top1, low, high = top1_interval(scores, draws=20_000)
    deviation = np.sqrt(top1 * (1 - top1) / 400)
    assert top1 == np.mean(predicted == labels)
    np.testing.assert_allclose(
        [low, high], [top1 - 1.96 * deviation, top1 + 1.96 * deviation], atol=5e-3
    )


def test_interval_over_two_seeds_is_that_of_each_samples_mean():
    labels = np.zeros(100, int)
    right, wrong = [1.0, 0.0], [0.0, 1.0]
    ids = [str(i) for i in range(100)]
    first = scores_of([right] * 100, labels, ids)
    second = scores_of([right] * 50 + [wrong] * 50, labels, ids)
    top1, low, high = top1_interval(first, second)
    assert top1 == 0.75
    # half the samples count 1, half 0.5: a standard deviation of 0.25 / sqrt(100)
    np.testing.assert_allclose([low, high], [0.75 - 0.049, 0.75 + 0.049], atol=5e-3)


def test_comparison_counts_what_only_one_got_right_and_tosses_a_fair_coin():
    labels = np.zeros(10, int)
    right, wrong = [1.0, 0.0], [0.0, 1.0]
    ids = [str(i) for i in range(10)]
    first = scores_of([right] * 9 + [wrong], labels, ids)
    second = scores_of([right] * 3 + [wrong] * 6 + [right], labels, ids)
    only_first, only_second, p = compare(first, second)
    assert (only_first, only_second) == (6, 1)
    np.testing.assert_allclose(p, 2 * (1 + 7) / 2**7)
    assert compare(first, first) == (0, 0, 1.0)


def test_the_interval_of_wilson_is_the_one_in_textbooks():
    np.testing.assert_allclose(wilson(8, 10), (0.4902, 0.9433), atol=1e-4)
    low, high = wilson(5, 5)
    assert 0.5 < low < 0.6
    assert high == 1
