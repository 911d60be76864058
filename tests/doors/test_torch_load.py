"""No door reads with PyTorch's own loader, whose `weights_only` has been got round before."""

import pytest
import torch
from small_runs import TINY

from stgcn_lightning.recognizer import Recognizer

LAST = "run/checkpoints/last.ckpt"
DOORS = [
    ("train", *TINY, "recipe.epochs=1", "hydra.run.dir=run"),
    ("train", *TINY, "resume=auto", "hydra.run.dir=run"),
    ("train", *TINY, f"checkpoint={LAST}", "hydra.run.dir=tuned"),
    ("test", f"checkpoint={LAST}", "hydra.run.dir=tested"),
    ("export", f"checkpoint={LAST}", "format=safetensors", "out=weights.safetensors"),
    ("inspect", f"source={LAST}"),
]


@pytest.mark.slow
def test_no_door_calls_torch_load(door, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("torch.load was called")

    # Lightning's readers call it by this name, too
    monkeypatch.setattr(torch, "load", refuse)
    monkeypatch.setattr(torch.serialization, "load", refuse)
    for arguments in DOORS:
        status, _, err = door(*arguments)
        assert status == 0, (arguments, err)
    assert Recognizer.load_from_checkpoint(LAST).card["stream"] == "joint"
