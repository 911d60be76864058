import pytest
import torch

from stgcn_lightning.checkpoints.weights import load
from stgcn_lightning.errors import BadInput
from stgcn_lightning.models.stgcn import STGCN


def test_weights_of_another_version_are_refused_by_name(tmp_path):
    old, new = (f"stages.4.residual.{part}.weight" for part in ("project", "conv"))
    model = STGCN(torch.ones(3, 5, 5), classes=2, base_channels=4)
    state = model.state_dict()
    state[new] = state.pop(old)
    with pytest.raises(BadInput, match=rf"holds other weights .*, {new} among them"):
        load(model, state, tmp_path / "old.ckpt")
