"""An engine against the plain model, which computes every person: exactly the same, in float64."""

from copy import deepcopy

import pytest
import torch
import torch.nn.functional as F
from engine_models import assert_near, assert_trains_alike, make, pairs, places, toy
from helpers import skeleton
from torch import nn

from stgcn_lightning.engine import compiling, engine, fourier, products
from stgcn_lightning.engine.convert import convert
from stgcn_lightning.engine.engine import Engine
from stgcn_lightning.engine.persons import distinct
from stgcn_lightning.errors import BadInput
from stgcn_lightning.graph import adjacency
from stgcn_lightning.models import registry
from stgcn_lightning.models.backbone import plain_copy
from stgcn_lightning.models.stgcn import STGCN, Stage

FAMILIES = registry.names()


def assert_trains_as_padded(model, clips: torch.Tensor, **settings) -> None:
    plain = deepcopy(model)
    assert_trains_alike(Engine(model, **settings), model, plain, clips)


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
def test_logits_gradients_and_statistics_equal_the_plain_model(small, clips, training):
    small, clips = small.double().train(training), clips.double()
    plain = deepcopy(small)
    labels = torch.tensor([2, 0])

    logits = Engine(small)(clips)
    F.cross_entropy(logits, labels).backward()
    expected = plain(clips)
    F.cross_entropy(expected, labels).backward()

    torch.testing.assert_close(logits, expected, rtol=1e-10, atol=1e-12)
    for ours, theirs in zip(small.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-8, atol=1e-12)
    buffers = dict(plain.named_buffers())
    for name, buffer in small.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            torch.testing.assert_close(buffer, buffers[name], rtol=1e-12, atol=0)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("alone", [0, 1, 3, 4])
def test_training_equals_the_padded_batch(alone, family):
    assert_trains_as_padded(make(family=family), pairs(4, alone))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("alone", [0, 1, 3, 4])
def test_training_with_rows_that_stand_for_nobody_equals_the_padded_batch(
    alone, family, monkeypatch
):
    """What is compiled is computed as it is when it is compiled, but uncompiled."""
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    monkeypatch.setattr(compiling, "compiled", lambda mode, features: features)
    monkeypatch.setattr(compiling, "BUCKETS", 1)  # all batches have one number of rows
    assert_trains_as_padded(make(family=family), pairs(4, alone), compile_mode="default")


def test_present_persons_may_be_given():
    clips = pairs(4, 3)
    present = clips.flatten(2).any(-1)
    assert torch.equal(Engine(make())(clips, present), Engine(make())(clips))
    present[0, 1] = True  # of whom nothing is seen
    assert_near(Engine(make())(clips, present), Engine(make())(clips), 1e-12)
    with torch.no_grad():
        run = Engine(make().eval())
        assert_near(run(clips, present), run(clips), 1e-12)


@pytest.mark.parametrize("frames", [20, 37, 100])
def test_training_equals_the_padded_batch_at_any_length(frames):
    assert_trains_as_padded(make(), pairs(4, 3, frames))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("joints", "channels"), [(7, 3), (17, 3), (25, 3), (5, 9)])
def test_training_equals_the_padded_batch_of_any_body(joints, channels, family):
    model = make(joints, channels, family=family)
    assert_trains_as_padded(model, pairs(3, 2, joints=joints, channels=channels))


@pytest.mark.slow
def test_training_equals_the_padded_batch_at_full_width():
    assert_trains_as_padded(make(17, base_channels=64), pairs(4, 3, 37, joints=17))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("alone", [0, 100])
