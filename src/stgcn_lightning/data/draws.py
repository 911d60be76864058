"""Which clips an epoch makes, in which order, on which rank.

A *draw* is one integer that says which clip to make: (epoch, pass, sample), packed. The order of
an epoch's draws is a function of seed and epoch, so a run that is resumed goes on anywhere in it.
"""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.utils.data import Sampler

from stgcn_lightning.data.sampling import balanced_passes
from stgcn_lightning.errors import BadInput

MOST_PASSES = 2**16  # that a draw has room for


class Draws(Sampler[list[int]]):
    """Batches of draws of one rank, in the order of (seed, epoch).

    Rank r takes the r-th part of every global batch, so that all ranks together train on what one
    process with a larger batch would. In evaluation all ranks make equally many batches, the last
    of which may be empty, so that every rank takes part in every collective operation.

    Args:
        samples: number of samples in the split.
        batch_size: per rank.
        passes: how often an epoch goes through the split; the passes are shuffled together.
        seed: of the order; None keeps the order of the split and gives every sample exactly once.
        rank, ranks: which part of the draws this rank takes. Training repeats a few draws so that
            all ranks get equally many; evaluation never does.
        begin: epoch and batch that a resumed run goes on with.
    """

    def __init__(
        self,
        samples: int,
        batch_size: int,
        *,
        passes: int = 1,
        seed: int | None = None,
        rank: int = 0,
        ranks: int = 1,
        begin: tuple[int, int] = (0, 0),
    ):
        self.samples, self.batch_size, self.passes, self.seed = samples, batch_size, passes, seed
        self.rank, self.ranks = rank, ranks
        self.begin = begin
        self.epoch = begin[0]  # Lightning sets the epoch only after loader processes have started

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-self._total() // (self.batch_size * self.ranks))

    def __iter__(self) -> Iterator[list[int]]:
        generator = torch.Generator().manual_seed((self.seed or 0) * 1_000_003 + self.epoch)
        draws = self._draws(generator)
        if self.seed is not None:
            draws = draws[torch.randperm(len(draws), generator=generator)]
            draws = draws[torch.arange(self._total()) % len(draws)]
        together = self.batch_size * self.ranks
        done = self.begin[1] if self.epoch == self.begin[0] else 0
        for start in range(done * together, len(draws), together):
            whole: list[int] = draws[start : start + together].numpy().tolist()
            size = -(-len(whole) // self.ranks)
            yield whole[self.rank * size : (self.rank + 1) * size]

    def _draws(self, generator: torch.Generator) -> Tensor:
        """The draws of the epoch, in any order: every sample in every pass."""
        order = torch.arange(self.samples * self.passes)
        return pack(self.epoch, order // self.samples, order % self.samples)

    def _total(self) -> int:
        """Draws of all ranks, those repeated included."""
        total = self.samples * self.passes
        return total if self.seed is None else -(-total // self.ranks) * self.ranks


class BalancedDraws(Draws):
    """As many draws as `Draws` has, every class equally often: rare samples in more passes.

    The classes that get a draw more where they do not divide evenly, and the samples of a class
    likewise, differ from epoch to epoch.

    Args:
        labels: (samples,) int64 classes of the split's samples.
        batch_size: per rank.
        passes: how often an epoch would go through the split.
        seed: of the order, and of who gets a draw more.
        rank, ranks: which part of the draws this rank takes.
        begin: epoch and batch that a resumed run goes on with.

    Raises:
        BadInput: a class has so few samples that one would be drawn more than 65,535 times.
    """

    def __init__(
        self,
        labels: Tensor,
        batch_size: int,
        *,
        passes: int,
        seed: int,
        rank: int = 0,
        ranks: int = 1,
        begin: tuple[int, int] = (0, 0),
    ):
        super().__init__(
            len(labels), batch_size, passes=passes, seed=seed, rank=rank, ranks=ranks, begin=begin
        )
        self.labels = labels
        counts = labels.bincount()
        rarest = int(counts[counts > 0].min())
        if len(labels) * passes / int((counts > 0).sum()) / rarest >= MOST_PASSES - 1:
            raise BadInput(
                f"recipe.sampling=balanced would draw each of the {rarest} samples of the rarest "
                f"class more than {MOST_PASSES - 1} times an epoch: add samples of that class, or "
                "lower recipe.train_passes_per_epoch"
            )

    def _draws(self, generator: torch.Generator) -> Tensor:
        train_pass, sample = balanced_passes(self.labels, self.samples * self.passes, generator)
        return pack(self.epoch, train_pass, sample)


def pack(epoch: int, train_pass: Tensor, sample: Tensor) -> Tensor:
    """(epoch, pass, sample) as one int64 each."""
    return epoch << 48 | train_pass << 32 | sample


def sample_of(draws: Tensor) -> Tensor:
    """The sample in each of what `pack` packed."""
    return draws & 0xFFFFFFFF
