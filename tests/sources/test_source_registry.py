import os
from pathlib import Path

import numpy as np
import pytest

from stgcn_lightning.errors import BadInput
from stgcn_lightning.sources.annotations import Annotations, Sample
from stgcn_lightning.sources.mmaction2 import write_annotations
from stgcn_lightning.sources.registry import SOURCES, own_source, source_named


def read_nothing(path: Path, *, splits: int = 1) -> Annotations:
    return Annotations([], {f"{path.name}{i}": [] for i in range(splits)})


def test_every_name_has_its_reader(tmp_path):
    assert [source_named(name).name for name in SOURCES] == list(SOURCES)
    write_annotations(tmp_path / "x.pkl", Annotations([Sample("A", 1, np.ones((1, 2, 3, 2)))], {}))
    found = source_named("mmaction2").annotations(tmp_path / "x.pkl")
    assert [sample.id for sample in found.samples] == ["A"]


def test_an_unknown_name_is_refused_with_the_remedy():
    with pytest.raises(BadInput, match=r"benchmark\.source=openpos: did you mean openpose"):
        source_named("openpos")


def test_key_points_are_annotations_without_labels(tmp_path):
    np.savez(tmp_path / "a.npz", keypoint=np.ones((3, 17, 2)))
    for name in ("auto", "npz"):
        found = source_named(name).annotations(tmp_path)
        assert found.splits == {"all": ["a"]}
        assert (found.samples[0].id, found.samples[0].label) == ("a", None)
        assert found.samples[0].keypoint.shape == (1, 3, 17, 2)


def test_a_function_of_the_user_s_own_is_a_source():
    source = own_source(read_nothing, splits=2)
    assert source.name == "test_source_registry.read_nothing(splits=2)"
    assert source.annotations(Path("x")).splits == {"x0": [], "x1": []}
    assert own_source(read_nothing).name == "test_source_registry.read_nothing"


def test_what_is_no_annotations_is_refused():
    source = own_source(os.fspath)
    with pytest.raises(BadInput, match=r"source posix\.fspath returns a str for x; return"):
        source.annotations(Path("x").name)
