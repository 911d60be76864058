"""The evaluation form of an ST-GCN++.

Axes: R rows, T frames (S of them come out), V joints, C channels.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stgcn_lightning.engine.folded import (
    Folded,
    FoldedStage,
    FoldedTimeConv,
    Order,
    fold,
    fold_graph,
    fold_residual,
    linear_and_norm,
    scale_and_shift,
)
from stgcn_lightning.models.parts import DilatedBranch, LargestBranch, Pointwise, largest
from stgcn_lightning.models.stgcnpp import STGCNPP, Stage, TemporalConv


@fold.register
@torch.no_grad()
def fold_stgcnpp(model: STGCNPP, *, quick: bool = False) -> Folded:
    """See `fold`; every stage has learned a graph of its own, so no joint comes first."""
    stages = [stage for stage in model.stages if isinstance(stage, Stage)]
    order = Order.of(stages[0].graph.adjacency, look=False)
    with torch.autocast(model.classify.weight.device.type, enabled=False):
        folded = [
            fold_stage(stage, order, None if i else model.data_norm)
            for i, stage in enumerate(stages)
        ]
    return Folded(folded, model.classify)


def fold_stage(stage: Stage, order: Order, input_norm: nn.BatchNorm1d | None) -> FoldedStage:
    """The evaluation form of one stage; `input_norm` comes before the first one."""
    graph, shortcut = stage.graph, fold_residual(stage.residual)
    return FoldedStage(
        fold_graph(
            graph.adjacency,
            graph.project,
            graph.norm,
            order,
            input_norm=input_norm,
            down=fold_residual(graph.down),
            identity=isinstance(graph.down, nn.Identity),
        ),
        FoldedBranches(stage.temporal, None if shortcut is None else shortcut[1]),
        stage.temporal.stride,
        shortcut=None if shortcut is None else shortcut[0],
        identity=isinstance(stage.residual, nn.Identity),
    )


class FoldedBranches(nn.Module):
    """The branches along time: one product into all of them, and one out of them.

    Args:
        temporal: what is folded.
        more: (C,) to be added to the bias.
    """

    weight_in: Tensor
    bias_in: Tensor
    scale: Tensor
    shift: Tensor
    weight_out: Tensor
    bias_out: Tensor

    def __init__(self, temporal: TemporalConv, more: Tensor | None):
        super().__init__()
        self.stride = temporal.stride
        into: list[tuple[Tensor, Tensor]] = []
        self.convs = nn.ModuleList()
        for branch in temporal.branches:
            if isinstance(branch, DilatedBranch | LargestBranch):
                project = branch.project
                into.append(linear_and_norm(project.weight, project.bias, branch.norm))
            else:
                assert isinstance(branch, Pointwise)
                into.append((branch.weight, branch.bias))
            if isinstance(branch, DilatedBranch):
                conv = branch.conv
                assert conv.bias is not None
                stride, dilation = conv.stride[0], conv.dilation[0]
                weight, bias = conv.weight.clone(), conv.bias.clone()
                self.convs.append(FoldedTimeConv(weight, bias, stride, dilation))
        weights, biases = zip(*into, strict=True)
        self.widths = [len(bias) for bias in biases]
        self.register_buffer("weight_in", torch.cat(weights))  # C, C
        self.register_buffer("bias_in", torch.cat(biases))
        scale, shift = scale_and_shift(temporal.branch_norm)
        self.register_buffer("scale", scale)
        self.register_buffer("shift", shift)
        project = temporal.project
        weight, bias = linear_and_norm(project.weight, project.bias, temporal.norm)
        self.register_buffer("weight_out", weight)  # C, C
        self.register_buffer("bias_out", bias if more is None else bias + more)

    def forward(self, x: Tensor) -> Tensor:
        """(R, T, V, C) -> (R, S, V, C)."""
        return self.mixed(self.along_time(F.linear(x, self.weight_in, self.bias_in)))

    def along_time(self, x: Tensor) -> Tensor:
        """All branches of their inputs, next to each other: (R, T, V, C) -> (R, S, V, C)."""
        *dilated, pooled, point = x.split(self.widths, -1)
        parts = [conv(part.relu()) for conv, part in zip(self.convs, dilated, strict=True)]
        pooled = largest(pooled.relu().permute(0, 3, 1, 2), self.stride)  # R, C, S, V
        return torch.cat([*parts, pooled.permute(0, 2, 3, 1), point[:, :: self.stride]], -1)

    def mixed(self, y: Tensor) -> Tensor:
        """The norm of all branches, ReLU, and the product out of them: (R, S, V, C) -> the same."""
        y = torch.addcmul(self.shift, y, self.scale).relu_()
        return F.linear(y, self.weight_out, self.bias_out)
