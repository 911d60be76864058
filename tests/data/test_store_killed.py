"""Builders of stores that are killed at any moment, and those who wait for builders."""

import multiprocessing
import os
import random
import shutil
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock

from stgcn_lightning import skeleton_named
from stgcn_lightning.data import store as stores
from stgcn_lightning.data.building import Watch
from stgcn_lightning.data.store import Store, StoreSpec, open_or_build, open_store
from stgcn_lightning.sources.mmaction2 import write_annotations
from stgcn_lightning.sources.synthetic import synthetic_annotations, synthetic_file

SPEC = StoreSpec(skeleton_named("coco17"), "2d", normalise="2d", classes=12)
KILLS = 50


class Told(Watch):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def remark(self, line: str) -> None:
        self.lines.append(line)


@pytest.fixture
def annotations(tmp_path) -> Path:
    made = synthetic_annotations("2d", train_samples=24, val_samples=12)
    write_annotations(tmp_path / "a.pkl", made)
    return tmp_path / "a.pkl"


def build(annotations: Path, root: Path) -> None:
    open_or_build(annotations, SPEC, root)
    os._exit(0)


def is_whole(store: Store, count: int) -> None:
    assert len(store.ids) == count
    assert store.verify() == len(store.frames)


@pytest.mark.slow
def test_a_builder_that_is_killed_at_any_moment_loses_nothing(annotations, tmp_path):
    """What is there afterwards is the store from before or the new one, whole."""
    root, draw = tmp_path / "stores", random.Random(0)
    folder = open_or_build(annotations, SPEC, root).folder
    started = time.perf_counter()
    fork = multiprocessing.get_context("fork")
    shutil.rmtree(root)
    whole = fork.Process(target=build, args=(annotations, root))
    whole.start()
    whole.join()
    lasts = time.perf_counter() - started
    before, killed = open_store(folder).build, 0
    for number in range(KILLS):
        made = synthetic_annotations("2d", train_samples=24, val_samples=12, seed=number + 1)
        write_annotations(annotations, made)
        builder = fork.Process(target=build, args=(annotations, root))
        builder.start()
        builder.join(draw.uniform(0, lasts))
        if builder.is_alive():
            assert builder.pid is not None
            os.kill(builder.pid, signal.SIGKILL)
            killed += 1
        builder.join()
        away = annotations.rename(tmp_path / "away.pkl")  # nothing to build of
        left = open_or_build(annotations, SPEC, root)
        is_whole(left, 36)
        away.rename(annotations)
        now = open_or_build(annotations, SPEC, root)
        is_whole(now, 36)
        assert left.build in (before, now.build)
        assert now.build != before
        before = now.build
        left_over = {path.suffix for path in root.iterdir() if path.is_dir() and path != folder}
        assert left_over <= {".old", ".building"}, "until the store is built the next time"
    assert killed > KILLS // 4


@pytest.mark.parametrize("left", ["building", "old"])
def test_a_finished_store_that_has_lost_its_name_gets_it_back(annotations, tmp_path, left):
    store = open_or_build(annotations, SPEC, tmp_path / "stores")
    store.folder.rename(store.folder.with_name(f"{store.folder.name}.{left}"))
    annotations.unlink()
    is_whole(open_or_build(annotations, SPEC, tmp_path / "stores"), 36)


def test_an_unfinished_store_gets_no_name(annotations, tmp_path):
    store = open_or_build(annotations, SPEC, tmp_path / "stores")
    aside = store.folder.rename(store.folder.with_name(f"{store.folder.name}.building"))
    (aside / "manifest.json").unlink()
    annotations.unlink()
    with pytest.raises(FileNotFoundError):
        open_or_build(annotations, SPEC, tmp_path / "stores")


def test_whoever_waits_is_told_for_whom(annotations, tmp_path, monkeypatch):
    entered, going = threading.Event(), threading.Event()
    building = stores.build

    def slow(*args):
        entered.set()
        assert going.wait(20)
        return building(*args)

    monkeypatch.setattr(stores, "build", slow)
    root = tmp_path / "stores"
    builder = threading.Thread(target=open_or_build, args=(annotations, SPEC, root))
    builder.start()
    assert entered.wait(20)

    class Waiting(Told):
        def remark(self, line: str) -> None:
            super().remark(line)
            going.set()

    told = Waiting()
    is_whole(open_or_build(annotations, replace(SPEC), root, told), 36)
    builder.join()
    (line,) = told.lines
    assert line.startswith(f"waiting for process {os.getpid()} on ")
    assert f"which makes {root}" in line
    assert not list(root.glob(".*.maker"))


def test_whoever_waits_for_the_embedded_data_is_told_for_whom(tmp_path):
    sizes = {"train_samples": 4, "val_samples": 4}
    path = synthetic_file("2d", tmp_path, print, **sizes)
    lock, told = FileLock(path.with_name(f".{path.name}.lock")), []
    lock.acquire()

    def release(line: str) -> None:
        told.append(line)
        lock.release()

    assert synthetic_file("2d", tmp_path, release, **sizes) == path
    assert told == [f"waiting for another process, which makes {path}"]


def test_whoever_waits_for_a_builder_that_left_no_name_is_told_that(annotations, tmp_path):
    root = tmp_path / "stores"
    folder = open_or_build(annotations, SPEC, root).folder
    shutil.rmtree(folder)
    lock = FileLock(root / f".{folder.name}.lock")
    lock.acquire()

    class Waiting(Told):
        def remark(self, line: str) -> None:
            super().remark(line)
            lock.release()

    told = Waiting()
    open_or_build(annotations, SPEC, root, told)
    assert told.lines == [f"waiting for another process, which makes {folder}"]
