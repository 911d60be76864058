import pytest
import torch
from helpers import three_stages

from stgcn_lightning.errors import BadInput
from stgcn_lightning.models.dgstgcn import DGSTGCN, GraphConv, TemporalConv


def small(joints=5) -> DGSTGCN:
    torch.manual_seed(0)
    with three_stages():
        return DGSTGCN(torch.zeros(0, joints, joints), 3, base_channels=8)


def test_relations_by_hand():
    """One frame, joints at 0 and 1: senders p = 2x, receivers q = x."""
    graph = GraphConv(torch.zeros(8, 2, 2), 1, 8)
    with torch.no_grad():
        for layer, factor in ((graph.sender, 2), (graph.receiver, 1)):
            layer.weight.fill_(factor)
            layer.bias.zero_()
        graph.difference[0], graph.product[0] = 10, 100
        graph.difference[1:], graph.product[1:] = 3, 3  # are not used
        found = graph.relations(torch.tensor([0.0, 1]).view(1, 1, 1, 2))[0, :, 0]
    tanh = torch.tensor([[0.0, -1], [2, 1]]).tanh()  # p[v] - q[w]
    products = torch.tensor([[0.0, 0], [0, 2]])  # p[v] q[w]
    expected = 10 * tanh + 100 * products.softmax(0)  # a receiver's senders share 1
    torch.testing.assert_close(found, expected.expand(8, 2, 2))


def test_the_mean_joint_is_added_to_each_joint_by_its_own_weight():
    temporal = TemporalConv(8, 1, 5).eval()
    x = torch.randn(2, 8, 7, 5)
    with torch.no_grad():
        seen = []
        before = temporal.branch_norm.register_forward_pre_hook(lambda _, x: seen.append(x[0]))
        temporal(x)
        temporal.of_mean[2] = 0.5
        temporal(x)
        before.remove()
        of_mean = torch.cat([branch(x.mean(3, keepdim=True)) for branch in temporal.branches], 1)
    expected = seen[0].clone()
    expected[..., 2] += 0.5 * of_mean[..., 0]
    torch.testing.assert_close(seen[1], expected)


def test_a_body_of_more_joints_than_the_reference_knows_has_a_weight_for_each():
    assert len(small(5).stages[0].temporal.of_mean) == 25
    assert len(small(30).stages[0].temporal.of_mean) == 30


def test_every_stage_starts_from_the_same_random_graph():
    torch.manual_seed(0)
    model = DGSTGCN(torch.zeros(0, 25, 25), 3)
    edges = model.learned_edges()
    assert edges.shape == (10, 8, 25, 25)
    assert all(torch.equal(edges[0], edge) for edge in edges)
    assert edges[0].mean().item() == pytest.approx(0.04, abs=0.001)
    assert edges[0].std().item() == pytest.approx(0.02, rel=0.03)
    assert not model.stages[0].graph.difference.any()
    bound = 256**-0.5  # PyTorch's start, of the residuals as well
    for linear in (model.stages[9].graph.project, model.stages[9].temporal.branches[0].project):
        assert 0.97 * bound < linear.weight.abs().max() <= bound
    assert model.stages[7].residual.project.bias.any()


def test_a_width_that_leaves_a_graph_empty_is_refused():
    with pytest.raises(BadInput, match=r"base_channels=7 .*: set model.base_channels=8 or more"):
        DGSTGCN(torch.zeros(0, 5, 5), classes=2, base_channels=7)
