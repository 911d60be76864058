"""The kernels in Triton's interpreter, in a process of its own; and on a GPU where there is one."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from stgcn_lightning.engine import kernels
from stgcn_lightning.errors import BadInput


def test_no_kernel_is_used_on_a_device_that_was_not_measured():
    assert kernels.faster(torch.device("cpu"), torch.float32) == frozenset()


def test_a_kernel_without_triton_is_refused_in_a_sentence(monkeypatch):
    monkeypatch.setattr(kernels, "find_spec", lambda name: None)
    monkeypatch.setitem(kernels.FASTER, "cpu", frozenset({"graph"}))
    assert kernels.faster(torch.device("cpu"), torch.float32) == frozenset()  # the model trains on
    with pytest.raises(BadInput, match="need Triton, which is not installed"):
        kernels.races(torch.device("cpu"), torch.float32, 1, 5, 4)


@pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed (Linux only)")
@pytest.mark.parametrize(("name", "expected"), [("some GPU", 1), ("another", 0)])
def test_a_compiled_step_asks_a_gpu_for_its_name(name, expected, monkeypatch):
    properties = SimpleNamespace(name=name)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device=None: properties)
    monkeypatch.setitem(kernels.FASTER, "some GPU", frozenset({"graph"}))
    gpu = torch.device("cuda", 0)

    def step(x):
        return x + len(kernels.faster(gpu, x.dtype))

    torch.compiler.reset()
    compiled = torch.compile(step, backend="aot_eager", fullgraph=True)
    assert compiled(torch.zeros(1)) == expected


@pytest.mark.slow
@pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed (Linux only)")
def test_kernels_are_their_twins_in_the_interpreter():
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", Path(__file__).with_name("interpreted_kernels.py")],
        env={**os.environ, "TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.returncode, done.stdout


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize(
    ("dtype", "near"), [(torch.float32, 1e-4), (torch.bfloat16, 4e-2)], ids=["float32", "bf16"]
)
def test_kernels_are_their_twins_on_a_gpu(dtype, near, monkeypatch):
    torch.manual_seed(0)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    for width in (8, 64):
        for name, race in kernels.races(torch.device("cuda"), dtype, 3, 17, width).items():
            for mine, theirs in zip(*(run() for run in race), strict=True):
                scale = theirs.float().abs().max()
                assert (mine.float() - theirs.float()).abs().max() < near * scale, name
