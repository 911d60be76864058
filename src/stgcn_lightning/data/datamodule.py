"""The parts of this folder as Lightning's data loaders; no arithmetic.

The sampler yields lists of draws (`draws.py`), and the data set turns a list into a batch, so the
frames of a clip do not depend on the worker or rank that makes the clip, nor on the rest of its
batch.
"""

import os
import shutil
import signal
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import current_process, util
from types import FrameType
from typing import Literal, NamedTuple

import lightning
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from stgcn_lightning.data.augment import AS_THEY_ARE, UNCHANGED, Augmentation, Augmenter
from stgcn_lightning.data.batch import ClipGatherer, Plan
from stgcn_lightning.data.draws import BalancedDraws, Draws, sample_of
from stgcn_lightning.data.names import FRAME_ORDERS, TEST_SAMPLINGS
from stgcn_lightning.data.sampling import (
    draw_keys,
    evaluation_indices,
    shuffle_frames,
    train_indices,
)
from stgcn_lightning.data.store import Store
from stgcn_lightning.data.streams import Stream
from stgcn_lightning.errors import BadInput

EVALUATED_AT_ONCE = 2048  # clips of an evaluation batch on a GPU
FREE_PART = 2  # on_device=auto: the frames may take one part in two of a device's free memory
SOCKET_FOLDER = 70  # bytes of a name, to which 32 more come: systems take 108, or 104
OUTLAST = 2  # seconds that a loader process stays after SIGTERM, also at the end of a run


def check_frame_order(name: str) -> str:
    """Return `name`, or raise BadInput with the names that there are."""
    if name not in FRAME_ORDERS:
        raise BadInput(f"data.frame_order={name!r} is none of {', '.join(FRAME_ORDERS)}")
    return name


class Batch(NamedTuple):
    """What the model sees, and of which samples."""

    clips: Tensor | Plan  # B, N, M, T, V, C float32; a plan until frames on a GPU are read
    labels: Tensor  # B int64
    samples: Tensor  # B int64, sample numbers in the store
    present: Tensor | None = None  # B, N, M bool on the CPU: persons who may be other than zero


