"""How fast a training step is, compared with the plain model, version 0.1.0, or another one.

    python scripts/bench/train_step.py [--against module:function] [--old /path/to/old/checkout/src]
        [--model stgcnpp] [--bf16] [--batch 16] [--neighbour] [--data]

A step is forward, loss, backward and SGD of 100-frame clips of two persons, at both mixes of
present persons. The implementations run in turn in one process; figures are medians. Activations
are what autograd keeps between forward and backward, parameters not counted.

Without `--against`, the same weights run in the plain model, which computes every person.
`--against module:function` names a function that takes our plain model and returns (forward,
parameters) of another implementation with its weights; modules are looked for in the working
directory as well. `--old` loads the package of a checkout of version 0.1.0 into the same process.

Operations are those that a step dispatches. The floor is the time of our products and convolutions
alone at the rate of a large product on this machine; its share of the step is what is reached.

`--bf16` puts both under autocast, times our own float32 step as well, and compares the logits of
each with those of float64: the norm of the difference over that of the logits.

`--dimensions small` is one person in 48 frames of 15 joints, where nobody is absent;
`--dimensions whole` is a body of 133 joints.

`--neighbour` measures again while another process keeps one processor busy, and prints how much
longer each takes then.

`--data` trains on all four streams of a store of NTU60's size, filled with synthetic samples, and
prints how long a step waits for its data.
"""

import argparse
import copy
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from common import (
    BODIES,
    MIXES,
    Contender,
    Operations,
    beside_neighbour,
    contender,
    floor,
    keep_memory,
    kept_for_backward,
    load_skeleton,
    machine,
    make_clips,
    make_model,
    old_contender,
    ours,
    product_rate,
    ratio,
    take_turns,
)
from torch import Tensor, nn

from stgcn_lightning.data.datamodule import Feed, SkeletonData
from stgcn_lightning.data.names import FOUR_STREAMS
from stgcn_lightning.data.store import Store, StoreSpec, open_or_build
from stgcn_lightning.engine.engine import Engine
from stgcn_lightning.sources.annotations import Annotations
from stgcn_lightning.sources.mmaction2 import write_annotations
from stgcn_lightning.sources.synthetic import synthetic_annotations

NTU60 = 40_091  # samples of its cross-subject training split
DIFFERENT = 2000  # synthetic samples, of which the store holds copies


def main() -> None:
    arguments = argparse.ArgumentParser(description="Time a training step.")
    arguments.add_argument("--against", default="plain")
    arguments.add_argument("--old", help="folder src of version 0.1.0, instead")
    arguments.add_argument("--model", default="stgcn")
    arguments.add_argument("--bf16", action="store_true", help="under bf16 autocast")
    arguments.add_argument("--data", action="store_true", help="time the wait for data")
    arguments.add_argument("--batch", type=int, default=16)
    arguments.add_argument("--rounds", type=int, default=7)
    arguments.add_argument("--neighbour", action="store_true", help="beside a busy process")
    arguments.add_argument("--dimensions", nargs="+", choices=[*BODIES], default=["2d", "3d"])
    choice = arguments.parse_args()
    print(f"{machine()}, batch {choice.batch}{', bf16' if choice.bf16 else ''}")
    read_data(choice) if choice.data else race(choice)


