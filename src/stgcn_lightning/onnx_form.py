"""An ST-GCN as an ONNX file, and the proof that onnxruntime computes what PyTorch does.

The packages `onnx`, `onnxscript` and `onnxruntime` are optional and imported where they are used.

Axes: N clips, M persons, T frames, V joints, C channels; R = N x M; K subsets, O output channels.
"""

import copy
import logging
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from stgcn_lightning.model.stgcn import STGCN, GraphConv, Shortcut, Stage

OPSET = 20
INPUT, OUTPUT = "clips", "logits"
PARITY_FRAMES = (20, 37, 100, 300)
PARITY_CLIPS = (1, 3, 16)
TOLERANCE = 1e-4  # of a logit, or of the largest one where that is above 1

# torch warns that torchvision, whose operators are not used here, is absent; the optimiser tells
# every step
logging.getLogger("torch.onnx._internal.exporter._registration").setLevel(logging.ERROR)
for name in ("onnx_ir", "onnxscript"):
    logging.getLogger(name).setLevel(logging.WARNING)


class Affine(nn.Module):
    """What a norm does in evaluation: x scale + shift, channels last."""

    scale: Tensor
    shift: Tensor

    def __init__(self, norm: nn.modules.batchnorm._BatchNorm):
        super().__init__()
        assert norm.running_mean is not None
        assert norm.running_var is not None
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        self.register_buffer("scale", scale.detach())
        self.register_buffer("shift", (norm.bias - norm.running_mean * scale).detach())

    def forward(self, x: Tensor) -> Tensor:
        """(..., C) -> (..., C)."""
        return x * self.scale + self.shift


class FoldedGraphConv(nn.Module):
    """A `GraphConv` in evaluation: edges times importance, and the norm in weight and bias."""

    gather: Tensor
    weight: Tensor
    bias: Tensor

    def __init__(self, layer: GraphConv):
        super().__init__()
        norm = Affine(layer.norm)
        edges = layer.adjacency * layer.edge_importance  # K, V, W
        K, V, _ = edges.shape
        weight = layer.project.weight.view(K, norm.scale.numel(), -1) * norm.scale[:, None]
        bias = edges.sum(1).t() @ layer.project.bias.view(K, -1) * norm.scale + norm.shift
        self.register_buffer("gather", edges.permute(2, 0, 1).reshape(V * K, V).detach())
        self.register_buffer("weight", weight.transpose(0, 1).flatten(1).detach())  # O, K C
        self.register_buffer("bias", bias.detach())  # W, O

    def forward(self, x: Tensor) -> Tensor:
        """(R, T, V, C) -> (R, T, V, O)."""
        R, T, V, _ = x.shape
        x = torch.matmul(self.gather, x).reshape(R, T, V, -1)  # R, T, V, K C
        return F.relu(F.linear(x, self.weight) + self.bias)


def folded(model: STGCN) -> STGCN:
    """A copy for evaluation without a norm: logits differ by rounding alone."""
    model = copy.deepcopy(model).eval()
    model.data_norm = Affine(model.data_norm)  # pyright: ignore[reportAttributeAccessIssue]
    for stage in model.stages:
        assert isinstance(stage, Stage)
        stage.graph = FoldedGraphConv(stage.graph)  # pyright: ignore[reportAttributeAccessIssue]
        temporal = stage.temporal
        temporal.conv = fuse_conv_bn_eval(temporal.conv, temporal.norm)
        temporal.norm = nn.Identity()  # pyright: ignore[reportAttributeAccessIssue]
        if isinstance(shortcut := stage.residual, Shortcut):
            shortcut.project = fuse_linear_bn_eval(shortcut.project, shortcut.norm)
            shortcut.norm = nn.Identity()  # pyright: ignore[reportAttributeAccessIssue]
    return model


def to_onnx(model: STGCN) -> bytes:
    """The ONNX file of `model`: clips (N, M, T, V, C) in, logits (N, classes) out.

    N, M and T are free; no node normalises, and no node says on which machine it was made.
    """
    N, M, T = (torch.export.Dim(name) for name in "NMT")
    program = torch.onnx.export(
        folded(model),
        (torch.zeros(3, 2, 37, model.joints, model.channels),),  # 0 and 1 would be constants
        dynamo=True,
        input_names=[INPUT],
        output_names=[OUTPUT],
        dynamic_shapes={"clips": {0: N, 1: M, 2: T}},
        opset_version=OPSET,
        verbose=False,
    )
    assert program is not None
    proto = program.model_proto
    graph = proto.graph
    for part in (*graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        part.ClearField("metadata_props")  # lines of code, with their folders
    return proto.SerializeToString()


def parity(model: STGCN, content: bytes, persons: int) -> list[dict[str, float]]:
    """How far onnxruntime is from PyTorch, for every number of frames and clips in `PARITY_*`.

    The clips are noise with the mean and variance of each channel that the model was trained on;
    in every third clip only the first person is there.

    Returns:
        One dict per case: `frames`, `clips`, the largest `difference` of a logit, and the
        `largest` absolute logit.
    """
    import onnxruntime

    model = copy.deepcopy(model).float().cpu().eval()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    generator = torch.Generator().manual_seed(0)
    shape = (model.joints, model.channels)
    assert model.data_norm.running_mean is not None
    assert model.data_norm.running_var is not None
    mean = model.data_norm.running_mean.view(shape)
    deviation = model.data_norm.running_var.sqrt().view(shape)
    cases: list[dict[str, float]] = []
    for T, N in product(PARITY_FRAMES, PARITY_CLIPS):
        clips = mean + deviation * torch.randn(N, persons, T, *shape, generator=generator)
        clips[2::3, 1:] = 0
        with torch.inference_mode():
            ours = model(clips)
        (theirs,) = session.run([OUTPUT], {INPUT: clips.numpy()})
        difference = (torch.from_numpy(theirs) - ours).abs().max().item()
        largest = ours.abs().max().item()
        cases.append({"frames": T, "clips": N, "difference": difference, "largest": largest})
    return cases


def agrees(case: dict[str, float]) -> bool:
    """Whether a case of `parity` is within `TOLERANCE`; NaN is not."""
    return case["difference"] <= TOLERANCE * max(1.0, case["largest"])
