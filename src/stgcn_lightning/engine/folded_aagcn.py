"""The evaluation form of an AGCN or AAGCN: activations are (T, R, V, C).

Every batch norm is part of the product or convolution before it; what a clip adds to its edges
cannot be. On a CPU convolutions along time are products of frequencies (`fourier.py`).

Axes: R rows, T frames, V joints (W as receivers), C channels in, O out, K subsets, E embedded.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stgcn_lightning.engine.adaptive import (
    attend,
    by_joint,
    gates,
    likeness,
    stacked,
    weights_of,
)
from stgcn_lightning.engine.devices import left_plain
from stgcn_lightning.engine.folded import (
    FoldedOfPlaces,
    fold,
    fold_residual,
    linear_and_norm,
    scale_and_shift,
)
from stgcn_lightning.engine.fourier import Tiling, convolve, pays
from stgcn_lightning.models.aagcn import AAGCN, AGCN, Attention, GraphConv, Stage


class FoldedAGCN(FoldedOfPlaces):
    """All stages and the head, for evaluation alone.

    Args:
        model: whose present weights are folded.
    """

    def __init__(self, model: AGCN):
        stages = [stage for stage in model.stages if isinstance(stage, Stage)]
        super().__init__((FoldedStage(stage) for stage in stages), model)

    def features(self, x: Tensor) -> Tensor:
        """Normalised persons (R, T, V, C) -> (R, F), the mean over frames and joints."""
        x = x.transpose(0, 1).contiguous()
        for stage in self.stages:
            x = stage(x)
        return x.float().mean((0, 2)) if x.dtype == torch.bfloat16 else x.mean((0, 2))


class FoldedStage(nn.Module):
    """One stage: graph, attention, time, with a residual around all."""

    weight: Tensor
    bias: Tensor
    shortcut: Tensor | None

    def __init__(self, stage: Stage):
        super().__init__()
        self.graph = FoldedGraph(stage.graph)
        self.attention = None if stage.attention is None else FoldedAttention(stage.attention)
        conv, residual = stage.temporal.conv, fold_residual(stage.residual)
        assert conv.bias is not None
        weight, bias = linear_and_norm(conv.weight, conv.bias, stage.temporal.norm)
        self.register_buffer("weight", weight.contiguous(memory_format=torch.channels_last))
        self.register_buffer("bias", bias if residual is None else bias + residual[1])
        self.register_buffer("shortcut", None if residual is None else residual[0])
        self.stride, self.identity = conv.stride[0], isinstance(stage.residual, nn.Identity)
        self.at_points: dict[int, list[Tensor]] = {}  # by the length of a tile

    def forward(self, x: Tensor) -> Tensor:
        """(T, R, V, C) -> (ceil(T / stride), R, V, O)."""
        y = self.graph(x)
        if self.attention is not None:
            y = self.attention(y)
        past = None
        if self.shortcut is not None:
            past = F.linear(x[:: self.stride], self.shortcut)
        elif self.identity:
            past = x
        return self.along_time(y, past).relu_()

    def along_time(self, y: Tensor, past: Tensor | None) -> Tensor:
        """(T, R, V, C) -> (ceil(T / stride), R, V, O), with `past` added, which is written over."""
        if not self.in_frequencies(y):
            padding = (self.weight.shape[2] // 2, 0)
            y = F.conv2d(y.permute(1, 3, 0, 2), self.weight, self.bias, (self.stride, 1), padding)
            y = y.permute(2, 0, 3, 1)
            return y if past is None else y + past
        tiling = Tiling.of(self.weight, len(y), self.stride)
        if tiling.length not in self.at_points:
            self.at_points[tiling.length] = tiling.weight_at_points(self.weight)
        onto = None if past is None else past.flatten(1, 2)
        made = convolve(y.flatten(1, 2), self.at_points[tiling.length], self.bias, tiling, onto)
        return made.unflatten(1, y.shape[1:3])

    def in_frequencies(self, y: Tensor) -> bool:
        """Whether the convolution is made of products of frequencies."""
        if left_plain(y, autocast=True):
            return False
        return pays(y.dtype, None, *self.weight.shape[:2], self.stride)


class FoldedGraph(nn.Module):
    """Add to the edges what is alike in a clip, gather, project, add the residual, ReLU."""

    adjacency: Tensor
    strength: Tensor
    into: Tensor
    into_bias: Tensor
    out: Tensor
    out_bias: Tensor
    down: Tensor | None

    def __init__(self, graph: GraphConv):
        super().__init__()
        into, into_bias, out, out_bias = stacked(graph)
        scale, shift = scale_and_shift(graph.norm)
        out, out_bias = out * scale, out_bias * scale + shift
        down = fold_residual(graph.down)
        for name, part in (
            ("adjacency", graph.adjacency[:, None].clone()),  # K, 1, V, W
            ("strength", graph.strength.clone()),
            ("into", into),  # 2 K E, C
            ("into_bias", into_bias),
            ("out", out),  # K, C, O
            ("out_bias", out_bias if down is None else out_bias + down[1]),
            ("down", None if down is None else down[0]),
        ):
            self.register_buffer(name, part)

    def forward(self, x: Tensor) -> Tensor:
        """(T, R, V, C) -> (T, R, W, O)."""
        x = x.permute(1, 2, 0, 3).contiguous()  # R, V, T, C
        embedded = by_joint(F.linear(x, self.into, self.into_bias), len(self.out))
        edges = self.adjacency + self.strength * likeness(embedded).tanh()  # K, R, V, W
        past = x if self.down is None else F.linear(x, self.down)
        y = (past + self.out_bias).flatten(0, 2)
        for gather, out in zip(edges.mT.to(x.dtype), self.out, strict=True):
            gathered = (gather @ x.flatten(2)).view(-1, len(out))  # R W T, C
            y.addmm_(gathered.to(y.dtype), out.to(y.dtype))
        return y.relu_().view(*x.shape[:3], -1).permute(2, 0, 1, 3).contiguous()


class FoldedAttention(nn.Module):
    """All three attentions: means of the input, then one product with it."""

    def __init__(self, attention: Attention):
        super().__init__()
        self.weights = nn.ParameterList(one.detach().clone() for one in weights_of(attention))
        self.requires_grad_(False)

    def forward(self, y: Tensor) -> Tensor:
        """(T, R, V, O) -> the same."""
        return attend(y, gates(y, list(self.weights)))


@fold.register(AGCN)
@fold.register(AAGCN)
@torch.no_grad()
def fold_agcn(model: AGCN, *, quick: bool = False) -> FoldedAGCN:
    """See `fold`."""
    with torch.autocast(model.classify.weight.device.type, enabled=False):
        return FoldedAGCN(model)
