"""Absent persons computed once against the padded batch, in float64."""

import plain
import pytest
import torch
import torch.nn.functional as F
from helpers import skeleton
from torch import nn

from stgcn_lightning.engine.persons import batch_norm, distinct
from stgcn_lightning.graph import adjacency
from stgcn_lightning.models import stgcn
from stgcn_lightning.models.stgcn import STGCN


def make(joints=5, channels=3, base_channels=8, **settings) -> STGCN:
    """A model in float64 no weight of which has a value that could hide a mistake."""
    torch.manual_seed(0)
    adjacency = torch.rand(3, joints, joints)
    model = STGCN(
        adjacency, classes=4, channels=channels, base_channels=base_channels, **settings
    ).double()
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if tensor.is_floating_point() and tensor.ndim == 1:
                tensor.uniform_(0.5, 1.5)
            if "edge_importance" in name:
                tensor.uniform_(0.5, 1.5).div_(joints)
    return model


def pairs(clips: int, alone: int, frames=20, joints=5, channels=3) -> torch.Tensor:
    """Clips of two persons; in the first `alone` of them the second one is absent."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(clips, 2, frames, joints, channels, generator=generator, dtype=torch.float64)
    x[:alone, 1] = 0
    return x


def copies(model: STGCN) -> dict[str, torch.Tensor]:
    learned = dict(model.named_parameters())
    return {
        name: tensor.detach().clone().requires_grad_(name in learned)
        for name, tensor in model.state_dict().items()
    }


def assert_near(ours: torch.Tensor, theirs: torch.Tensor, tolerance: float, name: str = "") -> None:
    error = (ours - theirs).abs().max() / theirs.abs().max().clamp(min=1e-3)
    assert error < tolerance, f"{name}: {error:.2g}"


def assert_trains_as_padded(model: STGCN, clips: torch.Tensor) -> None:
    """Logits to 1e-12, gradients to 1e-10, running statistics to 1e-12."""
    weights = copies(model)
    labels = torch.arange(len(clips)) % 4
    logits = model(clips)
    F.cross_entropy(logits, labels).backward()
    expected = plain.stgcn(clips, weights, training=True)
    F.cross_entropy(expected, labels).backward()
    assert_near(logits, expected, 1e-12, "logits")
    for name, parameter in model.named_parameters():
        assert_near(parameter.grad, weights[name].grad, 1e-10, name)
    for name, buffer in model.named_buffers():
        if "running" in name:
            assert_near(buffer, weights[name], 1e-12, name)


@pytest.mark.parametrize("alone", [0, 1, 3, 4])
def test_training_equals_the_padded_batch(alone):
    assert_trains_as_padded(make(), pairs(4, alone))


@pytest.mark.parametrize("alone", [0, 1, 3, 4])
def test_training_with_rows_that_stand_for_nobody_equals_the_padded_batch(alone, monkeypatch):
    monkeypatch.setattr(stgcn, "compiled", lambda features, mode: features)
    monkeypatch.setattr(stgcn, "BUCKETS", 1)  # all batches have one number of rows
    assert_trains_as_padded(make(compile_mode="default"), pairs(4, alone))


def test_who_is_there_may_be_told():
    clips = pairs(4, 3)
    present = clips.flatten(2).any(-1)
    assert torch.equal(make()(clips, present), make()(clips))
    present[0, 1] = True  # of whom nothing is seen
    assert_near(make()(clips, present), make()(clips), 1e-12)
    with torch.no_grad():
        model = make().eval()
        assert_near(model(clips, present), model(clips), 1e-12)


@pytest.mark.parametrize("frames", [20, 37, 100])
def test_training_equals_the_padded_batch_at_any_length(frames):
    assert_trains_as_padded(make(), pairs(4, 3, frames))


@pytest.mark.parametrize(("joints", "channels"), [(7, 3), (17, 3), (25, 3), (5, 9)])
def test_training_equals_the_padded_batch_of_any_body(joints, channels):
    model = make(joints, channels)
    assert_trains_as_padded(model, pairs(3, 2, joints=joints, channels=channels))


@pytest.mark.slow
def test_training_equals_the_padded_batch_at_full_width():
    assert_trains_as_padded(make(17, base_channels=64), pairs(4, 3, 37, joints=17))


def test_clips_without_anybody_are_one_row():
    rows, where = distinct(torch.zeros(3, 2, 4, 5, 3))
    assert rows.shape == (1, 4, 5, 3)
    assert where.share.tolist() == [[1.0]]
    assert where.of_person.tolist() == [[0, 0]] * 3


def test_rows_are_rounded_up_with_rows_that_stand_for_nobody():
    clips = pairs(5, 5)
    rows, where = distinct(clips, step=4)
    assert len(rows) == 8
    assert not rows[5:].any()
    torch.testing.assert_close(where.share[0, 5:], torch.tensor([0.5, 0, 0]).double())
    assert torch.equal(rows[where.of_person], clips)


def test_a_person_who_is_absent_from_some_frames_is_present():
    clips = pairs(1, 0)
    clips[0, 1, 1:] = 0
    assert len(distinct(clips)[0]) == 2


@pytest.mark.parametrize("alone", [0, 100])
def test_norm_groups_equal_groups_apart_with_averaged_gradients(alone):
    together, apart = make(norm_group=16), make()
    clips, labels = pairs(128, alone, frames=8), torch.arange(128) % 4
    clips, labels = clips[torch.randperm(128)], labels
    F.cross_entropy(together(clips), labels).backward()
    before = copies(apart)
    statistics = {name: 0 for name in before if "running" in name}
    for group in range(8):
        part = slice(16 * group, 16 * group + 16)
        apart.load_state_dict({k: v.detach() for k, v in before.items()})
        (F.cross_entropy(apart(clips[part]), labels[part]) / 8).backward()
        for name, buffer in apart.named_buffers():
            if "running" in name:
                statistics[name] = statistics[name] + buffer.clone() / 8
    for (name, ours), theirs in zip(together.named_parameters(), apart.parameters(), strict=True):
        assert_near(ours.grad, theirs.grad, 1e-10, name)
    for name, buffer in together.named_buffers():
        if "running" in name:
            assert_near(buffer, statistics[name], 1e-12, name)


def test_norm_groups_share_a_batch_that_they_do_not_divide_evenly():
    _, where = distinct(pairs(5, 0), norm_group=2)
    assert where.persons.tolist() == [4, 4, 2]
    assert where.group.tolist() == [0] * 4 + [1] * 4 + [2] * 2
    assert distinct(pairs(4, 0), norm_group=3)[1].persons.tolist() == [4, 4]


def test_a_norm_in_evaluation_uses_its_running_statistics():
    norm = nn.BatchNorm2d(3).eval()
    norm.running_mean.fill_(1)
    norm.running_var.fill_(4)
    x = torch.randn(2, 4, 5, 3)
    y = batch_norm(x, norm, distinct(x[None])[1])
    torch.testing.assert_close(y, (x - 1) / (4 + norm.eps) ** 0.5)


@pytest.mark.parametrize("alone", [0, 2, 4])
@pytest.mark.parametrize("rows_at_once", [1, 3, 100])
def test_the_folded_form_equals_the_padded_batch(alone, rows_at_once):
    model, clips = make().eval(), pairs(4, alone)
    expected = plain.stgcn(clips, copies(model))
    with torch.no_grad():
        assert_near(model(clips), expected, 1e-12)
        assert_near(model.folded().distinct(clips, rows_at_once), expected, 1e-12)
        assert_near(model.folded()(clips), expected, 1e-12)


@pytest.mark.parametrize("name", ["coco17", "ntu25", "openpose18"])
def test_the_folded_form_leaves_out_what_nobody_hears(name):
    graph = torch.from_numpy(adjacency(skeleton(name), "stgcn_spatial"))
    torch.manual_seed(0)
    model = STGCN(graph, classes=4, base_channels=8).double().eval()
    clips = pairs(2, 1, joints=graph.shape[-1])
    with torch.no_grad():
        listeners = model.folded().stages[1].graph.listeners
        assert listeners == (graph[2] != 0).any(0).sum() < graph.shape[-1]
        assert_near(model(clips), plain.stgcn(clips, copies(model)), 1e-12)
        assert_near(model.fold()(clips), plain.stgcn(clips, copies(model)), 1e-12)


@pytest.mark.slow
def test_the_folded_form_at_full_width_equals_the_padded_batch():
    model, clips = make(17, base_channels=64).eval(), pairs(2, 1, 37, joints=17)
    with torch.no_grad():
        assert model.folded().stages[5].taps
        assert_near(model(clips), plain.stgcn(clips, copies(model)), 1e-12)


def test_the_folded_form_follows_the_weights_and_is_not_saved():
    model, clips = make().eval(), pairs(3, 2)
    names = set(model.state_dict())
    with torch.no_grad():
        before = model(clips)
        assert model.folded() is model.folded()
        assert set(model.state_dict()) == names
        for tensor in (
            model.classify.weight,
            model.stages[3].graph.edge_importance,
            model.stages[0].graph.norm.running_mean,
        ):
            folded = model.folded()
            tensor.mul_(1.5)
            assert model.folded() is not folded
        assert_near(model(clips), plain.stgcn(clips, copies(model)), 1e-12)
        assert not torch.equal(model(clips), before)
        model.load_state_dict(make().state_dict())
        assert torch.equal(model(clips), before)
        assert_near(model.float()(clips.float()).double(), before, 1e-5)
