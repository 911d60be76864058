import pytest
import torch

from stgcn_lightning.errors import BadInput
from stgcn_lightning.models.cost import count_macs, count_parameters
from stgcn_lightning.models.stgcnpp import STGCNPP


@pytest.mark.parametrize(("joints", "parameters", "gmac"), [(17, 1.39, 1.93), (25, 1.40, 2.93)])
def test_parameters_are_the_published_ones_and_cost_is_near(joints, parameters, gmac):
    """MMAction2 publishes 1.95 and 2.96: its tool counts batch norms as well."""
    model = STGCNPP(torch.ones(3, joints, joints), classes=60)
    assert round(count_parameters(model) / 1e6, 2) == parameters
    assert round(count_macs(model, frames=100, persons=2) / 1e9, 2) == gmac


def test_the_first_branch_takes_the_remainder():
    stage = STGCNPP(torch.ones(3, 5, 5), classes=2).stages[0]
    widths = [branch.conv.out_channels for branch in stage.temporal.branches[:4]]
    assert widths == [14, 10, 10, 10]
    assert [branch.conv.dilation[0] for branch in stage.temporal.branches[:4]] == [1, 2, 3, 4]


def test_initial_weights_follow_the_reference():
    torch.manual_seed(0)
    adjacency = torch.rand(3, 5, 5)
    model = STGCNPP(adjacency, classes=1000)
    stage = model.stages[7]  # 128 -> 256 channels
    assert torch.equal(stage.graph.adjacency, adjacency)
    assert stage.graph.adjacency.requires_grad
    for conv, fan_out in (
        (stage.temporal.branches[0].conv, 3 * 46),
        (stage.residual.project, 256),
    ):
        assert conv.weight.std().item() == pytest.approx((2 / fan_out) ** 0.5, rel=0.03)
        assert not conv.bias.any()
    for linear, fan_in in (  # uniform, PyTorch's
        (stage.graph.project, 128),
        (stage.graph.down.project, 128),
        (stage.temporal.project, 256),
        (stage.temporal.branches[5], 256),
    ):
        bound = fan_in**-0.5
        assert 0.97 * bound < linear.weight.abs().max() <= bound
        assert linear.bias.any()


def test_the_learned_edges_are_the_adjacencies():
    model = STGCNPP(torch.rand(2, 5, 5), classes=3, base_channels=6)
    edges = model.learned_edges()
    assert edges.shape == (10, 2, 5, 5)
    assert torch.equal(edges[4], model.stages[4].graph.adjacency)
    assert not edges.requires_grad


def test_a_width_that_leaves_a_branch_empty_is_refused():
    with pytest.raises(BadInput, match=r"base_channels=5 .*: set model.base_channels=6 or more"):
        STGCNPP(torch.ones(3, 5, 5), classes=2, base_channels=5)
