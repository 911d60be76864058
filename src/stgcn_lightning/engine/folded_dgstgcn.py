"""The evaluation form of a DG-STGCN, and of a ProtoGCN, whose logits are computed alike.

Its graphs depend on the clip; everything around them is folded. What is sent along them lies in
memory as (R, C, T, V), where a channel's frames are one matrix; everything else as (R, T, V, C).
The products before and after change from one to the other, so that nothing is copied.

Axes: R rows, T frames, V joints (W as receivers), C channels in, O out, K subsets of m channels.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stgcn_lightning.engine.folded import (
    Folded,
    FoldedStage,
    fold,
    fold_residual,
    linear_and_norm,
    scale_and_shift,
)
from stgcn_lightning.engine.folded_stgcnpp import FoldedBranches
from stgcn_lightning.models.dgstgcn import DGSTGCN, GraphConv, Stage, TemporalConv
from stgcn_lightning.models.protogcn import ProtoGCN


@fold.register(DGSTGCN)
@fold.register(ProtoGCN)
@torch.no_grad()
def fold_dgstgcn(model: DGSTGCN, *, quick: bool = False) -> Folded:
    """See `fold`."""
    stages = [stage for stage in model.stages if isinstance(stage, Stage)]
    with torch.autocast("cuda" if model.classify.weight.is_cuda else "cpu", enabled=False):
        folded = [fold_stage(stage) for stage in stages]
        return Folded([FoldedInput(model.data_norm, model.joints), *folded], model.classify)


def fold_stage(stage: Stage) -> FoldedStage:
    """The evaluation form of one stage."""
    shortcut = fold_residual(stage.residual)
    return FoldedStage(
        FoldedGraph(stage.graph),
        FoldedBranchesOfMean(stage.temporal, None if shortcut is None else shortcut[1]),
        stage.temporal.stride,
        shortcut=None if shortcut is None else shortcut[0],
        identity=isinstance(stage.residual, nn.Identity),
    )


class FoldedInput(nn.Module):
    """The norm of the input."""

    scale: Tensor
    shift: Tensor

    def __init__(self, norm: nn.BatchNorm1d, joints: int):
        super().__init__()
        for name, part in zip(("scale", "shift"), scale_and_shift(norm), strict=True):
            self.register_buffer(name, part.view(joints, -1))  # V, C

    def forward(self, x: Tensor) -> Tensor:
        """(R, T, V, C) -> the same."""
        return torch.addcmul(self.shift, x, self.scale)


class FoldedGraph(nn.Module):
    """Spread, send along the clip's graphs, project, add the residual inside, ReLU."""

    edges: Tensor
    mean_weight: Tensor
    mean_bias: Tensor
    weight_in: Tensor
    bias_in: Tensor
    weight_out: Tensor
    bias_out: Tensor
    down: Tensor | None

    def __init__(self, graph: GraphConv):
        super().__init__()
        down = fold_residual(graph.down)
        self.register_buffer("edges", graph.adjacency.detach().clone())  # K, V, W
        self.difference, self.product = graph.difference[0].item(), graph.product[0].item()
        mean = graph.sender, graph.receiver
        self.register_buffer("mean_weight", torch.cat([layer.weight for layer in mean]))  # 2 K m, C
        self.register_buffer("mean_bias", torch.cat([layer.bias for layer in mean]))
        spread = linear_and_norm(graph.spread.weight, graph.spread.bias, graph.spread_norm)
        self.register_buffer("weight_in", spread[0])  # K m, C
        self.register_buffer("bias_in", spread[1][:, None])
        weight, bias = linear_and_norm(graph.project.weight, graph.project.bias, graph.norm)
        self.register_buffer("weight_out", weight.t().contiguous())  # K m, O
        self.register_buffer("bias_out", bias if down is None else bias + down[1])
        self.register_buffer("down", None if down is None else down[0])

    def forward(self, x: Tensor) -> Tensor:
        """(R, T, V, C) -> (R, T, W, O)."""
        R, T, V, _ = x.shape
        edges = self.graphs(x)  # R K m, V, W
        flat = x.flatten(1, 2)  # R, T V, C
        sent = torch.baddbmm(self.bias_in, self.weight_in.expand(R, -1, -1), flat.mT).relu_()
        sent = sent.view(-1, T, V)  # R K m, T, V
        y = torch.bmm(sent, edges.to(sent.dtype)).view(R, -1, T * V)
        y = torch.baddbmm(self.bias_out, y.mT, self.weight_out.expand(R, -1, -1))  # R, T W, O
        y += flat if self.down is None else F.linear(flat, self.down)
        return y.relu_().unflatten(1, (T, V))

    def graphs(self, x: Tensor) -> Tensor:
        """(R, T, V, C) -> (R K m, V, W), in the precision of the weights."""
        with torch.autocast("cuda" if x.is_cuda else "cpu", enabled=False):
            mean = F.linear(x.mean(1).to(self.mean_weight.dtype), self.mean_weight, self.mean_bias)
            p, q = mean.mT.unflatten(1, (2, len(self.edges), -1)).unbind(1)  # R, K, m, V
            edges = torch.matmul(p.mT, q).softmax(-2).mul_(self.product).add_(self.edges)
            differences = (p[..., None] - q[..., None, :]).tanh_().mul_(self.difference)
            return differences.add_(edges[:, :, None]).flatten(0, 2)


class FoldedBranchesOfMean(FoldedBranches):
    """The branches along time of all joints, and of their mean, which is added to each.

    The mean of what goes into the branches is what of the mean goes into them.
    """

    of_mean: Tensor

    def __init__(self, temporal: TemporalConv, more: Tensor | None):
        super().__init__(temporal, more)
        self.register_buffer("of_mean", temporal.of_mean[:, None].clone())

    def forward(self, x: Tensor) -> Tensor:
        """(R, T, V, C) -> (R, S, V, C)."""
        x = F.linear(x, self.weight_in, self.bias_in)
        mean = self.along_time(x.mean(2, keepdim=True))  # R, S, 1, C
        y = torch.addcmul(self.along_time(x), mean, self.of_mean[: x.shape[2]])
        return self.mixed(y)
