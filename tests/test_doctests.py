"""The examples in docstrings are true."""

import doctest
import importlib

import pytest
from helpers import LEGACY

from stgcn_lightning.sources.mmaction2 import write_annotations
from stgcn_lightning.sources.synthetic import synthetic_annotations

MODULES = (
    "data.datamodule",
    "data.normalise",
    "data.sampling",
    "data.store",
    "data.streams",
    "engine.engine",
    "evaluation.fusion",
    "evaluation.published",
    "evaluation.scores",
    "graph",
    "models.aagcn",
    "models.dgstgcn",
    "models.protogcn",
    "models.msg3d",
    "models.stgcn",
    "models.stgcnpp",
    "predictor",
    "recognizer",
    "shipped",
    "skeleton",
    "streaming.resampling",
    "terminal",
)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_run(name, tmp_path):
    annotations = tmp_path / "annotations.pkl"
    write_annotations(annotations, synthetic_annotations("2d", 20, 4))
    there = {
        "annotations": annotations,
        "checkpoint": LEGACY / "version_0_1_0_finished.ckpt",
        "folder": tmp_path / "stores",
    }
    module = importlib.import_module(f"stgcn_lightning.{name}")
    failed, tried = doctest.testmod(module, extraglobs=there)
    assert tried
    assert not failed
