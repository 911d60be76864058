"""The device that the tests of `pytest -m gpu` compute on.

`STGCN_GPU=cpu pytest -m gpu` runs them on a CPU: their own mistakes show before a GPU is at hand.
"""

import os

import pytest
import torch

DEVICE = torch.device(os.environ.get("STGCN_GPU", "cuda"))
TRAINER = "trainer=gpu" if DEVICE.type == "cuda" else "trainer=cpu"
# a process that asks the driver whether there is a GPU cannot be forked afterwards
os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")
NEEDED = [
    pytest.mark.gpu,
    pytest.mark.slow,
    pytest.mark.skipif(
        DEVICE.type == "cuda" and not torch.cuda.is_available(), reason="needs a CUDA device"
    ),
]
REALLY = pytest.mark.skipif(DEVICE.type != "cuda", reason="says nothing on a CPU")
