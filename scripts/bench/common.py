"""What the benchmarks share: allocator settings, models, other implementations, timing."""

import copy
import importlib
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from omegaconf import OmegaConf
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from stgcn_lightning.engine.engine import Engine
from stgcn_lightning.models import parts, registry
from stgcn_lightning.models.backbone import Backbone, plain_copy
from stgcn_lightning.skeleton import Skeleton

CHECKOUT = Path(__file__).parents[2]
# Without the first two, glibc returns every large tensor to the operating system, which takes much
# time; the third is what every door sets (launching/surroundings.py).
MEMORY = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "100000000000",
    "GOMP_SPINCOUNT": os.environ.get("GOMP_SPINCOUNT", "1000"),
}
BODIES = {"2d": "coco17", "3d": "ntu25", "small": "jhmdb15", "whole": "coco_wholebody133"}
MIXES = {"4/5 one person": 0.8, "all two persons": 0.0}
# what is compared: logits (N, classes) of clips (N, M, T, V, C), and the parameters of the model
Contender = tuple[Callable[[Tensor], Tensor], list[Tensor]]


def keep_memory() -> None:
    """Start again with `MEMORY`, which glibc reads at the start of a process."""
    if not MEMORY.items() <= os.environ.items():
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | MEMORY)


def load_skeleton(name: str) -> Skeleton:
    path = CHECKOUT / "conf" / "skeleton" / f"{name}.yaml"
    table = OmegaConf.to_container(OmegaConf.load(path))
    assert isinstance(table, dict)
    return Skeleton.from_dict({str(key): value for key, value in table.items()})


def processor() -> str:
    """The processor's name, from Linux if possible."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def machine() -> str:
    """One line: processor, versions, threads, allocator."""
    kept = " ".join(f"{name}={value}" for name, value in MEMORY.items())
    return (
        f"{processor()}, torch {torch.__version__}, numpy {np.__version__}, "
        f"{torch.get_num_threads()} threads, {kept}"
    )


def graph_mode(family: str) -> str:
    """That of the family's configuration."""
    return OmegaConf.select(OmegaConf.load(CHECKOUT / "conf" / "model" / f"{family}.yaml"), "graph")


def make_model(
    dimension: str, classes: int = 60, family: str = "stgcn", **options: Any
) -> Backbone:
    """The full-width plain model of a dimension's skeleton, with weights from seed 0."""
    torch.manual_seed(0)
    graph = registry.graph_of(family, load_skeleton(BODIES[dimension]), graph_mode(family))
    persons = 1 if dimension == "small" else 2
    return registry.build(family, graph, classes, persons=persons, **options)


def ours(model: Backbone, **settings: Any) -> Contender:
    """A copy of the model, run by an engine."""
    model = copy.deepcopy(model)
    return Engine(model, **settings), list(model.parameters())


def plain(model: Backbone) -> Contender:
    """A copy of the model, run by itself."""
    model = plain_copy(model)
    return model, list(model.parameters())


class AsConvolution(parts.Pointwise):
    """A 1x1 convolution in the memory order of PYSKL and MMAction2, channel by channel."""

    def forward(self, input: Tensor) -> Tensor:
        """(R, C, T, V) -> (R, O, ceil(T / stride), V)."""
        weight = self.weight[..., None, None]
        return F.conv2d(input.contiguous(), weight, self.bias, (self.stride, 1))


def published(model: Backbone) -> Contender:
    """A copy of the model that computes as the published code does: convolutions throughout."""
    model = plain_copy(model)
    for module in model.modules():
        if type(module) is parts.Pointwise:
            module.__class__ = AsConvolution
    return model, list(model.parameters())


def make_clips(
    dimension: str, shape: tuple[int, ...], alone: float, persons: int = 2, frames: int = 100
) -> Tensor:
    """Noise (*shape, M, T, V, 3); in the share `alone` of the last axis the second is absent."""
    joints = len(load_skeleton(BODIES[dimension]).joints)
    noise = torch.Generator().manual_seed(0)
    clips = torch.randn(*shape, persons, frames, joints, 3, generator=noise)
    clips[..., : round(alone * shape[-1]), 1:, :, :, :] = 0
    return clips


