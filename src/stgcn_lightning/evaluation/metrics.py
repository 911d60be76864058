"""The accuracies of `figures`, counted by torchmetrics while a training runs."""

from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassAccuracy


def accuracies(classes: int, prefix: str = "") -> MetricCollection:
    """`top1`, `top5` and `mean_class_accuracy`, in [0, 1].

    They are updated with scores or logits (B, classes) and labels (B,). `mean_class_accuracy` is
    the mean over the classes that occur in labels or predictions.

    Args:
        classes: number of classes; if there are fewer than five, `top5` is of all of them.
        prefix: put before each name, e.g. ``val/``.
    """
    return MetricCollection(
        {
            "top1": MulticlassAccuracy(classes, average="micro"),
            "top5": MulticlassAccuracy(classes, average="micro", top_k=min(5, classes)),
            "mean_class_accuracy": MulticlassAccuracy(classes, average="macro"),
        },
        prefix=prefix,
    )
