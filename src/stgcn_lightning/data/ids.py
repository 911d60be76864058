"""Ids of splits that differ from the samples' ids in an extension, a folder, case or spaces."""

import difflib
import re
from collections.abc import Callable
from dataclasses import replace

from stgcn_lightning.errors import BadInput
from stgcn_lightning.sources.annotations import Annotations

EXTENSION = re.compile(r"\.[A-Za-z][A-Za-z0-9]{0,8}$")  # .mp4, .skeleton; not the end of v1.5
NAMED = 3  # ids that a sentence names


def bare(id: str) -> str:
    """An id without spaces around it, folders and extension, in small letters.

    Example:
        >>> bare(" videos/Squat/vid000.MP4")
        'vid000'
    """
    name = re.split(r"[/\\]", id.strip().rstrip("/\\"))[-1]
    return EXTENSION.sub("", name).casefold()


# what is left out of both ids before they are compared, the least first
COMPARED: dict[str, Callable[[str], str]] = {
    "spaces around them": str.strip,
    "case": lambda id: id.strip().casefold(),
    "extension": lambda id: EXTENSION.sub("", id.strip()),
    "folder": lambda id: re.split(r"[/\\]", id.strip())[-1],
    "extension, folder or case": bare,
}


def find_samples(annotations: Annotations) -> tuple[Annotations, list[str]]:
    """Give every id of a split the sample that it means.

    Args:
        annotations: as a source returns them.

    Returns:
        The annotations, with ids of samples in all splits, and a line for each split of which ids
        were replaced. A split without any sample is left out with a line while another one has
        all of its own: a file of the test samples alone often lists the training samples, too.

    Raises:
        BadInput: an id has no sample, or more than one; the nearest are named.
    """
    known = {sample.id for sample in annotations.samples if type(sample.id) is str}
    splits, lines = dict(annotations.splits), list[str]()
    absent: dict[str, list[str]] = {}
    for name, ids in annotations.splits.items():
        unknown = [id for id in ids if id not in known]
        if ids and not unknown:
            continue
        meant, difference = _meant(unknown, known)
        if not meant and len(unknown) == len(ids):
            absent[name] = splits.pop(name)
            continue
        if len(set(meant.values()) | (set(ids) & known)) < len(ids):
            raise BadInput(_sentence(name, unknown, known))
        splits[name] = [meant.get(id, id) for id in ids]
        lines.append(
            f"{some(unknown)} of the split {name!r} were found by other names, which differ in "
            f"{difference}: {unknown[0]!r} is the sample {meant[unknown[0]]!r}"
        )
    for name, ids in absent.items():
        if not splits and ids:
            raise BadInput(_sentence(name, ids, known))
        which = f"{some(ids)}, none of which is annotated" if ids else "no ids"
        lines.append(f"the split {name!r} lists {which}: it is left out")
    if not splits:  # all are empty, which the checks refuse
        return annotations, []
    return (replace(annotations, splits=splits) if lines else annotations), lines


def some(ids: list[str]) -> str:
    """How many ids these are, and the first few."""
    shown = ", ".join(map(repr, ids[:NAMED])) + (", ..." if len(ids) > NAMED else "")
    return f"{len(ids)} id{'s' * (len(ids) > 1)} ({shown})"


def _meant(unknown: list[str], known: set[str]) -> tuple[dict[str, str], str]:
    """The sample that each unknown id means, and wherein they differ; nothing if one is unclear."""
    for difference, key in COMPARED.items():
        samples: dict[str, str | None] = {}
        for id in known:
            samples[key(id)] = None if key(id) in samples else id  # of two, neither is meant
        meant = {id: sample for id in unknown if (sample := samples.get(key(id))) is not None}
        if len(meant) == len(unknown):
            return meant, difference
    return {}, ""


def _sentence(split: str, unknown: list[str], known: set[str]) -> str:
    alike: dict[str, list[str]] = {}
    for id in sorted(known):
        alike.setdefault(bare(id), []).append(id)
    shown = unknown[:NAMED]
    near = [sample for id in shown for sample in alike.get(bare(id), [])[:NAMED]]
    near = near or difflib.get_close_matches(unknown[0], sorted(known), n=NAMED)
    hint = f"did you mean {' or '.join(map(repr, dict.fromkeys(near)))}? " if near else ""
    return (
        f"split {split!r} lists {some(unknown)} without annotation; {hint}"
        "annotate or remove what is missing"
    )
