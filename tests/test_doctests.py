"""The examples in docstrings are true."""

import doctest
import importlib

import pytest

MODULES = ("skeleton", "graph", "data.normalise", "data.sampling", "data.streams")


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_run(name):
    failed, tried = doctest.testmod(importlib.import_module(f"stgcn_lightning.{name}"))
    assert tried
    assert not failed
