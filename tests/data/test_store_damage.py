"""Stores that a disk, a copy, a program or a person damaged: none is used as it is."""

import json
import os
import pickle
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from stgcn_lightning import skeleton_named
from stgcn_lightning.data import building
from stgcn_lightning.data.building import Watch
from stgcn_lightning.data.parts import FRAMES, MANIFEST, SMALL, DamagedStore, seal
from stgcn_lightning.data.store import Store, StoreSpec, open_or_build, open_store
from stgcn_lightning.errors import BadInput
from stgcn_lightning.sources.mmaction2 import read_annotations, write_annotations
from stgcn_lightning.sources.synthetic import synthetic_annotations

SPEC = StoreSpec(skeleton_named("coco17"), "2d", normalise="2d", classes=3)
Damage = Callable[[Path], Any]


class Told(Watch):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def remark(self, line: str) -> None:
        self.lines.append(line)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A folder of annotations and their store, which tests copy."""
    folder = tmp_path_factory.mktemp("made")
    made = synthetic_annotations("2d", train_samples=9, val_samples=6)
    made.samples[:] = [replace(one, label=number % 3) for number, one in enumerate(made.samples)]
    write_annotations(folder / "a.pkl", made)
    return folder


@pytest.fixture
def annotations(made, tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr(building, "BYTES", 20_000)  # several portions
    return Path(shutil.copy2(made / "a.pkl", tmp_path))


@pytest.fixture
def store(annotations, tmp_path) -> Store:
    return open_or_build(annotations, SPEC, tmp_path / "stores")


def held(store: Store) -> tuple[Any, ...]:
    """All that a store holds."""
    tensors = store.frames, store.first_row, store.num_frames, store.num_persons, store.labels
    splits = {name: numbers.tolist() for name, numbers in store.splits.items()}
    texts = store.ids.tolist(), store.dropped, store.findings, store.renamed, store.skeleton
    assert store.digests is not None
    numbers = [one.numpy().tobytes() for one in (*tensors, store.digests)]
    return *numbers, splits, *texts, store.build, store.scored, store.persons_cut


def flip(name: str, at: float) -> Damage:
    def damage(folder: Path) -> None:
        content = bytearray((folder / name).read_bytes())
        content[int(at * (len(content) - 1))] ^= 4
        renew(folder / name, content)

    return damage


def changed(name: str, how: Callable[[bytes], bytes]) -> Damage:
    return lambda folder: renew(folder / name, how((folder / name).read_bytes()))


def renew(path: Path, content: bytes | bytearray) -> None:
    """Another file: the one before may be mapped into memory."""
    path.unlink()
    path.write_bytes(content)


def folder_instead(folder: Path, name: str) -> None:
    (folder / name).unlink()
    (folder / name).mkdir()


def exchanged(content: bytes) -> bytes:
    """Two runs of bytes near the end have changed places."""
    size = min(64, (len(content) - 128) // 2)
    return content[: -2 * size] + content[-size:] + content[-2 * size : -size]


BYTES: dict[str, Callable[[bytes], bytes]] = {
    "cut": lambda content: content[: len(content) // 2],
    "cut by a byte": lambda content: content[:-1],
    "empty": lambda content: b"",
    "longer": lambda content: content + b"\0",
    "zeros": lambda content: bytes(len(content)),
    "zeros at the end": lambda content: content[:-64] + bytes(64),
    "random": lambda content: np.random.default_rng(0).bytes(len(content)),
    "exchanged": exchanged,
    "another file": lambda content: b"hello, " * (len(content) // 7),
}
DAMAGES: dict[str, Damage] = {}
for name in (*SMALL, MANIFEST):
    DAMAGES |= {f"{name} {what}": changed(name, how) for what, how in BYTES.items()}
    DAMAGES |= {f"{name} flipped at {at}": flip(name, at) for at in (0, 0.05, 0.5, 0.9, 1)}
    DAMAGES[f"{name} gone"] = lambda folder, name=name: (folder / name).unlink()
    DAMAGES[f"{name} a folder"] = lambda folder, name=name: folder_instead(folder, name)
for what in ("cut", "cut by a byte", "empty", "longer", "another file"):
    DAMAGES[f"{FRAMES} {what}"] = changed(FRAMES, BYTES[what])
DAMAGES |= {
    f"{FRAMES} gone": lambda folder: (folder / FRAMES).unlink(),
    f"{FRAMES} a folder": lambda folder: folder_instead(folder, FRAMES),
    "all gone": lambda folder: [path.unlink() for path in folder.iterdir()],
    "a file": lambda folder: (shutil.rmtree(folder), folder.write_text("")),
    "manifest of another": changed(MANIFEST, lambda content: content.replace(b'"2d"', b'"3d"')),
    "a dropped line": changed(MANIFEST, lambda content: content.replace(b": []", b': ["S"]')),
    "deep": changed(MANIFEST, lambda content: b"[" * 100_000),
    "a list": changed(MANIFEST, lambda content: b"[]"),
    "a number": changed(MANIFEST, lambda content: b"1" * 5000),
    "no table": changed(MANIFEST, lambda content: b"{}"),
}  # fmt: skip
IN_FRAMES: dict[str, Damage] = {
    f"{FRAMES} {what}": changed(FRAMES, BYTES[what])
    for what in ("zeros", "zeros at the end", "random", "exchanged")
}
IN_FRAMES |= {f"{FRAMES} flipped at {at}": flip(FRAMES, at) for at in (0, 0.1, 0.3, 0.5, 0.7, 1)}
IN_FRAMES[f"{FRAMES} two pages exchanged"] = changed(
    FRAMES, lambda content: content[4096:8192] + content[:4096] + content[8192:]
)


@pytest.mark.parametrize("what", DAMAGES)
def test_what_is_damaged_is_built_again_and_that_is_said(store, annotations, what):
    expected = held(store)
    DAMAGES[what](store.folder)
    told = Told()
    again = open_or_build(annotations, SPEC, store.folder.parent, told)
    assert held(again) == expected
    gone = what in (f"{MANIFEST} gone", "all gone", "a file")
    assert gone or any("is damaged (" in line for line in told.lines), told.lines


@pytest.mark.parametrize("what", DAMAGES)
def test_without_its_annotations_what_is_damaged_is_refused(store, annotations, what):
    DAMAGES[what](store.folder)
    annotations.unlink()
    with pytest.raises((BadInput, FileNotFoundError)) as error:
        open_or_build(annotations, SPEC, store.folder.parent)
    assert isinstance(error.value, FileNotFoundError) or "put it back" in str(error.value)


@pytest.mark.parametrize("what", IN_FRAMES)
def test_damaged_frames_are_found_when_they_are_asked_for(store, annotations, what):
    expected = held(store)
    IN_FRAMES[what](store.folder)
    root = store.folder.parent
    with pytest.raises(DamagedStore, match=r"the frames of (\d+ of 15 samples|absent persons)"):
        open_or_build(annotations, SPEC, root).verify()
    told = Told()
    assert held(open_or_build(annotations, SPEC, root, told, verify=True)) == expected
    assert any("is damaged (the frames of" in line for line in told.lines)
    assert open_or_build(annotations, SPEC, root).verify() == len(store.frames)


def test_the_samples_of_damaged_frames_are_named(store):
    first, row = int(store.first_row[14]), store.frames[0].numel() * store.frames.element_size()
    flip(FRAMES, (first + 1) * row / (len(store.frames) * row))(store.folder)
    with pytest.raises(DamagedStore) as error:
        open_store(store.folder).verify()
    assert "15 samples" not in str(error.value).replace("of 15 samples", "")
    number = int(str(error.value).split("the frames of ")[1].split()[0])
    assert number < 15, "of the portion alone"


def with_samples(change: Callable[[Any], Any]) -> Damage:
    def damage(folder: Path) -> None:
        table = np.load(folder / "samples.npy")
        change(table)
        np.save(folder / "samples.npy", table)

    return damage


def with_manifest(**values: Any) -> Damage:
    return lambda folder: values


def put(table: Any, field: str, value: int) -> None:
    table[field][3] = value


def overflow(table: Any) -> None:
    """Rows that leave 64 bits above and come back below, to end where they should."""
    most, rows = (1 << 31) - 1, int(table["first_row"][-1] + table["frames"][-1])
    left = (1 << 64) - 4 * most**2 + rows - 1 - (len(table) - 6)
    sizes = [(most, most)] * 4 + [(1, 1)] * (len(table) - 6)
    sizes += [(most, left // most), (left % most, 1)]
    ends = np.cumsum([frames * persons for frames, persons in sizes], dtype=object) + 1
    table["frames"], table["persons"] = zip(*sizes, strict=True)
    table["first_row"][1:] = [(end + (1 << 63)) % (1 << 64) - (1 << 63) for end in ends[:-1]]
    assert ends[-1] == rows + (1 << 64)


def with_portions(change: Callable[[Any], Any]) -> Damage:
    def damage(folder: Path) -> None:
        table = np.load(folder / "portions.npy")
        change(table["rows"])
        np.save(folder / "portions.npy", table)

    return damage


COHERENT: dict[str, Damage] = {
    "rows that overflow": with_samples(overflow),
    "portions that fall": with_portions(lambda ends: ends.__setitem__(-2, ends[-1] + 1)),
    "portions below 0": with_portions(lambda ends: ends.__setitem__(0, -1)),
    "a label of no class": with_samples(lambda table: put(table, "label", 3)),
    "a label below none": with_samples(lambda table: put(table, "label", -2)),
    "rows of others": with_samples(lambda table: put(table, "first_row", 2)),
    "rows beyond": with_samples(lambda table: put(table, "first_row", 1 << 40)),
    "no persons": with_samples(lambda table: put(table, "persons", 0)),
    "persons below none": with_samples(lambda table: put(table, "persons", -1)),
    "frames beyond": with_samples(lambda table: put(table, "frames", 1 << 30)),
    "a sample too few": lambda folder: np.save(
        folder / "samples.npy", np.load(folder / "samples.npy")[:-1]
    ),
    "an id too few": lambda folder: np.save(folder / "ids.npy", np.load(folder / "ids.npy")[1:]),
    "ids that are numbers": lambda folder: np.save(folder / "ids.npy", np.arange(15)),
    "a split beyond": lambda folder: np.save(folder / "splits.npy", np.arange(1, 16)),
    "a split below 0": lambda folder: np.save(folder / "splits.npy", np.arange(-1, 14)),
    "splits of fractions": lambda folder: np.save(folder / "splits.npy", np.zeros(15)),
    "digests of others": lambda folder: np.save(folder / "digests.npy", np.arange(7)),
    "objects": lambda folder: np.save(folder / "ids.npy", np.array([{}] * 15), allow_pickle=True),
    "portions that end early": lambda folder: np.save(
        folder / "portions.npy", np.load(folder / "portions.npy")[:-1]
    ),
    "float64": with_manifest(dtype="float64"),
    "objects of frames": with_manifest(dtype="O"),
    "another shape": with_manifest(shape=[1, 17, 3]),
    "a shape below 0": with_manifest(shape=[-1, 17, 3]),
    "a shape of texts": with_manifest(shape=["1", 17, 3]),
    "no shape": with_manifest(shape=[]),
    "split ranges that overlap": with_manifest(splits={"train": [0, 9], "val": [6, 15]}),
    "split ranges that end early": with_manifest(splits={"train": [0, 9], "val": [9, 14]}),
    "a split of three": with_manifest(splits={"train": [0, 9, 15]}),
    "a split of text": with_manifest(splits={"train": "09"}),
    "no skeleton": with_manifest(skeleton={}),
    "a skeleton of more joints": with_manifest(skeleton=skeleton_named("ntu25").to_dict()),
    "no classes": with_manifest(classes=None),
    "remarks of numbers": with_manifest(dropped=[1]),
    "findings of others": with_manifest(findings=[{"what": "x"}]),
    "findings of numbers": with_manifest(findings=[{"what": 1, "example": "", "remedy": ""}]),
    "a third dimension": with_manifest(dimension="4d"),
    "classes below 0": with_manifest(classes=-1),
    "classes beyond": with_manifest(classes=3 * 10**9),
    "files beside in a list": with_manifest(beside=[1]),
    "no files beside": with_manifest(beside=None),
}


@pytest.mark.parametrize("what", COHERENT)
def test_a_store_that_contradicts_itself_is_damaged_whatever_its_digests(store, what):
    manifest = json.loads((store.folder / MANIFEST).read_text())
    values = COHERENT[what](store.folder)
    seal(store.folder, manifest | (values if isinstance(values, dict) else {}))
    with pytest.raises(DamagedStore, match=r"is damaged \(.+\): delete the folder, or prepare"):
        open_store(store.folder)


def test_annotations_are_told_by_their_content_where_size_and_time_are_the_same(
    annotations, tmp_path
):
    other = read_annotations(annotations)
    write_annotations(annotations, other)
    store, state = open_or_build(annotations, SPEC, tmp_path / "stores"), annotations.stat()
    other.samples[2] = replace(other.samples[2], label=1)
    write_annotations(annotations, other)
    os.utime(annotations, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert annotations.stat().st_size == state.st_size
    labels = open_or_build(annotations, SPEC, store.folder.parent).labels
    assert labels.ne(store.labels).nonzero().tolist() == [[2]]


@pytest.mark.parametrize("how", ["touched", "copied", "made readable"])
def test_annotations_of_the_same_content_are_the_same(store, annotations, monkeypatch, how):
    if how == "touched":
        os.utime(annotations, ns=(0, 1))
    if how == "copied":
        renew(annotations, annotations.read_bytes())
    annotations.chmod(0o600)
    root = store.folder.parent
    monkeypatch.setattr("stgcn_lightning.data.store.build", None)  # whoever builds fails
    assert held(open_or_build(annotations, SPEC, root)) == held(store)
    monkeypatch.setattr("stgcn_lightning.data.store.content_of", None)  # found once
    assert held(open_or_build(annotations, SPEC, root)) == held(store)


@pytest.mark.parametrize("beside", ["a\0", "\ud800", "a" * 5000, "/dev/null/x"])
def test_files_that_cannot_be_are_gone(store, annotations, beside):
    manifest = json.loads((store.folder / MANIFEST).read_text())
    seal(store.folder, manifest | {"beside": {beside: [1]}})
    assert held(open_or_build(annotations, SPEC, store.folder.parent)) == held(store)


@pytest.mark.parametrize("name", ["ids.npy", MANIFEST])
def test_a_pipe_is_no_part_of_a_store(store, annotations, name):
    expected = held(store)
    (store.folder / name).unlink()
    os.mkfifo(store.folder / name)
    signal.alarm(20)  # rather than to wait for ever
    assert held(open_or_build(annotations, SPEC, store.folder.parent)) == expected
    signal.alarm(0)


def test_a_store_that_says_nothing_of_its_annotations_is_built_again(store, annotations):
    manifest = json.loads((store.folder / MANIFEST).read_text())
    gone = {key: value for key, value in manifest.items() if key != "source_content"}
    seal(store.folder, gone | {"source_state": ""})
    assert held(open_or_build(annotations, SPEC, store.folder.parent)) == held(store)


def test_a_store_behind_a_link_is_built_again(store, annotations, tmp_path):
    away = store.folder.rename(tmp_path / "away")
    store.folder.symlink_to(away)
    DAMAGES["ids.npy gone"](away)
    for _ in range(2):
        assert len(open_or_build(annotations, SPEC, store.folder.parent).ids) == 15


def test_a_process_that_is_sent_a_store_opens_no_other(store, annotations):
    sent = pickle.dumps(store)
    assert held(pickle.loads(sent)) == held(store)
    write_annotations(annotations, synthetic_annotations("2d", train_samples=3, val_samples=3))
    open_or_build(annotations, replace(SPEC), store.folder.parent)
    with pytest.raises(BadInput, match="was built again while it was in use"):
        pickle.loads(sent)


def test_a_store_that_is_built_again_of_the_same_annotations_is_the_same(store, annotations):
    sent = pickle.dumps(store)
    DAMAGES["samples.npy zeros"](store.folder)
    open_or_build(annotations, SPEC, store.folder.parent)
    assert torch.equal(pickle.loads(sent).frames, store.frames)
