import pytest
import torch

from stgcn_lightning.errors import BadInput
from stgcn_lightning.models.ctrgcn import CTRGCN, GraphConv, Subset


def test_a_joint_receives_by_the_difference_from_sender_to_receiver():
    """Two joints, one channel, one frame: all by hand."""
    subset = Subset(1, 1)
    with torch.no_grad():
        for name, value in (("send", 1.0), ("receive", 2.0), ("project", 3.0), ("refine", 0.0)):
            getattr(subset, name).weight.fill_(value)
            getattr(subset, name).bias.zero_()
        subset.refine.weight[0, 0] = 0.5
        subset.refine.bias.fill_(0.25)
    x = torch.tensor([1.0, -1.0]).view(1, 1, 1, 2)
    edges, alpha = torch.tensor([[0.0, 1.0], [0.0, 0.0]]), torch.tensor([2.0])
    p, q = torch.tensor([1.0, -1.0]), torch.tensor([2.0, -2.0])
    refined = 2 * (0.5 * torch.tanh(p[:, None] - q[None, :]) + 0.25) + edges  # from, to
    expected = 3 * torch.tensor([1.0, -1.0]) @ refined
    torch.testing.assert_close(subset(x, edges, alpha).flatten(), expected)


def test_the_refinement_sees_the_whole_clip_and_alpha_switches_it_off():
    torch.manual_seed(0)
    graph = GraphConv(torch.rand(3, 4, 4), 8, 8).double().eval()
    x = torch.randn(1, 8, 6, 4, dtype=torch.float64)
    other = x.clone()
    other[:, :, 5] += 1
    assert torch.equal(graph(x)[:, :, 0], graph(other)[:, :, 0])
    torch.nn.init.ones_(graph.alpha)
    torch.nn.init.ones_(graph.norm.weight)
    assert (graph(x)[:, :, 0] - graph(other)[:, :, 0]).abs().max() > 1e-3


def test_places_of_persons_are_told_apart():
    torch.manual_seed(0)
    model = CTRGCN(torch.rand(3, 5, 5), classes=3, base_channels=4).eval()
    torch.nn.init.normal_(model.data_norm.weight)
    clips = torch.randn(1, 2, 10, 5, 3)
    assert not torch.allclose(model(clips), model(clips.flip(1)))
    with pytest.raises(BadInput, match=r"a CTR-GCN normalises every place .* set data.persons=2"):
        model(clips[:, :1])


def test_initial_weights_follow_the_reference():
    torch.manual_seed(0)
    adjacency = torch.rand(3, 5, 5)
    model = CTRGCN(adjacency, classes=1000)
    stage = model.stages[7]  # 128 -> 256 channels
    assert torch.equal(stage.graph.adjacency, adjacency)
    assert stage.graph.adjacency.requires_grad
    assert not stage.graph.alpha.any()
    assert torch.equal(stage.graph.norm.weight, torch.full((256,), 1e-6))
    assert torch.equal(stage.graph.down.norm.weight, torch.ones(256))
    for layer, fan_out in (
        (stage.graph.subsets[1].refine, 256),
        (stage.graph.subsets[2].project, 256),
        (stage.graph.down.project, 256),
        (stage.temporal.branches[0].project, 64),
        (stage.temporal.branches[1].conv, 5 * 64),
        (stage.residual.project, 256),
    ):
        assert layer.weight.std().item() == pytest.approx((2 / fan_out) ** 0.5, rel=0.05)
        assert not layer.bias.any()
    assert model.classify.weight.std().item() == pytest.approx(0.01, rel=0.01)


def test_the_options_of_weights_are_those_of_the_model():
    model = CTRGCN(torch.rand(3, 5, 5), classes=3, channels=2, base_channels=12, persons=3)
    assert model.options_of(model.state_dict()) == {"base_channels": 12, "persons": 3}
    refined = [model.stages[i].graph.subsets[0].send for i in (0, 1, 9)]  # of 2, 12, 48 channels
    assert [len(one.bias) for one in refined] == [8, 8, 6]


def test_the_learned_edges_are_the_adjacencies():
    model = CTRGCN(torch.rand(3, 5, 5), classes=3, base_channels=4)
    edges = model.learned_edges()
    assert edges.shape == (10, 3, 5, 5)
    assert torch.equal(edges[4], model.stages[4].graph.adjacency)
    assert not edges.requires_grad


def test_a_width_that_leaves_a_branch_empty_is_refused():
    with pytest.raises(BadInput, match=r"base_channels=3 .*: set model.base_channels=4 or more"):
        CTRGCN(torch.ones(3, 5, 5), classes=2, base_channels=3)
