import numpy as np

from stgcn_lightning.evaluation.scores import Scores
from stgcn_lightning.evaluation.statistics import (
    accuracy_by,
    class_rows,
    confused_rows,
    confusion,
    edge_weights,
    learned_edges,
    quantile_bins,
    typical_pose,
    worst_errors,
)


def test_worst_errors_are_wrong_and_the_most_confident_first():
    scores = Scores(
        None,
        np.array([0, 0, 0, 1]),
        np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.3, 0.7]], np.float32),
        np.array(["a", "b"]),
    )
    assert worst_errors(scores) == [2, 1]
    assert worst_errors(scores, most=1) == [2]
    np.testing.assert_array_equal(confusion(scores), [[1, 2], [0, 1]])


def scores_of(labels, answers, names):
    values = np.eye(len(names), dtype=np.float32)[answers]
    return Scores(None, np.array(labels), values, np.array(names))


def test_rows_of_classes_and_confusions_of_a_case_done_by_hand():
    scores = scores_of([0, 0, 0, 0, 1, 1, 3], [0, 0, 1, 2, 0, 0, 3], ["a", "b", "c", "d"])
    assert class_rows(scores) == [
        ("a", 4, 2, 0.5, "b", 1),
        ("b", 2, 0, 0.0, "a", 2),
        ("d", 1, 1, 1.0, "", 0),
    ]
    assert confused_rows(scores) == [
        ("b", "a", 2, 1.0, 1),
        ("a", "b", 1, 0.25, 2),
        ("a", "c", 1, 0.25, 0),
    ]


def test_accuracy_by_a_value_counts_each_group():
    values, hits = np.array([7, 1, 3, 1]), np.array([True, True, False, False])
    assert accuracy_by(values, hits) == [(1, 1, 1, 2), (3, 3, 0, 1), (7, 7, 1, 1)]
    assert accuracy_by(values, hits, bins=2) == [(1, 1, 1, 2), (3, 7, 1, 2)]


def test_importance_is_the_weight_after_training_divided_by_that_before():
    adjacency = np.zeros((3, 2, 2))
    adjacency[1, 0, 1] = adjacency[2, 1, 0] = 0.5
    edges = learned_edges(np.stack([2 * adjacency, -adjacency]), adjacency, [(1, 0)])
    np.testing.assert_allclose(edges.weights[:, 0], [0.75, 1, 0.5])  # the mean, then each stage
    np.testing.assert_allclose(edges.importance[:, 0], [1.5, 2, 1])


def test_edge_weights_are_the_mean_of_both_directions():
    edges = np.zeros((1, 3, 3, 3))
    edges[0, 1, 0, 1], edges[0, 2, 1, 0] = 0.5, -0.25
    np.testing.assert_allclose(edge_weights(edges, [(1, 0), (2, 1)]), [[0.375, 0]])


def test_quantile_bins_hold_equally_many_and_keep_equals_together():
    np.testing.assert_array_equal(quantile_bins(np.array([4, 1, 3, 2]), 2), [1, 0, 1, 0])
    np.testing.assert_array_equal(quantile_bins(np.array([5, 5, 5, 5, 9]), 2), [0, 0, 0, 0, 1])
    np.testing.assert_array_equal(quantile_bins(np.full(4, 7), 6), 0)


def test_the_typical_pose_is_the_common_one_and_has_all_its_joints():
    standing = np.array([[0, 0], [0, 1], [-0.4, 0.5], [0.4, 0.6]], float)
    folded = np.array([[0, 0], [0, 0.01], [0.01, 0], [0.01, 0.01]])
    unseen = standing.copy()
    unseen[2] = np.nan
    poses = np.stack([folded, unseen, 2 * standing + 7, standing + 0.01, standing * [3, 1]])
    assert typical_pose(poses) in (2, 3)
    assert typical_pose(np.stack([unseen, unseen])) == 0


def test_edges_of_a_random_start_are_compared_with_the_usual_pair_of_joints():
    edges = np.ones((2, 3, 4, 4))
    edges[0, :, 0, 1] = edges[0, :, 1, 0] = 5
    found = learned_edges(edges, np.empty((0, 4, 4)), [(1, 0), (2, 3)])
    usual = 3 * (14 + 10) / 16
    np.testing.assert_allclose(found.importance[1], [15 / usual, 3 / usual])
    np.testing.assert_allclose(found.importance[2], [1, 1])
