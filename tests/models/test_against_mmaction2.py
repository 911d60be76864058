"""The plain models, and an engine with them, against what MMAction2 1.2.0 answered.

Tolerances: the reference's own rounding. In float64 both compute the same sums in another order
(1e-9 is generous, and after three steps of ST-GCN++, whose loss triples, 1e-8); in float32 1e-4 of
the largest logit. Gradients and the later losses are
compared in float64 only: in float32 a ReLU that flips moves them more than a mistake would.
"""

import json
import runpy
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers import GOLDEN

from stgcn_lightning.checkpoints.names import foreign_names, from_reference
from stgcn_lightning.models import registry
from stgcn_lightning.models.backbone import Backbone
from stgcn_lightning.models.stgcnpp import STGCNPP

FILL = runpy.run_path(str(GOLDEN / "fill.py"))


GRAPHS = {"stgcn": "stgcn_spatial", "stgcnpp": "spatial"}
LAYOUTS = {"ntu": "nturgb+d"}
TAGS = ["stgcn_coco", "stgcn_ntu", "stgcn_openpose", "stgcnpp_coco", "stgcnpp_ntu"]


@dataclass
class Case:
    """One tag's model with the deterministic weights, its inputs, and the reference's answers."""

    model: Backbone  # float32, in training mode
    run: Callable[[torch.Tensor], torch.Tensor]  # logits, by the model itself or an engine
    x: torch.Tensor  # 4, 2, 100, V, 3
    x37: torch.Tensor  # 3, 2, 37, V, 3
    labels: torch.Tensor
    golden: np.lib.npyio.NpzFile


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
    return Case(model, way(model), x, x37, labels, golden)


def relative(ours: torch.Tensor, theirs: np.ndarray) -> float:
    """Largest difference, in units of the largest figure."""
    return float(np.abs(ours.detach().numpy() - theirs).max() / np.abs(theirs).max())


def test_evaluation_logits_in_float32(case):
    with torch.inference_mode():
        case.model.eval()
        assert relative(case.run(case.x), case.golden["eval_logits"]) < 1e-4
        assert relative(case.run(case.x37), case.golden["eval_logits_T37"]) < 1e-4


def test_evaluation_logits_in_float64(case):
    with torch.inference_mode():
        case.model.double().eval()
        assert relative(case.run(case.x.double()), case.golden["eval_logits64"]) < 1e-9
        assert relative(case.run(case.x37.double()), case.golden["eval_logits_T37_64"]) < 1e-9


def test_training_logits_and_the_first_loss_in_float32(case):
    with torch.no_grad():
        logits = case.run(case.x)
    assert relative(logits, case.golden["train_logits"]) < 1e-4
    loss = F.cross_entropy(logits, case.labels).item()
    assert loss == pytest.approx(case.golden["losses"][0], rel=1e-4)


@pytest.mark.slow
def test_four_steps_of_training_in_float64(case):
    model, x, golden = case.model.double(), case.x.double(), case.golden
    optimiser = torch.optim.SGD(
        model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4
    )
    losses = []
    for step in range(4):
        logits = case.run(x)
        loss = F.cross_entropy(logits, case.labels)
        optimiser.zero_grad()
        loss.backward()
        losses.append(loss.item())
        if step == 0:
            assert relative(logits, golden["train_logits64"]) < 1e-9
            names = foreign_names(type(model))
            norms = {names[n]: p.grad.norm().item() for n, p in model.named_parameters()}
            assert norms.keys() == set(golden["grad_names"])
            for name, norm in zip(golden["grad_names"], golden["grad_norms64"], strict=True):
                assert norms[name] == pytest.approx(norm, rel=1e-9, abs=1e-9), name
            stats = {names[n]: b.norm().item() for n, b in model.named_buffers()
                     if "running" in n}  # fmt: skip
            assert stats == pytest.approx(
                dict(zip(golden["stat_names"], golden["stat_norms64"], strict=True)), rel=1e-9
            )
        optimiser.step()
    later = 1e-8 if isinstance(model, STGCNPP) else 1e-9
    assert losses[:3] == pytest.approx(list(golden["losses64"][:3]), rel=1e-9)
    assert losses == pytest.approx(list(golden["losses64"]), rel=later)
