"""What the splits of annotations are, and what is wrong with them; the checks are the store's."""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from stgcn_lightning.data.overlaps import UNLABELLED, Divided, judge_splits, shared_subjects
from stgcn_lightning.data.plausible import Finding, share
from stgcn_lightning.data.thresholds import SUBJECTS_SHARED
from stgcn_lightning.shipped import benchmark_tables
from stgcn_lightning.sources.annotations import Sample

# how the subject stands in ids: of NTU RGB+D and the embedded data, of MSR Action3D, in words
SUBJECTS = (r"P(\d{3})", r"_s(\d+)_", r"(?i)(?:subject|person|actor)[_-]?(\d+)", r"P(\d+)")
TRAINED = re.compile(r"(?i)(.*?)[_-]?train(?:ing)?$")
VALIDATED = re.compile(r"(?i)(.*?)[_-]?(?:val(?:idation)?|test(?:ing)?)$")
UNBALANCED = 10.0  # samples of the most frequent class over those of the least frequent one
FEW = 5  # samples of a class in a training split, below which hardly anything is learned of it
NAMED = 5  # classes that a finding names


def pairs_of(splits: Mapping[str, object]) -> list[tuple[str, str]]:
    """Splits to train on, each with the one to validate on: `xsub_train` and `xsub_val`.

    Example:
        >>> pairs_of(dict.fromkeys(["xview_val", "xsub_train", "xsub_val", "xview_train"]))
        [('xsub_train', 'xsub_val'), ('xview_train', 'xview_val')]
    """
    found: list[tuple[str, str]] = []
    for one, other in permutations(splits, 2):
        first, second = TRAINED.match(one), VALIDATED.match(other)
        taken = any(pair[0] == one for pair in found)
        if first and second and first[1] == second[1] and not taken:
            found.append((one, other))
    return found


def pattern_of(ids: Sequence[str], given: str | None) -> str | None:
    """The pattern that finds the subject in ids: as given, or a usual one that fits all ids."""
    if given is not None:
        return given
    return next((one for one in SUBJECTS if all(re.search(one, id) for id in ids)), None)


def divided(
    samples: Sequence[Sample], splits: Mapping[str, Sequence[str]], digests: NDArray[np.int64]
) -> Divided:
    """Samples of annotations and their splits; an id that no sample has is left out."""
    position = {sample.id: i for i, sample in enumerate(samples)}
    labels = [UNLABELLED if sample.label is None else int(sample.label) for sample in samples]
    numbers = {
        name: np.array([position[id] for id in ids if id in position], np.int64)
        for name, ids in splits.items()
    }
    ids = np.array([sample.id for sample in samples], np.str_)
    return Divided(ids, np.array(labels, np.int64), numbers, digests)


def judge_pairs(
    samples: Divided, skeleton: str, classes: Sequence[str], subject: str | None
) -> list[Finding]:
    """What may be wrong with the splits: between each two that belong together, and by itself.

    Args:
        samples: of all splits.
        skeleton: its name.
        classes: their names.
        subject: pattern that finds the subject in an id; None where it is not known.
    """
    # of the shipped benchmarks, some divide by cameras on purpose
    protocols = {
        (one.train_split, one.val_split)
        for one in benchmark_tables()
        if one.skeleton == skeleton and not one.usual_splits
    }
    findings: list[Finding] = []
    for train, val in pairs_of(samples.splits):
        if len(samples.splits[train]) and len(samples.splits[val]):
            findings += judge_splits(samples, train, val, classes, subject)
            if subject is not None and (train, val) not in protocols:
                findings += _not_by_subject(samples, train, val, subject)
    training = {train for train, _ in pairs_of(samples.splits)}
    for name, numbers in samples.splits.items():
        labels = samples.labels[numbers]
        counts = np.bincount(labels[labels >= 0], minlength=len(classes))
        findings += _alone(name, counts, classes)
        if name in training or len(samples.splits) == 1:
            findings += _unbalanced(name, counts, classes)
    if not samples.splits:
        findings.append(
            Finding(
                "there are no splits: all samples are trained on, and none is left to validate on",
                "",
                "list ids in split: {'train': [...], 'val': [...]}, of different subjects",
            )
        )
    if len(samples.splits) == 1:
        findings.append(
            Finding(
                f"there is one split, {next(iter(samples.splits))!r}, and none to validate on",
                "",
                "list samples of other subjects in a second one",
            )
        )
    return findings


def _not_by_subject(samples: Divided, train: str, val: str, subject: str) -> Iterator[Finding]:
    """So many subjects in both splits that these do not divide by subjects."""
    first, second = samples.splits[train], samples.splits[val]
    second = second[~np.isin(second, first)]
    shared, some = shared_subjects(samples, first, second, subject)
    if shared.sum() > SUBJECTS_SHARED * len(shared):
        yield Finding(
            f"{share(int(shared.sum()), len(shared))} of the split {val!r} are of subjects of "
            f"{train!r} ({', '.join(some)})",
            "",
            "divide by subjects: these figures say nothing of people who were not recorded, unless "
            "the model is used for the same people",
        )


def _alone(name: str, counts: NDArray[np.int64], classes: Sequence[str]) -> Iterator[Finding]:
    if len(classes) > 1 and (counts > 0).sum() == 1:
        yield Finding(
            f"the split {name!r} has samples of one class alone, {classes[int(counts.argmax())]!r}",
            "",
            "give samples of the others: whoever always answers that class is right",
        )


def _unbalanced(name: str, counts: NDArray[np.int64], classes: Sequence[str]) -> Iterator[Finding]:
    there = np.flatnonzero(counts)
    if len(there) < 2:
        return
    few = there[counts[there] < FEW]
    if len(few) and counts.max() >= FEW:
        some = ", ".join(repr(classes[i]) for i in few[:NAMED]) + ", ..." * (len(few) > NAMED)
        yield Finding(
            f"{len(few)} of {len(classes)} classes have fewer than {FEW} samples in the split "
            f"{name!r} ({some})",
            "",
            "hardly anything is learned of them; give more samples",
        )
    most, least = there[counts[there].argmax()], there[counts[there].argmin()]
    if counts[most] > UNBALANCED * counts[least]:
        yield Finding(
            f"the split {name!r} has {counts[most]:,} samples of {classes[most]!r} and "
            f"{counts[least]:,} of {classes[least]!r}",
            "",
            "look at the mean class accuracy; recipe.class_weights=balanced weighs rare classes "
            "more (docs/training.md)",
        )
