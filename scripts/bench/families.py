"""What each family costs, beside the accuracy that was published for it.

    python scripts/bench/families.py [--models stgcn ctrgcn ...] [--rounds 7] [--picture FILE.png]

Milliseconds are those of one clip of two persons, 100 frames, 25 joints, in the mix where four in
five clips show one person: of a ten-clip test, by an engine and by the plain model, and of a
training step. All families take turns in one process; figures are medians. The accuracy is the
published top-1 of the joint stream on NTU RGB+D 60 XSub, 3D. The picture sets it over
multiply-accumulates and over the measured time of the test.
"""

import argparse
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from common import Contender, keep_memory, machine, make_clips, make_model, ours, plain, take_turns
from torch import Tensor

from stgcn_lightning.evaluation.published import published_top1
from stgcn_lightning.models import registry
from stgcn_lightning.models.cost import count_macs, count_parameters

BENCHMARK = "ntu60_xsub_3d"
ALONE = 0.8  # of the clips show one person
CLIPS = 20  # in a batch of a test
BATCH = 16  # in a training step
NAMES = {
    "stgcn": "ST-GCN",
    "stgcnpp": "ST-GCN++",
    "agcn": "2s-AGCN",
    "aagcn": "AAGCN",
    "ctrgcn": "CTR-GCN",
    "msg3d": "MS-G3D",
    "dgstgcn": "DG-STGCN",
    "protogcn": "ProtoGCN",
}


class Cost(NamedTuple):
    """A family's row: accuracy in %, its source, and what a clip costs."""

    name: str
    top1: float
    source: str
    parameters: int
    gmac: float
    test: float
    plain: float
    step: float


def main() -> None:
    arguments = argparse.ArgumentParser(description="Time every family.")
    arguments.add_argument("--models", nargs="+", choices=registry.names(), default=[*NAMES])
    arguments.add_argument("--rounds", type=int, default=7)
    arguments.add_argument("--picture", type=Path)
    choice = arguments.parse_args()
    print(machine())
    costs = measured(choice.models, choice.rounds)
    print("\n| | top-1 | parameters | GMAC | test, ms | plain model, ms | training step, ms |")
    print("|---|---|---|---|---|---|---|")
    for one in costs:
        print(
            f"| {one.name} | {one.top1:.2f} ({one.source}) | {one.parameters:,} | {one.gmac:.2f} "
            f"| {one.test:.1f} | {one.plain:.1f} | {one.step:.1f} |"
        )
    if choice.picture:
        draw(costs, choice.picture)


def measured(families: list[str], rounds: int) -> list[Cost]:
    """A row for each family."""
    test_clips = make_clips("3d", (CLIPS,), ALONE)
    train_clips = make_clips("3d", (BATCH,), ALONE)
    jobs: dict[str, Callable[[], object]] = {}
    for family in families:
        model = make_model("3d", family=family)
        jobs[f"{family} test"] = answers(ours(model.eval()), test_clips)
        jobs[f"{family} plain"] = answers(plain(model), test_clips)
        jobs[f"{family} step"] = step(ours(model.train()), train_clips)
    times = {name: statistics.median(some) for name, some in take_turns(jobs, rounds).items()}
    rows: list[Cost] = []
    for family in families:
        model = make_model("3d", family=family)
        known = published_top1(family, BENCHMARK, "joint")
        assert known is not None
        each = {
            "test": 1000 * times[f"{family} test"] / CLIPS,
            "plain": 1000 * times[f"{family} plain"] / CLIPS,
            "step": 1000 * times[f"{family} step"] / BATCH,
        }
        gmac = count_macs(model, 100, 2) / 1e9
        size = count_parameters(model)
        rows.append(Cost(NAMES[family], known.top1, known.source, size, gmac, **each))
    return rows


def answers(side: Contender, clips: Tensor) -> Callable[[], object]:
    @torch.inference_mode()
    def run() -> object:
        return side[0](clips)

    return run


def step(side: Contender, clips: Tensor) -> Callable[[], object]:
    forward, parameters = side
    optimizer = torch.optim.SGD(parameters, 1e-4, momentum=0.9, nesterov=True, fused=True)
    labels = torch.arange(len(clips)) % 60

    def run() -> None:
        optimizer.zero_grad()
        F.cross_entropy(forward(clips), labels).backward()
        optimizer.step()

    return run


def draw(costs: list[Cost], path: Path) -> None:
    """Accuracy over multiply-accumulates, and over the time of a test."""
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, 2, figsize=(9, 3.6), sharey=True, layout="constrained")
    axes = {"GMAC per clip": "gmac", "ms per clip, ten-clip test on 2 CPU cores": "test"}
    for panel, (title, key) in zip(panels, axes.items(), strict=True):
        for one in costs:
            x = getattr(one, key)
            panel.scatter(x, one.top1, s=36, color="#2a6f97", zorder=3)
            panel.annotate(
                one.name, (x, one.top1), xytext=(6, 3), textcoords="offset points", fontsize=9
            )
        panel.set_xlabel(title)
        panel.set_xlim(0, 1.25 * max(getattr(one, key) for one in costs))
        panel.grid(color="#dddddd", linewidth=0.6)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("published top-1, %\nNTU60 XSub 3D, joint")
    figure.savefig(path, dpi=200)
    print(path)


if __name__ == "__main__":
    keep_memory()
    main()
