"""The kernels in Triton's interpreter, in a process of its own; and on a GPU where there is one."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest


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
