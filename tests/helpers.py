"""Where things lie, and small pieces that several test files share."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch.nn.functional as F
from omegaconf import OmegaConf
from torch import Tensor

from stgcn_lightning.engine.engine import Engine
from stgcn_lightning.models import parts
from stgcn_lightning.models.backbone import Backbone
from stgcn_lightning.shipped import CONF
from stgcn_lightning.skeleton import Skeleton
from stgcn_lightning.sources.annotations import Annotations, Sample

GOLDEN = Path(__file__).parent / "golden"
LEGACY = Path(__file__).parent / "legacy"
CHECKOUT = Path(__file__).parents[1]


def skeleton(name: str) -> Skeleton:
    """A skeleton of conf/skeleton."""
    table = OmegaConf.to_container(OmegaConf.load(CONF / "skeleton" / f"{name}.yaml"))
    return Skeleton.from_dict(table)


def shared(name: str) -> Path:
    """A file that lies beside some checkouts: real data, or written by the reference system."""
    path = CHECKOUT.parent / "shared" / name
    if not path.exists():
        pytest.skip(f"{name} is not beside this checkout")
    return path


@contextmanager
def three_stages() -> Iterator[None]:
    """Models made within have three stages, one of each kind: where depth is not the point."""
    with pytest.MonkeyPatch.context() as changed:
        changed.setattr(parts, "STAGES", 3)
        changed.setattr(parts, "WIDENED", (3,))
        yield


def learn(
    run: Backbone | Engine, clips: Tensor, labels: Tensor, present: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Logits of a batch in training, and what is learned from: a family's own loss is added."""
    if isinstance(run, Engine):
        logits = run(clips, present)
        further = run.further_loss(logits, labels)
    else:
        rows, more = run.training_features(run.normalise_clips(clips).flatten(0, 1))
        logits, further = run.classify(rows.unflatten(0, clips.shape[:2])), None
        if more is not None:
            more = more.unflatten(0, clips.shape[:2])
            further = run.further_loss(more, logits.detach(), labels)
    loss = F.cross_entropy(logits, labels)
    return logits, loss if further is None else loss + further


def body_at(x, *, wide=0.5, high=1.7, moving=0.0):
    """Joints (25, 3) of an upright body at `x`, moved along."""
    joints = np.zeros((25, 3))
    joints[:, 0] = x + np.linspace(0, wide, 25) + moving
    joints[:, 1] = np.linspace(0, high, 25)
    joints[:, 2] = 3
    return joints


def skeleton_text(frames):
    """The official format; `frames` is a list of {id: joints (25, 3)}."""
    lines = [f"{len(frames)}"]
    for bodies in frames:
        lines.append(f"{len(bodies)}")
        for id, joints in bodies.items():
            lines += [f"{id} 0 1 1 1 1 0 0.02764709 0.05745083 2", "25"]
            lines += [
                f"{x:.7g} {y:.7g} {z:.7g} 277.1 191.2 1036.2 519.8 -0.2 0.03 0.9 -0.02 2"
                for x, y, z in joints
            ]
    return "\r\n".join(lines) + "\r\n"


def write_skeleton_file(folder, frames, name="S001C002P003R001A013"):
    """Write `frames`, or text, as the `.skeleton` file of a sample; returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.skeleton"
    path.write_text(frames if isinstance(frames, str) else skeleton_text(frames))
    return path


def annotations_of_five_joints(*changes: dict) -> Annotations:
    """Samples S0, S1, ... with changes, the first half of them in `train` and the rest in `val`."""
    base = Sample(
        "", 1, np.ones((2, 4, 5, 2), np.float32), np.ones((2, 4, 5), np.float32), (480, 640)
    )
    samples = [replace(base, id=f"S{i}", **change) for i, change in enumerate(changes)]
    ids = [sample.id for sample in samples]
    half = len(ids) // 2
    return Annotations(samples, {"train": ids[:half], "val": ids[half:]})
