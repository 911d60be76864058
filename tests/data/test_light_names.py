"""Help texts and settings list these names, without loading what stands behind them."""

import subprocess
import sys

import pytest

from stgcn_lightning.data.names import STREAMS
from stgcn_lightning.data.streams import stream_named


def test_every_name_has_its_stream():
    assert [stream_named(name).name for name in STREAMS] == list(STREAMS)


@pytest.mark.parametrize("module", ["data.names", "sources.registry", "files.writing"])
def test_a_light_module_imports_neither_numpy_nor_torch(module):
    program = (
        f"import sys, stgcn_lightning.{module}; print({{'numpy', 'torch'}} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "set()\n", done.stderr
