"""How fast a training step is, raced against the plain formulation or any other.

    python scripts/bench/train_step.py [--against module:function] [--bf16] [--batch 16]

A step is forward, loss, backward and SGD of 100-frame clips of two persons, at both mixes of the
persons who are there. The contenders take turns in one process; figures are medians. Activations
are what autograd keeps between forward and backward, parameters not counted.

`--against module:function` names a function that takes our model and returns (forward, parameters)
of another implementation with its weights; modules are looked for in the working directory and in
tests/model, where `plain` is.
"""

import argparse
import statistics
from collections.abc import Callable

import torch
import torch.nn.functional as F
from common import (
    MIXES,
    Contender,
    contender,
    keep_memory,
    machine,
    make_clips,
    make_model,
    ratio,
    take_turns,
)
from torch import Tensor


def main() -> None:
    arguments = argparse.ArgumentParser(description="Race a training step.")
    arguments.add_argument("--against", default="plain:contender")
    arguments.add_argument("--bf16", action="store_true", help="under bf16 autocast")
    arguments.add_argument("--batch", type=int, default=16)
    arguments.add_argument("--rounds", type=int, default=7)
    arguments.add_argument("--dimensions", nargs="+", choices=["2d", "3d"], default=["2d", "3d"])
    choice = arguments.parse_args()
    print(f"{machine()}, batch {choice.batch}{', bf16' if choice.bf16 else ''}")
    print(f"{'':22}ours (ms)  {choice.against}  ratio  activations (MB)        ratio")
    for dimension in choice.dimensions:
        for mix, alone in MIXES.items():
            clips = make_clips(dimension, (choice.batch,), alone)
            model = make_model(dimension).train()
            sides: dict[str, Contender] = {
                "ours": (model, list(model.parameters())),
                "theirs": contender(choice.against, model),
            }
            steps = {name: step(side, clips, choice.bf16) for name, side in sides.items()}
            times = take_turns(steps, choice.rounds)
            ours, theirs = (1000 * statistics.median(times[name]) for name in sides)
            kept = {name: activations(side, clips, choice.bf16) for name, side in sides.items()}
            print(
                f"{dimension} {mix:18} {ours:9.0f}  {theirs:{len(choice.against)}.0f}  "
                f"{ratio(times, 'theirs', 'ours'):5.2f}  {kept['ours']:7.0f} of "
                f"{kept['theirs']:5.0f}  {kept['ours'] / kept['theirs']:12.2f}",
                flush=True,
            )


def step(side: Contender, clips: Tensor, bf16: bool) -> Callable[[], None]:
    """A whole training step."""
    forward, parameters = side
    optimizer = torch.optim.SGD(parameters, 1e-4, momentum=0.9, nesterov=True, weight_decay=5e-4)
    labels = torch.arange(len(clips)) % 60

    def run() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss = F.cross_entropy(forward(clips), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return run


def activations(side: Contender, clips: Tensor, bf16: bool) -> float:
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


if __name__ == "__main__":
    keep_memory()
    main()
