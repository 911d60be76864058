"""The model against its plain twin and against what its users rely on."""

import functools
import shutil
from copy import deepcopy

import numpy as np
import plain
import pytest
import torch
import torch.nn.functional as F
from helpers import skeleton
from torch._dynamo.backends.debugging import aot_eager
from torch.utils.flop_counter import FlopCounterMode

from stgcn_lightning.engine.persons import distinct
from stgcn_lightning.errors import BadInput
from stgcn_lightning.graph import adjacency
from stgcn_lightning.models import stgcn
from stgcn_lightning.models.stgcn import STGCN, channels_first, forward_macs


def twin_of(model: STGCN) -> dict[str, torch.Tensor]:
    """Copies of all weights, those that are learned as leaves."""
    learned = dict(model.named_parameters())
    return {
        name: tensor.detach().clone().requires_grad_(name in learned)
        for name, tensor in model.state_dict().items()
    }


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
def test_logits_gradients_and_statistics_equal_the_plain_twin(small, clips, training):
    small, clips = small.double().train(training), clips.double()
    weights = twin_of(small)
    labels = torch.tensor([2, 0])

    logits = small(clips)
    F.cross_entropy(logits, labels).backward()
    expected = plain.stgcn(clips, weights, training)
    F.cross_entropy(expected, labels).backward()

    torch.testing.assert_close(logits, expected, rtol=1e-10, atol=1e-12)
    for name, parameter in small.named_parameters():
        torch.testing.assert_close(parameter.grad, weights[name].grad, rtol=1e-8, atol=1e-12)
    for name, buffer in small.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            torch.testing.assert_close(buffer, weights[name].detach(), rtol=1e-12, atol=0)


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
        x = torch.zeros(1, 1, 5, 3)
        x[0, 0, :, 0] = torch.tensor([1.0, 2, 30, 30, 30])
        y = graph(x, distinct(x[None])[1])
    expected = torch.zeros(1, 1, 5, 4)
    expected[0, 0, 2, :2] = torch.tensor([1.5 * (1 + 10), 2.0])
    assert torch.equal(y, expected)


def test_activations_stay_in_one_memory_layout(small, clips):
    """Every convolution reads and writes (R, T, V, C) memory: no copy hides in a permutation."""
    seen = []
    for module in small.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(lambda _, given, made: seen.extend([*given, made]))
    small(clips)
    assert len(seen) == 2 * 10
    assert all(x.is_contiguous(memory_format=torch.channels_last) for x in seen)


def test_persons_and_clips_keep_their_places(small, clips):
    small.eval()
    with torch.no_grad():
        logits = small(clips)
        torch.testing.assert_close(small(clips.flip(1)), logits)  # persons are averaged
        torch.testing.assert_close(small(clips[1:]), logits[1:])  # clips do not meet in evaluation


@pytest.mark.parametrize("frames", [1, 2, 5, 100])
def test_any_number_of_frames_and_persons_will_do(small, frames):
    assert small(torch.randn(3, 3, frames, 5, 3)).shape == (3, 3)


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


def test_dropout_acts_in_training_alone():
    torch.manual_seed(0)
    model = STGCN(np.ones((1, 2, 2)), classes=3, base_channels=2, dropout=1.0)
    clips = torch.randn(2, 1, 8, 2, 3)
    assert not model.train()(clips).any()  # the head's bias is zero
    assert model.eval()(clips).any()


def test_the_model_survives_a_deepcopy(small, clips):
    twin = deepcopy(small)
    assert torch.equal(twin(clips), small(clips))
    with torch.no_grad():
        twin.stages[3].graph.edge_importance.zero_()
    assert not torch.equal(twin(clips), small(clips))


@pytest.fixture
def graphs(monkeypatch):
    """Compile by running what was traced, which takes no compiler; lists the graphs."""
    traced = []

    def count(graph, inputs):
        traced.append(graph)
        return aot_eager(graph, inputs)

    @functools.cache
    def compiled(features, mode):
        torch._dynamo.reset()
        return torch.compile(features, backend=count, dynamic=False, fullgraph=True)

    monkeypatch.setattr(stgcn, "compiled", compiled)
    return traced


@pytest.mark.slow
def test_bf16_is_no_worse_than_the_plain_formulation_under_autocast():
    """Logits of the full width, as in scripts/bench/train_step.py --bf16, which prints both."""
    torch.manual_seed(0)
    graph = torch.from_numpy(adjacency(skeleton("coco17"), "stgcn_spatial"))
    model = STGCN(graph, classes=60)
    clips = torch.randn(4, 2, 37, 17, 3)
    clips[:3, 1] = 0
    exact = plain.stgcn(clips.double(), twin_of(deepcopy(model).double()), training=True)
    weights = twin_of(model)  # the running statistics move
    with torch.autocast("cpu", torch.bfloat16):
        errors = [
            (logits.double() - exact).norm() / exact.norm()
            for logits in (model(clips), plain.stgcn(clips, weights, training=True))
        ]
    assert errors[0] < 1.1 * errors[1]  # both are rounding, which falls as it falls
    assert errors[0] < 0.02


