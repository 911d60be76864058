"""Class weights: balanced by hand, lists, names, and what is said."""

import pytest
import torch

from stgcn_lightning.errors import BadInput
from stgcn_lightning.jobs.weighting import class_weights, weights_line

CLASSES = ["sit", "stand", "wave", "fall"]
LABELS = torch.tensor([0, 0, 0, 0, 0, 0, 1, 3])  # nobody waves


def test_balanced_weights_are_in_inverse_proportion_and_their_mean_over_samples_is_one():
    weights = class_weights("balanced", LABELS, CLASSES)
    assert weights == pytest.approx((8 / (3 * 6), 8 / 3, 0, 8 / 3))
    assert torch.tensor(weights)[LABELS].mean() == pytest.approx(1)
    assert weights_line(weights, LABELS, CLASSES) == (
        "class weights 0.444 (sit, 6 samples) to 2.67 (stand, 1 sample), in the loss of training "
        "alone; without samples: wave"
    )


def test_weights_are_given_as_a_list_or_by_name():
    assert class_weights(None, LABELS, CLASSES) is None
    assert class_weights((1, 2, 0, 0.5), LABELS, CLASSES) == (1, 2, 0, 0.5)
    assert class_weights({"fall": 4}, LABELS, CLASSES) == (1, 1, 1, 4)
    assert class_weights({2: 5}, torch.tensor([0, 1]), ["1", "2"]) == (1, 5)


@pytest.mark.parametrize(
    ("wanted", "sentence"),
    [
        ((1, 2), r"has 2 numbers, but there are 4 classes: give one for each, or \{NAME: NUMBER\}"),
        ({"fal": 2}, "names no class fal: did you mean fall"),
        ((1, 0, 1, 1), "gives 0 to stand, which has samples: give it more, or take them out"),
    ],
)
def test_other_weights_are_refused(wanted, sentence):
    with pytest.raises(BadInput, match=sentence):
        class_weights(wanted, LABELS, CLASSES)


def test_no_absent_class_is_named_where_none_is_absent():
    weights = class_weights("balanced", torch.arange(4), CLASSES)
    assert weights == (1, 1, 1, 1)
    assert "without samples" not in weights_line(weights, torch.arange(4), CLASSES)