def test_norm_groups_equal_groups_apart_with_averaged_gradients(alone, family):
    together, apart = make(family=family), make(family=family)
    clips, labels = pairs(128, alone, frames=8), torch.arange(128) % 4
    clips, labels = clips[torch.randperm(128)], labels
    F.cross_entropy(Engine(together, norm_group=16)(clips), labels).backward()
    before = deepcopy(apart.state_dict())
    statistics = {name: 0 for name in before if "running" in name}
    for group in range(8):
        part = slice(16 * group, 16 * group + 16)
        apart.load_state_dict(before)
        (F.cross_entropy(apart(clips[part]), labels[part]) / 8).backward()
        for name, buffer in apart.named_buffers():
            if "running" in name:
                statistics[name] = statistics[name] + buffer.clone() / 8
    for (name, ours), theirs in zip(together.named_parameters(), apart.parameters(), strict=True):
        if ours.grad is None or theirs.grad is None:  # logits are without it
            assert ours.grad is theirs.grad, name
        else:
            assert_near(ours.grad, theirs.grad, 1e-10, name)
    for name, buffer in together.named_buffers():
        if "running" in name:
            assert_near(buffer, statistics[name], 1e-12, name)


def with_gaps(clips: int) -> torch.Tensor:
    """Clips in which the first person, the second, both or nobody is absent, in turn."""
    x = pairs(clips, 0)
    x[1::4, 1], x[2::4, 0], x[3::4] = 0, 0, 0
    return x


@pytest.mark.parametrize(("clips", "group"), [(8, None), (8, 8), (2, None), (8, 4)])
def test_places_that_are_told_apart_have_absent_persons_of_their_own(clips, group):
    """Logits, a loss of the family's own, gradients, statistics; norm groups are batches apart."""
    ours, apart, x = places(), places(), with_gaps(clips)
    labels = torch.arange(clips) % 4
    run = Engine(ours, norm_group=group)
    logits = run(x)
    (F.cross_entropy(logits, labels) + run.further_loss(logits, labels)).backward()
    before, statistics, parts = deepcopy(apart.state_dict()), {}, clips // (group or clips)
    for part in range(parts):
        some = slice(part * clips // parts, (part + 1) * clips // parts)
        apart.load_state_dict(before)
        rows, more = apart.training_features(apart.normalise_clips(x[some]).flatten(0, 1))
        answer = apart.classify(rows.unflatten(0, (-1, 2)))
        own = apart.further_loss(more.unflatten(0, (-1, 2)), answer.detach(), labels[some])
        ((F.cross_entropy(answer, labels[some]) + own) / parts).backward()
        assert_near(logits[some], answer, 1e-12)
        for name, buffer in apart.named_buffers():
            if "running" in name:
                statistics[name] = statistics.get(name, 0) + buffer / parts
    for (name, mine), theirs in zip(ours.named_parameters(), apart.parameters(), strict=True):
        assert_near(mine.grad, theirs.grad, 1e-10, name)
    for name, buffer in ours.named_buffers():
        if "running" in name:
            assert_near(buffer, statistics[name], 1e-12, name)


def test_places_that_are_told_apart_are_rows_of_their_own():
    x = with_gaps(8)
    _, rows = distinct(x, placed=x)
    assert len(rows.group) == 8 + 2
    assert rows.groups == [(None, (4, 4))]
    assert distinct(x)[1].groups == [(None, (8,))]


def test_evaluation_knows_an_absent_person_of_every_place():
    model, x = places().eval(), with_gaps(8)
    with torch.inference_mode():
        assert_near(Engine(model)(x), model(x), 1e-12)
        assert len(Engine(model).evaluation().absent_persons(x)[0]) == 2


def test_another_number_of_persons_than_a_model_tells_apart_is_refused():
    with pytest.raises(BadInput, match=r"of 2 persons, these have 3: set data.persons=2"):
        Engine(places())(torch.zeros(1, 3, 20, 5, 3))


def lies_as(x: torch.Tensor, *order: int) -> bool:
    return x.permute(order).is_contiguous()


@pytest.mark.parametrize("kind", [nn.Conv2d, nn.BatchNorm2d, Stage])
def test_activations_and_their_gradients_lie_with_the_frames_first(small, clips, kind):
    """(T, V, R, C) from the first norm on: no copy hides in a permutation."""
    seen = []
    for module in small.modules():
        if isinstance(module, kind):
            module.register_forward_hook(lambda _, given, made: seen.append(made))
            module.register_full_backward_hook(lambda _, made, given: seen.extend(given))
    for alone in (0, 1):
        clips[:alone, 1] = 0
        Engine(small)(clips).sum().backward()
    assert len(seen) == 2 * 2 * {nn.Conv2d: 10, nn.BatchNorm2d: 22, Stage: 10}[kind]
    # the head's mean has a gradient of no order, which the last stage gives one
    assert sum(not lies_as(x, 2, 3, 0, 1) for x in seen) == (2 if kind is Stage else 0)


@pytest.mark.parametrize("answer", [True, False])
def test_whatever_this_machine_does_faster_the_answers_are_the_same(answer, monkeypatch):
    """Products or 1x1 convolutions, frequencies or direct convolutions, at full width."""
    for module, choice in ((products, products._by_convolution), (fourier, fourier.pays)):
        monkeypatch.setattr(module, "faster", lambda *_: answer)
        choice.cache_clear()
    torch.manual_seed(0)
    model = STGCN(adjacency(skeleton("coco17"), "stgcn_spatial"), classes=4)
    clips = pairs(3, 2, joints=17).float()
    plain, run = deepcopy(model), Engine(model)
    logits = run(clips)
    assert_near(logits, plain(clips), 5e-6)
    logits.sum().backward()  # gradients: test_products.py, test_fourier.py
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())
    model.eval()
    with torch.no_grad():
        assert_near(run(clips), plain.eval()(clips), 5e-6)
    for choice in (products._by_convolution, fourier.pays):
        choice.cache_clear()


