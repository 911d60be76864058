"""Small checkpoints of every stream, and people who move, for tests of what answers live."""

import numpy as np
import torch
from helpers import skeleton, three_stages

from stgcn_lightning.graph import adjacency
from stgcn_lightning.models.stgcn import STGCN

PICTURE = (480, 640)
T = 40


def checkpoint_of(folder, stream="joint", dimension="2d", normalise=None, **card):
    """A shallow model of any stream, with the card of a training."""
    body = skeleton("coco17" if dimension == "2d" else "ntu25")
    torch.manual_seed(0)
    with three_stages():
        model = STGCN(adjacency(body, "stgcn_spatial"), 3, base_channels=4)
    with torch.no_grad():
        model(torch.randn(4, 2, 12, body.num_joints, 3))  # statistics
        model.classify.weight.normal_()
    card = {
        "model": {"name": "stgcn", "graph": "stgcn_spatial", "base_channels": 4},
        "skeleton": body.to_dict(),
        "classes": ["wave", "jump", "fall"],
        "stream": stream,
        "benchmark": "small",
        "dimension": dimension,
        "normalise": normalise or dimension,
        "clip_frames": 12,
        "test_clips": 3,
        "persons": 2,
        "missing": "error",
    } | card
    state = {f"model.{name}": value for name, value in model.state_dict().items()}
    path = folder / f"{stream}_{dimension}.ckpt"
    torch.save({"state_dict": state, "stgcn_lightning": card}, path)
    return path


def people(persons=1, frames=T, joints=17, coordinates=2, seed=0):
    """(M, T, V, C) that move smoothly, with scores in 2D."""
    rng = np.random.default_rng(seed)
    steps = rng.normal(0, 8, (persons, frames, joints, coordinates)).cumsum(1)
    if coordinates == 3:
        return (steps / 100 + rng.normal(0, 0.4, (persons, 1, joints, 3)) + 3).astype(np.float32)
    scores = rng.uniform(0.3, 1, (persons, frames, joints, 1))
    return np.concatenate([steps + 300, scores], -1).astype(np.float32)
