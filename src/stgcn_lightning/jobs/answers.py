"""What a tested model answers, handed from the test to its table and its report."""

from typing import TYPE_CHECKING, NamedTuple

from stgcn_lightning.evaluation.scores import Scores
from stgcn_lightning.terminal import console

if TYPE_CHECKING:  # a fusion prints classes without torch
    from torch import Tensor

MOST_SAMPLES = 10  # whose classes are printed
MOST_CLASSES = 3  # of a sample


class Answers(NamedTuple):
    """Scores of a split.

    Attributes:
        scores: of its samples, with their labels.
        numbers: (B,) number in the store of each row of `scores`.
        figures: top1, top5 and mean_class_accuracy, in [0, 1]; empty where there are no labels.
    """

    scores: Scores
    numbers: "Tensor"
    figures: dict[str, float]


def print_classes(scores: Scores) -> None:
    """Print the classes with the highest scores of each sample, a line for each of the first."""
    samples = len(scores.scores)
    for row in range(min(samples, MOST_SAMPLES)):
        name = f"sample {row}" if scores.ids is None else scores.ids[row]
        best = scores.scores[row].argsort()[::-1][:MOST_CLASSES]
        classes = [f"{scores.classes[i]} {100 * scores.scores[row, i]:.1f} %" for i in best]
        console.print(f"{name}: {', '.join(classes)}")
    if samples > MOST_SAMPLES:
        console.print(f"and {samples - MOST_SAMPLES:,} more, which are in the file of the scores")