def contender(name: str, model: Backbone) -> Contender:
    """Another implementation with the weights of `model`.

    Args:
        name: ``plain``, ``published``, or ``module:function``, which makes it of the model; modules
            are looked for in the working directory as well.
        model: in training or evaluation mode.
    """
    if name in ("plain", "published"):
        return {"plain": plain, "published": published}[name](model)
    sys.path.insert(0, os.getcwd())
    module, _, function = name.partition(":")
    return getattr(importlib.import_module(module), function)(model)


def old_contender(source: str, model: Backbone) -> Contender:
    """The ST-GCN of version 0.1.0 with the weights of `model`.

    Args:
        source: the folder `src` of a checkout of that version.
        model: an ST-GCN, in training or evaluation mode.
    """
    with old_package(source):
        old = importlib.import_module("stgcn_lightning.model.stgcn").STGCN
    model_of_old = old(
        model.state_dict()["stages.0.graph.adjacency"],
        model.classify.out_features,
        **type(model).options_of(model.state_dict()),
    )
    model_of_old.load_state_dict(model.state_dict())
    model_of_old.train(model.training)
    return model_of_old, list(model_of_old.parameters())


@contextmanager
def old_package(source: str) -> Iterator[None]:
    """Within the block, `stgcn_lightning` is the package below `source`; afterwards, this one."""

    def taken() -> dict[str, ModuleType]:
        names = [name for name in sys.modules if name.split(".")[0] == "stgcn_lightning"]
        return {name: sys.modules.pop(name) for name in names}

    kept = taken()
    sys.path.insert(0, source)
    try:
        yield
    finally:
        sys.path.remove(source)
        taken()
        sys.modules.update(kept)


@contextmanager
def busy_neighbour() -> Iterator[None]:
    """Within the block another process computes without end, on any processor."""
    forever = (
        "import os\nhere = os.getppid()\nwhile os.getppid() == here: pass"  # not longer than us
    )
    process = subprocess.Popen([sys.executable, "-c", forever])  # ends with this one, also killed
    try:
        yield
    finally:
        process.kill()
        process.wait()


def beside_neighbour(
    jobs: Mapping[str, Callable[[], object]], quiet: Mapping[str, list[float]], rounds: int
) -> str:
    """A table's cells: how many times longer ours and the other take then, and their ratio."""
    with busy_neighbour():
        busy = take_turns({name: jobs[name] for name in ("ours", "other")}, rounds)
    ours, other = (statistics.median(busy[name]) / statistics.median(quiet[name]) for name in busy)
    return f"  {ours:27.2f}  {other:5.2f}  {ratio(busy, 'other', 'ours'):5.2f}"


def kept_for_backward(side: Contender, clips: Tensor, bf16: bool = False) -> float:
    """Megabytes kept for the backward pass."""
    forward, parameters = side
    known = {parameter.untyped_storage().data_ptr() for parameter in parameters}
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    half = torch.autocast("cpu", torch.bfloat16, enabled=bf16)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor), half:
        loss = forward(clips).sum()
    size = sum(kept.values()) / 1e6
    loss.backward()
    return size


class Operations(TorchDispatchMode):
    """While it is active: counts what autograd and the model dispatch, as `total`."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        self.total += 1
        return func(*args, **(kwargs or {}))


def product_rate() -> float:
    """Multiplications and additions a second of a large product in float32, the best of ten."""
    a, b = torch.ones(2048, 1024), torch.ones(1024, 1024)
    times = take_turns({"product": lambda: a @ b}, 10)["product"]
    return 2 * a.numel() * b.shape[1] / min(times)


def floor(run: Callable[[], object], rate: float) -> float:
    """Seconds that the products and convolutions of `run` take at a rate.

    What else it does is not counted: sums along edges, norms, copies.
    """

    def product(_: Any, a: torch.Size, b: torch.Size, **_more: Any) -> int:
        return 2 * a.numel() * b[-1]

    in_place = {torch.ops.aten.addmm_: product, torch.ops.aten.baddbmm_: product}
    with FlopCounterMode(display=False, custom_mapping=in_place) as counted:
        run()
    return counted.get_total_flops() / rate


def take_turns(jobs: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each round of each job, the jobs in turn; a first round is not counted."""
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for counted in range(rounds + 1):
        for name, job in jobs.items():
            start = time.perf_counter()
            job()
            if counted:
                times[name].append(time.perf_counter() - start)
    return times


def ratio(times: Mapping[str, list[float]], slow: str, fast: str) -> float:
    """Median over rounds of how many times longer `slow` takes."""
    return statistics.median(a / b for a, b in zip(times[slow], times[fast], strict=True))
