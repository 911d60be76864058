"""The evaluation form of an MS-G3D.

Given and learned edges are one constant matrix, which is applied to frames that are projected
already where there are many channels (`windows.py`). A convolution of windows and what brings them
back to one frame follow each other row by row on a CPU, so that a window's nodes stay in its cache.

Axes: N clips, M persons, R rows, T frames (S of them come out), V joints, C channels in, O out, E
between, K distances, F frames of a window, W = V F its nodes as receivers.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stgcn_lightning.engine.devices import left_plain
from stgcn_lightning.engine.folded import (
    Folded,
    FoldedFirst,
    FoldedOfPlaces,
    FoldedTimeConv,
    fold,
    fold_residual,
    linear_and_norm,
    scale_and_shift,
)
from stgcn_lightning.engine.windows import (
    NARROW,
    by_subset,
    collapse_of,
    gather_of,
    gather_then_project,
    gather_windows,
    project_then_gather,
)
from stgcn_lightning.models.msg3d import MSG3D, GraphConv, Stage, TemporalConv, WindowConv
from stgcn_lightning.models.parts import DilatedBranch, LargestBranch, Shortcut, largest


@fold.register
@torch.no_grad()
def fold_msg3d(model: MSG3D, *, quick: bool = False) -> Folded:
    """See `fold`; `quick` computes row by row on a CPU."""
    stages = [stage for stage in model.stages if isinstance(stage, Stage)]
    with torch.autocast(model.classify.weight.device.type, enabled=False):
        folded = FoldedOfPlaces((FoldedStage(stage, quick) for stage in stages), model)
    if quick:  # a window's nodes, one row at a time; of all rows there are the stages' channels
        folded.narrower = 4
    return folded


class FoldedStage(nn.Module):
    """A graph and two temporal convolutions beside windows, then a temporal convolution."""

    def __init__(self, stage: Stage, quick: bool):
        super().__init__()
        self.graph = fold_graph(stage.graph, quick)
        self.first, self.second, self.last = (
            FoldedTemporal(one) for one in (stage.first, stage.second, stage.last)
        )
        windows = [one for one in stage.windows if isinstance(one, WindowConv)]
        self.windows = nn.ModuleList(FoldedWindow(one, quick) for one in windows)

    def forward(self, x: Tensor) -> Tensor:
        """(R, T, V, C) -> (R, S, V, O)."""
        y = self.second(self.first(self.graph(x)))
        for window in self.windows:
            y = window(x, y)
        return self.last(y.relu_())


def fold_graph(graph: GraphConv, quick: bool) -> "FoldedFirst | FoldedGather":
    """The evaluation form of a graph convolution; of few channels one product per frame."""
    weight, bias = linear_and_norm(graph.project.weight, graph.project.bias, graph.norm)
    edges = graph.edges()  # K, V, W
    if (channels := weight.shape[1] // len(edges)) >= NARROW:
        return FoldedGather(edges, weight, bias, quick)
    by_distance = weight.unflatten(1, (len(edges), channels))  # O, K, C
    dense = torch.einsum("kvw,okc->wovc", edges, by_distance)
    return FoldedFirst(dense.flatten(2).flatten(0, 1), bias.repeat(edges.shape[2]))


class FoldedGather(nn.Module):
    """Gather, project, ReLU."""

    gather: Tensor
    weight: Tensor
    bias: Tensor

    def __init__(self, edges: Tensor, weight: Tensor, bias: Tensor, quick: bool):
        super().__init__()
        self.register_buffer("gather", edges.permute(2, 0, 1).flatten(0, 1))  # V K, V
        self.register_buffer("weight", weight)  # O, K C
        self.register_buffer("bias", bias)
        self.quick = quick

    def forward(self, x: Tensor) -> Tensor:
        """(R, T, V, C) -> (R, T, V, O)."""
        if self.quick and not left_plain(x, autocast=True):
            y = gather_then_project(x.contiguous(), self.gather, self.weight, self.bias)
        else:
            gathered = torch.matmul(self.gather, x)  # R, T, V K, C
            gathered = gathered.reshape(*x.shape[:3], -1)
            y = F.linear(gathered, self.weight, self.bias)
        return y.relu_()


class FoldedWindow(nn.Module):
    """Gather in windows, ReLU, and bring each window back to one frame.

    Args:
        window: what is folded.
        quick: row by row on a CPU.
    """

    edges: Tensor
    gather: Tensor
    weight: Tensor
    bias: Tensor
    collapse: Tensor
    bias_out: Tensor

    def __init__(self, window: WindowConv, quick: bool):
        super().__init__()
        graph, self.frames, self.stride = window.graph, window.frames, window.stride
        weight, bias = linear_and_norm(graph.project.weight, graph.project.bias, graph.norm)
        edges = graph.edges()  # K, U, U
        self.narrow = weight.shape[1] // len(edges) < NARROW
        self.register_buffer("edges", edges)
        self.register_buffer("gather", gather_of(edges, self.frames))  # W, F V K
        # O, K C, or K O, C
        self.register_buffer("weight", weight if self.narrow else by_subset(weight, len(edges)))
        self.register_buffer("bias", bias)
        assert window.collapse.bias is not None
        last, bias_out = linear_and_norm(window.collapse.weight, window.collapse.bias, window.norm)
        self.register_buffer("collapse", collapse_of(last))  # O, F E
        self.register_buffer("bias_out", bias_out)
        self.quick = quick

    def forward(self, x: Tensor, onto: Tensor) -> Tensor:
        """(R, T, V, C), to be added to (R, S, V, O), which is written over."""
        onto = onto.contiguous()
        onto += self.bias_out
        if not self.quick or left_plain(x, autocast=True):
            y = self.gathered(x).relu_()  # R, S, W, E
            y = y.reshape(*y.shape[:2], -1, self.collapse.shape[1])  # R, S, V, F E
            onto += F.linear(y, self.collapse)
            return onto
        for row, out in zip(x.contiguous().split(1), onto, strict=True):
            if self.narrow:
                y = self.gathered(row)
            else:
                y = project_then_gather(
                    row, self.gather, self.weight, self.bias, self.frames, self.stride
                )
            y = y.relu_().view(-1, self.collapse.shape[1])  # S V, F E
            out.view(len(y), -1).addmm_(y, self.collapse.t())
        return onto

    def gathered(self, x: Tensor) -> Tensor:
        """(R, T, V, C) -> (R, S, W, E)."""
        if self.narrow:
            gathered = gather_windows(x, self.edges, self.frames, self.stride)
            return F.linear(gathered, self.weight, self.bias)
        T, E, around = x.shape[1], len(self.bias), self.frames // 2
        z = F.pad(F.linear(x, self.weight), (0, 0, 0, 0, around, around))  # R, T, V, K E
        y = self.bias
        for f, gather in enumerate(self.gather.unflatten(1, (self.frames, -1)).unbind(1)):
            part = z[:, f : f + T : self.stride]
            y = y + torch.matmul(gather, part.reshape(*part.shape[:2], -1, E))
        return y


class FoldedTemporal(nn.Module):
    """Six branches next to each other, and the residual around them."""

    weight_in: Tensor
    bias_in: Tensor
    scale: Tensor
    shift: Tensor
    point: Tensor
    bias_point: Tensor

    def __init__(self, temporal: TemporalConv):
        super().__init__()
        into: list[tuple[Tensor, Tensor]] = []
        self.convs = nn.ModuleList()
        for branch in temporal.branches:
            assert isinstance(branch, DilatedBranch | LargestBranch | Shortcut)
            project = branch.project
            into.append(linear_and_norm(project.weight, project.bias, branch.norm))
            if isinstance(branch, DilatedBranch):
                conv = branch.conv
                assert conv.bias is not None
                assert branch.last_norm is not None
                weight, bias = linear_and_norm(conv.weight, conv.bias, branch.last_norm)
                stride, dilation = conv.stride[0], conv.dilation[0]
                self.convs.append(FoldedTimeConv(weight, bias, stride, dilation))
            elif isinstance(branch, LargestBranch):
                assert branch.last_norm is not None
                for name, part in zip(
                    ("scale", "shift"), scale_and_shift(branch.last_norm), strict=True
                ):
                    self.register_buffer(name, part)
                self.stride = branch.stride
        *several, (point, bias_point) = into
        weights, biases = zip(*several, strict=True)
        self.widths = [len(bias) for bias in biases]
        self.register_buffer("weight_in", torch.cat(weights))  # 5 b, C
        self.register_buffer("bias_in", torch.cat(biases))
        self.identity, self.rectify = isinstance(temporal.residual, nn.Identity), temporal.rectify
        residual = fold_residual(temporal.residual)
        if residual is not None:  # the last branch is added to its last channels
            weight, bias = residual
            weight[-len(point) :] += point
            bias[-len(point) :] += bias_point
            point, bias_point = weight, bias
        self.register_buffer("point", point)  # O or O - 5 b, C
        self.register_buffer("bias_point", bias_point)

    def forward(self, x: Tensor) -> Tensor:
        """(R, T, V, C) -> (R, S, V, O)."""
        parts = F.linear(x, self.weight_in, self.bias_in).relu_().split(self.widths, -1)
        ys = [conv(part) for conv, part in zip(self.convs, parts, strict=False)]
        pooled = largest(parts[-1].permute(0, 3, 1, 2), self.stride)  # R, C, S, V
        ys.append(torch.addcmul(self.shift, pooled.permute(0, 2, 3, 1), self.scale))
        point = F.linear(x[:, :: self.stride], self.point, self.bias_point)
        if self.identity:
            y = torch.cat([*ys, point], -1) + x
        else:
            y = point
            y[..., : sum(self.widths)] += torch.cat(ys, -1)
        return y.relu_() if self.rectify else y
