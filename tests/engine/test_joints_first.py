"""Parts of CTR-GCN's and ST-GCN++'s stages with joints before frames, against the plain ones."""

import pytest
import torch
from engine_models import assert_near, make

from stgcn_lightning.engine.engine import Engine
from stgcn_lightning.engine.joints_first import CTRStage, PPStage, _Largest
from stgcn_lightning.models import parts
from stgcn_lightning.models.backbone import plain_copy


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("frames", [1, 6, 7])
def test_of_equal_frames_the_first_gets_the_gradient_as_in_the_reference(stride, frames):
    torch.manual_seed(0)
    x = torch.randint(1, 4, (2, 3, frames, 5)).double().requires_grad_()  # many are equal
    expected = parts.largest(x, stride)
    g = torch.randn_like(expected)
    found = _Largest.apply(x.transpose(2, 3), stride).transpose(2, 3)
    assert torch.equal(found, expected)
    (by_plain,) = torch.autograd.grad(expected, x, g)
    torch.testing.assert_close(torch.autograd.grad(found, x, g)[0], by_plain)


@pytest.mark.parametrize(
    ("family", "kind", "most"), [("ctrgcn", CTRStage, 0.7), ("stgcnpp", PPStage, 1)]
)
def test_stages_keep_less_and_leave_joints_before_frames(family, kind, most):
    model = make(family=family).train()
    plain = plain_copy(model)
    Engine(model)
    x = torch.randn(3, 8, 20, 5, dtype=torch.float64)
    sizes = []
    for one in (model, plain):
        kept: dict[int, int] = {}
        with torch.autograd.graph.saved_tensors_hooks(
            lambda t, kept=kept: kept.update({t.data_ptr(): t.numel()}) or t, lambda t: t
        ):
            y = one.stages[1](x.requires_grad_())
        sizes.append(sum(kept.values()))
    assert type(model.stages[1]) is kind
    assert model.stages[1](x).transpose(2, 3).is_contiguous()
    assert y.shape == (3, 8, 20, 5)
    assert sizes[0] < most * sizes[1], sizes


@pytest.mark.parametrize("family", ["ctrgcn", "stgcnpp"])
def test_under_autocast_the_plain_stage_answers(family):
    model = make(family=family).float().train()
    plain = plain_copy(model)
    Engine(model)
    x = torch.randn(3, 8, 20, 5)
    with torch.autocast("cpu", torch.bfloat16):
        assert_near(model.stages[1](x).float(), plain.stages[1](x).float(), 0.05)
    assert model.stages[1](x).dtype == torch.float32
