import errno
import os
import pickle
import shutil
import signal
import subprocess
import sys
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from stgcn_lightning.data.store import StoreSpec, open_or_build, open_store
from stgcn_lightning.errors import BadInput
from stgcn_lightning.skeleton import Normalisation, Skeleton
from stgcn_lightning.sources.annotations import Annotations, Sample
from stgcn_lightning.sources.mmaction2 import write_annotations
from stgcn_lightning.sources.registry import Source

PAIR = Skeleton(
    name="pair",
    joints=("a", "b"),
    edges=((1, 0),),
    graph_centre=0,
    bone_parents=(0, 0),
    left_right=(),
    normalise=Normalisation(centre=0, body=(0, 1), shoulders=(0, 1)),
)
SPEC = StoreSpec(PAIR, dimension="2d", normalise="none", classes=3)


def sample(id: str, shape: tuple[int, ...] = (1, 2, 2, 2), dtype="float16", **changes) -> Sample:
    """Coordinates and scores count up from 1."""
    keypoint = np.arange(1, np.prod(shape) + 1).reshape(shape).astype(dtype)
    score = (np.arange(1, np.prod(shape[:-1]) + 1) / 64).reshape(shape[:-1]).astype(dtype)
    return replace(Sample(id, 1, keypoint, score if shape[-1] == 2 else None), **changes)


def write(path: Path, *samples: Sample, **splits: list[str]) -> Path:
    write_annotations(path, Annotations(list(samples), splits or {"all": [s.id for s in samples]}))
    return path


@pytest.fixture
def source(tmp_path) -> Path:
    """Annotations of two good samples."""
    return write(tmp_path / "skeletons.pkl", sample("A"), sample("B", (2, 3, 2, 2), label=2))


@pytest.fixture
def root(tmp_path) -> Path:
    return tmp_path / "stores"


def change(path: Path, *samples: Sample) -> None:
    """Write other annotations, surely at another time."""
    write(path, *samples)
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))


def folders(root: Path) -> list[str]:
    """What lies in `root` besides locks."""
    return sorted(path.name for path in root.iterdir() if not path.name.startswith("."))


def no_building(monkeypatch) -> None:
    def refuse(source, path):
        raise AssertionError(f"{path} was read")

    monkeypatch.setattr(Source, "annotations", refuse)


def test_a_store_holds_what_the_annotations_hold(source, root):
    store = open_or_build(source, SPEC, root)
    assert store.frames.dtype == torch.float16
    assert store.frames.shape == (1 + 2 + 2 * 3, 2, 3)
    assert (store.frames[0] == 0).all()
    assert store.frames[2].tolist() == [[5, 6, 3 / 64], [7, 8, 4 / 64]]  # A's second frame
    second_person = store.first_row[1] + store.num_frames[1]
    assert store.frames[second_person, 0].tolist() == [13, 14, 7 / 64]
    assert store.first_row.tolist() == [1, 3]
    assert store.num_frames.tolist() == [2, 3]
    assert store.num_persons.tolist() == [1, 2]
    assert store.labels.tolist() == [1, 2]
    assert store.ids.tolist() == ["A", "B"]
    assert store.scored


def test_splits_are_in_the_order_of_the_annotations(tmp_path, root):
    samples = [sample(id) for id in "ABCD"]
    source = write(tmp_path / "x.pkl", *samples, train=["D", "A"], val=["C"], both=["C", "D", "A"])
    store = open_or_build(source, SPEC, root)
    assert {name: store.split(name).tolist() for name in store.splits} == {
        "train": [0, 3],
        "val": [2],
        "both": [0, 2, 3],
    }


def test_an_unknown_split_is_refused_with_the_nearest_name(tmp_path, root):
    source = write(tmp_path / "x.pkl", sample("A"), xsub_train=["A"], xsub_val=["A"])
    with pytest.raises(BadInput, match="no split 'xsub_vel'; did you mean xsub_val"):
        open_or_build(source, SPEC, root).split("xsub_vel")


