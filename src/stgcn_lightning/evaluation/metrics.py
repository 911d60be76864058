"""The three accuracies of the field, counted by torchmetrics."""

from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassAccuracy

NAMES = {"top1": "top-1", "top5": "top-5", "mean_class_accuracy": "mean class accuracy"}


def accuracies(classes: int, prefix: str = "") -> MetricCollection:
    """`top1`, `top5` and `mean_class_accuracy`, fed with (scores or logits, labels).

    Args:
        classes: number of classes; with fewer than five, `top5` looks at them all.
        prefix: put before each name, e.g. ``val/``.

    The mean goes over the classes that occur in labels or predictions.
    """
    return MetricCollection(
        {
            "top1": MulticlassAccuracy(classes, average="micro"),
            "top5": MulticlassAccuracy(classes, average="micro", top_k=min(5, classes)),
            "mean_class_accuracy": MulticlassAccuracy(classes, average="macro"),
        },
        prefix=prefix,
    )
