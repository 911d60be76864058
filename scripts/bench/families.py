"""What each family costs, beside the accuracy that was published for it.

    python scripts/bench/families.py [--models stgcn ctrgcn ...] [--rounds 3] [--dimensions 2d 3d]
        [--mixes 4/5 all] [--keep FILE.json] [--picture FILE.png]

Clips are of two persons and 100 frames, 17 joints (2d) or 25 (3d). Ours, the plain model, and the
plain model as the published code computes it (1x1 convolutions channel by channel) take turns in
one process: a training step of 16 clips, and the evaluation of 20. Figures are medians, in
milliseconds a clip; ratios are those of the median round. Activations are what autograd keeps.

`--keep` adds the rows to a file, so that a family can be measured at a time; `--picture` draws what
is in it: the published top-1 of the joint stream on NTU RGB+D 60 XSub, 3D, over
multiply-accumulates and over the measured time of a ten-clip test, four in five clips of one
person.
"""

import argparse
import json
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from common import (
    Contender,
    keep_memory,
    kept_for_backward,
    machine,
    make_clips,
    make_model,
    ours,
    plain,
    published,
    ratio,
    take_turns,
)
from torch import Tensor

from stgcn_lightning.evaluation.published import published_top1
from stgcn_lightning.models import registry
from stgcn_lightning.models.backbone import Backbone
from stgcn_lightning.models.cost import count_macs, count_parameters

BENCHMARK = "ntu60_xsub_3d"
MIXES = {"4/5": 0.8, "all": 0.0}  # clips of one person, or all of two
TEST_CLIPS, TRAIN_CLIPS = 20, 16
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
COLUMNS = ("ours", "plain", "published", "plain / ours", "published / ours")


def main() -> None:
    arguments = argparse.ArgumentParser(description="Time every family.")
    arguments.add_argument("--models", nargs="+", choices=registry.names(), default=[*NAMES])
    arguments.add_argument("--dimensions", nargs="+", choices=["2d", "3d"], default=["2d", "3d"])
    arguments.add_argument("--mixes", nargs="+", choices=[*MIXES], default=[*MIXES])
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--keep", type=Path)
    arguments.add_argument("--picture", type=Path)
    choice = arguments.parse_args()
    print(machine())
    heads = [f"{part}: {name}" for part in ("test", "step") for name in COLUMNS]
    print(f"| | joints | one person | {' | '.join(heads)} | activations, MB |")
    print("|" + "---|" * (len(heads) + 4))
    rows: list[dict[str, Any]] = []
    if choice.keep and choice.keep.exists():
        rows = json.loads(choice.keep.read_text())
    for family in choice.models:
        for dimension in choice.dimensions:
            for mix in choice.mixes:
                rows.append(measured(family, dimension, mix, choice.rounds))
                print(line(rows[-1]), flush=True)
                if choice.keep:
                    choice.keep.write_text(json.dumps(rows, indent=1))
    if choice.picture:
        draw(rows, choice.picture)


def measured(family: str, dimension: str, mix: str, rounds: int) -> dict[str, Any]:
    """A row: times in milliseconds a clip, and megabytes kept for the backward pass."""
    model = make_model(dimension, family=family)
    row: dict[str, Any] = {"family": family, "dimension": dimension, "mix": mix}
    clips = make_clips(dimension, (TEST_CLIPS,), MIXES[mix])
    row["test"] = raced(sides(model.eval()), clips, answers, rounds)
    clips = make_clips(dimension, (TRAIN_CLIPS,), MIXES[mix])
    contenders = sides(model.train())
    row["step"] = raced(contenders, clips, step, rounds)
    row["activations"] = [
        kept_for_backward(contenders[side], clips) for side in ("ours", "published")
    ]
    row["parameters"] = count_parameters(model)
    row["gmac"] = count_macs(model, 100, 2) / 1e9
    return row


def sides(model: Backbone) -> dict[str, Contender]:
    """Ours, the plain model, and the plain model as the published code computes it."""
    return {"ours": ours(model), "plain": plain(model), "published": published(model)}


def raced(
    contenders: dict[str, Contender],
    clips: Tensor,
    job: Callable[[Contender, Tensor], Callable[[], object]],
    rounds: int,
) -> dict[str, float]:
    """Milliseconds a clip of each, and how many times longer the others take than ours."""
    times = take_turns({name: job(side, clips) for name, side in contenders.items()}, rounds)
    row = {name: 1000 * statistics.median(some) / len(clips) for name, some in times.items()}
    return row | {
        f"{other} / ours": ratio(times, other, "ours") for other in ("plain", "published")
    }


def answers(side: Contender, clips: Tensor) -> Callable[[], object]:
    """The evaluation of a batch."""

    @torch.inference_mode()
    def run() -> object:
        return side[0](clips)

    return run


def step(side: Contender, clips: Tensor) -> Callable[[], object]:
    """A training step."""
    forward, parameters = side
    optimizer = torch.optim.SGD(parameters, 1e-4, momentum=0.9, nesterov=True, fused=True)
    labels = torch.arange(len(clips)) % 60

    def run() -> None:
        optimizer.zero_grad()
        F.cross_entropy(forward(clips), labels).backward()
        optimizer.step()

    return run


def line(row: dict[str, Any]) -> str:
    """The row as Markdown."""
    joints = {"2d": 17, "3d": 25}[row["dimension"]]
    cells = [
        f"{row[part][name]:{'.2f' if '/' in name else '.1f'}}"
        for part in ("test", "step")
        for name in COLUMNS
    ]
    mine, theirs = row["activations"]
    alone = {"4/5": "4/5", "all": "none"}[row["mix"]]
    return (
        f"| {NAMES[row['family']]} | {joints} | {alone} | {' | '.join(cells)} "
        f"| {mine:.0f} of {theirs:.0f} |"
    )


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Accuracy over multiply-accumulates, and over the time of a test."""
    import matplotlib.pyplot as plt

    rows = [row for row in rows if (row["dimension"], row["mix"]) == ("3d", "4/5")]
    figure, panels = plt.subplots(1, 2, figsize=(9, 3.8), sharey=True, layout="constrained")
    axes: dict[str, Callable[[dict[str, Any]], float]] = {
        "GMAC a clip": lambda row: row["gmac"],
        "ms a clip in a ten-clip test, 2 CPU cores": lambda row: row["test"]["ours"],
    }
    for panel, (title, place) in zip(panels, axes.items(), strict=True):
        for row in rows:
            known = published_top1(row["family"], BENCHMARK, "joint")
            assert known is not None
            at = place(row), known.top1
            panel.scatter(*at, s=36, color="#2a6f97", zorder=3)
            left = row["family"] == "stgcn"  # beside 2s-AGCN
            panel.annotate(
                NAMES[row["family"]],
                at,
                xytext=(-6, 3) if left else (6, 3),
                textcoords="offset points",
                fontsize=9,
                ha="right" if left else "left",
            )
        panel.set_xlabel(title)
        panel.set_xlim(0, 1.25 * max(map(place, rows)))
        panel.margins(y=0.1)
        panel.grid(color="#dddddd", linewidth=0.6)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("published top-1, %\nNTU60 XSub 3D, joint")
    figure.savefig(path, dpi=200)
    print(path)


if __name__ == "__main__":
    keep_memory()
    main()