@pytest.mark.parametrize(
    "other",
    [
        sample("B", dtype="float32"),
        sample("B", dtype="float64"),
        sample("B", score=np.ones((1, 2, 2))),
    ],
)
def test_frames_are_float32_unless_all_that_is_given_is_float16(tmp_path, root, other):
    source = write(tmp_path / "x.pkl", sample("A"), other)
    assert open_or_build(source, SPEC, root).frames.dtype == torch.float32


def test_a_person_who_is_absent_throughout_is_kept_in_2d_only(tmp_path, root):
    """In 2D, absent is the corner of the picture; in 3D it is zero, as padding is."""
    flat = np.full((3, 2, 2, 2), 100, np.float32)
    flat[2] = 0
    source = write(tmp_path / "2d.pkl", sample("A", keypoint=flat, score=None))
    store = open_or_build(source, replace(SPEC, normalise="2d"), root)
    assert store.num_persons.tolist() == [3]
    assert (store.frames[-1, :, :2] == -1).all()

    solid = np.arange(36, dtype=np.float32).reshape(3, 2, 2, 3)
    solid[2] = 0
    nobody = np.zeros_like(solid)
    samples = [
        sample(f"{i}", keypoint=keypoint, score=None)
        for i, keypoint in enumerate((solid, solid[[0, 2]], nobody))
    ]
    source = write(tmp_path / "3d.pkl", *samples)
    store = open_or_build(source, replace(SPEC, dimension="3d", normalise="3d"), root)
    assert store.num_persons.tolist() == [2, 1, 1]
    assert not store.scored


def test_a_store_is_built_once(source, root, monkeypatch):
    first = open_or_build(source, SPEC, root)
    no_building(monkeypatch)
    again = open_or_build(source, SPEC, root)
    assert again.folder == first.folder
    assert torch.equal(again.frames, first.frames)


def test_a_store_is_built_again_when_the_annotations_changed(source, root):
    old = open_or_build(source, SPEC, root)
    change(source, sample("C", (1, 7, 2, 2)))
    new = open_or_build(source, SPEC, root)
    assert new.ids.tolist() == ["C"]
    assert folders(root) == [new.folder.name]
    assert old.frames.shape[0] == 9, "a process that has the old store open keeps it"


@pytest.mark.parametrize(
    ("name", "content"),
    [("frames.bin", b"short"), ("manifest.json", b""), ("manifest.json", b'{"version": 1}')],
)
def test_a_store_that_was_damaged_is_built_again(source, root, name, content):
    store = open_or_build(source, SPEC, root)
    (store.folder / name).unlink()  # and not cut short: it may be open
    (store.folder / name).write_bytes(content)
    assert torch.equal(open_or_build(source, SPEC, root).frames, store.frames)


def test_another_way_to_read_the_same_annotations_is_another_store(source, root):
    specs = SPEC, replace(SPEC, normalise="2d"), replace(SPEC, classes=4)
    stores = {open_or_build(source, spec, root).folder for spec in specs}
    assert len(stores) == 3
    assert len(folders(root)) == 3


def test_two_ways_to_write_the_same_path_are_one_store(source, root, monkeypatch):
    open_or_build(source, SPEC, root)
    monkeypatch.chdir(source.parent)
    no_building(monkeypatch)
    open_or_build(Path(source.name), SPEC, root)


def test_a_name_like_a_pattern_is_a_name(tmp_path, root):
    source = write(tmp_path / "[ab]*.pkl", sample("A"))
    open_or_build(source, SPEC, root)
    change(source, sample("B"))
    assert open_or_build(source, SPEC, root).ids.tolist() == ["B"]
    assert len(folders(root)) == 1


def test_a_store_outlives_its_annotations(source, root):
    built = open_or_build(source, SPEC, root)
    source.unlink()
    assert torch.equal(open_or_build(source, SPEC, root).frames, built.frames)


def test_without_store_and_annotations_the_missing_file_is_named(tmp_path, root):
    with pytest.raises(FileNotFoundError) as error:
        open_or_build(tmp_path / "absent.pkl", SPEC, root)
    assert error.value.filename == str(tmp_path / "absent.pkl")
    assert not root.exists()


