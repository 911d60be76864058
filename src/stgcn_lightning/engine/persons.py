"""The distinct persons of a batch: absent persons are computed once.

Most clips show one person; the second is all zero, and all absent persons are the same tensor. They
are computed as one row that carries its number of copies into every batch norm (`norms.py`).
Nothing else in a network mixes persons, so logits, gradients and running statistics are those of
the padded batch. A family whose first norm tells the places of a clip apart (AGCN, CTR-GCN, MS-G3D)
makes a different person of everybody who is absent from another place: there is a row for each.

Axes: N clips, M persons, R rows (distinct persons), G norm groups of clips.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class Rows(NamedTuple):
    """The distinct persons of a batch, and where they stand in it.

    Attributes:
        group: (R,) int64, norm group of each row.
        share: (G, R) float, the part of a group's persons that a row stands for; rows sum to 1.
        persons: (G,) float, persons of each group, absent ones included.
        of_person: (N, M) int64, row of each person.
        groups: of each group, which rows are of it, those of present persons first, and how many
            persons each of the last rows stands for; for norms on a CPU. The rows are None where
            they are all.
    """

    group: Tensor
    share: Tensor
    persons: Tensor
    of_person: Tensor
    groups: "list[tuple[Tensor | None, tuple[int, ...]]]"


def find_present(clips: Tensor) -> Tensor:
    """(N, M) bool on the CPU: which persons of clips (N, M, T, V, C) are other than zero.

    Where the clips lie on a GPU, the CPU waits for them.
    """
    return (clips != 0).flatten(2).any(2).cpu()


def distinct(
    clips: Tensor,
    norm_group: int | None = None,
    step: int = 1,
    present: Tensor | None = None,
    *,
    placed: Tensor | None = None,
) -> tuple[Tensor, Rows]:
    """Split a batch into its distinct persons.

    Args:
        clips: (N, M, T, V, C); a person is absent if all zero.
        norm_group: clips that share their statistics, at most; None is the whole batch.
        step: round the number of rows up to a multiple of this, with padding rows: few different
            shapes, for compiled code.
        present: (N, M) bool on the CPU, which persons may be other than zero; see `find_present`.
        placed: (N, M, T, V, C), the clips after a norm that tells the places of persons apart, from
            which the rows are taken; None: they are taken from the clips.

    Returns:
        Rows (R, T, V, C), present persons first, and their description.
    """
    N, M = clips.shape[:2]
    flat = (clips if placed is None else placed).flatten(0, 1)
    present = (find_present(clips) if present is None else present).flatten()
    # the description is made on the CPU, where its sizes are known without waiting
    person_group = norm_groups(N, norm_group).repeat_interleave(M)  # N M
    groups = int(person_group[-1]) + 1
    here = present.nonzero()[:, 0]
    # absent persons of a kind, which one row stands for, are those of a group, or of its places
    kinds = 1 if placed is None else M
    kind = person_group * kinds + torch.arange(N * M) % kinds
    copied = torch.bincount(kind[~present], minlength=groups * kinds)  # of each kind
    hollow = copied.nonzero()[:, 0]  # kinds that there are
    used = len(here) + len(hollow)
    padding = -used % step

    group = torch.cat([person_group[here], hollow // kinds, hollow.new_zeros(padding)])
    copies = torch.cat([copied.new_ones(len(here)), copied[hollow], copied.new_zeros(padding)])
    persons = torch.bincount(person_group, minlength=groups).to(clips.dtype)
    share = torch.zeros(groups, used + padding, dtype=clips.dtype)
    share[group, torch.arange(used + padding)] = copies.to(clips.dtype)
    of_person = torch.empty(N * M, dtype=torch.int64)
    of_person[here] = torch.arange(len(here))
    rank = torch.empty(groups * kinds, dtype=torch.int64)
    rank[hollow] = torch.arange(len(here), used)
    of_person[~present] = rank[kind[~present]]

    by_group = copied.view(groups, kinds).tolist()
    counts = [tuple(number for number in one if number) for one in by_group]
    members: list[Tensor | None] = [None]
    if groups > 1 or padding:
        numbers = torch.arange(used)
        members = [numbers[group[:used] == g] for g in range(groups)]

    if placed is None:
        some = flat.new_zeros(len(hollow) + padding, *flat.shape[1:])
    else:
        of_kind = torch.empty(groups * kinds, dtype=torch.int64)
        of_kind[kind[~present]] = (~present).nonzero()[:, 0]  # anybody of the kind
        some = flat[sent(of_kind[hollow], clips.device)]
        some = torch.cat([some, flat.new_zeros(padding, *flat.shape[1:])])
    here, group, share, persons, of_person = (
        sent(part, clips.device)
        for part in (here, group, share / persons[:, None], persons, of_person.view(N, M))
    )
    rows = torch.cat([flat[here], some])
    return rows, Rows(group, share, persons, of_person, list(zip(members, counts, strict=True)))


def every(clips: Tensor, norm_group: int | None = None) -> Rows | None:
    """What rows are that are the clips of a batch, each once; None: rows need no description.

    Args:
        clips: (N, ...), of which the number counts.
        norm_group: clips that share their statistics, at most; None is the whole batch.
    """
    if norm_group is None or len(clips) <= norm_group:
        return None
    present = torch.ones(len(clips), 1, dtype=torch.bool)
    return distinct(clips.new_ones(len(clips), 1, 1, 1, 1), norm_group, present=present)[1]


def norm_groups(clips: int, most: int | None) -> Tensor:
    """(clips,) int64: in which group of at most so many clips each one is."""
    groups = 1 if most is None else -(-clips // most)
    return torch.arange(clips) * groups // clips


def sent(tensor: Tensor, device: torch.device) -> Tensor:
    """`tensor` on `device`; the CPU does not wait for a copy to a GPU."""
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)
