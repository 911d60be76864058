"""The part of a ProtoGCN that only its training has."""

import numpy as np
import pytest
import torch
from goldens import relative
from helpers import GOLDEN, learn
from test_against_families import FILL, case_of
from torch import Tensor

from stgcn_lightning.checkpoints.names import from_reference, ours_alone, to_reference
from stgcn_lightning.checkpoints.weights import load
from stgcn_lightning.engine.engine import Engine
from stgcn_lightning.models.protogcn import Contrast, ProtoGCN


def tiny(**options) -> ProtoGCN:
    torch.manual_seed(0)
    model = ProtoGCN(torch.zeros(0, 5, 5), 3, base_channels=8, prototypes=6, **options)
    with torch.no_grad():
        for name, tensor in model.named_parameters():
            if name.endswith(("difference", "product")):
                tensor.uniform_(0.5, 1)
    return model


@pytest.mark.parametrize(("layout", "joints", "classes"), [("coco", 17, 60), ("ntu", 25, 120)])
def test_against_its_authors_the_contrast_moves_its_memory(layout, joints, classes):
    golden = np.load(GOLDEN / "families" / f"protogcn_{layout}.npz")
    contrast = Contrast(joints, classes).double()
    with torch.no_grad():
        for name, tensor in (
            ("avg_f", contrast.memory),
            ("cl_fc.weight", contrast.embed.weight),
            ("cl_fc.bias", contrast.embed.bias),
        ):
            filled = FILL["weight"](f"cls_head.csc_loss.{name}", tuple(tensor.shape))
            tensor.copy_(torch.from_numpy(filled))
    calls = map(torch.from_numpy, FILL["contrastive_inputs"](joints, classes))
    losses, norms = [], []
    for graphs, labels, logits in zip(*calls, strict=True):
        graphs = graphs.double().requires_grad_()
        loss = contrast(graphs, logits.double(), labels)
        by_graphs, by_weight = torch.autograd.grad(loss, (graphs, contrast.embed.weight))
        losses.append(loss.item())
        norms.append((by_graphs.norm().item(), by_weight.norm().item()))
    assert losses == pytest.approx(list(golden["csc_losses64"]), rel=1e-9)
    assert np.ravel(norms) == pytest.approx(np.ravel(golden["csc_grad_norms64"]), rel=1e-9)
    assert relative(contrast.memory.sum(0), golden["csc_memory64"]) < 1e-9


@pytest.mark.parametrize("layout", ["coco", "ntu"])
def test_against_its_authors_graphs_are_made_of_prototypes(layout):
    case = case_of(f"protogcn_{layout}", lambda model: model)
    model, x = case.model.double().eval(), case.x.double()
    with torch.inference_mode():
        _, relations = model.training_features(x.flatten(0, 1))
        graphs = model.prototypes(relations.unflatten(0, x.shape[:2]).mean(1))
    assert relative(graphs, case.golden["eval_graph64"]) < 1e-9


def test_a_class_remembers_the_clips_that_were_recognised():
    """0.9 of what it was and 0.1 of their mean; classes without such clips keep what they had."""
    contrast = Contrast(2, 3)
    with torch.no_grad():
        contrast.memory.fill_(1)
        contrast.embed.weight.zero_()[0] = 1
        contrast.embed.bias.zero_()
    graphs = torch.tensor([[1.0, 0, 0, 0], [2, 1, 0, 0], [5, 0, 0, 0]])
    logits = torch.eye(3)[[0, 0, 1]]
    labels = torch.tensor([0, 0, 2])  # the third one is taken for another class
    contrast(graphs, logits, labels)
    assert torch.allclose(contrast.memory[0], torch.tensor([0.9 + 0.1 * 2, 1, 1]))
    assert torch.allclose(contrast.memory[1], torch.tensor([0.9, 1, 1]))
    kept = contrast.memory.clone()
    contrast.eval()(graphs, logits, labels)
    assert torch.equal(contrast.memory, kept)


def clips(alone: int) -> Tensor:
    x = torch.randn(4, 2, 12, 5, 3, generator=torch.Generator().manual_seed(1))
    x[:alone, 1] = 0
    return x


def test_numbers_are_dropped_after_the_persons_so_that_absent_ones_are_one_row():
    models, losses = [tiny(prototype_dropout=0.5).double() for _ in range(2)], []
    for run in (Engine(models[0]), models[1]):
        torch.manual_seed(1)
        losses.append(learn(run, clips(3).double(), torch.arange(4) % 3)[1].item())
    assert losses[0] == pytest.approx(losses[1], rel=1e-12)
    with torch.no_grad():
        torch.manual_seed(2)
        assert learn(models[1], clips(3).double(), torch.arange(4) % 3)[1].item() != losses[1]


def test_the_memory_is_kept_in_our_files_and_left_out_of_theirs(tmp_path):
    trained, fresh = tiny(), tiny()
    trained.contrast.memory.fill_(2)
    fresh.load_state_dict(trained.state_dict())
    assert torch.equal(fresh.contrast.memory, trained.contrast.memory)

    theirs = to_reference(ProtoGCN, trained.state_dict())
    assert not any("memory" in name and "prn" not in name for name in theirs)
    assert ours_alone(ProtoGCN) == {"contrast.memory"}
    fresh.contrast.memory.fill_(3)
    load(fresh, from_reference(ProtoGCN, theirs), tmp_path / "theirs.pth")
    assert torch.equal(fresh.contrast.memory, torch.full_like(fresh.contrast.memory, 3))
    assert torch.equal(fresh.prototypes.query.weight, trained.prototypes.query.weight)