def test_opening_and_reading_touches_no_file(source, root):
    folder = open_or_build(source, SPEC, root).folder
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}
    for path in (*folder.iterdir(), folder):
        path.chmod(0o555 if path.is_dir() else 0o444)
    store = open_store(folder)
    store.frames[1:] += 1  # a private copy of the page
    assert {
        path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()
    } == before


def test_another_process_is_sent_the_path_of_a_store(source, root):
    store = open_or_build(source, SPEC, root)
    content = pickle.dumps(store)
    assert len(content) < 1000
    assert torch.equal(pickle.loads(content).frames, store.frames)


def killed_while_building(source: Path, root: Path) -> None:
    """Another process that dies by the kernel's hand at the second sample."""
    program = f"""
import os, pickle, signal
from pathlib import Path
from stgcn_lightning.data import portions, store
normalise, calls = portions.normalise, []
def deadly(*args, **kwargs):
    calls.append(1)
    if len(calls) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return normalise(*args, **kwargs)
portions.normalise = deadly
spec = pickle.loads({pickle.dumps(SPEC)})
store.open_or_build(Path({str(source)!r}), spec, Path({str(root)!r}))
"""
    done = subprocess.run([sys.executable, "-c", program])
    assert done.returncode == -signal.SIGKILL


@pytest.mark.slow
def test_what_a_killed_process_left_is_cleared_away(source, root):
    killed_while_building(source, root)
    assert [name.split(".")[-1] for name in folders(root)] == ["building"]
    store = open_or_build(source, SPEC, root)
    assert store.ids.tolist() == ["A", "B"]
    assert folders(root) == [store.folder.name]


@pytest.mark.slow
def test_a_store_stands_while_its_successor_dies(source, root):
    store = open_or_build(source, SPEC, root)
    old = source.read_bytes()
    old_time = source.stat().st_mtime_ns
    change(source, sample("C"), sample("D"))
    killed_while_building(source, root)
    assert open_store(store.folder).ids.tolist() == ["A", "B"]
    source.write_bytes(old)
    os.utime(source, ns=(old_time, old_time))
    assert open_or_build(source, SPEC, root).ids.tolist() == ["A", "B"]
    assert open_or_build(source, SPEC, root).folder == store.folder