class ClipDataset(Dataset[Batch]):
    """Lists of draws to batches, for one split of a store.

    Args:
        gather: makes clips of a stream.
        numbers: (S,) sample numbers of the split.
        clip_frames: T.
        clips: N fixed evaluation clips per sample, or None for one random training clip.
        seed: of the random clips, and of shuffled frames.
        frame_order: ``ordered``; ``shuffled`` removes the order of the frames, ``single`` repeats
            one frame: the accuracy that a model of joints or bones loses by this is what it
            had learned from motion. (A frame of a motion stream is the motion itself, and is not
            changed.)
        planned: give batches whose `clips` are a plan, to be read where the frames lie.
        test_sampling: whose law the fixed clips follow, see `sampling.evaluation_indices`.
        augmenter: what changes the bodies of a random clip.
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
        test_sampling: str = "mmaction2",
        augmenter: Augmenter | None = None,
    ):
        self.gather, self.numbers, self.planned = gather, numbers, planned
        self.augmenter = augmenter
        self.clip_frames, self.seed = clip_frames, seed
        self.frame_order = check_frame_order(frame_order)
        self.tables = None
        if clips is not None:
            frames = gather.store.num_frames[numbers].numpy()
            lengths, which = np.unique(frames, return_inverse=True)
            tables = [
                evaluation_indices(int(T), clip_frames, clips, test_sampling) for T in lengths
            ]
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
        changes = UNCHANGED if self.augmenter is None else self.augmenter(keys)
        plan = self.gather.plan(numbers, indices, changes)
        labels = self.gather.store.labels[numbers]
        if self.planned:
            return Batch(plan, labels, numbers, self.gather.present(plan))
        return Batch(self.gather.read(plan), labels, numbers)


@dataclass(frozen=True)
class Feed:
    """How clips are cut and fed; the defaults are those of the reference on one device.

    Attributes:
        clip_frames: frames of a clip.
        test_clips: clips of a sample in the test.
        persons: persons of a clip; further ones are cut, missing ones are zero.
        batch_size: samples per device; evaluation on a GPU takes more.
        workers: loader processes; 0 loads in the process that trains.
        passes: how often a training epoch goes through the split.
        seed: of the order of samples and the choice of frames.
        frame_order: see `ClipDataset`.
        balanced: an epoch draws every class equally often, not every sample.
        on_device: keep all frames where the network is, so that only frame numbers are copied
            there; ``auto`` does on a GPU if they fill at most half of its free memory.
        test_sampling: whose law the clips of an evaluation follow, one of `names.TEST_SAMPLINGS`.
        augmentation: how the bodies of training clips are changed at random.

    Raises:
        BadInput: there is no such frame order, or no such law.
    """

    clip_frames: int = 100
    test_clips: int = 10
    persons: int = 2
    batch_size: int = 16
    workers: int = 0
    passes: int = 1
    seed: int = 0
    frame_order: str = "ordered"
    on_device: bool | Literal["auto"] = False
    balanced: bool = False
    test_sampling: str = "mmaction2"
    augmentation: Augmentation = AS_THEY_ARE

    def __post_init__(self) -> None:
        check_frame_order(self.frame_order)
        if self.test_sampling not in TEST_SAMPLINGS:
            known = ", ".join(TEST_SAMPLINGS)
            raise BadInput(f"data.test_sampling={self.test_sampling!r} is none of {known}")


class SkeletonData(lightning.LightningDataModule):
    """Training, one-clip validation and N-clip testing on one stream of a store.

    Batches are `Batch`es: any LightningModule can be trained on them (in `self.log`, give
    ``batch_size=len(batch.labels)``). On several devices, give the trainer
    ``use_distributed_sampler=False``, since the samples are divided here. Samples that are held out
    are a second validation set, or the only one where no split is validated on.

    Args:
        store: opened store.
        stream: one of `names.STREAMS`, or a stream of your own.
        train_split: name of the split to train on; None: there is no training.
        val_split: name of the split to validate and test on: NTU's `val` is its test set. None: the
            samples held out, if there are any, else no validation and no test.
        feed: how clips are cut and fed.
        held_out: (any number,) int64 sample numbers kept out of the training; None keeps none.
        test_held_out: test on these samples instead of on the validation split.

    Raises:
        BadInput: a split or stream of this name does not exist, or the bodies cannot be changed as
            `feed` says.

    Examples:
        >>> from stgcn_lightning import StoreSpec, open_or_build, skeleton_named
        >>> spec = StoreSpec(skeleton_named("coco17"), "2d", normalise="2d", classes=12)
        >>> store = open_or_build(annotations, spec, folder)
        >>> feed = Feed(clip_frames=50, batch_size=8)
        >>> data = SkeletonData(store, "bone", train_split="train", val_split="val", feed=feed)
        >>> next(iter(data.train_dataloader())).clips.shape  # B, N, M, T, V, C
        torch.Size([8, 1, 2, 50, 17, 3])
    """

    def __init__(
        self,
        store: Store,
        stream: str | Stream = "joint",
        *,
        train_split: str | None,
        val_split: str | None,
        feed: Feed | None = None,
        held_out: Tensor | None = None,
        test_held_out: bool = False,
    ):
        super().__init__()
        self.store, self.feed = store, feed or Feed()
        self.gather = ClipGatherer(store, stream, self.feed.persons)
        self.augmenter = None
        if self.feed.augmentation != AS_THEY_ARE:
            much = self.feed.augmentation
            self.augmenter = Augmenter(much, store.skeleton, scored=store.scored)
        none = torch.empty(0, dtype=torch.int64)
        self.train_numbers = none if train_split is None else store.split(train_split)
        if held_out is not None:
            self.train_numbers = self.train_numbers[~torch.isin(self.train_numbers, held_out)]
        if val_split is None:
            self.val_numbers, self.held_out = none if held_out is None else held_out, None
        else:
            self.val_numbers, self.held_out = store.split(val_split), held_out
        self.test_numbers = self.val_numbers
        if test_held_out:
            assert held_out is not None
            self.test_numbers = held_out
        self.planned, self.evaluated_at_once = False, 0
        self.begin: tuple[int, int] = (0, 0)  # epoch and batch, of a resumed run

    @property
    def test_clips(self) -> int:
        """Clips of a sample in the test."""
        return self.feed.test_clips

    def setup(self, stage: str) -> None:
        """Copy the frames to the device, if they are to be kept there."""
        if self.trainer is None:
            return
        device = self.trainer.strategy.root_device
        # frames that are on the device stay there
        self.planned = self.planned or self.feed.on_device is True
        if device.type == "cuda":
            self.evaluated_at_once = EVALUATED_AT_ONCE
            free, _ = torch.cuda.mem_get_info(device)
            fits = FREE_PART * self.store.frames.nbytes < free
            self.planned = self.planned or (self.feed.on_device == "auto" and fits)
        if self.planned:
            self.gather.move_to(device)

    def transfer_batch_to_device(
        self, batch: Batch, device: torch.device, dataloader_idx: int
    ) -> Batch:
        """Read the clips on the device, if the batch holds only their plan."""
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

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Clips that were read on the device in the precision to which Lightning converts others.

        It does so before it sends a batch, and then there were none.
        """
        if not self.planned or self.trainer is None:
            return batch
        return self.trainer.precision_plugin.convert_input(batch)

    def train_dataloader(self) -> DataLoader[Batch]:
        """One random clip per sample and pass, shuffled."""
        return self._loader(self.train_numbers, clips=None)

    def val_dataloader(self) -> list[DataLoader[Batch]]:
        """One fixed clip per sample, every sample once; the samples held out come second.

        There is no loader where nothing is validated on.
        """
        parts = [self.val_numbers] if self.held_out is None else [self.val_numbers, self.held_out]
        return [self._loader(numbers, clips=1) for numbers in parts if len(numbers)]

    def test_dataloader(self) -> DataLoader[Batch]:
        """`test_clips` fixed clips per sample, every sample once."""
        return self._loader(self.test_numbers, clips=self.feed.test_clips)

    def _loader(self, numbers: Tensor, clips: int | None) -> DataLoader[Batch]:
        feed, training, batch_size = self.feed, clips is None, self.feed.batch_size
        if clips is not None:
            batch_size = max(batch_size, self.evaluated_at_once // clips)
        trainer = self.trainer
        rank, ranks = (trainer.global_rank, trainer.world_size) if trainer else (0, 1)
        if training and feed.balanced:
            draws = BalancedDraws(
                self.store.labels[numbers],
                batch_size,
                passes=feed.passes,
                seed=feed.seed,
                rank=rank,
                ranks=ranks,
                begin=self.begin,
            )
        else:
            draws = Draws(
                len(numbers),
                batch_size,
                passes=feed.passes if training else 1,
                seed=feed.seed if training else None,
                rank=rank,
                ranks=ranks,
                begin=self.begin if training else (0, 0),
            )
        dataset = ClipDataset(
            self.gather,
            numbers,
            clip_frames=feed.clip_frames,
            clips=clips,
            seed=feed.seed,
            frame_order=feed.frame_order,
            planned=self.planned,
            test_sampling=feed.test_sampling,
            augmenter=self.augmenter if training else None,
        )
        if feed.workers:
            folder_of_sockets()  # refused here rather than in each process
        return DataLoader(
            dataset,
            sampler=draws,
            batch_size=None,  # a list of draws is a whole batch
            num_workers=feed.workers,
            persistent_workers=feed.workers > 0,
            pin_memory=torch.cuda.is_available(),
            worker_init_fn=begin_loading,
            # Loaders draw seeds, which are not used, from a generator of their own: dropout draws
            # from the global one.
            generator=torch.Generator(),
        )


def folder_of_sockets() -> str:
    """The temporary folder, or another one where its name is too long for sockets in it.

    Loader processes send batches by sockets there; without them, none would ever come.

    Raises:
        BadInput: there is none.
    """
    places = (tempfile.gettempdir(), "/tmp", "/var/tmp", "/dev/shm")
    for place in places:
        if len(os.fsencode(place)) <= SOCKET_FOLDER:
            with suppress(OSError):  # it may be full
                os.rmdir(tempfile.mkdtemp(prefix="pymp-", dir=place))
                return place
    raise BadInput(
        f"loader processes have no folder for their sockets, {places[0]} has too long a name or is "
        f"full: set TMPDIR to one that can be written, of at most {SOCKET_FOLDER} bytes, or "
        "data.workers=0"
    )


def begin_loading(_: int) -> None:
    """Let a loader process outlive a signal, so that the process that trains can save first.

    Terminals and SLURM send a signal to all processes of a job.
    """
    # a folder for sockets of its own: that of the process that trains is not for it to remove
    vars(current_process())["_config"].pop("tempdir", None)
    tempfile.tempdir = folder_of_sockets()
    for number in (signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end_later)
    signal.signal(signal.SIGALRM, _end)


def _end_later(number: int, frame: FrameType | None) -> None:
    signal.alarm(OUTLAST)


def _end(number: int, frame: FrameType | None) -> None:
    # of the socket through which batches are fetched: an orderly end, which might never come where
    # nobody fetches them any more, would remove it
    shutil.rmtree(util.get_temp_dir(), ignore_errors=True)
    os._exit(0)  # torch raises an error for any other exit status
