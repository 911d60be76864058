import errno
import multiprocessing
import multiprocessing.util
import tempfile
from collections import Counter
from dataclasses import asdict, fields
from pathlib import Path
from types import SimpleNamespace

import lightning
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from stgcn_lightning.data import datamodule
from stgcn_lightning.data.datamodule import Feed, SkeletonData
from stgcn_lightning.data.draws import Draws, pack, sample_of
from stgcn_lightning.data.names import STREAMS
from stgcn_lightning.data.sampling import evaluation_indices
from stgcn_lightning.data.streams import own_stream
from stgcn_lightning.errors import BadInput
from stgcn_lightning.shipped import CONF
from stgcn_lightning.skeleton import Skeleton
from stgcn_lightning.sources.annotations import Sample

PAIR = Skeleton("pair", ("a", "b"), ((1, 0),), 0, (0, 0), (), None)
LENGTHS = [1, 3, 4, 5, 7, 8, 9, 12, 20, 30, 40]


@pytest.fixture
def store(make_store):
    """Eleven samples; in each, x is the number of the frame and y that of the sample."""
    samples = []
    for i, T in enumerate(LENGTHS):
        keypoint = np.zeros((1, T, 2, 2), np.float32)
        keypoint[..., 0] = np.arange(T)[:, None]
        keypoint[..., 1] = i
        samples.append(Sample("", i, keypoint))
    return make_store(samples, PAIR, "2d", normalise="none")


def make_data(store, *, rank: int = 0, ranks: int = 1, **changes) -> SkeletonData:
    settings = {"train_split": "all", "val_split": "all"} | changes
    names = {field.name for field in fields(Feed)} & set(settings)
    feed = {"clip_frames": 4, "batch_size": 4} | {name: settings.pop(name) for name in names}
    data = SkeletonData(store, **settings, feed=Feed(**feed))
    if ranks > 1:
        data.trainer = SimpleNamespace(global_rank=rank, world_size=ranks)
    return data


def frames_of(batch) -> list[tuple[int, tuple[int, ...]]]:
    """(sample, frames of its first clip) of each row."""
    rows = batch.clips[:, 0, 0, :, 0, 0].int().tolist()
    return [(int(i), tuple(row)) for i, row in zip(batch.samples, rows, strict=True)]


def listed(draws: Draws) -> list[int]:
    return [draw for batch in draws for draw in batch]


def train_clips(store, epoch: int = 0, ranks: int = 1, **changes) -> Counter:
    """Every training clip of an epoch, all ranks together."""
    clips = Counter()
    for rank in range(ranks):
        loader = make_data(store, rank=rank, ranks=ranks, **changes).train_dataloader()
        loader.sampler.set_epoch(epoch)
        for batch in loader:
            clips.update(frames_of(batch))
    return clips


@given(
    *[st.tuples(st.integers(0, 2**15 - 1), st.integers(0, 2**16 - 1), st.integers(0, 2**32 - 1))]
    * 2
)
def test_draws_of_different_epoch_pass_or_sample_are_different(one, other):
    draws = [
        pack(epoch, torch.tensor(p), torch.tensor(sample)) for epoch, p, sample in (one, other)
    ]
    assert (draws[0] == draws[1]) == (one == other)
    assert min(draws) >= 0
    assert [int(sample_of(draw)) for draw in draws] == [one[2], other[2]]


def test_an_epoch_has_every_sample_as_often_as_it_has_passes():
    epoch = Draws(10, 4, passes=3, seed=0)
    assert [len(batch) for batch in epoch] == [4] * 7 + [2]  # the last one is not dropped
    draws = torch.tensor(listed(epoch))
    assert len(draws.unique()) == 30
    assert (sample_of(draws).bincount() == 3).all()


def test_passes_are_shuffled_together():
    order = torch.tensor(listed(Draws(1000, 100, passes=5, seed=0)))
    passes = (order >> 32).view(5, 1000)  # of epoch 0
    for fifth in passes:
        assert (fifth.bincount(minlength=5) > 100).all()


def test_the_order_depends_on_seed_and_epoch():
    orders = set()
    for seed in (0, 1):
        for epoch in (0, 1):
            draws = Draws(20, 5, seed=seed)
            draws.set_epoch(epoch)
            assert list(draws) == list(draws)
            orders.add(tuple(sample_of(torch.tensor(listed(draws))).tolist()))
    assert len(orders) == 4