@pytest.mark.slow
def test_processes_that_build_at_once_build_one_store(source, root, tmp_path):
    program = f"""
import os, pickle, time
from pathlib import Path
from stgcn_lightning.data import building, store
write = building._write
def slow(*args):
    with open({str(tmp_path / "built")!r}, "a") as file:
        file.write("x")
    time.sleep(1)  # the others arrive meanwhile
    return write(*args)
building._write = slow
here = Path({str(tmp_path)!r})
(here / f"ready{{os.getpid()}}").touch()
while len(list(here.glob("ready*"))) < 3:
    time.sleep(0.01)
spec = pickle.loads({pickle.dumps(SPEC)})
print(store.open_or_build(Path({str(source)!r}), spec, Path({str(root)!r})).ids.tolist())
"""
    run = [sys.executable, "-c", program]
    builders = [subprocess.Popen(run, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert [builder.communicate(timeout=120)[0] for builder in builders] == ["['A', 'B']\n"] * 3
    assert (tmp_path / "built").read_text() == "x"
    assert len(folders(root)) == 1


def too_small_a_disk(monkeypatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(100, 99, 1))


def a_disk_that_runs_full(monkeypatch) -> None:
    def save(path, array):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(np, "save", save)


@pytest.mark.parametrize("fault", [too_small_a_disk, a_disk_that_runs_full])
def test_without_space_there_is_a_sentence_and_no_trace(source, root, monkeypatch, fault):
    fault(monkeypatch)
    with pytest.raises(BadInput, match=f"{root}: .*; free some space or set data.store_dir"):
        open_or_build(source, SPEC, root)
    assert folders(root) == []


def test_the_space_that_is_needed_is_named(source, root, monkeypatch):
    too_small_a_disk(monkeypatch)
    with pytest.raises(BadInput, match=r"it may need 0\.0 GB"):
        open_or_build(source, SPEC, root)


@pytest.mark.parametrize("fault", [too_small_a_disk, a_disk_that_runs_full])
def test_a_store_stands_if_there_is_no_space_for_its_successor(source, root, monkeypatch, fault):
    store = open_or_build(source, SPEC, root)
    change(source, sample("C"))
    with monkeypatch.context() as patch:
        fault(patch)
        with pytest.raises(BadInput, match="cannot be written"):
            open_or_build(source, SPEC, root)
    assert open_store(store.folder).ids.tolist() == ["A", "B"]
    assert folders(root) == [store.folder.name]


def test_a_store_stands_if_the_new_annotations_are_bad(source, root):
    store = open_or_build(source, SPEC, root)
    change(source, sample("C", label=7))
    with pytest.raises(BadInput, match="'C' has label 7"):
        open_or_build(source, SPEC, root)
    assert open_store(store.folder).ids.tolist() == ["A", "B"]
    assert folders(root) == [store.folder.name]


def test_a_store_folder_that_is_a_file_is_refused(source, root):
    root.write_text("")
    with pytest.raises(BadInput, match=r"cannot be written under .*set data\.store_dir"):
        open_or_build(source, SPEC, root)


def test_the_wrong_number_of_joints_is_refused(tmp_path, root):
    source = write(tmp_path / "x.pkl", sample("A", (1, 2, 17, 2)))
    with pytest.raises(BadInput, match="'A' has 17 joints but the skeleton pair has 2"):
        open_or_build(source, SPEC, root)
    assert folders(root) == []


def with_nan(id: str) -> Sample:
    bad = sample(id, (1, 9, 2, 2))
    bad.keypoint[0, 4, 1, 0] = np.nan
    return bad


def test_a_coordinate_that_is_no_number_is_refused_by_sample_and_frame(tmp_path, root):
    source = write(tmp_path / "x.pkl", sample("A"), with_nan("B"))
    with pytest.raises(BadInput, match=r"'B' has coordinate nan \(person 0, frame 4, joint 1\)"):
        open_or_build(source, SPEC, root)
    assert folders(root) == []


def test_bad_samples_can_be_dropped_and_are_reported_at_every_opening(tmp_path, root):
    source = write(tmp_path / "x.pkl", sample("A"), with_nan("B"), sample("C"))
    spec = replace(SPEC, on_bad_sample="drop")
    for _ in range(2):
        store = open_or_build(source, spec, root)
        assert store.ids.tolist() == ["A", "C"]
        assert store.split("all").tolist() == [0, 1]
        assert len(store.dropped) == 1
        assert "'B'" in store.dropped[0]


def test_a_coordinate_too_large_to_be_stored_is_refused(tmp_path, root):
    huge = sample("B", dtype="float64")
    huge.keypoint[0, 0, 0, 0] = 1e300
    source = write(tmp_path / "x.pkl", sample("A"), huge)
    with pytest.raises(BadInput, match="'B' has coordinates too large for float32"):
        open_or_build(source, SPEC, root)
    assert folders(root) == []


def test_samples_of_which_3d_normalisation_keeps_two_persons_are_counted(tmp_path, root):
    samples = [sample(f"{persons}", (persons, 2, 2, 3)) for persons in (1, 2, 3, 4)]
    source = write(tmp_path / "x.pkl", *samples)
    spec = replace(SPEC, dimension="3d", normalise="3d")
    for mode in ("3d", "3d", "3d_centred"):
        assert open_or_build(source, replace(spec, normalise=mode), root).persons_cut == 2
    assert open_or_build(source, replace(spec, normalise="none"), root).persons_cut == 0


def test_stores_of_the_default_source_have_the_names_of_version_0_1_0(source, root, monkeypatch):
    monkeypatch.setattr(Path, "resolve", lambda path: Path("/data") / path.name)
    assert open_or_build(source, SPEC, root).folder.name == "skeletons-ba9e1b16"
