"""Fixtures of several test files."""

import ctypes
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import no_network
import pytest
import torch
from filelock import FileLock
from helpers import three_stages
from hypothesis import settings
from serving import Server

from stgcn_lightning.data.store import Store, StoreSpec, open_or_build
from stgcn_lightning.engine.engine import Engine
from stgcn_lightning.models.backbone import Backbone
from stgcn_lightning.models.stgcn import STGCN
from stgcn_lightning.sources.annotations import Annotations
from stgcn_lightning.sources.mmaction2 import write_annotations

LARGE = 1 << 29  # bytes that a test adds to its process
settings.load_profile("ci")  # Hypothesis's own: the same examples in every run, and no deadline


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long tests first in each process's part: at the end, none waits for another one's."""
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    quick = [item.get_closest_marker("slow") is None for item in items]
    long_first = [items[i] for i in sorted(range(len(items)), key=quick.__getitem__)]
    # parts are divided evenly among the processes, in this order
    items[:] = [item for part in range(processes) for item in long_first[part::processes]]


@pytest.fixture(scope="session")
def connections(tmp_path_factory) -> Iterator[Path]:
    """The file in which is noted what the tests, and what they start, tried to connect to."""
    with pytest.MonkeyPatch.context() as changed:
        file = tmp_path_factory.mktemp("network") / "connections.txt"
        changed.setenv(no_network.NOTES, str(file))
        changed.setenv("PYTHONPATH", str(Path(no_network.__file__).parent), prepend=os.pathsep)
        no_network.refuse()
        yield file


@pytest.fixture(autouse=True)
def nothing_connects(connections) -> Iterator[None]:
    """No test connects to another machine; the processes that it starts do not, either."""
    yield
    if connections.exists():
        hosts = connections.read_text().split()
        connections.unlink()
        pytest.fail(f"it tried to connect to {', '.join(hosts)}")


@pytest.fixture(autouse=True)
def memory_is_returned() -> Iterator[None]:
    """What a large test held goes back to the system: as `make` sets glibc, it would be kept."""
    before = _resident()
    yield
    if _resident() > before + LARGE:
        with suppress(AttributeError):  # glibc alone keeps it
            ctypes.CDLL(None).malloc_trim(0)


def _resident() -> int:
    """Bytes of memory that this process has; 0 where Linux does not say it."""
    with suppress(OSError):
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    return 0


@pytest.fixture
def room(tmp_path_factory) -> Iterator[None]:
    """Room for a test that holds several gigabytes: two processes of tests have it at a time."""
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
    with FileLock(tmp_path_factory.getbasetemp().parent / f".room_{number % 2}.lock"):
        yield


@pytest.fixture
def shallow() -> Iterator[None]:
    """Models of three stages, one of each kind."""
    with three_stages():
        yield


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


@pytest.fixture
def small() -> STGCN:
    """Two subsets, five joints, three classes; no weight at a value that could hide a mistake."""
    torch.manual_seed(0)
    model = STGCN(torch.rand(2, 5, 5), classes=3, base_channels=4)
    with torch.no_grad():
        for tensor in model.state_dict().values():
            if tensor.is_floating_point() and tensor.ndim == 1:
                tensor.uniform_(0.5, 1.5)
        for stage in model.stages:
            stage.graph.edge_importance.uniform_(0.5, 1.5)
        model.classify.weight.normal_()
    return model


@pytest.fixture(params=["plain", "engine"])
def way(request) -> Callable[[Backbone], Callable[..., torch.Tensor]]:
    """A function from a model to what computes its logits: the model itself, or an engine."""
    return Engine if request.param == "engine" else lambda model: model


@pytest.fixture
def clips() -> torch.Tensor:
    """Two clips of two persons and 37 frames, halved twice to 19 and 10."""
    return torch.randn(2, 2, 37, 5, 3, generator=torch.Generator().manual_seed(1))
