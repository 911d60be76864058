"""A store of annotations that a function of the user's own reads."""

import importlib
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from stgcn_lightning.data.store import StoreSpec, open_or_build
from stgcn_lightning.errors import BadInput
from stgcn_lightning.skeleton import Skeleton
from stgcn_lightning.sources.registry import own_source

PAIR = Skeleton("pair", ("a", "b"), ((1, 0),), 0, (0, 0), (), None)
SPEC = StoreSpec(PAIR, dimension="2d", normalise="none", classes=3)

READER = """
import numpy as np
from stgcn_lightning.sources.annotations import Annotations, Sample

def read(folder, label=1):
    files = sorted(folder.glob("*.txt"))
    samples = [Sample(f.stem, label, np.loadtxt(f).reshape(1, -1, 2, 2)) for f in files]
    return Annotations(samples, {"all": [f.stem for f in files]})
"""


@pytest.fixture
def root(tmp_path) -> Path:
    return tmp_path / "stores"


@pytest.fixture
def reader(tmp_path, monkeypatch):
    """A function that reads a folder of text files, from a module in `tmp_path`."""
    (tmp_path / "own_reader.py").write_text(READER)
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("own_reader").read
    del sys.modules["own_reader"]


@pytest.fixture
def texts(tmp_path) -> Path:
    folder = tmp_path / "texts"
    folder.mkdir()
    for name in "AB":
        (folder / f"{name}.txt").write_text("1 2 3 4 5 6 7 8")
    return folder


def test_a_reader_of_the_user_s_own_makes_a_store(reader, texts, root):
    spec = replace(SPEC, source=own_source(reader))
    store = open_or_build(texts, spec, root)
    assert store.ids.tolist() == ["A", "B"]
    assert store.frames[2].tolist() == [[5, 6, 1], [7, 8, 1]]
    assert json.loads((store.folder / "manifest.json").read_text())["source"] == "own_reader.read"
    other = open_or_build(texts, replace(SPEC, source=own_source(reader, label=2)), root)
    assert other.labels.tolist() == [2, 2]
    assert len(list(root.glob("texts-*"))) == 2


def test_a_store_is_built_again_when_a_file_of_its_folder_or_its_reader_changed(
    reader, texts, root, tmp_path
):
    spec = replace(SPEC, source=own_source(reader))
    open_or_build(texts, spec, root)
    (texts / "B.txt").write_text("1 2 3 4")
    assert open_or_build(texts, spec, root).num_frames.tolist() == [2, 1]
    (texts / "C.txt").write_text("1 2 3 4")
    assert open_or_build(texts, spec, root).ids.tolist() == ["A", "B", "C"]
    with (tmp_path / "own_reader.py").open("a") as file:
        file.write("# another reader")
    again = replace(SPEC, source=own_source(reader))
    assert again.source.version != spec.source.version
    manifest = open_or_build(texts, spec, root).folder / "manifest.json"
    for read in (spec, again):
        open_or_build(texts, read, root)
        assert json.loads(manifest.read_text())["source_version"] == read.source.version
    assert len(list(root.glob("texts-*"))) == 1


def test_key_points_are_not_scaled_to_a_picture_of_unknown_size(reader, texts, root):
    spec = replace(SPEC, source=own_source(reader), normalise="2d")
    with pytest.raises(BadInput, match=r"sample 'A' has no img_shape, .* give \(height, width\)"):
        open_or_build(texts, spec, root)
