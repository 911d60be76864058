"""How fast ten-clip tests are, compared with the plain model, version 0.1.0, or another one.

    python scripts/bench/test_clips.py [--against module:function] [--old /path/to/old/checkout/src]
        [--model stgcnpp] [--bf16] [--samples 16] [--neighbour]

Ten clips of 100 frames and two persons for each sample, softmax, mean over clips; both mixes of
present persons. train_step.py explains the options.
"""

import argparse
import statistics
from collections.abc import Callable

import torch
from common import (
    MIXES,
    beside_neighbour,
    contender,
    floor,
    keep_memory,
    machine,
    make_clips,
    make_model,
    old_contender,
    ours,
    product_rate,
    ratio,
    take_turns,
)
from torch import Tensor

CLIPS = 10


def main() -> None:
    arguments = argparse.ArgumentParser(description="Time ten-clip tests.")
    arguments.add_argument("--against", default="plain")
    arguments.add_argument("--old", help="folder src of version 0.1.0, instead")
    arguments.add_argument("--model", default="stgcn")
    arguments.add_argument("--bf16", action="store_true", help="under bf16 autocast")
    arguments.add_argument("--samples", type=int, default=5)
    arguments.add_argument("--rounds", type=int, default=7)
    arguments.add_argument("--neighbour", action="store_true", help="beside a busy process")
    arguments.add_argument("--dimensions", nargs="+", choices=["2d", "3d"], default=["2d", "3d"])
    choice = arguments.parse_args()
    print(f"{machine()}, {choice.samples} samples a batch{', bf16' if choice.bf16 else ''}")
    name = "version 0.1.0" if choice.old else choice.against
    more = "  beside a busy process: ours  other  ratio" if choice.neighbour else ""
    head = f"{'':22}ours (ms)  {name:>5}  ratio  largest difference of a score"
    print(f"{head}  floor (ms)  share{more}")
    rate = product_rate()
    for dimension in choice.dimensions:
        for mix, alone in MIXES.items():
            clips = make_clips(dimension, (CLIPS, choice.samples), alone).transpose(0, 1)
            clips = clips.contiguous()  # all clips of a sample show equally many persons
            model = make_model(dimension, family=choice.model).eval()
            other = old_contender(choice.old, model) if choice.old else None
            forward = (other or contender(choice.against, model))[0]
            jobs = {
                "ours": scores(ours(model)[0], clips, choice.bf16),
                "other": scores(forward, clips, choice.bf16),
            }
            times = take_turns(jobs, choice.rounds)
            mine, other = (1000 * statistics.median(times[name]) for name in jobs)
            difference = (jobs["ours"]() - jobs["other"]()).abs().max().item()
            least = 1000 * floor(jobs["ours"], rate)
            more = f"  {least:30.0f}  {least / mine:5.2f}"
            if choice.neighbour:
                more += beside_neighbour(jobs, times, choice.rounds)
            print(
                f"{dimension} {mix:18} {mine:9.0f}  {other:{max(5, len(name))}.0f}  "
                f"{ratio(times, 'other', 'ours'):5.2f}  {difference:.1e}{more}",
                flush=True,
            )


def scores(forward: Callable[[Tensor], Tensor], clips: Tensor, bf16: bool) -> Callable[[], Tensor]:
    """Scores (B, classes) of clips (B, N, M, T, V, C)."""

    def run() -> Tensor:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            logits = forward(clips.flatten(0, 1)).unflatten(0, clips.shape[:2])
        return logits.float().softmax(-1).mean(1)

    return run


if __name__ == "__main__":
    keep_memory()
    main()
