"""Which of two equal computations is faster on this machine: measured once, in milliseconds, kept.

Whether MKL's products or oneDNN's convolutions are faster differs between processors by a factor of
three, and no name foretells it. What was measured is kept in `choices.json` in this package's cache
folder ($XDG_CACHE_HOME/stgcn_lightning, by default ~/.cache/stgcn_lightning), by processor, threads
and version of torch: later processes compute with the same operations, so that a run that is
resumed continues with the same bits. Without such a folder every process measures. A file that
cannot be read is measured anew.
"""

import functools
import json
import os
import platform
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import torch

from stgcn_lightning.errors import BadInput
from stgcn_lightning.files.writing import write_atomically

ROUNDS = 5
CLEARLY = 0.9  # of the usual computation's time: what another one takes at most to be chosen
# what changes which kernels run
VARIABLES = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "MKL_ENABLE_INSTRUCTIONS", "MKL_CBWR")

_known: dict[str, bool] = {}


def faster(question: str, other: Callable[[], object], usual: Callable[[], object]) -> bool:
    """Whether `other` takes clearly less time than `usual`.

    Args:
        question: its name: the same one gets the same answer on the same machine.
        other: a computation of some milliseconds.
        usual: what gives the same result.
    """
    question = f"{machine()}, {torch.get_num_threads()} threads: {question}"
    if question not in _known:
        _known.update(kept())
    if question not in _known:
        measured = shortest(other, usual)
        _known.update({question: measured, **kept()})  # that of another process that was quicker
        keep()
    return _known[question]


def shortest(other: Callable[[], object], usual: Callable[[], object]) -> bool:
    """Compare the shortest of some rounds in turn: what else runs on a machine only adds time."""
    times: list[list[float]] = [[], []]
    with torch.no_grad(), torch.autocast("cpu", enabled=False):
        for _ in range(ROUNDS + 1):  # the first one makes what later ones find
            for taken, job in zip(times, (other, usual), strict=True):
                start = time.perf_counter()
                job()
                taken.append(time.perf_counter() - start)
    return min(times[0][1:]) < CLEARLY * min(times[1][1:])


@functools.cache
def machine() -> str:
    """What the answers depend on, but for the number of threads."""
    cpuinfo, names = Path("/proc/cpuinfo"), []
    with suppress(OSError):
        lines = cpuinfo.read_text().splitlines()
        names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    given = [f"{name}={os.environ[name]}" for name in VARIABLES if name in os.environ]
    kernels = torch.backends.cpu.get_cpu_capability()
    return ", ".join(
        [names[0] if names else platform.processor(), kernels, f"torch {torch.__version__}", *given]
    )


def file() -> Path | None:
    """Where answers are kept; None where there is no such place."""
    root = os.environ.get("XDG_CACHE_HOME", "")
    if Path(root).is_absolute():
        return Path(root) / "stgcn_lightning" / "choices.json"
    with suppress(RuntimeError):
        return Path.home() / ".cache" / "stgcn_lightning" / "choices.json"
    return None


def kept() -> dict[str, bool]:
    """The answers that are kept."""
    with suppress(OSError, ValueError, RecursionError):
        found = json.loads(path.read_bytes()) if (path := file()) else {}
        if isinstance(found, dict):
            return {name: answer for name, answer in found.items() if isinstance(answer, bool)}
    return {}


def keep() -> None:
    """Keep the answers of this process beside those that are kept, if there is a place."""
    with suppress(OSError, BadInput):
        if path := file():
            path.parent.mkdir(parents=True, exist_ok=True)
            with write_atomically(path) as opened:
                opened.write(json.dumps(_known | kept(), indent=1, sort_keys=True).encode())
