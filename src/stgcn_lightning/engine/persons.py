"""The distinct persons of a batch: absent persons are computed once.

Most clips show one person; the second is all zero, and all absent persons are the same tensor. They
are computed as one row that carries its number of copies into every batch norm (`norms.py`).
Nothing else in a network mixes persons, so logits, gradients and running statistics are those of
the padded batch.

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
            persons a last row stands for; for norms on a CPU. The rows are None where they are all.
    """

    group: Tensor
    share: Tensor
    persons: Tensor
    of_person: Tensor
    groups: "list[tuple[Tensor | None, int]]"


def find_present(clips: Tensor) -> Tensor:
    """(N, M) bool on the CPU: which persons of clips (N, M, T, V, C) are other than zero.

    Where the clips lie on a GPU, the CPU waits for them.
    """
    return (clips != 0).flatten(2).any(2).cpu()


def distinct(
    clips: Tensor, norm_group: int | None = None, step: int = 1, present: Tensor | None = None
) -> tuple[Tensor, Rows]:
    """Split a batch into its distinct persons.

    Args:
        clips: (N, M, T, V, C); a person is absent if all zero.
        norm_group: clips that share their statistics, at most; None is the whole batch.
        step: round the number of rows up to a multiple of this, with padding rows: few different
            shapes, for compiled code.
        present: (N, M) bool on the CPU, which persons may be other than zero; see `find_present`.

    Returns:
        Rows (R, T, V, C), present persons first, and their description.
    """
    N, M = clips.shape[:2]
    flat = clips.flatten(0, 1)
    present = (find_present(clips) if present is None else present).flatten()
    # the description is made on the CPU, where its sizes are known without waiting
    groups = 1 if norm_group is None else -(-N // norm_group)
    person_group = (torch.arange(N) * groups // N).repeat_interleave(M)  # N M
    here = present.nonzero()[:, 0]
    absent = torch.bincount(person_group[~present], minlength=groups)  # G
    hollow = absent.nonzero()[:, 0]  # groups with absent persons
    used = len(here) + len(hollow)
    padding = -used % step

    group = torch.cat([person_group[here], hollow, hollow.new_zeros(padding)])
    copies = torch.cat([absent.new_ones(len(here)), absent[hollow], absent.new_zeros(padding)])
    persons = torch.bincount(person_group, minlength=groups).to(clips.dtype)
    share = torch.zeros(groups, used + padding, dtype=clips.dtype)
    share[group, torch.arange(used + padding)] = copies.to(clips.dtype)
    of_person = torch.empty(N * M, dtype=torch.int64)
    of_person[here] = torch.arange(len(here))
    rank = torch.empty(groups, dtype=torch.int64)
    rank[hollow] = torch.arange(len(here), used)
    of_person[~present] = rank[person_group[~present]]

    copied: list[tuple[Tensor | None, int]] = [(None, int(absent[0]))]
    if groups > 1 or padding:
        numbers = torch.arange(used)
        copied = [(numbers[group[:used] == g], n) for g, n in enumerate(absent.tolist())]

    here, group, share, persons, of_person = (
        sent(part, clips.device)
        for part in (here, group, share / persons[:, None], persons, of_person.view(N, M))
    )
    rows = torch.cat([flat[here], flat.new_zeros(len(hollow) + padding, *flat.shape[1:])])
    return rows, Rows(group, share, persons, of_person, copied)


def sent(tensor: Tensor, device: torch.device) -> Tensor:
    """`tensor` on `device`; the CPU does not wait for a copy to a GPU."""
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)
