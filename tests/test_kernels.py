"""The benches' kernels in Triton's interpreter, in its own process; on a GPU where there is one."""

import os
import subprocess
import sys
from importlib.util import find_spec

import pytest
import torch
from helpers import CHECKOUT
from kernels import fused_kernels

from stgcn_lightning.errors import BadInput


def test_a_kernel_without_triton_is_refused_in_a_sentence(monkeypatch):
    monkeypatch.setattr(fused_kernels, "find_spec", lambda name: None)
    with pytest.raises(BadInput, match="need Triton, which is not installed"):
        fused_kernels.races(torch.device("cpu"), torch.float32, 1, 5, 4)


@pytest.mark.slow
@pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed (Linux only)")
def test_kernels_equal_plain_pytorch_in_the_interpreter():
    file = CHECKOUT / "tests" / "interpreted_kernels.py"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", file],
        cwd=CHECKOUT,
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
def test_kernels_equal_plain_pytorch_on_a_gpu(dtype, near, monkeypatch):
    torch.manual_seed(0)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    for width in (8, 64):
        for name, race in fused_kernels.races(torch.device("cuda"), dtype, 3, 17, width).items():
            for mine, theirs in zip(*(run() for run in race), strict=True):
                scale = theirs.float().abs().max()
                assert (mine.float() - theirs.float()).abs().max() < near * scale, name
