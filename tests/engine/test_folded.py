"""The folded forms against the plain models, in float64."""

from copy import deepcopy

import pytest
import torch
from engine_models import assert_near, make, pairs
from helpers import skeleton

from stgcn_lightning.engine import engine
from stgcn_lightning.engine.engine import Engine
from stgcn_lightning.engine.folded import Folded, fold
from stgcn_lightning.engine.folded_on_cpu import STGCNOnCPU
from stgcn_lightning.graph import adjacency
from stgcn_lightning.models import registry
from stgcn_lightning.models.stgcn import STGCN

FAMILIES = registry.names()


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("alone", [0, 2, 4])
@pytest.mark.parametrize("most", [1, 3, 100])
def test_the_folded_form_equals_the_padded_batch(alone, most, family, monkeypatch):
    model, clips = make(family=family).eval(), pairs(4, alone)
    expected, run = deepcopy(model)(clips).detach(), Engine(model)
    with torch.no_grad():
        assert_near(run(clips), expected, 1e-12)
        monkeypatch.setattr(engine, "rows_at_once", lambda row, clips: most)
        assert_near(run(clips), expected, 1e-12)
        form = run.evaluation().form
        assert isinstance(form, STGCNOnCPU if family == "stgcn" else Folded)
        assert_near(form(clips), expected, 1e-12)


@pytest.mark.parametrize("family", ["stgcnpp", "msg3d"])
@pytest.mark.parametrize(("channels", "base_channels"), [(6, 6), (3, 7), (9, 12)])
def test_branches_of_any_width_fold(channels, base_channels, family):
    model = make(channels=channels, base_channels=base_channels, family=family).eval()
    clips = pairs(2, 1, channels=channels)
    with torch.no_grad():
        for quick in (True, False):
            assert_near(fold(model, quick=quick)(clips), model(clips), 1e-12)


@pytest.mark.parametrize("name", ["coco17", "ntu25", "openpose18"])
def test_the_folded_form_leaves_out_what_no_joint_receives(name):
    graph = torch.from_numpy(adjacency(skeleton(name), "stgcn_spatial"))
    torch.manual_seed(0)
    model = STGCN(graph, classes=4, base_channels=8).double().eval()
    clips = pairs(2, 1, joints=graph.shape[-1])
    expected, run = deepcopy(model)(clips).detach(), Engine(model)
    with torch.no_grad():
        folded = fold(model, quick=True)
        receivers = folded.stages[1].graph.receivers
        assert receivers == (graph[2] != 0).any(0).sum() < graph.shape[-1]
        assert_near(folded(clips), expected, 1e-12)
        wiring = run.evaluation().form.stages[1].graph.wiring
        assert len(wiring.edges) == (graph != 0).sum()
        assert len(wiring.senders[2]) == (graph[2] != 0).any(1).sum() < graph.shape[-1]
        assert_near(run(clips), expected, 1e-12)
        assert_near(fold(model)(clips), expected, 1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_the_folded_form_at_full_width_equals_the_padded_batch(family):
    model = make(17, base_channels=64, family=family).eval()
    clips = pairs(2, 1, 37, joints=17)
    expected, run = deepcopy(model)(clips).detach(), Engine(model)
    with torch.no_grad():
        if family == "stgcn":
            assert not run.evaluation().form.stages[5].at_points
        assert_near(run(clips), expected, 1e-12)
        if family == "stgcn":
            assert [*run.evaluation().form.stages[5].at_points] == [19]


def test_the_folded_form_follows_the_weights_and_is_not_saved():
    model, clips = make().eval(), pairs(3, 2)
    plain, run = deepcopy(model), Engine(model)
    names = set(model.state_dict())
    with torch.no_grad():
        before = run(clips)
        assert run.evaluation() is run.evaluation()
        assert set(model.state_dict()) == names
        for tensor in (
            model.classify.weight,
            model.stages[3].graph.edge_importance,
            model.stages[0].graph.norm.running_mean,
        ):
            folded = run.evaluation()
            tensor.mul_(1.5)
            assert run.evaluation() is not folded
        plain.load_state_dict(model.state_dict())
        assert_near(run(clips), plain(clips), 1e-12)
        assert not torch.equal(run(clips), before)
        model.load_state_dict(make().state_dict())
        assert torch.equal(run(clips), before)
        model.float()
        assert_near(run(clips.float()).double(), before, 1e-5)


def test_a_family_without_a_folded_form_has_none():
    assert fold(torch.nn.Linear(1, 1)) is None


def test_a_user_s_folded_form_answers():
    class Mine(STGCN):
        pass

    @fold.register
    def fold_mine(model: Mine, *, quick: bool = False) -> Folded:
        folded = fold.dispatch(STGCN)(model, quick=quick)
        folded.classify.bias += 1
        return folded

    torch.manual_seed(0)
    model, clips = Mine(torch.ones(1, 5, 5), 4, base_channels=4).eval(), pairs(2, 1).float()
    with torch.no_grad():
        torch.testing.assert_close(Engine(model)(clips), model(clips) + 1)
