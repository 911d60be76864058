"""Processes that are killed, memory that is spent, numbers that are none, clocks that jump."""

import os
import resource
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path

import psutil
import pytest
import torch
import torch.nn.functional as F
from faulty_run import FIRST, Ended, at_step

from stgcn_lightning.engine.engine import Engine
from stgcn_lightning.recognizer import Recognizer


def same(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        assert torch.equal(ours[name], value), name


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The weights of a run that nothing disturbed, and what it printed."""
    ended = Ended(tmp_path_factory.mktemp("undisturbed") / "work", "train", FIRST)
    assert ended.status == 0, ended.err
    return ended


# Processes


def kill_loader():
    at_step(4, lambda *_: psutil.Process().children()[0].kill())


def test_a_killed_loader_process_is_one_sentence_and_the_run_goes_on(undisturbed, tmp_path):
    ended = Ended(tmp_path / "work", "train", [*FIRST, "data.workers=1"], kill_loader)
    assert "a loader process was ended from outside" in ended.sentence(1)
    again = Ended(tmp_path / "work", "train", FIRST)
    assert again.status == 0, again.err
    same(again.weights(), undisturbed.weights())


# Numbers that are none


def nan_in_loss():
    entropy, calls = F.cross_entropy, iter(range(10**9))

    def patched(*values, **more):
        loss = entropy(*values, **more)
        return loss * float("nan") if loss.requires_grad and next(calls) == 4 else loss

    F.cross_entropy = patched


def nan_in_weights():
    at_step(4, lambda self, *_: next(self.model.parameters()).data.flatten()[0].fill_(float("nan")))


def nan_in_statistics():
    def spoil(self, batch, result):
        norm = next(one for one in self.modules() if getattr(one, "running_mean", None) is not None)
        norm.running_mean.fill_(float("inf"))

    at_step(6, spoil)


def nan_in_data():
    step = Recognizer.training_step

    def patched(self, batch):
        if self.global_step == 4:
            batch.clips[0, 0, 0, 0] = float("nan")
        return step(self, batch)

    Recognizer.training_step = patched


@pytest.mark.parametrize("fault", [nan_in_loss, nan_in_weights, nan_in_statistics, nan_in_data])
def test_a_number_that_is_none_ends_the_run_and_spoils_no_checkpoint(fault, undisturbed, tmp_path):
    ended = Ended(tmp_path / "work", "train", FIRST, fault)
    sentence = ended.sentence()
    assert "lower recipe.lr" in sentence
    assert "nan" in sentence or "no numbers" in sentence
    kept = list((tmp_path / "work/run/checkpoints").glob("*.ckpt"))
    assert kept
    for file in kept:
        state = torch.load(file, weights_only=True)["state_dict"]
        assert all(bool(torch.isfinite(value).all()) for value in state.values())
    again = Ended(tmp_path / "work", "train", FIRST)
    assert again.status == 0, again.err
    same(again.weights(), undisturbed.weights())


# Memory


def spent_in_step():
    def spoil(*_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has")

    at_step(4, spoil)


def spent_on_cpu():
    at_step(4, lambda *_: torch.empty(1 << 60))


def spent_in_numpy():
    def spoil(*_):
        raise MemoryError

    at_step(4, spoil)


@pytest.mark.parametrize("fault", [spent_in_step, spent_on_cpu, spent_in_numpy])
def test_spent_memory_names_the_setting_to_lower(fault, undisturbed, tmp_path):
    ended = Ended(tmp_path / "work", "train", FIRST, fault)
    sentence = ended.sentence()
    assert "is spent" in sentence
    assert "lower data.batch_size" in sentence
    assert ("20.00 GiB more" in sentence) == (fault is spent_in_step)
    again = Ended(tmp_path / "work", "train", FIRST)
    assert again.status == 0, again.err
    same(again.weights(), undisturbed.weights())


def little_memory():
    """More than five clips at once are too many, as where memory is short."""
    evaluate = Engine._evaluate

    def patched(self, clips, present):
        if len(clips) > 5:
            torch.empty(1 << 60)
        return evaluate(self, clips, present)

    Engine._evaluate = patched


def test_evaluation_goes_on_with_fewer_clips_where_memory_is_spent(undisturbed, tmp_path):
    ended = Ended(tmp_path / "work", "train", [*FIRST, "test_after=true"], little_memory)
    assert ended.status == 0, ended.err
    assert ended.out.count("evaluated 5 at a time") == 1  # ten clips of a sample and more
    same(ended.weights(), undisturbed.weights())


def narrow():
    """A limit of this process's addresses, as a machine of little memory."""

    def limited(*_):
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + (64 << 20),) * 2)
        torch.empty(1 << 28)

    at_step(4, limited)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_that_a_machine_refuses_is_the_same_sentence(tmp_path):
    ended = Ended(tmp_path / "work", "train", FIRST, narrow)
    assert "the memory of this machine is spent (1073741824 bytes more" in ended.sentence()