def test_one_row_is_computed():
    """All persons are absent, so that strides along rows mean nothing."""
    graph = adjacency(skeleton("coco17"), "stgcn_spatial")
    model = STGCN(graph, classes=4, base_channels=8).double()
    assert_trains_as_padded(model, torch.zeros(1, 2, 20, 17, 3).double())


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (0, 2, 3, 1), (2, 3, 0, 1)])
def test_a_norm_writes_the_layout_that_it_reads(order):
    norm = nn.BatchNorm2d(6)
    current = convert(norm)
    inverse = [order.index(axis) for axis in range(4)]
    for alone in (0, 2):
        _, rows = distinct(pairs(3, alone))
        shape = (len(rows.group), 6, 5, 4)
        x = torch.randn([shape[axis] for axis in order]).permute(inverse)
        with current.described_by(rows):
            assert lies_as(norm(x), *order)


def test_the_model_stays_what_it_was(small, clips):
    plain = deepcopy(small).eval()
    names = list(small.state_dict())
    Engine(small)
    assert isinstance(small, STGCN)
    assert list(small.state_dict()) == names
    assert isinstance(small.stages[0].graph.norm, nn.BatchNorm2d)
    small.eval()
    torch.testing.assert_close(small(clips), plain(clips))
    again = plain_copy(small)
    assert [type(one) for one in again.modules()] == [type(one) for one in plain.modules()]
    assert torch.equal(again(clips), plain(clips))


def test_a_second_engine_of_a_model_and_a_copy_go_on_alike(small, clips):
    clips[0, 1] = 0
    first, second = Engine(small), Engine(small)
    small.train()
    expected = first(clips)
    torch.testing.assert_close(second(clips), expected)
    torch.testing.assert_close(first(clips), expected)
    copied = deepcopy(first)
    assert copied.model is not small
    torch.testing.assert_close(copied(clips), expected)
    with torch.no_grad():
        copied.model.stages[3].graph.edge_importance.zero_()
    assert not torch.equal(copied(clips), first(clips))


# A family without a folded form


@pytest.mark.parametrize("alone", [0, 2, 4])
def test_a_family_of_its_own_trains_as_the_padded_batch(alone):
    assert_trains_as_padded(toy(), pairs(4, alone))


