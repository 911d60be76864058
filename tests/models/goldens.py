"""What every family is held to by the answers of its reference: the same for all references."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from helpers import learn
from torch import Tensor

from stgcn_lightning.checkpoints.names import foreign_names
from stgcn_lightning.engine.engine import Engine
from stgcn_lightning.models.backbone import Backbone


@dataclass
class Case:
    """One tag's model with the deterministic weights, its inputs, and the reference's answers."""

    family: str
    state: dict[str, Tensor]  # by the reference's names
    model: Backbone  # float32, in training mode
    run: Backbone | Engine
    x: Tensor  # 4, 2, 100, V, 3
    x37: Tensor  # 3, 2, 37, V, 3
    labels: Tensor
    golden: np.lib.npyio.NpzFile


def relative(ours: Tensor, theirs: np.ndarray) -> float:
    """Largest difference, in units of the largest figure."""
    return float(np.abs(ours.detach().numpy() - theirs).max() / np.abs(theirs).max())


def hold_evaluation(case: Case) -> None:
    """Logits of clips of 100 and 37 frames, in float32 and in float64."""
    with torch.inference_mode():
        case.model.eval()
        assert relative(case.run(case.x), case.golden["eval_logits"]) < 1e-4
        assert relative(case.run(case.x37), case.golden["eval_logits_T37"]) < 1e-4
        case.model.double()
        assert relative(case.run(case.x.double()), case.golden["eval_logits64"]) < 1e-9
        assert relative(case.run(case.x37.double()), case.golden["eval_logits_T37_64"]) < 1e-9


def hold_training(case: Case, tolerance: float) -> None:
    """Logits and loss of a first step in float32."""
    with torch.no_grad():
        logits, loss = learn(case.run, case.x, case.labels)
    assert relative(logits, case.golden["train_logits"]) < tolerance
    assert loss.item() == pytest.approx(case.golden["losses"][0], rel=1e-4)


def hold_four_steps(case: Case, later: float) -> None:
    """Losses, and of the first step logits, gradients and running statistics, in float64.

    A plain model takes only the first of the four: the others ask the same of it, for minutes.

    Args:
        case: of a tag.
        later: relative tolerance of the fourth loss.
    """
    model, x, golden = case.model.double(), case.x.double(), case.golden
    optimiser = torch.optim.SGD(
        model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4
    )
    losses = []
    steps = 1 if case.run is case.model else 4
    for step in range(steps):
        logits, loss = learn(case.run, x, case.labels)
        optimiser.zero_grad()
        loss.backward()
        losses.append(loss.item())
        if step == 0:
            assert relative(logits, golden["train_logits64"]) < 1e-9
            names = foreign_names(type(model))
            norms = {
                names[name]: 0.0 if one.grad is None else one.grad.norm().item()
                for name, one in model.named_parameters()
            }
            assert norms.keys() == set(golden["grad_names"])
            for name, norm in zip(golden["grad_names"], golden["grad_norms64"], strict=True):
                assert norms[name] == pytest.approx(norm, rel=1e-9, abs=1e-9), name
            buffers = model.named_buffers()
            stats = {names[name]: one.norm().item() for name, one in buffers if "running" in name}
            expected = dict(zip(golden["stat_names"], golden["stat_norms64"], strict=True))
            assert stats == pytest.approx(expected, rel=1e-9)
        optimiser.step()
    expected = list(golden["losses64"][:steps])
    assert losses[:3] == pytest.approx(expected[:3], rel=1e-9)
    assert losses == pytest.approx(expected, rel=later)
