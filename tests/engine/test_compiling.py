"""Compiled steps: the same figures, and few graphs."""

import functools
import shutil
from copy import deepcopy

import pytest
import torch
from engine_models import make, toy
from torch._dynamo.backends.debugging import aot_eager
from torch._dynamo.utils import get_static_address_type

from stgcn_lightning.engine import compiling, engine
from stgcn_lightning.engine.convert import convert
from stgcn_lightning.engine.engine import Engine
from stgcn_lightning.engine.modes import COMPILE_MODES
from stgcn_lightning.engine.persons import distinct
from stgcn_lightning.models import registry

# torch's own tracing (2.13) makes an instance of the class of our batch norm
pytestmark = pytest.mark.filterwarnings(
    "ignore:<class 'torch.autograd.function.Function'> should not"
)


@pytest.fixture
def graphs(monkeypatch):
    """Compile by running what was traced, which takes no compiler; lists the graphs."""
    traced = []

    def count(graph, inputs):
        traced.append(graph)
        return aot_eager(graph, inputs)

    @functools.cache
    def compiled(mode, features=compiling.features_of):
        torch._dynamo.reset()
        return torch.compile(features, backend=count, dynamic=False, fullgraph=True)

    monkeypatch.setattr(compiling, "compiled", compiled)
    return traced


@pytest.mark.slow
# torch's compiler looks at the input's gradient, and hides the warning where it is one
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
@pytest.mark.parametrize("family", [*registry.names(), "toy"])
def test_compiled_steps_are_the_same_in_few_graphs(family, shallow, small, graphs):
    # a branch of one channel has no memory layout of its own, in which torch's tracing errs
    make_wide = functools.partial(make, base_channels=12, family=family)
    model = {"stgcn": lambda: small, "toy": toy}.get(family, make_wide)()
    eager = Engine(model.float())
    traced = Engine(deepcopy(model), compile_mode="default")
    generator = torch.Generator().manual_seed(0)
    # 32, 30 + 1 (up to 32), 17 (to 20) and 32 rows: two graphs; one where tracing takes long
    sizes, many = ((0, 3, 16, 0), 2) if family in ("stgcn", "toy") else ((0, 3), 1)
    for alone in sizes:
        clips = torch.randn(16, 2, 20, 5, 3, generator=generator)
        clips[:alone, 1] = 0
        for run in (eager, traced):
            run.model.train()
            run(clips).square().sum().backward()
    assert len(graphs) == many
    torch.testing.assert_close(
        traced.model.state_dict(), eager.model.state_dict(), rtol=1e-4, atol=1e-5
    )
    for ours, theirs in zip(traced.model.parameters(), eager.model.parameters(), strict=True):
        if theirs.grad is None:  # of a further loss
            continue
        scale = theirs.grad.abs().max().clamp(min=1)  # float32: a rectifier may flip
        torch.testing.assert_close(ours.grad / scale, theirs.grad / scale, rtol=0, atol=1e-2)
    few = clips[:3]
    torch.testing.assert_close(traced(few), eager(few), rtol=1e-4, atol=1e-5)
    assert len(graphs) == many, "a smaller batch is not compiled"
    if family == "toy":  # one of its norms has no running statistics: rows are no longer apart
        return
    with torch.no_grad():
        traced.model.load_state_dict(eager.model.state_dict())
        for alone in (0, 2, 16):
            clips[:alone, 1] = 0
            eager.model.eval()
            traced.model.eval()
            torch.testing.assert_close(traced(clips), eager(clips), rtol=1e-4, atol=1e-5)
    assert deepcopy(traced).compile_mode == "default"


def test_what_the_rows_are_is_no_part_of_the_model(small, graphs, monkeypatch):
    """PyTorch would record a CUDA graph again wherever such a part has moved: at each batch."""
    described = []

    def split(*arguments, **more):
        described.append(distinct(*arguments, **more))
        return described[-1]

    monkeypatch.setattr(engine, "distinct", split)
    run = Engine(small.float(), compile_mode="default")
    run(torch.randn(4, 2, 20, 5, 3)).sum().backward()
    assert len(graphs) == 1
    (_, rows) = described[0]
    for tensor in (rows.group, rows.share, rows.persons):
        assert get_static_address_type(tensor) is None
    assert get_static_address_type(small.stages[0].graph.edge_importance) is not None


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # torch's compiler, of itself
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # likewise
def test_a_compiled_stage_equals_the_eager_one(small, clips):
    eager = small.double().stages[4]  # with a shortcut
    compiled = deepcopy(eager)
    clips = clips[..., :1].double().expand(-1, -1, -1, -1, 4).contiguous()
    clips[0, 1] = 0  # an absent person
    x, rows = distinct(clips, step=4)
    x = x.permute(0, 3, 1, 2)
    convert(eager).rows = rows
    convert(compiled).rows = rows
    expected = eager(x)
    made = torch.compile(compiled, fullgraph=True)(x)
    torch.testing.assert_close(made, expected, rtol=1e-9, atol=1e-9)
    expected.square().sum().backward()
    made.square().sum().backward()
    for ours, theirs in zip(compiled.parameters(), eager.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-6, atol=1e-8)


def test_every_mode_is_one_of_torch_s():
    known = {*torch._inductor.list_mode_options(), "default"}
    assert set(COMPILE_MODES) <= known
