"""Which recordings of the user's own are trained on, and which are validated on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stgcn_lightning.data.dividing import divide
from stgcn_lightning.data.holdout import subjects_of
from stgcn_lightning.errors import BadInput
from stgcn_lightning.jobs.own.reading import Labelled
from stgcn_lightning.settings.doors import PrepareSettings
from stgcn_lightning.sources.labels import Entry
from stgcn_lightning.terminal import console

TRAIN = ("train", "training")
VAL = ("val", "valid", "validation", "dev", "test", "testing")  # the first that is there
NAMED = 5  # names in a sentence


@dataclass(frozen=True)
class Splits:
    """How samples are divided.

    Attributes:
        ids: B ids of the samples, with the subject at the end where no pattern finds it.
        of: B names of splits.
        train: name of the split to train on.
        val: name of the one to validate on; None where all are trained on.
        pattern: finds the subject in an id; None where subjects are not known.
    """

    ids: list[str]
    of: list[str]
    train: str
    val: str | None
    pattern: str | None

    @property
    def members(self) -> dict[str, list[str]]:
        """Split -> ids of its samples."""
        found: dict[str, list[str]] = {name: [] for name in (self.train, self.val) if name}
        for name, id in zip(self.of, self.ids, strict=True):
            found.setdefault(name, []).append(id)
        return found


def split_up(found: Sequence[Labelled], settings: PrepareSettings) -> Splits:
    """Divide samples as the user says, or by subjects where these are known, or by a seed.

    No subject is on two sides unless the user allows it, and no recording, however many intervals
    are cut from it, unless the user says so himself.

    Args:
        found: B samples.
        settings: of the door.

    Raises:
        BadInput: they cannot be divided so.
    """
    ids, entries = [one.recording.id for one in found], [one.entry for one in found]
    subjects, pattern = _subjects(ids, entries, settings.subject)
    if subjects is not None and pattern is None:
        ids = [f"{id}:subject={subject}" for id, subject in zip(ids, subjects, strict=True)]
        pattern = ":subject=(.+)$"
    said = [entry.split for entry in entries]
    known = "subject" if subjects is not None and not settings.share_subjects else "seed"
    by = settings.split_by or ("given" if any(said) else known)
    if by == "given":
        splits = Splits(ids, *_given(entries), pattern)
    else:
        groups = _groups(by, found, subjects, share=settings.share_subjects)
        names = [entry.label for entry in entries]
        labels = np.array([sorted(set(names)).index(name) for name in names])
        chosen = divide(labels, groups, settings.val_share, settings.seed)
        if not chosen.any() or chosen.all():
            raise BadInput(
                f"all recordings are of one {'subject' if by == 'subject' else 'file'}, "
                f"{groups[0]}: it cannot be on both sides; "
                + (
                    "share_subjects=true lets it, or say the splits in a table, column split"
                    if by == "subject"
                    else "say the splits in a table, column split"
                )
            )
        of = ["val" if one else "train" for one in chosen]
        splits = Splits(ids, of, "train", "val", pattern)
    if subjects is not None and not settings.share_subjects:
        _refuse_shared(subjects, splits)
    _say(by, splits, subjects)
    return splits


def _subjects(
    ids: Sequence[str], entries: Sequence[Entry], pattern: str | None
) -> tuple[list[str] | None, str | None]:
    """Who performs in each sample, and the pattern that finds them in an id, where one does."""
    if pattern is not None:
        return [*map(str, subjects_of(np.array(ids), pattern, key="subject"))], pattern
    named = [entry.subject for entry in entries]
    if not any(named):
        return None, None
    if None in named:
        raise BadInput(f"{entries[named.index(None)].where} has no subject: fill it in")
    return [str(name) for name in named], None


def _given(entries: Sequence[Entry]) -> tuple[list[str], str, str | None]:
    """The splits that the user names, and which of them is for what."""
    of = [entry.split for entry in entries]
    if None in of:
        raise BadInput(
            f"{entries[of.index(None)].where} has no split: fill it in, or divide with "
            "split_by=subject or split_by=seed"
        )
    names = [*dict.fromkeys(str(name) for name in of)]

    def meant(ends: Sequence[str]) -> str | None:
        fit = (name for end in ends for name in names if name.casefold().endswith(end))
        return next(fit, None)

    train = meant(TRAIN)
    if train is None:
        raise BadInput(
            f"none of the splits {', '.join(names[:NAMED])} is one to train on: call it train"
        )
    return [str(name) for name in of], train, meant(VAL)


def _groups(
    by: str, found: Sequence[Labelled], subjects: Sequence[str] | None, *, share: bool
) -> list[str]:
    """What stays together: the samples of a subject, or of a recording."""
    if by == "subject":
        if subjects is None:
            raise BadInput(
                "split_by=subject needs to know who performs: give the table a column subject, or "
                "the pattern that finds the subject in a path, subject='P(\\d+)'"
            )
        return [*subjects]
    if subjects is not None and not share:
        raise BadInput(
            "split_by=seed may put a subject on both sides: divide with split_by=subject, or allow "
            "it with share_subjects=true"
        )
    return [str(one.path) for one in found]


def _refuse_shared(subjects: Sequence[str], splits: Splits) -> None:
    """Refuse a subject who is on both sides."""
    sides: dict[str, set[str]] = {}
    for subject, split in zip(subjects, splits.of, strict=True):
        sides.setdefault(subject, set()).add(split)
    trained = [name for name, both in sides.items() if splits.train in both and len(both) > 1]
    if trained:
        more = ", ..." if len(trained) > NAMED else ""
        raise BadInput(
            f"the subjects {', '.join(trained[:NAMED])}{more} are in {splits.train} and in another "
            "split, so that figures say nothing of new people: divide with split_by=subject, or "
            "allow it with share_subjects=true"
        )


def _say(by: str, splits: Splits, subjects: Sequence[str] | None) -> None:
    """Say how the samples were divided."""
    if by == "given":
        console.print(f"splits as given; trained on {splits.train}, validated on {splits.val}")
    elif by == "subject":
        sides = zip(subjects or [], splits.of, strict=True)
        val = sorted({subject for subject, split in sides if split == splits.val})
        more = ", ..." if len(val) > NAMED else ""
        console.print(
            f"divided by subjects: {len(val)} of {len(set(subjects or []))} are validated on "
            f"({', '.join(val[:NAMED])}{more})"
        )
    else:
        unknown = (
            "; the same person may be on both sides: subject='PATTERN' finds who performs in a "
            "path" * (subjects is None)
        )
        console.print(f"divided by the seed, class by class{unknown}")
