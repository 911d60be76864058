"""The examples in docstrings are true."""

import doctest
import importlib

import pytest
from helpers import LEGACY

MODULES = (
    "callbacks.pace",
    "data.normalise",
    "data.sampling",
    "data.streams",
    "evaluation.fusion",
    "evaluation.published",
    "evaluation.scores",
    "graph",
    "predictor",
    "shipped",
    "skeleton",
)
CHECKPOINT = LEGACY / "version_0_1_0_finished.ckpt"  # `checkpoint` of the examples


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_run(name):
    module = importlib.import_module(f"stgcn_lightning.{name}")
    failed, tried = doctest.testmod(module, extraglobs={"checkpoint": CHECKPOINT})
    assert tried
    assert not failed
