"""The three accuracies that are usual for action recognition, of scores that are there.

`metrics` counts the same ones batch by batch in a training.
"""

import numpy as np

from stgcn_lightning.evaluation.scores import Scores

NAMES = {"top1": "top-1", "top5": "top-5", "mean_class_accuracy": "mean class accuracy"}


def figures_of(scores: Scores) -> dict[str, float]:
    """`top1`, `top5` and `mean_class_accuracy`, in [0, 1]; nothing of scores without labels.

    `top5` is of all classes if there are fewer than five; of classes with equal scores, the first
    come first. `mean_class_accuracy` is the mean over the classes that occur in labels or answers.
    """
    if not scores.labelled:
        return {}
    labels, classes = scores.labels, len(scores.classes)
    best = np.argsort(-scores.scores, axis=1, kind="stable")[:, :5]  # B, 5
    samples = np.bincount(labels, minlength=classes)
    right = np.bincount(labels[scores.hits], minlength=classes)
    occurring = (samples + np.bincount(scores.answers, minlength=classes)) > 0
    return {
        "top1": float(scores.hits.mean()),
        "top5": float((best == labels[:, None]).any(1).mean()),
        "mean_class_accuracy": float((right / np.maximum(samples, 1))[occurring].mean()),
    }
