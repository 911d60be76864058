"""The benches that cannot be run here in earnest run at all."""

import subprocess
import sys

import pytest
from helpers import CHECKOUT


@pytest.mark.slow
def test_the_gpu_bench_runs_in_a_small_size_on_a_cpu():
    size = "--device cpu --quick --steps 1 --rounds 1 --modes eager --batches 16"
    done = subprocess.run(
        [sys.executable, "scripts/bench/gpu.py", *size.split(), "--precisions", "float32"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.returncode, done.stderr
    for told in ("clips/s", "floor", "backward", "ten-clip test of 16,487 samples", " min"):
        assert told in done.stdout
