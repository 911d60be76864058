"""Fixtures of several test files."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from serving import Server

from stgcn_lightning.data.annotations import Annotations, write_annotations
from stgcn_lightning.data.store import Store, StoreSpec, open_or_build


@pytest.fixture
def make_store(tmp_path) -> Callable[..., Store]:
    """A function from samples to their store; all of them are in the split `all`."""

    def make(samples, skeleton, dimension, **spec) -> Store:
        samples = [replace(sample, id=f"S{i}") for i, sample in enumerate(samples)]
        path = tmp_path / "annotations.pkl"
        write_annotations(path, Annotations(samples, {"all": [s.id for s in samples]}))
        spec = {"dimension": dimension, "normalise": dimension, "classes": 60} | spec
        return open_or_build(path, StoreSpec(skeleton, **spec), tmp_path / "stores")

    return make


@pytest.fixture
def server(monkeypatch) -> Iterator[Server]:
    """A web server on this machine, which no proxy stands before."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server() as running:
        yield running
