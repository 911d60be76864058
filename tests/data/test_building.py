"""Building a store in portions, by helpers or alone: the same store, and the same sentences."""

import os
import pickle
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stgcn_lightning.data import building, helpers
from stgcn_lightning.data.building import Watch, divided
from stgcn_lightning.data.store import StoreSpec, open_or_build
from stgcn_lightning.errors import BadInput
from stgcn_lightning.files import instructions, placed
from stgcn_lightning.shipped import skeleton_named
from stgcn_lightning.sources.annotations import Annotations, loaded
from stgcn_lightning.sources.mmaction2 import read_annotations, write_annotations
from stgcn_lightning.sources.registry import Source
from stgcn_lightning.sources.synthetic import synthetic_annotations

SPECS = {
    "2d": StoreSpec(skeleton_named("coco17"), "2d", normalise="2d", classes=12),
    "3d": StoreSpec(skeleton_named("ntu25"), "3d", normalise="3d", classes=12),
}


@pytest.fixture
def with_helpers(monkeypatch):
    """Two helpers and small portions, for however few samples."""
    monkeypatch.setattr(building, "ALONE", 0)
    monkeypatch.setattr(building, "BYTES", 40_000)
    monkeypatch.setattr(building, "cores", lambda: 2)


def annotations(dimension, samples=24):
    made = synthetic_annotations(dimension, samples, 6, seed=0)
    longer = [
        replace(one, keypoint=np.concatenate([one.keypoint, np.zeros_like(one.keypoint)]))
        if one.score is None
        else one
        for one in made.samples
    ]
    return Annotations(longer, made.splits)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def read_whole(path):
    return read_annotations(path)


@pytest.mark.parametrize("dimension", ["2d", "3d"])
@pytest.mark.parametrize("on_bad_sample", ["error", "drop"])
def test_helpers_build_the_same_store(
    tmp_path, with_helpers, monkeypatch, dimension, on_bad_sample
):
    made = annotations(dimension)
    if on_bad_sample == "drop":
        for bad in (3, 4, 20):
            made.samples[bad].keypoint[0, 1, 2, 0] = np.nan
    write_annotations(tmp_path / "a.pkl", made)
    spec = replace(SPECS[dimension], on_bad_sample=on_bad_sample)
    store = open_or_build(tmp_path / "a.pkl", spec, tmp_path / "together")
    monkeypatch.setattr(building, "cores", lambda: 1)
    alone = open_or_build(tmp_path / "a.pkl", spec, tmp_path / "alone")
    monkeypatch.setattr(instructions, "LONG", 1 << 60)  # nothing stays in the file
    whole = open_or_build(tmp_path / "a.pkl", spec, tmp_path / "whole")
    assert files(store.folder) == files(alone.folder) == files(whole.folder)
    assert len(store.ids) == (30 if on_bad_sample == "error" else 27)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("protocol", [0, 2, 3, 4, 5])
def test_the_order_and_the_protocol_of_a_pickle_change_nothing(tmp_path, protocol, turned):
    write_annotations(tmp_path / "a.pkl", annotations("3d"))
    content = pickle.loads((tmp_path / "a.pkl").read_bytes())
    content = dict([*content.items()][:: -1 if turned else 1])
    (tmp_path / "b.pkl").write_bytes(pickle.dumps(content, protocol))
    first, second = (
        open_or_build(tmp_path / name, SPECS["3d"], tmp_path / "stores")
        for name in ("a.pkl", "b.pkl")
    )
    for name in ("frames.bin", "samples.npy", "ids.npy", "digests.npy", "splits.npy"):
        assert files(first.folder)[name] == files(second.folder)[name]


FAULTS = {
    "has coordinate nan": lambda s: s[7].keypoint.__setitem__((0, 0, 0, 0), np.nan),
    r"\(2 of 30 samples are bad\)": lambda s: [
        s[i].keypoint.__setitem__((0, 0, 0, 0), np.nan) for i in (7, 25)
    ],
    "has 24 joints": lambda s: s.__setitem__(9, replace(s[9], keypoint=s[9].keypoint[:, :, :24])),
    "has label 99": lambda s: s.__setitem__(9, replace(s[9], label=99)),
    "occur more than once": lambda s: s.append(s[10]),
    "no persons": lambda s: s.__setitem__(9, replace(s[9], keypoint=s[9].keypoint[:0])),
    "as if frames were given as persons": lambda s: s.__setitem__(
        slice(None), [replace(one, keypoint=np.ones((40, 1, 25, 3), "f2")) for one in s]
    ),
    "coordinates too large": lambda s: s.__setitem__(
        9, replace(s[9], keypoint=s[9].keypoint.astype(np.float64) * 1e300)
    ),
    "no sample holds a single key point": lambda s: [
        one.keypoint.__setitem__(Ellipsis, 0) for one in s
    ],
}


