"""The plain models, and an engine with them, against what MMAction2 1.2.0 answered.

Tolerances: the reference's own rounding. In float64 both compute the same sums in another order
(1e-9 is generous, and after three steps of ST-GCN++, whose loss triples, 1e-8); in float32 1e-4 of
the largest logit. Gradients and the later losses are
compared in float64 only: in float32 a ReLU that flips moves them more than a mistake would.
"""

import json
import runpy

import numpy as np
import pytest
import torch
from goldens import Case, hold_evaluation, hold_four_steps, hold_training
from helpers import GOLDEN

from stgcn_lightning.checkpoints.names import from_reference
from stgcn_lightning.models import registry

FILL = runpy.run_path(str(GOLDEN / "fill.py"))


GRAPHS = {"stgcn": "stgcn_spatial", "stgcnpp": "spatial"}
LAYOUTS = {"ntu": "nturgb+d"}
TAGS = ["stgcn_coco", "stgcn_ntu", "stgcn_openpose", "stgcnpp_coco", "stgcnpp_ntu"]


@pytest.fixture(params=TAGS)
def case(request, way) -> Case:
    tag = request.param
    family, layout = tag.split("_")
    shapes = json.loads((GOLDEN / "state_dict_shapes.json").read_text())[tag]
    graphs = np.load(GOLDEN / "graphs.npz")
    graph = torch.from_numpy(graphs[f"{LAYOUTS.get(layout, layout)}|{GRAPHS[family]}"]).float()
    state = {}
    for name, value in FILL["state_dict"](shapes).items():
        if not name.endswith(".A"):
            state[name] = torch.tensor(0) if value is None else torch.from_numpy(np.asarray(value))
        elif family == "stgcnpp":  # learned
            state[name] = graph + 0.05 * torch.from_numpy(FILL["weight"](f"{name}@", graph.shape))
        else:
            state[name] = graph
    golden = np.load(GOLDEN / f"{tag}.npz")
    joints, classes = graph.shape[-1], golden["eval_logits"].shape[-1]
    model = registry.build(family, graph, classes)
    model.load_state_dict(from_reference(type(model), state))
    x, x37, labels = map(torch.from_numpy, FILL["inputs"](joints, classes))
    return Case(family, state, model, way(model), x, x37, labels, golden)


def test_evaluation_logits(case):
    hold_evaluation(case)


def test_training_logits_and_the_first_loss_in_float32(case):
    hold_training(case, 1e-4)


@pytest.mark.slow
def test_four_steps_of_training_in_float64(case):
    hold_four_steps(case, 1e-8 if case.family == "stgcnpp" else 1e-9)
