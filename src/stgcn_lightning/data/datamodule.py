"""Wires the rooms of this folder into Lightning's loaders; no arithmetic.

A *draw* is one integer that says which clip to make: (epoch, pass, sample), packed. The sampler
hands out lists of draws, and the data set turns a list into a batch, so the frames of a clip do not
depend on the worker or rank that makes it, nor on the rest of its batch.
"""

import os
import signal
from collections.abc import Iterator
from types import FrameType
from typing import Literal, NamedTuple

import lightning
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from stgcn_lightning.data.batch import ClipGatherer, Plan
from stgcn_lightning.data.sampling import (
    draw_keys,
    evaluation_indices,
    shuffle_frames,
    train_indices,
)
from stgcn_lightning.data.store import Store
from stgcn_lightning.errors import BadInput

EVALUATED_AT_ONCE = 2048  # clips of an evaluation batch on a GPU
FREE_PART = 2  # of a device's free memory that the frames may take, unless told to
OUTLAST = 2  # seconds that a loader process stays after SIGTERM, also at the end of a run
FRAME_ORDERS = ("ordered", "shuffled", "single")


def check_frame_order(name: str) -> str:
    """Return `name`, or raise BadInput with the names that there are."""
    if name not in FRAME_ORDERS:
        raise BadInput(f"data.frame_order={name!r} is none of {', '.join(FRAME_ORDERS)}")
    return name


class Batch(NamedTuple):
    """What the model sees, and whose it is."""

    clips: Tensor | Plan  # B, N, M, T, V, C float32; what is to be read where frames are on a GPU
    labels: Tensor  # B int64
    samples: Tensor  # B int64, sample numbers in the store
    present: Tensor | None = None  # B, N, M bool on the CPU, who may be other than zero, if known