@pytest.mark.parametrize("sentence", FAULTS)
def test_helpers_find_the_same_faults(tmp_path, with_helpers, sentence):
    made = annotations("3d")
    FAULTS[sentence](made.samples)
    write_annotations(tmp_path / "a.pkl", made)
    spec = SPECS["3d"]
    with pytest.raises(BadInput, match=sentence) as together:
        open_or_build(tmp_path / "a.pkl", spec, tmp_path / "stores")
    whole = replace(spec, source=Source("mmaction2", read_whole))
    with pytest.raises(BadInput) as alone:
        open_or_build(tmp_path / "a.pkl", whole, tmp_path / "stores")
    assert str(together.value) == str(alone.value)
    assert [path.name for path in (tmp_path / "stores").iterdir() if path.is_dir()] == []


def test_numbers_that_are_damaged_in_the_middle_are_refused(tmp_path, with_helpers):
    path = tmp_path / "a.pkl"
    write_annotations(path, annotations("3d"))
    content = pickle.dumps(pickle.loads(path.read_bytes()), 2)
    at = content.index(b"\xc2", len(content) // 2)
    path.write_bytes(content[:at] + b"\xff" + content[at + 1 :])
    with pytest.raises(BadInput, match=r"a\.pkl is damaged, or not a pickle"):
        open_or_build(path, SPECS["3d"], tmp_path / "stores")


def test_no_more_than_a_portion_is_held(tmp_path, monkeypatch):
    """Of the arrays that were read, few are alive at a time."""
    monkeypatch.setattr(building, "BYTES", 40_000)
    write_annotations(tmp_path / "a.pkl", annotations("3d", 60))
    (portion, *_) = divided(read_annotations(tmp_path / "a.pkl").samples)
    alive = most = 0

    class Counted(np.ndarray):
        def __del__(self):
            nonlocal alive
            alive -= type(self.base) is not Counted

    def read(array, file, original=placed.ArrayInFile.read):
        nonlocal alive, most
        alive += 1
        most = max(most, alive)
        return original(array, file).view(Counted)

    monkeypatch.setattr(placed.ArrayInFile, "read", read)
    open_or_build(tmp_path / "a.pkl", SPECS["3d"], tmp_path / "stores")
    assert 0 < most <= 3 * len(portion) < 66


@pytest.mark.slow
@pytest.mark.parametrize("call", ["prepare", "write"])
def test_a_helper_that_dies_gives_one_sentence(tmp_path, with_helpers, monkeypatch, call):
    write_annotations(tmp_path / "a.pkl", annotations("3d"))
    ask = helpers.Helper.ask

    def deadly(helper, name, *args):
        if name == call:
            os.kill(helper.process.pid, signal.SIGKILL)
        ask(helper, name, *args)

    monkeypatch.setattr(helpers.Helper, "ask", deadly)
    with pytest.raises(BadInput, match="ended with SIGKILL, as when memory runs out: free"):
        open_or_build(tmp_path / "a.pkl", SPECS["3d"], tmp_path / "stores")
    assert [path.name for path in (tmp_path / "stores").iterdir() if path.is_dir()] == []


@pytest.mark.slow
def test_a_helper_that_cannot_be_started_gives_one_sentence(tmp_path, with_helpers, monkeypatch):
    write_annotations(tmp_path / "a.pkl", annotations("3d"))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no python"))
    with pytest.raises(BadInput, match=r"cannot be started \(No such file or directory\): free"):
        open_or_build(tmp_path / "a.pkl", SPECS["3d"], tmp_path / "stores")


@pytest.mark.slow
def test_a_disk_that_helpers_fill_gives_one_sentence(tmp_path):
    write_annotations(tmp_path / "a.pkl", annotations("3d"))
    limit = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))\n"
    done = built_by(tmp_path, before=limit)
    (*_, last) = done.stderr.splitlines()
    assert "stores: File too large; free some space or set data.store_dir" in last
    assert [path.name for path in (tmp_path / "stores").iterdir() if path.is_dir()] == []