def race(choice: argparse.Namespace) -> None:
    """Print the time of each implementation's steps, and what they keep for the backward pass."""
    more = "  float32 (ms)  ratio  error: ours   other" if choice.bf16 else ""
    name = "version 0.1.0" if choice.old else choice.against
    more += "  beside a busy process: ours  other  ratio" if choice.neighbour else ""
    head = f"{'':22}ours (ms)  {name:>5}  ratio  activations (MB)        ratio"
    print(f"{head}  operations  floor (ms)  share{more}")
    rate = product_rate()
    for dimension in choice.dimensions:
        for mix, alone in ({"one person": 0.0} if dimension == "small" else MIXES).items():
            size = {"persons": 1, "frames": 48} if dimension == "small" else {}
            clips = make_clips(dimension, (choice.batch,), alone, **size)
            model = make_model(dimension, family=choice.model).train()
            other = old_contender(choice.old, model) if choice.old else None
            sides: dict[str, Contender] = {
                "ours": ours(model),
                "other": other or contender(choice.against, model),
            }
            wrong: list[float] = []
            if choice.bf16:
                wrong = [bf16_error(side, model, clips) for side in sides.values()]
                sides["float32"] = ours(model)
            steps = {
                side: step(one, clips, choice.bf16 and side != "float32")
                for side, one in sides.items()
            }
            times = take_turns(steps, choice.rounds)
            took = {side: 1000 * statistics.median(times[side]) for side in steps}
            kept = [
                kept_for_backward(sides[side], clips, choice.bf16) for side in ("ours", "other")
            ]
            counted = [operations(steps[side]) for side in ("ours", "other")]
            least = 1000 * floor(steps["ours"], rate)
            more = f"  {counted[0]:5} {counted[1]:4}  {least:10.0f}  {least / took['ours']:5.2f}"
            if choice.bf16:
                more = f"  {took['float32']:12.0f}  {ratio(times, 'float32', 'ours'):5.2f}"
                more += "".join(f"  {error:10.1e}" for error in wrong)
            if choice.neighbour:
                more += beside_neighbour(steps, times, choice.rounds)
            print(
                f"{dimension} {mix:18} {took['ours']:9.0f}  "
                f"{took['other']:{max(5, len(name))}.0f}  "
                f"{ratio(times, 'other', 'ours'):5.2f}  {kept[0]:7.0f} of {kept[1]:5.0f}  "
                f"{kept[0] / kept[1]:12.2f}{more}",
                flush=True,
            )


def step(side: Contender, clips: Tensor, bf16: bool) -> Callable[[], None]:
    """A whole training step; ours with the optimizer of `recognizer.py`."""
    forward, parameters = side
    fused = True if isinstance(forward, Engine) else None
    optimizer = torch.optim.SGD(
        parameters, 1e-4, momentum=0.9, nesterov=True, weight_decay=5e-4, fused=fused
    )
    labels = torch.arange(len(clips)) % 60

    def run() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss = F.cross_entropy(forward(clips), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return run


def bf16_error(side: Contender, model: nn.Module, clips: Tensor) -> float:
    """Error of the logits under bf16 autocast, relative to those of float64."""
    exact = copy.deepcopy(model).double()(clips.double())
    with torch.autocast("cpu", torch.bfloat16):
        return ((side[0](clips).double() - exact).norm() / exact.norm()).item()


def operations(run: Callable[[], None]) -> int:
    """How many operations a step dispatches."""
    with Operations() as counted:
        run()
    return counted.total


def read_data(choice: argparse.Namespace) -> None:
    """Print how long steps take and wait for their data."""
    print(f"{'':22}step (ms)  data (ms)  share")
    for dimension in choice.dimensions:
        with tempfile.TemporaryDirectory() as folder:
            store = large_store(dimension, Path(folder))
            for stream in FOUR_STREAMS:
                steps, waits = drive(dimension, store, stream, choice)
                share = statistics.median(b / a for a, b in zip(steps, waits, strict=True))
                print(
                    f"{dimension} {stream:18} {1000 * statistics.median(steps):9.0f}  "
                    f"{1000 * statistics.median(waits):9.2f}  {100 * share:.2f} %",
                    flush=True,
                )


def large_store(dimension: str, folder: Path) -> Store:
    """A store with as many samples to train on as NTU60."""
    assert dimension in ("2d", "3d")
    few = synthetic_annotations(dimension, DIFFERENT, 0, seed=0).samples
    samples = [replace(few[i % DIFFERENT], id=f"S{i:06}") for i in range(NTU60)]
    write_annotations(
        folder / "large.pkl", Annotations(samples, {"train": [sample.id for sample in samples]})
    )
    spec = StoreSpec(load_skeleton(BODIES[dimension]), dimension, normalise=dimension, classes=60)
    return open_or_build(folder / "large.pkl", spec, folder)


def drive(
    dimension: str, store: Store, stream: str, choice: argparse.Namespace
) -> tuple[list[float], list[float]]:
    """Seconds of each training step, and of the wait for its data before."""
    data = SkeletonData(
        store,
        stream,
        train_split="train",
        val_split="train",
        feed=Feed(batch_size=choice.batch),
    )
    side = ours(make_model(dimension).train())
    batches, steps, waits = iter(data.train_dataloader()), [], []
    for counted in range(choice.rounds + 1):
        start = time.perf_counter()
        clips = next(batches).clips[:, 0]
        arrived = time.perf_counter()
        step(side, clips, choice.bf16)()
        if counted:
            waits.append(arrived - start)
            steps.append(time.perf_counter() - arrived)
    return steps, waits


if __name__ == "__main__":
    keep_memory()
    main()