# torch's own tracing (2.13) makes an instance of the class of our batch norm
@pytest.mark.filterwarnings("ignore:<class 'torch.autograd.function.Function'> should not")
@pytest.mark.slow
def test_compiled_steps_are_the_same_in_few_graphs(small, graphs):
    twin = deepcopy(small)
    twin.compile_mode = "default"
    generator = torch.Generator().manual_seed(0)
    for alone in (0, 3, 16, 0):
        clips = torch.randn(16, 2, 20, 5, 3, generator=generator)
        clips[:alone, 1] = 0
        for model in (small, twin):
            model.train()(clips).square().sum().backward()
    assert len(graphs) == 2  # 32, 30 + 1 (rounded up to 32), 17 (to 20) and 32 rows
    torch.testing.assert_close(twin.state_dict(), small.state_dict(), rtol=1e-4, atol=1e-5)
    few = clips[:3]
    torch.testing.assert_close(twin(few), small(few), rtol=1e-4, atol=1e-5)
    assert len(graphs) == 2, "a smaller batch is not compiled"
    with torch.no_grad():
        twin.load_state_dict(small.state_dict())
        for alone in (0, 2, 16):
            clips[:alone, 1] = 0
            expected = small.eval()(clips)
            torch.testing.assert_close(twin.eval()(clips), expected, rtol=1e-4, atol=1e-5)
    assert deepcopy(twin).compile_mode == "default"


def test_bf16_autocast_runs_in_bf16_and_stays_near(small, clips):
    expected = small(clips)
    inside = []
    small.stages[5].register_forward_hook(lambda *call: inside.append(call[-1].dtype))
    with torch.autocast("cpu", torch.bfloat16):
        logits = small(clips)
    F.cross_entropy(logits.float(), torch.tensor([2, 0])).backward()
    assert inside == [torch.bfloat16]
    assert all(parameter.grad.isfinite().all() for parameter in small.parameters())
    error = (logits - expected).norm() / expected.norm()
    assert error < 0.05  # bf16 has 8 bits; ten stages on random weights


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # torch's compiler, of itself
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # likewise
def test_a_compiled_stage_equals_the_eager_one(small, clips):
    eager = small.double().stages[4]  # with a shortcut
    compiled = deepcopy(eager)
    clips = clips[..., :1].double().expand(-1, -1, -1, -1, 4).contiguous()
    clips[0, 1] = 0  # somebody is absent
    x, rows = distinct(clips, step=4)
    expected = eager(x, rows)
    made = torch.compile(compiled, fullgraph=True)(x, rows)
    torch.testing.assert_close(made, expected, rtol=1e-9, atol=1e-9)
    expected.square().sum().backward()
    made.square().sum().backward()
    for ours, theirs in zip(compiled.parameters(), eager.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("shape", [(2, 2, 9, 17, 3), (2, 2, 9, 5, 2), (2, 9, 5, 3)])
def test_clips_that_do_not_fit_are_refused(small, shape):
    with pytest.raises(BadInput, match=r"5 joints and 3 channels.*but these have the shape"):
        small(torch.zeros(shape))


@pytest.mark.parametrize(
    ("joints", "parameters", "gmac"), [(17, 3_088_704, 3.81), (25, 3_098_832, 5.70)]
)
def test_parameters_and_cost_are_the_published_ones(joints, parameters, gmac):
    model = STGCN(torch.ones(3, joints, joints), classes=60)
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters
    assert round(forward_macs(model, frames=100, persons=2) / 1e9, 2) == gmac


@pytest.mark.parametrize(("frames", "persons"), [(100, 2), (37, 1)])
def test_cost_equals_torchs_flop_counter_on_the_plain_formulation(frames, persons):
    with torch.device("meta"):
        model = STGCN(torch.ones(3, 17, 17), classes=60)
        clips = torch.zeros(1, persons, frames, 17, 3)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        plain.stgcn(clips, twin_of(model))
    assert 2 * forward_macs(model, frames, persons) == counter.get_total_flops()


def test_channels_first_is_a_view():
    x = torch.randn(2, 3, 4, 5)
    y = channels_first(x)
    assert y.shape == (2, 5, 3, 4)
    assert y.data_ptr() == x.data_ptr()


@pytest.mark.parametrize("base_channels", [1, 3, 4, 7])
def test_narrow_models_train_without_harm(base_channels):
    torch.manual_seed(0)
    model = STGCN(torch.rand(3, 5, 5), classes=3, base_channels=base_channels)
    for _ in range(5):
        model(torch.randn(4, 2, 16, 5, 3)).sum().backward()