@pytest.mark.parametrize("ranks", [1, 2, 3, 8, 25])
@pytest.mark.parametrize("samples", [1, 7, 24])
def test_evaluation_gives_every_sample_to_one_rank_once(ranks, samples):
    shares = [Draws(samples, 2, rank=rank, ranks=ranks) for rank in range(ranks)]
    assert sorted(draw for share in shares for draw in listed(share)) == list(range(samples))
    assert all(len(share) == len(list(share)) for share in shares)
    assert len({len(share) for share in shares}) == 1, "some may be empty"


@pytest.mark.parametrize("ranks", [2, 3, 8])
def test_ranks_train_on_equally_many_clips_and_leave_none_out(ranks):
    shares = [Draws(5, 2, passes=3, seed=0, rank=rank, ranks=ranks) for rank in range(ranks)]
    assert len({len(listed(share)) for share in shares}) == 1
    times = Counter(draw for share in shares for draw in listed(share))
    assert len(times) == 15
    assert times.total() == -(-15 // ranks) * ranks


def test_clips_do_not_depend_on_ranks_or_batch_size(store):
    alone = train_clips(store, passes=5)
    assert alone.total() == 5 * len(LENGTHS)
    assert train_clips(store, passes=5, batch_size=7) == alone
    assert train_clips(store, passes=5, ranks=5) == alone


# Python 3.12 warns of forking a process that has threads, and torch's has always had some.
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:This DataLoader will create 2 worker processes:UserWarning")
def test_clips_do_not_depend_on_workers(store):
    assert train_clips(store, workers=2) == train_clips(store)
    data = make_data(store, workers=2)
    alone = make_data(store)
    for ours, expected in zip(data.test_dataloader(), alone.test_dataloader(), strict=True):
        assert all(torch.equal(a, b) for a, b in zip(ours[:3], expected[:3], strict=True))


def test_clips_differ_between_epochs_and_seeds(store):
    clips = [train_clips(store), train_clips(store, epoch=1), train_clips(store, seed=1)]
    assert clips[0] != clips[1] != clips[2] != clips[0]


def test_clips_of_one_epoch_differ_between_passes(store):
    longest = len(LENGTHS) - 1
    frames = {f for i, f in train_clips(store, passes=20) if i == longest}
    assert len(frames) > 15


def test_validation_shows_one_clip_and_the_test_several(store):
    data = make_data(store)
    (loader,) = data.val_dataloader()
    val, test = list(loader), list(data.test_dataloader())
    assert [b.clips.shape for b in val] == [
        (4, 1, 2, 4, 2, 3),
        (4, 1, 2, 4, 2, 3),
        (3, 1, 2, 4, 2, 3),
    ]
    assert test[0].clips.shape == (4, 10, 2, 4, 2, 3)
    for batches in (val, test):
        assert torch.cat([b.samples for b in batches]).tolist() == list(range(len(LENGTHS)))
        assert torch.cat([b.labels for b in batches]).tolist() == list(range(len(LENGTHS)))
    clips = torch.cat([b.clips for b in test])
    assert (clips[..., 0, :, :, 1] == torch.arange(len(LENGTHS)).view(-1, 1, 1, 1)).all()
    assert (clips[:, :, 1] == 0).all()


def test_samples_held_out_are_validated_on_and_never_trained_on(store):
    held_out = torch.tensor([1, 4, 5])
    data = make_data(store, held_out=held_out)
    val, held = data.val_dataloader()
    assert torch.cat([b.samples for b in val]).tolist() == list(range(len(LENGTHS)))
    assert torch.cat([b.samples for b in held]).tolist() == [1, 4, 5]
    trained = torch.cat([b.samples for b in data.train_dataloader()])
    assert sorted(trained.tolist()) == [i for i in range(len(LENGTHS)) if i not in (1, 4, 5)]
    assert len(torch.cat([b.samples for b in data.test_dataloader()])) == len(LENGTHS)
    data = make_data(store, held_out=held_out, test_held_out=True)
    assert torch.cat([b.samples for b in data.test_dataloader()]).tolist() == [1, 4, 5]


def test_evaluation_is_the_same_every_time(store):
    first, second = (list(make_data(store, seed=s).test_dataloader()) for s in (0, 1))
    assert all(torch.equal(a.clips, b.clips) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("loader", ["train_dataloader", "val_dataloader", "test_dataloader"])
def test_shuffled_clips_show_the_same_frames_in_another_order(store, loader):
    loaders = []
    for order in ("ordered", "shuffled"):
        made = getattr(make_data(store, clip_frames=20, frame_order=order), loader)()
        loaders.append(made[0] if isinstance(made, list) else made)
    for batches in zip(*loaders, strict=True):
        ordered, shuffled = (batch.clips[:, :, 0, :, 0, 0] for batch in batches)
        assert torch.equal(ordered.sort(-1).values, shuffled.sort(-1).values)
        long = [LENGTHS[i] > 4 for i in batches[0].samples]
        assert (ordered != shuffled)[long].any(-1).all()


def test_single_clips_repeat_one_frame(store):
    ordered = list(make_data(store).test_dataloader())
    single = list(make_data(store, frame_order="single").test_dataloader())
    shown = set()
    for a, b in zip(ordered, single, strict=True):
        frames = b.clips[:, :, 0, :, 0, 0]  # B, N, T
        assert (frames == frames[..., :1]).all()
        assert (a.clips[:, :, 0, :, 0, 0] == frames).any(-1).all()
        shown |= set(frames[b.samples == len(LENGTHS) - 1].flatten().tolist())
    assert len(shown) > 3, "each clip repeats a frame of its own"


def test_an_unknown_frame_order_is_refused(store):
    with pytest.raises(
        BadInput, match="frame_order='reversed' is none of ordered, shuffled, single"
    ):
        make_data(store, frame_order="reversed")


def test_an_unknown_law_is_refused(store):
    with pytest.raises(BadInput, match=r"test_sampling='ctrgcn' is none of mmaction2, pyskl, dg"):
        make_data(store, test_sampling="ctrgcn")


def test_the_clips_of_a_test_follow_the_law_that_is_asked_for(store):
    theirs, ours = (
        make_data(store, test_sampling=law).test_dataloader() for law in ("pyskl", "mmaction2")
    )
    differing = set()
    for one, other in zip(theirs, ours, strict=True):
        for i, a, b in zip(one.samples.tolist(), one.clips, other.clips, strict=True):
            if LENGTHS[i] >= 4:
                assert (
                    a[:, 0, :, 0, 0].tolist()
                    == evaluation_indices(LENGTHS[i], 4, 10, "pyskl").tolist()
                )
            differing |= set() if torch.equal(a, b) else {LENGTHS[i]}
    assert min(differing) > 4


@pytest.mark.parametrize("split", ["train_split", "val_split"])
def test_an_unknown_split_is_refused(store, split):
    with pytest.raises(BadInput, match="no split 'al'; did you mean all"):
        make_data(store, **{split: "al"})


def test_an_unknown_stream_is_refused(store):
    with pytest.raises(BadInput, match="stream 'j' is none of"):
        make_data(store, stream="j")


def mirrored(joints, sequences):
    """Not zero where a person is absent."""
    return 1 - sequences.motion(joints)


@pytest.mark.parametrize("stream", [*STREAMS, own_stream("mirrored", mirrored)])
def test_frames_on_the_device_make_the_same_clips(make_store, stream):
    rng = np.random.default_rng(0)
    samples = []
    for persons, T in ((1, 3), (2, 5), (2, 40), (3, 7), (2, 1)):
        keypoint = rng.normal(0, 1, (persons, T, 2, 3)).astype(np.float32)
        keypoint[-1, rng.random(T) < 0.5] = 0  # absent here and there
        keypoint[-1, 6:] = 0
        samples.append(Sample("", 0, keypoint))
    store = make_store(samples, PAIR, "3d", normalise="none")
    here, there = make_data(store, stream=stream), make_data(store, stream=stream, on_device=True)
    there.trainer = SimpleNamespace(
        global_rank=0, world_size=1, strategy=SimpleNamespace(root_device=torch.device("cpu"))
    )
    there.setup("fit")
    known_absent = 0
    for ours, theirs in (
        (here.train_dataloader(), there.train_dataloader()),
        (here.test_dataloader(), there.test_dataloader()),
    ):
        for expected, planned in zip(ours, theirs, strict=True):
            batch = there.transfer_batch_to_device(planned, torch.device("cpu"), 0)
            assert all(torch.equal(a, b) for a, b in zip(batch[:3], expected[:3], strict=True))
            moving = expected.clips.flatten(3).any(-1)
            assert not (moving & ~batch.present).any(), "nobody is forgotten"
            if stream in ("joint", "bone"):
                assert torch.equal(batch.present, moving)
            known_absent += int((~batch.present).sum())
    assert known_absent, "who is absent is known before the frames are read"


class Witness(lightning.LightningModule):
    """Learns nothing and writes down what it saw."""

    def __init__(self):
        super().__init__()
        self.trained, self.validated = [Counter(), Counter()], [[], []]
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def training_step(self, batch):
        self.trained[self.current_epoch].update(frames_of(batch))
        return self.weight.sum()

    def validation_step(self, batch):
        self.validated[self.current_epoch].extend(batch.samples.tolist())

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0)


def test_lightning_trains_each_epoch_on_draws_of_its_own(store, tmp_path):
    witness = Witness()
    lightning.Trainer(
        max_epochs=2,
        accelerator="cpu",
        devices=1,
        logger=False,
        num_sanity_val_steps=0,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        default_root_dir=tmp_path,
    ).fit(witness, make_data(store, passes=2))
    for epoch in (0, 1):
        assert witness.trained[epoch] == train_clips(store, epoch=epoch, passes=2)
        assert witness.validated[epoch] == list(range(len(LENGTHS)))


class Toy(lightning.LightningModule):
    """Somebody else's model: a linear layer on the mean over clips, persons, frames, and joints."""

    def __init__(self):
        super().__init__()
        self.layer, self.right = torch.nn.Linear(3, len(LENGTHS)), []

    def training_step(self, batch):
        logits = self.layer(batch.clips.mean((1, 2, 3, 4)))
        return torch.nn.functional.cross_entropy(logits, batch.labels)

    def validation_step(self, batch):
        self.log("val/loss", self.training_step(batch), batch_size=len(batch.labels))

    def test_step(self, batch):
        logits = self.layer(batch.clips.mean((1, 2, 3, 4)))
        self.right += (logits.argmax(1) == batch.labels).tolist()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


@pytest.mark.parametrize("on_device", [False, True])
def test_a_model_of_the_user_s_own_trains_and_tests_in_a_plain_trainer(store, tmp_path, on_device):
    trainer = lightning.Trainer(
        max_epochs=1,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    feed = Feed(clip_frames=4, batch_size=4, on_device=on_device)
    data = SkeletonData(store, "bone", train_split="all", val_split="all", feed=feed)
    toy = Toy()
    before = toy.layer.weight.clone()
    trainer.fit(toy, data)
    assert not torch.equal(toy.layer.weight, before)
    assert trainer.callback_metrics["val/loss"].isfinite()
    trainer.test(toy, data, verbose=False)
    assert len(toy.right) == len(LENGTHS)


def test_the_defaults_of_a_python_user_are_those_of_the_configuration(store):
    table = OmegaConf.load(CONF / "data" / "default.yaml")
    feed = asdict(Feed())
    for key in ("clip_frames", "test_clips", "persons", "workers", "frame_order"):
        assert feed[key] == table[key]
    assert SkeletonData(store, train_split="all", val_split="all").feed == Feed()


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:This DataLoader will create 2 worker processes:UserWarning")
def test_loader_processes_that_are_told_to_end_leave_no_file(store, monkeypatch):
    """As those of a run that is interrupted in a validation, or with all processes of a job."""
    monkeypatch.setattr(datamodule, "OUTLAST", 1)
    ours = Path(multiprocessing.util.get_temp_dir())
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:  # `tmp_path` may be long for a socket
        monkeypatch.setattr(tempfile, "tempdir", folder)
        batches = iter(make_data(store, workers=2).train_dataloader())
        next(batches)
        assert list(Path(folder).glob("pymp-*/listener-*"))
        for worker in (workers := multiprocessing.active_children()):
            worker.terminate()
        for worker in workers:
            worker.join(20)
        assert [worker.exitcode for worker in workers] == [0, 0]
        assert not list(Path(folder).iterdir())
    assert ours.exists()


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:This DataLoader will create 2 worker processes:UserWarning")
def test_a_temporary_folder_may_have_a_long_name(store, monkeypatch, tmp_path):
    """Sockets in it would have names of more than 108 letters, and batches would never come."""
    long = tmp_path / ("l" * 100)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    expected = next(iter(make_data(store).train_dataloader()))
    loader = make_data(store, workers=2).train_dataloader()
    loader.timeout = 20
    assert torch.equal(next(iter(loader)).clips, expected.clips)


def test_loader_processes_without_a_folder_for_sockets_are_refused(store, monkeypatch, tmp_path):
    tried = []

    def full(prefix, dir):
        tried.append(dir)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / ("l" * 100)))
    monkeypatch.setattr(tempfile, "mkdtemp", full)
    with pytest.raises(BadInput, match=r"no folder for their sockets, .*lll has too"):
        make_data(store, workers=2).train_dataloader()
    assert tried == ["/tmp", "/var/tmp", "/dev/shm"]
    make_data(store).train_dataloader()