class Draws(Sampler[list[int]]):
    """Batches of draws of one rank, in the order of (seed, epoch).

    Rank r takes the r-th part of every global batch, so that all ranks together train on what one
    process with a larger batch would. In evaluation all ranks make equally many batches, the last
    of which may be empty: nobody misses a meeting of the ranks.

    Args:
        samples: number of samples in the split.
        batch_size: per rank.
        passes: how often an epoch goes through the split; the passes are shuffled together.
        seed: of the order; None keeps the order of the split and gives every sample exactly once.
        rank, ranks: which part of the draws is ours. Training repeats a few draws so that all ranks
            get equally many; evaluation never does.
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
        self.epoch = begin[0]  # Lightning tells it only after loader processes have started

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-self._total() // (self.batch_size * self.ranks))

    def __iter__(self) -> Iterator[list[int]]:
        order = torch.arange(self.samples * self.passes)
        if self.seed is not None:
            generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
            order = order[torch.randperm(len(order), generator=generator)]
            order = order[torch.arange(self._total()) % len(order)]
        draws = pack(self.epoch, order // self.samples, order % self.samples)
        together = self.batch_size * self.ranks
        done = self.begin[1] if self.epoch == self.begin[0] else 0
        for start in range(done * together, len(draws), together):
            whole: list[int] = draws[start : start + together].numpy().tolist()
            size = -(-len(whole) // self.ranks)
            yield whole[self.rank * size : (self.rank + 1) * size]

    def _total(self) -> int:
        """Draws of all ranks, those repeated included."""
        total = self.samples * self.passes
        return total if self.seed is None else -(-total // self.ranks) * self.ranks


def pack(epoch: int, train_pass: Tensor, sample: Tensor) -> Tensor:
    """(epoch, pass, sample) as one int64 each."""
    return epoch << 48 | train_pass << 32 | sample


def sample_of(draws: Tensor) -> Tensor:
    """The sample in each of what `pack` packed."""
    return draws & 0xFFFFFFFF


class ClipDataset(Dataset[Batch]):
    """Lists of draws to batches, for one split of a store.

    Args:
        gather: makes clips of a stream.
        numbers: (S,) sample numbers of the split.
        clip_frames: T.
        clips: N fixed evaluation clips per sample, or None for one random training clip.
        seed: of the random clips, and of shuffled frames.
        frame_order: ``ordered``; ``shuffled`` takes the order of frames away, ``single`` repeats
            one frame: what a model of joints or bones loses then is what it had learned from
            motion. (A frame of a motion stream is the motion itself, and is not changed.)
        planned: leave the reading of the frames to whoever holds them.
    """

    def __init__(
        self,
        gather: ClipGatherer,
        numbers: Tensor,
        *,
        clip_frames: int,
        clips: int | None,
        seed: int,
        frame_order: str = "ordered",
        planned: bool = False,
    ):
        self.gather, self.numbers, self.planned = gather, numbers, planned
        self.clip_frames, self.seed = clip_frames, seed
        self.frame_order = check_frame_order(frame_order)
        self.tables = None
        if clips is not None:
            frames = gather.store.num_frames[numbers].numpy()
            lengths, which = np.unique(frames, return_inverse=True)
            tables = [evaluation_indices(int(T), clip_frames, clips) for T in lengths]
            self.tables = torch.as_tensor(np.stack(tables))  # lengths, N, T
            self.table_of = torch.as_tensor(which)  # S

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, draws: list[int]) -> Batch:
        packed = torch.tensor(draws, dtype=torch.int64)
        keys = draw_keys(self.seed, packed)
        position = sample_of(packed)  # in the split
        numbers = self.numbers[position]  # in the store
        if self.tables is None:
            frames = self.gather.store.num_frames[numbers]
            indices = train_indices(frames, self.clip_frames, keys)[:, None]  # B, 1, T
        else:
            indices = self.tables[self.table_of[position]]  # B, N, T
        if self.frame_order != "ordered":
            indices = shuffle_frames(indices, keys)
        if self.frame_order == "single":
            indices = indices[..., :1].expand_as(indices)
        plan = self.gather.plan(numbers, indices)
        labels = self.gather.store.labels[numbers]
        if self.planned:
            return Batch(plan, labels, numbers, self.gather.present(plan))
        return Batch(self.gather.read(plan), labels, numbers)


class SkeletonData(lightning.LightningDataModule):
    """Training, one-clip validation and N-clip testing on one stream of a store.

    With subjects held out, they are validated on too, after the validation split.

    Args:
        store: opened store.
        bone_parents: one parent per joint.
        stream: joint, bone, joint_motion or bone_motion.
        train_split: name of the split to train on.
        val_split: name of the split to validate and test on: NTU's `val` is its test set.
        clip_frames: frames of a clip.
        test_clips: clips of a sample in the test.
        persons: persons of a clip.
        batch_size: samples per device; evaluation on a GPU takes more.
        workers: loader processes; 0 loads in the process that trains.
        passes: how often a training epoch goes through the split.
        seed: of order and frames.
        frame_order: see `ClipDataset`.
        held_out: sample numbers kept out of the training; None keeps none.
        test_held_out: test on those instead of on the validation split.
        on_device: keep all frames where the network is, so that only frame numbers travel there;
            ``auto`` does on a GPU whose free memory they fill by half at most.

    Raises:
        BadInput: a split does not exist, or the stream or frame order has no such name.
    """

    def __init__(
        self,
        store: Store,
        bone_parents: tuple[int, ...],
        stream: str,
        *,
        train_split: str,
        val_split: str,
        clip_frames: int,
        test_clips: int,
        persons: int,
        batch_size: int,
        workers: int,
        passes: int,
        seed: int,
        frame_order: str = "ordered",
        held_out: Tensor | None = None,
        test_held_out: bool = False,
        on_device: bool | Literal["auto"] = False,
    ):
        super().__init__()
        self.store = store
        self.gather = ClipGatherer(store, bone_parents, stream, persons)
        self.train_numbers, self.val_numbers = store.split(train_split), store.split(val_split)
        self.held_out = held_out
        if held_out is not None:
            self.train_numbers = self.train_numbers[~torch.isin(self.train_numbers, held_out)]
        self.test_numbers = self.val_numbers
        if test_held_out:
            assert held_out is not None
            self.test_numbers = held_out
        self.clip_frames, self.test_clips = clip_frames, test_clips
        self.batch_size, self.workers, self.passes = batch_size, workers, passes
        self.seed, self.frame_order = seed, check_frame_order(frame_order)
        self.on_device, self.planned, self.evaluated_at_once = on_device, False, 0
        self.begin: tuple[int, int] = (0, 0)  # epoch and batch, of a resumed run

    def setup(self, stage: str) -> None:
        """Take the frames to the device, where they are to lie there."""
        if self.trainer is None:
            return
        device = self.trainer.strategy.root_device
        self.planned = self.planned or self.on_device is True  # once there, they stay there
        if device.type == "cuda":
            self.evaluated_at_once = EVALUATED_AT_ONCE
            free, _ = torch.cuda.mem_get_info(device)
            fits = FREE_PART * self.store.frames.nbytes < free
            self.planned = self.planned or (self.on_device == "auto" and fits)
        if self.planned:
            self.gather.move_to(device)

    def transfer_batch_to_device(
        self, batch: Batch, device: torch.device, dataloader_idx: int
    ) -> Batch:
        """Read the clips on the device, where they were only planned."""
        if not isinstance(batch.clips, Plan):
            return super().transfer_batch_to_device(batch, device, dataloader_idx)
        picked, *rest = (
            part if part is None else part.to(device, non_blocking=True) for part in batch.clips
        )
        assert picked is not None
        labels, samples = (
            part.to(device, non_blocking=True) for part in (batch.labels, batch.samples)
        )
        return Batch(self.gather.read(Plan(picked, *rest)), labels, samples, batch.present)

    def train_dataloader(self) -> DataLoader[Batch]:
        """One random clip per sample and pass, shuffled."""
        return self._loader(self.train_numbers, clips=None)

    def val_dataloader(self) -> list[DataLoader[Batch]]:
        """One fixed clip per sample, every sample once; the samples held out come second."""
        parts = [self.val_numbers] if self.held_out is None else [self.val_numbers, self.held_out]
        return [self._loader(numbers, clips=1) for numbers in parts]

    def test_dataloader(self) -> DataLoader[Batch]:
        """`test_clips` fixed clips per sample, every sample once."""
        return self._loader(self.test_numbers, clips=self.test_clips)

    def _loader(self, numbers: Tensor, clips: int | None) -> DataLoader[Batch]:
        training, batch_size = clips is None, self.batch_size
        if clips is not None:
            batch_size = max(batch_size, self.evaluated_at_once // clips)
        draws = Draws(
            len(numbers),
            batch_size,
            passes=self.passes if training else 1,
            seed=self.seed if training else None,
            rank=self.trainer.global_rank if self.trainer else 0,
            ranks=self.trainer.world_size if self.trainer else 1,
            begin=self.begin if training else (0, 0),
        )
        dataset = ClipDataset(
            self.gather,
            numbers,
            clip_frames=self.clip_frames,
            clips=clips,
            seed=self.seed,
            frame_order=self.frame_order,
            planned=self.planned,
        )
        return DataLoader(
            dataset,
            sampler=draws,
            batch_size=None,  # a list of draws is a whole batch
            num_workers=self.workers,
            persistent_workers=self.workers > 0,
            pin_memory=torch.cuda.is_available(),
            worker_init_fn=outlast_signals,
            # loaders draw seeds, which nobody uses: not from the generator that dropout draws from
            generator=torch.Generator(),
        )


def outlast_signals(_: int) -> None:
    """Let a loader process end after the process that trains, which saves first.

    Terminals and SLURM signal all processes of a job.
    """
    for number in (signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end_later)
    signal.signal(signal.SIGALRM, _end)


def _end_later(number: int, frame: FrameType | None) -> None:
    signal.alarm(OUTLAST)


def _end(number: int, frame: FrameType | None) -> None:
    os._exit(0)  # in good order: torch makes an error of any other end
