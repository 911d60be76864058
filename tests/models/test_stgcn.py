"""The plain ST-GCN, and what its users rely on, whether an engine runs it or not."""

from copy import deepcopy

import numpy as np
import pytest
import torch

from stgcn_lightning.errors import BadInput
from stgcn_lightning.models.cost import count_macs, count_parameters
from stgcn_lightning.models.parts import Shortcut, channels_first
from stgcn_lightning.models.stgcn import STGCN


def test_a_frame_gathers_its_neighbours_by_hand(small):
    """Joint 2 hears joint 0 with 3 x 0.5 in subset 0 and joint 1 with 1 in subset 1."""
    graph = small.stages[0].graph.eval()
    graph.norm.reset_parameters()
    graph.norm.eps = 0.0
    with torch.no_grad():
        graph.adjacency.zero_()[0, 0, 2] = 3
        graph.adjacency[1, 1, 2] = 1
        graph.edge_importance.fill_(1)[0, 0, 2] = 0.5
        graph.project.weight.zero_()
        graph.project.weight[0, 0] = 1  # subset 0, to channel 0
        graph.project.weight[4 + 1, 0] = 1  # subset 1, to channel 1
        graph.project.bias.zero_()
        graph.project.bias[0] = 10
        x = torch.zeros(1, 3, 1, 5)
        x[0, 0, 0] = torch.tensor([1.0, 2, 30, 30, 30])
        y = graph(x)
    expected = torch.zeros(1, 4, 1, 5)
    expected[0, :2, 0, 2] = torch.tensor([1.5 * (1 + 10), 2.0])
    assert torch.equal(y, expected)


def test_persons_and_clips_keep_their_places(small, clips, way):
    run = way(small.eval())
    with torch.no_grad():
        logits = run(clips)
        torch.testing.assert_close(run(clips.flip(1)), logits)  # persons are averaged
        torch.testing.assert_close(run(clips[1:]), logits[1:])  # clips do not meet in evaluation


@pytest.mark.parametrize("frames", [1, 2, 5, 100])
def test_any_number_of_frames_and_persons_will_do(small, frames, way):
    assert way(small)(torch.randn(3, 3, frames, 5, 3)).shape == (3, 3)


def test_the_first_stage_has_no_shortcut_and_two_have_a_projected_one(small):
    kinds = [type(stage.residual).__name__ for stage in small.stages]
    projected = ["Shortcut"]
    assert kinds == ["NoneType", *["Identity"] * 3, *projected, *["Identity"] * 2, *projected,
                     *["Identity"] * 2]  # fmt: skip


def test_initial_weights_follow_the_reference():
    torch.manual_seed(0)
    model = STGCN(torch.rand(3, 5, 5), classes=1000)
    stage = model.stages[4]  # 64 -> 128 channels
    assert torch.equal(stage.graph.edge_importance, torch.ones(3, 5, 5))
    for conv, fan_out in ((stage.temporal.conv, 9 * 128), (stage.residual.project, 128)):
        assert conv.weight.std().item() == pytest.approx((2 / fan_out) ** 0.5, rel=0.03)
        assert not conv.bias.any()
    for tensor in (stage.graph.project.weight, stage.graph.project.bias):  # uniform, PyTorch's
        assert 0.97 / 8 < tensor.abs().max() <= 1 / 8
        assert tensor.std().item() == pytest.approx(1 / 8 / 3**0.5, rel=0.06)
    assert model.classify.weight.std().item() == pytest.approx(0.01, rel=0.01)
    assert not model.classify.bias.any()


def test_dropout_acts_in_training_alone(way):
    torch.manual_seed(0)
    model = STGCN(np.ones((1, 2, 2)), classes=3, base_channels=2, dropout=1.0)
    clips = torch.randn(2, 1, 8, 2, 3)
    run = way(model.train())
    assert not run(clips).any()  # the head's bias is zero
    model.eval()
    assert run(clips).any()
    with torch.no_grad():
        assert run(clips).any()


def test_the_model_survives_a_deepcopy(small, clips):
    again = deepcopy(small)
    assert torch.equal(again(clips), small(clips))
    with torch.no_grad():
        again.stages[3].graph.edge_importance.zero_()
    assert not torch.equal(again(clips), small(clips))


@pytest.mark.parametrize("shape", [(2, 2, 9, 17, 3), (2, 2, 9, 5, 2), (2, 9, 5, 3)])
def test_clips_that_do_not_fit_are_refused(small, shape, way):
    with pytest.raises(BadInput, match=r"5 joints and 3 channels.*but these have the shape"):
        way(small)(torch.zeros(shape))


@pytest.mark.parametrize(
    ("joints", "parameters", "gmac"), [(17, 3_088_704, 3.81), (25, 3_098_832, 5.70)]
)
def test_parameters_and_cost_are_the_published_ones(joints, parameters, gmac):
    model = STGCN(torch.ones(3, joints, joints), classes=60)
    assert count_parameters(model) == parameters
    assert round(count_macs(model, frames=100, persons=2) / 1e9, 2) == gmac
    assert next(model.parameters()).device.type == "cpu"


@pytest.mark.parametrize(("frames", "persons"), [(100, 2), (37, 1)])
def test_cost_is_that_of_the_paper_s_formula(frames, persons, way):
    """Projection before gathering; an engine that computes less does not count."""
    model = STGCN(torch.ones(3, 17, 17), classes=60)
    way(model)
    macs, T = 0, frames
    for stage in model.stages:
        KO, C = stage.graph.project.weight.shape
        macs += T * 17 * KO * (C + 17)  # project, gather: K V V per channel and frame
        T = -(-T // stage.temporal.conv.stride[0])
        macs += T * 17 * stage.temporal.conv.weight.numel()
        if isinstance(stage.residual, Shortcut):
            macs += T * 17 * stage.residual.project.weight.numel()
    assert count_macs(model, frames, persons) == persons * macs + model.classify.weight.numel()


def test_channels_first_is_a_view():
    x = torch.randn(2, 3, 4, 5)
    y = channels_first(x)
    assert y.shape == (2, 5, 3, 4)
    assert y.data_ptr() == x.data_ptr()


@pytest.mark.parametrize("base_channels", [1, 3, 4, 7])
def test_narrow_models_train_without_harm(base_channels, way):
    torch.manual_seed(0)
    model = STGCN(torch.rand(3, 5, 5), classes=3, base_channels=base_channels)
    run = way(model)
    for _ in range(5):
        run(torch.randn(4, 2, 16, 5, 3)).sum().backward()


def test_the_learned_edges_are_those_of_every_stage(small):
    edges = small.learned_edges()
    assert edges.shape == (10, 2, 5, 5)
    graph = small.stages[7].graph
    assert torch.equal(edges[7], graph.adjacency * graph.edge_importance)
    assert not edges.requires_grad
