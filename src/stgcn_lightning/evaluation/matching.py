"""Which rows of two score files belong to the same sample."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from stgcn_lightning.errors import BadInput
from stgcn_lightning.evaluation.scores import Scores


def matching_rows(first_name: str, first: Scores, name: str, other: Scores) -> NDArray[np.int64]:
    """The row of `other` for each row of `first`: same sample id, or same place without ids.

    Args:
        first_name: how a message calls `first`.
        first: scores of B samples.
        name: how a message calls `other`.
        other: scores of the same samples, in any order.

    Returns:
        (B,) rows of `other`.

    Raises:
        BadInput: the two disagree in samples, labels if both have any, classes, benchmark or split.
    """
    for key in ("benchmark", "split"):
        of_first, of_other = first.meta.get(key), other.meta.get(key)
        if of_first is not None and of_other is not None and of_first != of_other:
            raise BadInput(
                f"{first_name} was tested on {key} {of_first} but {name} on {of_other}: "
                "fuse scores of one benchmark"
            )
    if first.scores.shape[1] != other.scores.shape[1]:
        raise BadInput(
            f"{first_name} has {first.scores.shape[1]} classes but {name} {other.scores.shape[1]}"
        )
    if first.ids is None or other.ids is None:
        if len(first.labels) != len(other.labels):
            raise BadInput(
                f"{first_name} holds {len(first.labels)} samples but {name} {len(other.labels)}, "
                "and without ids they can only be joined by order"
            )
        rows = np.arange(len(first.labels))
        names = [f"number {i}" for i in rows]
    else:
        _refuse_other_classes(first_name, first, name, other)
        _refuse_missing(first_name, first.ids, name, other.ids)
        _refuse_missing(name, other.ids, first_name, first.ids)
        order = np.argsort(other.ids)
        rows = order[np.searchsorted(other.ids, first.ids, sorter=order)]
        names = first.ids
    wrong = np.flatnonzero(first.labels != other.labels[rows])
    if len(wrong) and first.labelled and other.labelled:
        i = wrong[0]
        raise BadInput(
            f"sample {names[i]} has label {first.labels[i]} in {first_name} but "
            f"{other.labels[rows[i]]} in {name} ({len(wrong)} samples disagree)"
        )
    return rows


def labelled_alike(streams: Mapping[str, Scores]) -> dict[str, Scores]:
    """Streams without labels with those of the first stream that has some.

    Raises:
        BadInput: two streams disagree in samples, classes, benchmark or split.
    """
    known = next((name for name, scores in streams.items() if scores.labelled), None)
    if known is None:
        return dict(streams)
    labels = streams[known].labels
    return {
        name: scores
        if scores.labelled
        else replace(scores, labels=labels[matching_rows(name, scores, known, streams[known])])
        for name, scores in streams.items()
    }


def _refuse_other_classes(first_name: str, first: Scores, name: str, other: Scores) -> None:
    """Refuse classes of other names or in another order; a mere number agrees with any names."""
    differing = np.flatnonzero(first.classes != other.classes)
    if len(differing) and not first.unnamed and not other.unnamed:
        i = differing[0]
        raise BadInput(
            f"class {i} is {first.classes[i]} in {first_name} but {other.classes[i]} in {name}: "
            "test both with the same benchmark.classes (classes=mapped goes by their names)"
        )


def _refuse_missing(
    in_name: str, present: NDArray[np.str_], name: str, ids: NDArray[np.str_]
) -> None:
    missing = np.setdiff1d(present, ids)
    if len(missing):
        some = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
        raise BadInput(f"{name} lacks {len(missing)} samples that {in_name} has: {some}")
