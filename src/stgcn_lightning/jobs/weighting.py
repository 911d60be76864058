"""The weights of the classes in the loss of a training: from `recipe.class_weights` and the labels.

`balanced` gives a class the weight samples / (classes x samples of the class), where the classes
are those that have samples: the mean over the samples is 1. (King and Zeng, "Logistic regression in
rare events data", Political Analysis 2001; scikit-learn has the same under this name.)
"""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from stgcn_lightning.errors import BadInput, nearest
from stgcn_lightning.terminal import counted

KEY = "recipe.class_weights"
MOST_NAMED = 8  # classes without samples that a line names


def class_weights(wanted: Any, labels: Tensor, classes: Sequence[str]) -> tuple[float, ...] | None:
    """The weight of each class; None: all count alike.

    Args:
        wanted: the key of that name: null, ``balanced``, numbers, or numbers by names of classes;
            a class that is not named has the weight 1.
        labels: (S,) int64 of the samples trained on.
        classes: their names.

    Raises:
        BadInput: there are other classes, or one that has samples weighs nothing.
    """
    if wanted is None:
        return None
    counts = labels.bincount(minlength=len(classes))
    if wanted == "balanced":
        present = counts > 0
        weights = len(labels) / (int(present.sum()) * counts.clamp(min=1).double())
        return tuple((weights * present).tolist())
    if isinstance(wanted, Mapping):
        named = {str(name): weight for name, weight in wanted.items()}  # {7: 2} has a number
        for name in named:
            if name not in classes:
                raise BadInput(f"{KEY} names no class {name}: {nearest(name, list(classes))}")
        found = tuple(float(named.get(name, 1)) for name in classes)
    else:
        if len(wanted) != len(classes):
            raise BadInput(
                f"{KEY} has {counted(len(wanted), 'number', 'numbers')}, but there are "
                f"{counted(len(classes), 'class', 'classes')}: give one for each, or "
                "{NAME: NUMBER}"
            )
        found = tuple(map(float, wanted))
    for name, weight, count in zip(classes, found, counts.tolist(), strict=True):
        if count and not weight:  # a batch of such samples alone would have no mean
            raise BadInput(
                f"{KEY} gives 0 to {name}, which has samples: give it more, or take them out of "
                "the split"
            )
    return found


def weights_line(weights: Sequence[float], labels: Tensor, classes: Sequence[str]) -> str:
    """The least and the greatest weight with their classes, and which classes have no samples."""
    counts = labels.bincount(minlength=len(classes)).tolist()
    present = [i for i, count in enumerate(counts) if count]
    ends = [min(present, key=lambda i: weights[i]), max(present, key=lambda i: weights[i])]
    least, most = (
        f"{weights[i]:.3g} ({classes[i]}, {counted(counts[i], 'sample', 'samples')})" for i in ends
    )
    absent = [name for name, count in zip(classes, counts, strict=True) if not count]
    line = f"class weights {least} to {most}, in the loss of training alone"
    if absent:
        more = f" and {len(absent) - MOST_NAMED} more" if len(absent) > MOST_NAMED else ""
        line += f"; without samples: {', '.join(absent[:MOST_NAMED])}{more}"
    return line
