"""Whether what a model is validated on is also what it is trained on, and has the same classes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stgcn_lightning.data.holdout import subjects_of
from stgcn_lightning.data.plausible import Finding, share
from stgcn_lightning.data.thresholds import SUBJECTS_SHARED
from stgcn_lightning.errors import BadInput

NAMED = 5  # classes that a finding names
UNLABELLED = -1  # label of a sample that has none
Numbers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Divided:
    """Samples and their splits, without their frames.

    Attributes:
        ids: (samples,) str.
        labels: (samples,) int64.
        splits: name -> sample numbers, int64.
        digests: (samples,) int64, alike where the key points are, 0 where there are none; None
            where they are not known.
    """

    ids: NDArray[np.str_]
    labels: Numbers
    splits: Mapping[str, Numbers]
    digests: Numbers | None


def judge_splits(
    samples: Divided, train: str, val: str, classes: Sequence[str], subject: str | None
) -> list[Finding]:
    """What may be wrong with the two splits of a benchmark.

    Other splits of the same annotations belong to other protocols, which may overlap with these.

    Args:
        samples: of all splits.
        train: name of a split that there is.
        val: name of another.
        classes: their names.
        subject: pattern that finds the subject in an id; None where it is not known.
    """
    findings: list[Finding] = []
    first, second = samples.splits[train], samples.splits[val]
    same = second[np.isin(second, first)]
    if len(same):
        findings.append(
            Finding(
                f"{share(len(same), len(second))} of the split {val!r} are in {train!r} as well",
                _named(samples, same),
                "what a model has learned by heart says nothing of new samples; list each id in "
                "one of the two",
            )
        )
    second = second[~np.isin(second, first)]
    if samples.digests is not None and len(second):
        findings += _same_key_points(samples, train, val, first, second)
    if subject is not None and not len(same):
        findings += _same_subjects(samples, train, val, first, second, subject)
    return findings + _classes(samples, train, val, classes)


def _named(samples: Divided, numbers: Numbers) -> str:
    return repr(str(samples.ids[int(numbers[0])]))


def _same_key_points(
    samples: Divided, train: str, val: str, first: Numbers, second: Numbers
) -> list[Finding]:
    assert samples.digests is not None
    of_first, of_second = samples.digests[first], samples.digests[second]
    copied = np.isin(of_second, of_first) & (of_second != 0)
    if not copied.any():
        return []
    copy = second[copied][:1]
    original = first[of_first == samples.digests[copy]]
    return [
        Finding(
            f"{share(int(copied.sum()), len(second))} of the split {val!r} have the same key "
            f"points as samples of {train!r}",
            f"{_named(samples, copy)} and {_named(samples, original)}",
            "keep each recording in one of the two splits",
        )
    ]


def _same_subjects(
    samples: Divided, train: str, val: str, first: Numbers, second: Numbers, subject: str
) -> list[Finding]:
    """A few subjects in both splits of a protocol that divides by subjects; see SUBJECTS_SHARED."""
    shared, some = shared_subjects(samples, first, second, subject)
    if not 0 < shared.sum() <= SUBJECTS_SHARED * len(shared):
        return []
    names = ", ".join(some)
    return [
        Finding(
            f"{share(int(shared.sum()), len(shared))} of the split {val!r} are of subjects of "
            f"{train!r} ({names})",
            _named(samples, second[shared]),
            "keep each subject in one of the two splits, if they divide by subjects",
        )
    ]


def shared_subjects(
    samples: Divided, first: Numbers, second: Numbers, subject: str
) -> tuple[NDArray[np.bool_], list[str]]:
    """Which samples of a second split are of subjects of a first one, and some of these subjects.

    Args:
        samples: of all splits.
        first: numbers of some.
        second: (B,) numbers of others.
        subject: pattern that finds the subject in an id.

    Returns:
        (B,), none where the pattern is of other ids than these, which matters to holding out alone.
    """
    try:
        known, asked = (subjects_of(samples.ids[part], subject) for part in (first, second))
    except BadInput:
        return np.zeros(len(second), np.bool_), []
    shared = np.isin(asked, known)
    return shared, [str(one) for one in np.unique(asked[shared])[:NAMED]]


def _labelled(samples: Divided, split: str, classes: int) -> NDArray[np.int64]:
    """Samples of each class (classes,) in a split; those without a label are not counted."""
    labels = samples.labels[samples.splits[split]]
    return np.bincount(labels[labels >= 0], minlength=classes)


def _classes(samples: Divided, train: str, val: str, classes: Sequence[str]) -> list[Finding]:
    """Classes that are never seen, or never asked for."""
    counts = {split: _labelled(samples, split, len(classes)) for split in (train, val)}
    if not all(count.any() for count in counts.values()):  # of samples without labels
        return []
    findings: list[Finding] = []
    untrained, unasked = counts[train] == 0, (counts[val] == 0) & (counts[train] > 0)
    if untrained.any():
        lost = int(counts[val][untrained].sum())
        begin = untrained.sum() == 1 and untrained[0] and not lost
        also = f", though {val!r} has {lost:,}" if lost else ""
        findings.append(
            Finding(
                f"{_some(classes, untrained)} have no sample in the split {train!r}{also}",
                "",
                "a model cannot learn them; give samples, or leave them out of benchmark.classes"
                + ", or let labels count from 0, if they count from 1" * bool(begin),
            )
        )
    if unasked.any():
        findings.append(
            Finding(
                f"{_some(classes, unasked)} have no sample in the split {val!r}",
                "",
                "its figures say nothing of them; give samples",
            )
        )
    return findings


def _some(classes: Sequence[str], which: np.ndarray) -> str:
    """How many these are, and the first few."""
    names = [repr(name) for name, one in zip(classes, which, strict=True) if one]
    shown = ", ".join(names[:NAMED]) + (", ..." if len(names) > NAMED else "")
    return f"{len(names)} of {len(classes)} classes ({shown})"
