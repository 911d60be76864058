import numpy as np

from stgcn_lightning.evaluation.history import epoch_means, thinned


def test_means_of_epochs_stand_at_their_ends():
    ends, means = epoch_means(np.array([0.5, 1.0, 1.5, 2.0]), np.array([4.0, 2.0, 1.0, 2.0]))
    np.testing.assert_array_equal(ends, [1, 2])
    np.testing.assert_array_equal(means, [3, 1.5])


def test_thinned_points_are_means_of_neighbours_and_few_stay_as_they_are():
    epochs, values = np.arange(5.0), np.array([0.0, 2.0, 4.0, 6.0, 9.0])
    few = thinned(epochs, values, most=3)
    np.testing.assert_array_equal(few, [[0.5, 2.5, 4], [1, 5, 9]])
    np.testing.assert_array_equal(thinned(epochs, values, most=5), [epochs, values])
