"""Compares the kernels with plain PyTorch in Triton's interpreter; tests/test_kernels.py runs it.

It is a process of its own: the interpreter is chosen before Triton is imported, for good.
"""

import copy
import os
from collections import Counter

os.environ["TRITON_INTERPRET"] = "1"

import numpy as np
import pytest
import torch
import triton.language as tl
from helpers import three_stages
from kernels import fused_kernels, triton_kernels
from kernels.stages import KERNELS, with_kernels
from torch.testing import assert_close
from triton.runtime import interpreter

from stgcn_lightning.engine.engine import Engine
from stgcn_lightning.engine.persons import distinct
from stgcn_lightning.models.stgcn import STGCN

SHAPES = [  # T, V, C, O: odd ones, those of base channels 8 and 64, more than one block of channels
    (20, 17, 3, 8),
    (37, 25, 8, 8),
    (7, 5, 33, 19),
    (20, 25, 64, 64),
    (5, 3, 16, 144),
]
# float32 differs by the order of its sums. bf16 has 8 bits; where results or what is gathered round
# to neighbouring numbers, the kernel and PyTorch's bf16 product differ by one of them
CLOSE = {
    torch.float32: {"rtol": 1e-4, "atol": 1e-4},
    torch.bfloat16: {"rtol": 2e-2, "atol": 4e-2},
}


def mend_bf16(builder=interpreter.InterpreterBuilder):
    """Triton 3.7's interpreter multiplies the bit patterns of bf16, and truncates to it."""
    dot, cast = builder.create_dot, builder.cast_impl

    def mended_cast(self, source, kind):
        if source.dtype.scalar == tl.float32 and kind.scalar == tl.bfloat16:
            rounded = torch.from_numpy(np.array(source.data, np.float32)).bfloat16()
            bits = rounded.view(torch.int16).numpy().view(np.uint16)
            return interpreter.TensorHandle(bits, tl.bfloat16)
        return cast(self, source, kind)

    def mended_dot(self, a, b, *rest):
        if a.dtype.scalar == tl.bfloat16:
            a, b = cast(self, a, tl.float32), cast(self, b, tl.float32)
        return dot(self, a, b, *rest)

    builder.create_dot, builder.cast_impl = mended_dot, mended_cast
    builder.create_fp_trunc = mended_cast


mend_bf16()


def random(*shape, dtype=torch.float32, seed=0):
    generator = torch.Generator().manual_seed(seed + sum(shape))
    return torch.randn(shape, generator=generator).to(dtype).requires_grad_()


def compare(kernel, plain, inputs, dtype):
    """Results, moments, and the gradients that reach every input through all three of them."""
    found = []
    for run in (kernel, plain):
        outputs = run(*inputs)
        weights = [random(*out.shape, seed=i).detach() for i, out in enumerate(outputs)]
        weights[1:] = [30 * weight for weight in weights[1:]]  # moments of many positions
        loss = sum((out.float() * w).sum() for out, w in zip(outputs, weights, strict=True))
        learned = [x for x in inputs if isinstance(x, torch.Tensor)]
        found.append([*outputs, *torch.autograd.grad(loss, learned)])
    for mine, theirs in zip(*found, strict=True):
        assert mine.dtype == theirs.dtype
        assert mine.shape == theirs.shape
        scale = theirs.float().abs().max().clamp_min(1)  # gradients are sums of many terms
        assert_close(mine.float() / scale, theirs.float() / scale, **CLOSE[dtype])


@pytest.mark.parametrize("dtype", CLOSE)
@pytest.mark.parametrize("shape", SHAPES)
def test_graph_equals_plain_pytorch(shape, dtype):
    T, V, C, O = shape
    inputs = [
        random(2, T, V, C, dtype=dtype),
        random(3, V, V, dtype=dtype),
        random(3, O, C, dtype=dtype),
        random(V, O),
    ]
    compare(fused_kernels.graph, fused_kernels.plain_graph, inputs, dtype)


@pytest.mark.parametrize("dtype", CLOSE)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("shape", SHAPES)
def test_temporal_equals_plain_pytorch(shape, stride, dtype):
    T, V, C, O = shape
    inputs = [
        random(2, T, V, C, dtype=dtype),
        random(2, C),
        random(2, C, seed=1),
        random(O, C, 9, 1, dtype=dtype),
        random(O),
        stride,
    ]
    compare(fused_kernels.temporal, fused_kernels.plain_temporal, inputs, dtype)


def test_moments_survive_a_mean_that_dwarfs_the_deviation():
    x = random(1, 20, 17, 8).detach() * 0.01
    bias = torch.full((17, 8), 1000.0)
    y, mean, var = fused_kernels.graph(x, torch.eye(17)[None], torch.eye(8)[None], bias)
    exact = y.double().flatten(1, 2)
    assert_close(mean.double(), exact.mean(1), rtol=1e-6, atol=0)
    assert_close(var.double(), exact.var(1, correction=0), rtol=1e-2, atol=0)