@pytest.mark.parametrize("alone", [0, 2, 4])
@pytest.mark.parametrize("most", [1, 3, 100])
def test_a_family_without_a_folded_form_evaluates_absent_persons_once(alone, most, monkeypatch):
    monkeypatch.setattr(engine, "rows_at_once", lambda row, clips: most)
    model, clips = toy(), pairs(4, alone)
    model.own = nn.Identity()  # a norm without running statistics mixes clips
    plain, run = deepcopy(model).eval(), Engine(model.eval())
    rows = []
    model.mix.register_forward_hook(lambda _, given, made: rows.append(len(made)))
    with torch.no_grad():
        assert run.evaluation().form is model
        assert_near(run(clips), plain(clips), 1e-12)
        assert sum(rows) == 2 + 8 - alone  # the absent person again, to measure its memory
        assert max(rows) <= max(most, 1)
        rows.clear()
        run(clips)
        assert sum(rows) == 8 - alone  # an absent person is computed once for all batches
        model.mix.weight.mul_(1.5)
        assert not torch.equal(run(clips), plain(clips))
        plain.load_state_dict(model.state_dict())
        assert_near(run(clips), plain(clips), 1e-12)


def test_a_model_that_draws_random_numbers_computes_every_person_in_training():
    model = toy(inside=0.5)
    rows = []
    model.mix.register_forward_hook(lambda _, given, made: rows.append(len(made)))
    run, clips = Engine(model), pairs(4, 3)
    run(clips)
    model.eval()
    run(clips)
    assert rows == [8, 5 + 1]  # with gradients
    plain = plain_copy(model.train())
    torch.manual_seed(1)
    logits = run(clips)
    torch.manual_seed(1)
    assert_near(logits, plain(clips), 1e-12)


# What cannot be exact is refused


def test_a_norm_that_sees_other_rows_is_refused(small, clips):
    model = toy()
    model.norm2d.register_forward_pre_hook(lambda _, given: (given[0].repeat(2, 1, 1, 1),))
    with pytest.raises(TypeError, match=r"given 8 rows, but the batch has 4: .* first axis"):
        Engine(model)(pairs(2, 0))
    Engine(small)(clips)  # nothing is left behind
    small(clips[:1])


def test_a_norm_of_another_kind_is_refused():
    model = toy()
    model.flat = nn.SyncBatchNorm(6)
    with pytest.raises(TypeError, match=r"through SyncBatchNorm: use nn\.BatchNorm1d, 2d or 3d"):
        Engine(model)


def test_activations_that_are_computed_again_are_refused(small, clips):
    forward = small.stages[3].forward
    small.stages[3].forward = lambda x: torch.utils.checkpoint.checkpoint(
        forward, x, use_reentrant=False
    )
    logits = Engine(small)(clips)
    with pytest.raises(TypeError, match=r"computes activations again .*utils\.checkpoint"):
        logits.sum().backward()


# Precision


def test_bf16_autocast_runs_in_bf16_and_stays_near(small, clips):
    run = Engine(small)
    expected = run(clips)
    inside = []
    small.stages[5].register_forward_hook(lambda *call: inside.append(call[-1].dtype))
    with torch.autocast("cpu", torch.bfloat16):
        logits = run(clips)
    F.cross_entropy(logits.float(), torch.tensor([2, 0])).backward()
    assert inside == [torch.bfloat16]
    assert all(parameter.grad.isfinite().all() for parameter in small.parameters())
    error = (logits - expected).norm() / expected.norm()
    assert error < 0.05  # bf16 has 8 bits; ten stages on random weights


@pytest.mark.slow
def test_bf16_is_no_worse_than_the_plain_formulation_under_autocast():
    """Logits of the full width, as in scripts/bench/train_step.py --bf16, which prints both."""
    torch.manual_seed(0)
    graph = torch.from_numpy(adjacency(skeleton("coco17"), "stgcn_spatial"))
    model = STGCN(graph, classes=60)
    clips = torch.randn(4, 2, 37, 17, 3)
    clips[:3, 1] = 0
    exact = deepcopy(model).double()(clips.double())
    plain = deepcopy(model)
    with torch.autocast("cpu", torch.bfloat16):
        errors = [
            (logits.double() - exact).norm() / exact.norm()
            for logits in (Engine(model)(clips), plain(clips))
        ]
    assert errors[0] < 1.1 * errors[1]  # both are rounding, which falls as it falls
    assert errors[0] < 0.02
