"""AGCN's training with the frames first in memory, against the plain model."""

from copy import deepcopy

import pytest
import torch
import torch.nn.functional as F
from engine_models import assert_near, assert_trains_alike, make, pairs

from stgcn_lightning.engine import adaptive
from stgcn_lightning.engine.engine import Engine
from stgcn_lightning.engine.fourier import FourierConv

FAMILIES = ["agcn", "aagcn"]


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_a_step_at_full_width_equals_that_of_the_padded_batch(family):
    model = make(17, base_channels=64, family=family)  # its convolutions become frequencies
    plain = deepcopy(model)
    assert_trains_alike(Engine(model), model, plain, pairs(2, 1, 37, joints=17))


@pytest.mark.parametrize("family", FAMILIES)
def test_activations_stay_frames_first(family, monkeypatch):
    model, seen = make(family=family), []
    forward = FourierConv.forward

    def watched(conv, x):
        seen.append(x.permute(2, 0, 3, 1).is_contiguous())
        return forward(conv, x)

    monkeypatch.setattr(FourierConv, "forward", watched)
    Engine(model)(pairs(3, 1)).sum().backward()
    assert seen == [True] * 10


def test_a_graph_that_adds_nothing_yet_learns_to():
    model = make(family="agcn")
    for stage in model.stages:
        torch.nn.init.zeros_(stage.graph.strength)
    Engine(model)(pairs(3, 1)).square().sum().backward()
    assert all(stage.graph.strength.grad.abs().item() > 1e-9 for stage in model.stages)


@pytest.mark.parametrize("family", FAMILIES)
def test_in_bf16_logits_and_gradients_are_as_near_as_the_plain_model_s(family):
    exact, clips = make(8, base_channels=16, family=family), pairs(6, 2, joints=8)
    plain, model = deepcopy(exact).float(), deepcopy(exact).float()
    labels = torch.arange(6) % 4

    def errors(run, of):
        with torch.autocast("cpu", torch.bfloat16):
            logits = run(clips.float())
        F.cross_entropy(logits.float(), labels).backward()
        grad = torch.cat([one.grad.flatten() for one in of.parameters()]).double()
        return (logits - expected).norm(), (grad - truth).norm()

    expected = exact(clips)
    F.cross_entropy(expected, labels).backward()
    truth = torch.cat([one.grad.flatten() for one in exact.parameters()])
    theirs, ours = errors(plain, plain), errors(Engine(model), model)
    assert type(model.stages[1].graph) is adaptive.GraphConv
    assert ours[0] < 1.5 * theirs[0]
    assert ours[1] < 1.5 * theirs[1]


def test_likeness_is_the_mean_product_of_all_frames_and_channels():
    embedded = torch.randn(3, 5, 4, 8)  # R, V, T, 2 K E: two subsets, two channels
    apart = adaptive.by_joint(embedded, 2)
    send, receive = embedded.unflatten(3, (2, 2, 2)).unbind(3)
    expected = torch.einsum("rvtke,rwtke->krvw", send, receive) / 8
    assert_near(adaptive.likeness(apart), expected, 1e-5)
    torch.testing.assert_close(adaptive.joined(apart, 4), embedded.flatten(0, 2))