@pytest.mark.parametrize("damaged", [False, True])
def test_annotations_that_change_while_they_are_read_are_refused(tmp_path, with_helpers, damaged):
    made = annotations("3d")
    write_annotations(tmp_path / "a.pkl", made)
    if damaged:
        made.samples.reverse()
    write_annotations(tmp_path / "b.pkl", made)
    if damaged:
        os.truncate(tmp_path / "b.pkl", 999)

    class Changing(Watch):
        def begin(self, plan):
            if (tmp_path / "b.pkl").exists():
                (tmp_path / "b.pkl").rename(tmp_path / "a.pkl")

    with pytest.raises(BadInput, match=r"a\.pkl changed while it was read: start again"):
        open_or_build(tmp_path / "a.pkl", SPECS["3d"], tmp_path / "stores", Changing())
    assert [path.name for path in (tmp_path / "stores").iterdir() if path.is_dir()] == []


PROGRAM = """
import os, pickle, signal, sys, time
from stgcn_lightning.data import building, store
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in the background of a shell
building.ALONE, building.BYTES, building.cores = 0, 40_000, lambda: 2
spec, annotations, root, how = pickle.loads(bytes.fromhex(sys.argv[1]))
class Stopped(building.Watch):
    def stored(self, samples):
        print(open(f"/proc/self/task/{os.getpid()}/children").read(), flush=True)
        os.kill(os.getpid(), how)
        time.sleep(5)
store.open_or_build(annotations, spec, root, Stopped() if how else None)
print("built")
"""


def built_by(tmp_path, how=0, before=""):
    argument = pickle.dumps((SPECS["3d"], tmp_path / "a.pkl", tmp_path / "stores", how)).hex()
    return subprocess.run(
        [sys.executable, "-c", before + PROGRAM, argument],
        capture_output=True,
        text=True,
        check=False,
    )


def lives(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="children are listed in /proc")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_builder_that_is_stopped_leaves_nothing_that_is_opened(tmp_path, how, monkeypatch):
    write_annotations(tmp_path / "a.pkl", annotations("3d"))
    stopped = built_by(tmp_path, how)
    assert stopped.returncode == -how
    helping = stopped.stdout.split()
    assert len(helping) == 2
    deadline = time.monotonic() + 20
    while any(map(lives, helping)):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    done = built_by(tmp_path)
    assert done.stdout == "built\n", done.stderr
    (folder,) = (path for path in (tmp_path / "stores").iterdir() if path.is_dir())
    monkeypatch.setattr(building, "BYTES", 40_000)  # portions as large as there
    alone = open_or_build(tmp_path / "a.pkl", SPECS["3d"], tmp_path / "again")
    assert files(folder) == files(alone.folder)


@pytest.mark.slow
def test_a_process_that_may_have_no_children_builds_a_store(tmp_path):
    """Such as a worker of a DataLoader; and a program without `if __name__ == "__main__"`."""
    write_annotations(tmp_path / "a.pkl", annotations("3d"))
    daemon = "import multiprocessing\nmultiprocessing.current_process()._config['daemon'] = True\n"
    done = built_by(tmp_path, before=daemon)
    assert done.stdout == "built\n", done.stderr


def test_it_is_told_what_it_takes_before_it_begins(tmp_path):
    write_annotations(tmp_path / "a.pkl", annotations("3d"))
    told = []

    class Told(Watch):
        def begin(self, plan):
            told.append(plan)

        def stored(self, samples):
            told.append(samples)

    store = open_or_build(tmp_path / "a.pkl", SPECS["3d"], tmp_path / "stores", Told())
    plan, *numbers = told
    samples = list(loaded(read_annotations(tmp_path / "a.pkl").samples))
    assert plan.samples == sum(numbers) == 30
    assert plan.read == sum(one.keypoint.nbytes for one in samples)
    assert plan.stored >= store.frames.numel() * 4 - 300
    assert plan.processes == 1
