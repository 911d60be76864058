"""What an engine computes on a GPU is what it computes on a CPU."""

import gc
import warnings
from copy import deepcopy

import gpus
import pytest
import torch
from engine_models import assert_near, make, pairs
from gpus import DEVICE
from helpers import learn

from stgcn_lightning.engine.engine import Engine
from stgcn_lightning.engine.modes import COMPILE_MODES
from stgcn_lightning.models import registry

pytestmark = gpus.NEEDED
FLIPPED = 3e-2  # what a rectifier changes of a float32 gradient that rounding turns on or off
LABELS = torch.arange(8) % 4


@pytest.fixture(autouse=True)
def all_bits():
    """Products of float32 in float32."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    torch.set_float32_matmul_precision("highest")
    yield
    torch.backends.cudnn.allow_tf32 = before


def trained(run, clips):
    """Logits, and gradients and buffers by name, on the CPU, of a step of an engine."""
    logits, loss = learn(run, clips, LABELS[: len(clips)].to(clips.device))
    loss.backward()
    model = run.model
    found = {"logits": logits} | {n: p.grad for n, p in model.named_parameters()}
    found |= {n: b for n, b in model.named_buffers() if b.is_floating_point()}
    return {name: value.detach().cpu() for name, value in found.items() if value is not None}


def answered(run, clips):
    run.model.eval()
    with torch.inference_mode():
        return run(clips).cpu()


@pytest.mark.parametrize("family", registry.names())
@pytest.mark.parametrize(
    ("dtype", "near"), [(torch.float64, 1e-9), (torch.float32, 1e-3)], ids=["float64", "float32"]
)
def test_training_and_evaluation_are_those_of_a_cpu(family, dtype, near, shallow):
    model, clips = make(family=family, base_channels=12).to(dtype), pairs(8, 5).to(dtype)
    here = Engine(deepcopy(model).to(DEVICE), norm_group=4)
    there = Engine(model, norm_group=4)
    ours, theirs = trained(here, clips.to(DEVICE)), trained(there, clips)
    assert ours.keys() == theirs.keys()
    learned = dict(model.named_parameters())
    for name, value in theirs.items():
        flips = FLIPPED if name in learned and dtype == torch.float32 else near
        assert_near(ours[name], value, flips, name)
    here.model.load_state_dict(there.model.state_dict())
    assert_near(answered(here, clips.to(DEVICE)), answered(there, clips), near / 10)


@gpus.REALLY
@pytest.mark.filterwarnings("ignore")  # of torch's compiler
@pytest.mark.parametrize(
    ("family", "mode"),
    [
        *(("stgcn", mode) for mode in COMPILE_MODES),
        *((family, "default") for family in registry.names() if family != "stgcn"),
    ],
)
def test_compiled_steps_are_the_eager_ones(family, mode, shallow):
    """Of several numbers of rows, one after the other, since CUDA graphs use their memory again."""
    model = make(family=family, base_channels=12).float().to(DEVICE)
    eager, compiled = Engine(model, 4), Engine(deepcopy(model), 4, compile_mode=mode)
    for alone in (0, 5, 0, 8):
        clips = pairs(8, alone).float().to(DEVICE)
        for run in (eager, compiled):
            run.model.train().zero_grad()
        compiled.model.load_state_dict(eager.model.state_dict())
        ours, theirs = trained(compiled, clips), trained(eager, clips)
        for name, value in theirs.items():
            assert_near(ours[name], value, FLIPPED, name)
        assert_near(answered(compiled, clips), answered(eager, clips), 1e-3)


@pytest.mark.parametrize("family", registry.names())
def test_bf16_is_near_float32(family, shallow):
    model, clips = make(family=family, base_channels=12).float().to(DEVICE), pairs(8, 5).float()
    run, clips = Engine(model, 4), clips.to(DEVICE)
    exact = answered(run, clips)
    with torch.autocast(DEVICE.type, torch.bfloat16):
        assert_near(answered(run, clips).float(), exact, 0.1)
        run.model.train()
        for name, value in trained(run, clips).items():
            assert value.isfinite().all(), name


@gpus.REALLY
def test_an_evaluation_that_memory_does_not_suffice_for_goes_on_in_parts():
    run = Engine(make(joints=17, base_channels=16).float().to(DEVICE))
    clips, said = pairs(256, 0, frames=100, joints=17).float().to(DEVICE), []
    run.halving.say = said.append
    gc.collect()
    torch.cuda.reset_peak_memory_stats()
    expected = answered(run, clips[:1]), answered(run, clips)
    needed = torch.cuda.max_memory_allocated() - torch.cuda.memory_allocated()
    torch.cuda.empty_cache()
    whole = torch.cuda.get_device_properties(DEVICE).total_memory
    limit = torch.cuda.memory_reserved() + 0.6 * needed
    torch.cuda.set_per_process_memory_fraction(limit / whole)
    try:
        again = answered(run, clips)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert len(said) >= 1
    assert "at a time" in said[0]
    torch.testing.assert_close(again, expected[1], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(again[:1], expected[0], rtol=1e-4, atol=1e-4)


@gpus.REALLY
@pytest.mark.parametrize("family", registry.names())
def test_a_training_step_does_not_make_the_cpu_wait(family, shallow):
    """Where it is known who is present: PyTorch raises at each call that waits."""
    run = Engine(make(family=family, base_channels=12).float().to(DEVICE), 4)
    clips, labels = pairs(8, 5).float(), LABELS.to(DEVICE)
    present = clips.flatten(2).any(-1)
    clips = clips.to(DEVICE)

    learn(run, clips, labels, present)[1].backward()  # what is made once may wait
    try:
        with warnings.catch_warnings():  # that it is a prototype
            warnings.simplefilter("ignore")
            torch.cuda.set_sync_debug_mode("error")
        learn(run, clips, labels, present)[1].backward()
    finally:
        torch.cuda.set_sync_debug_mode("default")