def test_every_race_runs():
    for kernel, plain in fused_kernels.races(torch.device("cpu"), torch.float32, 1, 5, 4).values():
        for mine, theirs in zip(kernel(), plain(), strict=True):
            scale = theirs.abs().max()
            assert_close(mine / scale, theirs / scale, rtol=0, atol=1e-3)


def step(run, clips, labels):
    """Logits of a training step; its gradients and what it made of the running statistics."""
    model = run.model
    logits = run(clips)
    model.zero_grad()
    torch.nn.functional.cross_entropy(logits.float(), labels).backward()
    gradients = {name: p.grad.clone() for name, p in model.named_parameters()}
    return logits.detach(), gradients, {name: b.clone() for name, b in model.named_buffers()}


@pytest.mark.parametrize("fast", [KERNELS, {"graph"}, {"temporal"}], ids="-".join)
def test_a_model_of_kernels_trains_as_the_plain_one(monkeypatch, fast):
    model, clips = model_and_clips()
    labels = torch.arange(len(clips))
    kernelled = with_kernels(copy.deepcopy(model), frozenset(fast))
    plain = step(Engine(model, norm_group=2), clips, labels)
    calls = counted(monkeypatch)
    logits, gradients, buffers = step(Engine(kernelled, norm_group=2), clips, labels)
    assert calls == dict.fromkeys(fast, len(model.stages))  # once a stage
    assert_close(logits, plain[0], rtol=1e-4, atol=1e-5)
    for name, buffer in buffers.items():
        assert_close(buffer, plain[2][name], rtol=1e-4, atol=1e-5)
    largest = max(gradient.abs().max() for gradient in plain[1].values())
    for name, gradient in gradients.items():  # float32: a rectifier may flip
        assert_close(gradient / largest, plain[1][name] / largest, rtol=0, atol=2e-3, msg=name)


# torch's own tracing (2.13) makes an instance of the class of our batch norm
@pytest.mark.filterwarnings("ignore:<class 'torch.autograd.function.Function'> should not")
def test_a_stage_of_kernels_compiles_into_one_graph():
    model, clips = model_and_clips()
    x, rows = distinct(clips, 2, step=5)
    real = rows.share.sum(0) > 0  # the model reads no others; the plain norm relies on that
    assert real.tolist() == 8 * [True] + 2 * [False]
    run = Engine(model)
    stage = model.stages[2]  # its stride is 2
    x = x.mean(-1, keepdim=True).repeat(1, 1, 1, stage.graph.project.in_features)
    x = x.permute(0, 3, 1, 2).requires_grad_()
    run.current.rows = rows
    expected = torch.autograd.grad(stage(x)[real].sin().sum(), x)
    with_kernels(model)
    compiled = torch.compile(stage, backend="aot_eager", fullgraph=True, dynamic=False)
    found = torch.autograd.grad(compiled(x)[real].sin().sum(), x)
    assert_close(found, expected, rtol=1e-3, atol=1e-4)


def test_under_autocast_a_model_of_kernels_is_as_near_to_float32_as_the_plain_one():
    model, clips = model_and_clips()
    run = Engine(model, norm_group=2)
    exact = run(clips).detach()
    off = {}
    for name, fast in {"plain": frozenset(), "kernels": KERNELS}.items():
        if fast:
            with_kernels(model, fast)
        with torch.autocast("cpu", torch.bfloat16):
            logits = run(clips)
        logits.float().sum().backward()
        off[name] = (logits - exact).detach().abs().max()
    assert off["kernels"] < 2 * off["plain"]


def test_kernels_are_not_reached_in_float64_or_in_evaluation(monkeypatch):
    model, clips = model_and_clips()
    with_kernels(model)
    run = Engine(model, norm_group=2)
    calls = counted(monkeypatch)
    Engine(copy.deepcopy(model).double(), norm_group=2)(clips.double())
    model.eval()
    run(clips)
    with torch.inference_mode():
        run(clips)
    assert calls == {}
    model.train()
    run(clips)
    assert calls


def model_and_clips():
    """Four clips, one person of which is absent; they are meant for two groups of norms."""
    torch.manual_seed(0)
    with three_stages():
        model = STGCN(torch.rand(2, 5, 5), classes=5, base_channels=4).train()
    with torch.no_grad():
        for stage in model.stages:
            stage.graph.edge_importance.uniform_(0.05, 0.2)
            stage.graph.norm.weight.uniform_(0.5, 1.5)
            stage.temporal.norm.bias.normal_()
        model.classify.weight.normal_()
    clips = random(4, 2, 14, 5, 3).detach()
    clips[1, 1] = 0
    return model, clips


def counted(monkeypatch):
    """How often each kernel runs from now on."""
    calls = Counter()
    for name in KERNELS:
        launch = getattr(triton_kernels, name)
        counting = lambda *a, name=name, launch=launch: (calls.update([name]), launch(*a))[1]  # noqa: E731
        monkeypatch.setattr(triton_kernels, name, counting)
    return calls
