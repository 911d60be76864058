"""The evaluation form of a CTR-GCN.

Activations lie in memory as in `joints_first.py`. Every norm but one is folded into the product or
convolution before it; that of the largest frame stays, since a norm may turn the order of numbers
round. The refinement of a graph depends on the clip, so that it is computed for each.

Axes: R rows, T frames (S of them come out), V joints (U as senders, W as receivers), C channels in,
O out, K subsets, P rows of (D, 1, A), b of a branch; see there.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stgcn_lightning.engine.folded import (
    Folded,
    FoldedOfPlaces,
    fold,
    fold_residual,
    linear_and_norm,
    scale_and_shift,
)
from stgcn_lightning.engine.joints_first import (
    gather,
    largest,
    mixing,
    project,
    received_bias,
    with_constants,
)
from stgcn_lightning.models.ctrgcn import CTRGCN, GraphConv, Stage, Subset, TemporalConv
from stgcn_lightning.models.parts import DilatedBranch, LargestBranch, Shortcut


@fold.register
@torch.no_grad()
def fold_ctrgcn(model: CTRGCN, *, quick: bool = False) -> Folded:
    """See `fold`; every stage has learned a graph of its own."""
    with torch.autocast(model.classify.weight.device.type, enabled=False):
        return FoldedCTRGCN(model)


class FoldedCTRGCN(FoldedOfPlaces):
    """All stages and the head, for evaluation alone."""

    def __init__(self, model: CTRGCN):
        stages = [stage for stage in model.stages if isinstance(stage, Stage)]
        super().__init__((FoldedStage(stage) for stage in stages), model)

    def features(self, x: Tensor) -> Tensor:
        """Normalised persons (R, T, V, C) -> (R, F), the mean over frames and joints."""
        x = x.permute(0, 3, 2, 1).contiguous()  # R, C, V, T
        for stage in self.stages:
            x = stage(x)
        return x.float().mean((2, 3)) if x.dtype == torch.bfloat16 else x.mean((2, 3))


class FoldedStage(nn.Module):
    """One stage: graph, then time, with a residual around both."""

    shortcut: Tensor | None
    bias: Tensor | None

    def __init__(self, stage: Stage):
        super().__init__()
        self.graph, self.temporal = FoldedGraphConv(stage.graph), FoldedBranches(stage.temporal)
        self.stride = stage.temporal.stride
        weight, bias = fold_residual(stage.residual) or (None, None)
        self.register_buffer("shortcut", weight)  # O, C
        self.register_buffer("bias", bias)
        self.identity = isinstance(stage.residual, nn.Identity)

    def forward(self, x: Tensor) -> Tensor:
        """(R, C, V, T) -> (R, O, V, S)."""
        y = self.temporal(self.graph(x))
        if self.shortcut is not None:
            return y.add_(project(x[..., :: self.stride], self.shortcut, self.bias)).relu_()
        return y.add_(x) if self.identity else y  # neither is negative


class FoldedGraphConv(nn.Module):
    """Refine the graph, project, gather, add the joint itself, ReLU."""

    pq: Tensor
    pq_bias: Tensor
    adjacency: Tensor
    mix: Tensor
    mix_bias: Tensor
    weight: Tensor
    shift: Tensor
    down: Tensor | None

    def __init__(self, graph: GraphConv):
        super().__init__()
        subsets = [subset for subset in graph.subsets if isinstance(subset, Subset)]
        into = [part for one in subsets for part in (one.send, one.receive)]
        scale, shift = scale_and_shift(graph.norm)
        down, more = fold_residual(graph.down) or (None, 0)
        mix = [mixing(one.refine, graph.alpha) for one in subsets]  # K of (O, P)
        bias = [one.project.bias * scale for one in subsets]  # K of (O,)
        weight = torch.stack([one.project.weight for one in subsets], 1)  # O, K, C
        for name, value in {
            "pq": torch.cat([part.weight for part in into]),
            "pq_bias": torch.cat([part.bias for part in into]),
            "adjacency": graph.adjacency.detach().clone(),  # K, U, W
            # one product gives the edges of all subsets, none mixing with another's rows
            "mix": torch.stack([torch.block_diag(*rows) for rows in zip(*mix, strict=True)]),
            "mix_bias": received_bias(mix, bias),
            "weight": (weight * scale[:, None, None]).flatten(0, 1),  # O K, C
            "shift": (shift + more)[:, None],
            "down": down,
        }.items():
            self.register_buffer(name, value)

    def forward(self, x: Tensor) -> Tensor:
        """(R, C, V, T) -> (R, O, V, T)."""
        V, K = x.shape[2], len(self.adjacency)
        with torch.autocast(x.device.type, enabled=False):
            mean = x.mean(3, dtype=self.pq.dtype).transpose(1, 2)
            D = with_constants(F.linear(mean, self.pq, self.pq_bias), self.adjacency)
            D = D.flatten(1, 2)  # R, K P, U, W
            bias = torch.matmul(self.mix_bias, D.sum(2)) + self.shift  # R, O, W
            edges = project(D, self.mix.flatten(0, 1)).view(x.shape[0], -1, K * V, V)
        y = gather(project(x, self.weight), edges, bias)
        y += x if self.down is None else project(x, self.down)
        return y.relu_()


class FoldedBranches(nn.Module):
    """The branches along time: one product into all that see several frames."""

    weight: Tensor
    bias: Tensor
    scale: Tensor
    shift: Tensor
    point: Tensor
    point_bias: Tensor

    def __init__(self, temporal: TemporalConv):
        super().__init__()
        *branches, point = temporal.branches
        assert isinstance(point, Shortcut)
        self.stride, self.convs = temporal.stride, nn.ModuleList()
        into: list[tuple[Tensor, Tensor]] = []
        for branch in branches:
            assert isinstance(branch, DilatedBranch | LargestBranch)
            assert branch.last_norm is not None
            into.append(linear_and_norm(branch.project.weight, branch.project.bias, branch.norm))
            if isinstance(branch, DilatedBranch):
                self.convs.append(FoldedConv(branch.conv, branch.last_norm))
            else:
                scale, shift = scale_and_shift(branch.last_norm)
                self.register_buffer("scale", scale[:, None, None])
                self.register_buffer("shift", shift[:, None, None])
        weights, biases = zip(*into, strict=True)
        weight, bias = linear_and_norm(point.project.weight, point.project.bias, point.norm)
        self.register_buffer("weight", torch.cat(weights))  # 3 b, C
        self.register_buffer("bias", torch.cat(biases))
        self.register_buffer("point", weight)  # C - 3 b, C
        self.register_buffer("point_bias", bias)

    def forward(self, x: Tensor) -> Tensor:
        """(R, C, V, T) -> (R, C, V, S)."""
        y = project(x, self.weight, self.bias).relu_()
        *seen, pooled = y.chunk(len(self.convs) + 1, 1)
        parts = [conv(part) for conv, part in zip(self.convs, seen, strict=True)]
        parts.append(torch.addcmul(self.shift, largest(pooled, self.stride), self.scale))
        parts.append(project(x[..., :: self.stride], self.point, self.point_bias))
        return torch.cat(parts, 1).relu_()


class FoldedConv(nn.Module):
    """A convolution along time and the norm behind it."""

    weight: Tensor
    bias: Tensor

    def __init__(self, conv: nn.Conv2d, norm: nn.BatchNorm2d):
        super().__init__()
        assert conv.bias is not None
        weight, bias = linear_and_norm(conv.weight, conv.bias, norm)
        self.register_buffer("weight", weight.transpose(2, 3).contiguous())  # b, b, 1, frames
        self.register_buffer("bias", bias)
        self.stride, self.dilation = conv.stride[0], conv.dilation[0]

    def forward(self, x: Tensor) -> Tensor:
        """(R, b, V, T) -> (R, b, V, S)."""
        padding = self.dilation * (self.weight.shape[3] // 2)
        return F.conv2d(
            x, self.weight, self.bias, (1, self.stride), (0, padding), (1, self.dilation)
        )
