"""How ranks wrap a model; the tests of `test_ranks.py` train with it on a CPU."""

import torch
from lightning.pytorch.strategies import DDPStrategy

from stgcn_lightning.callbacks.ddp import DDP


def test_parts_of_a_batch_that_lie_on_the_cpu_stay_there_on_a_gpu(monkeypatch):
    """PyTorch moves none where it is given no device; Lightning gives it the rank's GPU."""
    card = property(lambda strategy: torch.device("cuda", 1))
    monkeypatch.setattr(DDPStrategy, "root_device", card)
    assert DDPStrategy().determine_ddp_device_ids() == [1]
    assert DDP().determine_ddp_device_ids() is None
