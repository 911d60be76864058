"""The classes that a checkpoint knows against those of a benchmark: by their names, not places."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor

from stgcn_lightning.errors import BadInput, nearest

HEAD_PARTS = "classify."  # tensors with one row for each class begin with it


def unnamed(classes: Sequence[str]) -> bool:
    """Whether only the number of classes was stated, so that their names are 0, 1, 2, ..."""
    return list(classes) == [str(i) for i in range(len(classes))]


def agree(theirs: Sequence[str], ours: Sequence[str]) -> bool:
    """Whether classes are the same ones, as far as their names are known."""
    known = not unnamed(theirs) and not unnamed(ours)
    return list(theirs) == list(ours) if known else len(theirs) == len(ours)


def refuse_other_classes(theirs: Sequence[str], ours: Sequence[str], checkpoint: Path) -> None:
    """Refuse classes of other names or in another order; a mere number agrees with any names.

    Args:
        theirs: names of the classes that the checkpoint was trained on.
        ours: names of the benchmark's.
        checkpoint: for sentences.

    Raises:
        BadInput: with the first class that differs.
    """
    remedy = "give the benchmark.classes that it was trained with"
    if set(ours) <= set(theirs) and not unnamed(ours):
        remedy += ", or test it with classes=mapped, which finds them by their names"
    if len(theirs) != len(ours):
        raise BadInput(
            f"{checkpoint} knows {len(theirs)} classes but the benchmark has {len(ours)}: {remedy}"
        )
    if not agree(theirs, ours):
        i = next(i for i in range(len(ours)) if theirs[i] != ours[i])
        raise BadInput(
            f"{checkpoint} calls class {i} {theirs[i]!r} but benchmark.classes {ours[i]!r}: "
            + remedy
        )


def mapped(
    state: Mapping[str, Tensor], theirs: Sequence[str], ours: Sequence[str], checkpoint: Path
) -> dict[str, Tensor]:
    """Weights that answer for the classes `ours`, in their order, found by their names.

    Args:
        state: weights under our names, with a head for the classes `theirs`.
        theirs: names of the classes that the checkpoint was trained on; there may be more of them.
        ours: names of the benchmark's.
        checkpoint: for sentences.

    Raises:
        BadInput: one side has no names, or the checkpoint does not know one of `ours`.
    """
    if unnamed(theirs) or unnamed(ours):
        whose = checkpoint if unnamed(theirs) else "benchmark.classes"
        raise BadInput(f"classes=mapped goes by names, of which {whose} has none: leave it out")
    for name in ours:
        if name not in theirs:
            raise BadInput(
                f"{checkpoint} knows no class {name!r}, to which classes=mapped maps: "
                + nearest(name, theirs)
            )
    rows = [list(theirs).index(name) for name in ours]
    return {
        name: value[rows] if name.startswith(HEAD_PARTS) else value for name, value in state.items()
    }
