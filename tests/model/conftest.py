"""A small model whose every weight matters, and data for it."""

import pytest
import torch

from stgcn_lightning.model.stgcn import STGCN


@pytest.fixture
def small() -> STGCN:
    """Two subsets, five joints, three classes; no weight at a value that could hide a mistake."""
    torch.manual_seed(0)
    model = STGCN(torch.rand(2, 5, 5), classes=3, base_channels=4)
    with torch.no_grad():
        for tensor in model.state_dict().values():
            if tensor.is_floating_point() and tensor.ndim == 1:
                tensor.uniform_(0.5, 1.5)
        for stage in model.stages:
            stage.graph.edge_importance.uniform_(0.5, 1.5)
        model.classify.weight.normal_()
    return model


@pytest.fixture
def clips() -> torch.Tensor:
    """Two clips of two persons and 37 frames, halved twice to 19 and 10."""
    return torch.randn(2, 2, 37, 5, 3, generator=torch.Generator().manual_seed(1))
