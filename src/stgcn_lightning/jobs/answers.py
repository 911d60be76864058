"""What a tested model answers, handed from the test to its table and its report."""

from typing import NamedTuple

from torch import Tensor

from stgcn_lightning.evaluation.scores import Scores


class Answers(NamedTuple):
    """Scores of a split.

    Attributes:
        scores: of its samples, with their labels.
        numbers: (B,) number in the store of each row of `scores`.
        figures: top1, top5 and mean_class_accuracy, in [0, 1].
    """

    scores: Scores
    numbers: Tensor
    figures: dict[str, float]
