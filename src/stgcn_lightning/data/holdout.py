"""Training subjects held out, so that a model can be selected without its test set.

NTU's `val` split is also its test set: the best of 16 epochs by it is an optimistic choice.
"""

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stgcn_lightning.errors import BadInput

DRAWN_WITH = 0  # the seed: a share is the same subjects in every run of a sweep


def subjects_of(
    ids: NDArray[np.str_], pattern: str | None, key: str = "benchmark.subject"
) -> NDArray[np.str_]:
    """The subject of each sample (B,), found in its id by the first group of `pattern`.

    Args:
        ids: (B,) of the samples.
        pattern: regular expression with a group.
        key: what the user set the pattern with.

    Raises:
        BadInput: there is no pattern, it is no regular expression, or an id does not match it.
    """
    if pattern is None:
        raise BadInput(
            "the benchmark does not say who performs in a sample: set benchmark.subject to a "
            "regular expression that finds the subject in a sample's id, e.g. 'P(\\d+)', or "
            "'(.+)' where every sample has its own"
        )
    try:
        found = [re.search(pattern, str(name)) for name in ids]
        subjects = [match.group(1) if match else None for match in found]
    except (re.error, IndexError, TypeError) as error:
        raise BadInput(f"{key}={pattern} is no regular expression with a group: {error}") from error
    for name, subject in zip(ids, subjects, strict=True):
        if subject is None:
            raise BadInput(f"{key}={pattern} finds no subject in the id {name}")
    return np.array(subjects)


def held_out_subjects(
    subjects: NDArray[np.str_], wanted: float | Sequence[int | str]
) -> NDArray[np.str_]:
    """The subjects to hold out, sorted: the ones named, or a share of all, drawn at random.

    Args:
        subjects: (B,) who performs in each training sample.
        wanted: their names (numbers match with and without leading zeros), or a share of all,
            between 0 and 1.

    Raises:
        BadInput: a name is no training subject, no subject would be left, or the share is not
            between 0 and 1.
    """
    everyone = np.unique(subjects)
    if isinstance(wanted, int | float):
        if not 0 < wanted < 1:
            raise BadInput(f"data.holdout_subjects={wanted} is no share between 0 and 1")
        count = max(1, round(wanted * len(everyone)))
        chosen = np.random.default_rng(DRAWN_WITH).permutation(everyone)[:count]
    else:
        names = {_key(name): name for name in everyone}
        for name in wanted:
            if _key(name) not in names:
                raise BadInput(
                    f"data.holdout_subjects: {name} is none of the training subjects "
                    f"{', '.join(everyone)}"
                )
        chosen = np.array([names[_key(name)] for name in wanted])
    chosen = np.unique(chosen)
    if not len(chosen) or len(chosen) == len(everyone):
        raise BadInput(
            f"data.holdout_subjects holds {len(chosen)} of {len(everyone)} training subjects out:"
            " name some, and leave some to train on"
        )
    return chosen


def _key(name: int | str) -> str:
    return str(name).lstrip("0") or "0"