# Clocks


def jumping_clock():
    """A clock that jumps back and forth by years whenever it is asked."""
    year, now, asked = 365 * 86400, time.time, iter(range(10**9))

    def jumped():
        return now() + (-3 * year, 0, 2 * year)[next(asked) % 3]

    class Jumping(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.fromtimestamp(jumped(), tz)

    time.time = jumped
    for module in list(sys.modules.values()):
        if getattr(module, "__name__", "").startswith("stgcn_lightning"):
            for name, value in list(vars(module).items()):
                if value is datetime:
                    setattr(module, name, Jumping)


def test_a_clock_that_jumps_changes_nothing(undisturbed, tmp_path):
    ended = Ended(
        tmp_path / "work", "train", [*FIRST, "trainer.log_every_n_steps=1"], jumping_clock
    )
    assert ended.status == 0, ended.err
    same(ended.weights(), undisturbed.weights())
    rates = [float(one.split(" clips/s")[0].split()[-1]) for one in ended.out.splitlines()
             if one.startswith("epoch ")]  # fmt: skip
    assert len(rates) == 3
    assert all(0.1 < rate < 1e5 for rate in rates)
    assert not any(unit in ended.out for unit in (" d ", " h "))  # of what is left


def test_the_newest_run_cannot_be_told_after_the_clock_was_set_back(tmp_path, monkeypatch):
    from stgcn_lightning.errors import BadInput
    from stgcn_lightning.launching.claiming import run_dir

    monkeypatch.chdir(tmp_path)
    later = (datetime.now() + timedelta(days=400)).timestamp()
    for name, changed in (("a", later), ("b", time.time())):
        file = tmp_path / "runs" / name / "checkpoints" / "last.ckpt"
        file.parent.mkdir(parents=True)
        file.touch()
        os.utime(file, (changed, changed))
        if name == "a":  # no other run could be meant
            assert run_dir("runs", "auto") == "runs/a"
    with pytest.raises(BadInput, match="runs/a was written at a time that is still to come"):
        run_dir("runs", "auto")
    os.utime(tmp_path / "runs/a/checkpoints/last.ckpt", (1e9, 1e9))
    assert run_dir("runs", "auto") == "runs/b"


# Annotations that are replaced


def replaced(rename, rebuild):
    """Other annotations come to the place of those that are trained on, and into their store."""

    def replace_them(*_):
        (file,) = Path("store").glob("*.pkl")
        content = file.read_bytes()
        other = file.with_suffix(".other")
        other.write_bytes(content[: len(content) // 2])
        if rename:
            os.replace(other, file)
        else:
            file.write_bytes(content[: len(content) // 2])
        if rebuild:
            (folder,) = (one.parent for one in Path("store").glob("*/manifest.json"))
            aside = folder.with_name("aside")
            folder.rename(aside)
            folder.mkdir()
            for one in aside.iterdir():  # as large, and all zero
                (folder / one.name).write_bytes(bytes(one.stat().st_size))
                one.unlink()
            aside.rmdir()

    at_step(4, replace_them)


def by_rename():
    replaced(rename=True, rebuild=False)


def in_place():
    replaced(rename=False, rebuild=False)


def with_their_store():
    replaced(rename=True, rebuild=True)


@pytest.mark.parametrize(
    ("fault", "workers"),
    [
        (with_their_store, 1),
        *(
            pytest.param(fault, workers, marks=pytest.mark.slow)
            for fault, workers in (
                (with_their_store, 0),
                (by_rename, 0),
                (by_rename, 1),
                (in_place, 0),
                (in_place, 1),
            )
        ),
    ],
)
def test_a_run_goes_on_with_the_annotations_that_it_began_with(
    fault, workers, undisturbed, tmp_path
):
    ended = Ended(tmp_path / "work", "train", [*FIRST, f"data.workers={workers}"], fault)
    assert ended.status == 0, ended.err
    same(ended.weights(), undisturbed.weights())
