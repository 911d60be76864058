"""The ONNX file computes what the model does; that the check of it notices when it does not."""

import pytest
import torch
from torch import nn

from stgcn_lightning.checkpoints import onnx as exporting
from stgcn_lightning.checkpoints.onnx import PARITY_CLIPS, PARITY_FRAMES, agrees, parity, to_onnx
from stgcn_lightning.engine.folded import fold
from stgcn_lightning.models.backbone import Backbone
from stgcn_lightning.models.msg3d import MSG3D
from stgcn_lightning.models.parts import Head, Shortcut
from stgcn_lightning.models.stgcn import STGCN
from stgcn_lightning.models.stgcnpp import STGCNPP

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


def trained(base_channels: int, joints: int = 5, classes: int = 3) -> STGCN:
    """A model in which no weight and no statistic could hide a mistake."""
    generator = torch.Generator().manual_seed(0)
    model = STGCN(torch.rand(3, joints, joints, generator=generator) / joints, classes,
                  base_channels=base_channels)  # fmt: skip
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                for tensor in (module.weight, module.running_var):
                    tensor.uniform_(0.5, 1.5, generator=generator)
                for tensor in (module.bias, module.running_mean):
                    tensor.normal_(std=0.1, generator=generator)
        for stage in model.stages:
            stage.graph.edge_importance.uniform_(0.5, 1.5, generator=generator)
            stage.temporal.conv.bias.normal_(std=0.1, generator=generator)
            if isinstance(stage.residual, Shortcut):
                stage.residual.project.bias.normal_(std=0.1, generator=generator)
        model.classify.weight.normal_(std=0.1, generator=generator)
    return model.eval()


@pytest.fixture(scope="module")
def model():
    return trained(4)


@pytest.fixture(scope="module")
def content(model):
    return to_onnx(model)


def test_folding_changes_no_logit_and_leaves_the_model_as_it_is(model):
    clips = torch.randn(2, 2, 21, 5, 3, dtype=torch.float64)
    double = trained(4).double()
    with torch.no_grad():
        torch.testing.assert_close(fold(double)(clips), double(clips), rtol=0, atol=1e-10)
    norms = (nn.BatchNorm1d, nn.BatchNorm2d)
    assert not any(isinstance(module, norms) for module in fold(model).modules())
    assert sum(isinstance(module, norms) for module in model.modules()) == 23


def test_no_node_normalises_and_no_folder_of_this_machine_is_in_the_file(content):
    graph = onnx.load_from_string(content).graph
    names = {node.op_type for node in graph.node}
    assert "Conv" in names
    assert "BatchNormalization" not in names
    assert b".py" not in content


def test_clips_persons_and_frames_are_free(content):
    graph = onnx.load_from_string(content).graph
    shapes = [
        [axis.dim_param or axis.dim_value for axis in value.type.tensor_type.shape.dim]
        for value in (*graph.input, *graph.output)
    ]
    assert shapes == [["N", "M", "T", 5, 3], ["N", 3]]


@pytest.mark.parametrize("persons", [1, 2, 3])
def test_onnxruntime_agrees_for_every_length_and_batch(model, content, persons):
    cases = parity(model, content, persons)
    assert [(case["frames"], case["clips"]) for case in cases] == [
        (T, N) for T in PARITY_FRAMES for N in PARITY_CLIPS
    ]
    assert all(case["difference"] <= 1e-5 for case in cases)
    assert all(case["largest"] > 0.01 for case in cases)


def test_another_weight_or_nan_is_noticed(content):
    other = trained(4)
    with torch.no_grad():
        other.stages[4].temporal.conv.bias[0] += 0.1
    assert not any(agrees(case) for case in parity(other, content, 2))
    with torch.no_grad():
        other.classify.bias[0] = torch.nan
    assert not any(agrees(case) for case in parity(other, content, 2))


@pytest.mark.slow
def test_the_full_width_agrees(monkeypatch):
    monkeypatch.setattr(exporting, "PARITY_CLIPS", (3,))  # a narrow model is given all of them
    wide = trained(64, joints=17, classes=60)
    assert all(agrees(case) for case in parity(wide, to_onnx(wide), 2))


class Toy(Backbone):
    """A family without a folded form."""

    def __init__(self, adjacency, classes, *, channels=3, dropout=0.0):
        super().__init__()
        self.joints, self.channels = adjacency.shape[-1], channels
        self.frames = nn.Conv2d(channels, 4, (3, 1), padding=(1, 0))
        self.norm = nn.BatchNorm2d(4)
        self.classify = Head(4, classes, dropout)

    def features(self, x):
        return self.norm(self.frames(x.permute(0, 3, 1, 2))).relu_().mean((2, 3))


@pytest.mark.parametrize("family", [STGCNPP, MSG3D, Toy])
def test_other_families_agree_as_well(family, shallow):
    torch.manual_seed(0)
    width = {} if family is Toy else {"base_channels": 8}
    other = family(torch.rand(3, 5, 5) / 5, 3, **width)
    other(torch.randn(4, 2, 20, 5, 3))
    content = to_onnx(other.eval())
    cases = parity(other, content, 2)
    assert all(case["difference"] <= 1e-5 for case in cases)
    assert all(case["largest"] > 1e-3 for case in cases)
    names = {node.op_type for node in onnx.load_from_string(content).graph.node}
    assert family is Toy or "BatchNormalization" not in names
