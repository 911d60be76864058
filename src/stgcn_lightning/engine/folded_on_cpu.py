"""The evaluation form of an ST-GCN for CPUs, with the frames first in memory.

Every batch norm is folded as in `folded_stgcn.py`; graph convolutions follow edges
(`frames_first.py`), convolutions along time are products of frequencies (`fourier.py`).

Axes: R rows, T frames, V joints (W as receivers), C channels in, O out, K subsets.
"""

import copy

import torch
from torch import Tensor, nn

from stgcn_lightning.engine.folded import fold_residual, linear_and_norm, scale_and_shift
from stgcn_lightning.engine.fourier import Tiling, convolve, direct, pays
from stgcn_lightning.engine.frames_first import NARROW, Wiring, gather_then_project, receive, send
from stgcn_lightning.engine.products import project
from stgcn_lightning.models.stgcn import STGCN, GraphConv, Stage


class STGCNOnCPU:
    """All stages and the head.

    Args:
        model: whose present weights are folded.
    """

    @torch.no_grad()
    def __init__(self, model: STGCN):
        stages = [stage for stage in model.stages if isinstance(stage, Stage)]
        norm = [part.view(model.joints, 1, -1) for part in scale_and_shift(model.data_norm)]
        self.scale, self.shift = norm  # V, 1, C
        self.wiring = Wiring.of(stages[0].graph.adjacency != 0)
        self.stages = [StageOnCPU(stage, self.wiring) for stage in stages]
        self.classify = copy.deepcopy(model.classify).requires_grad_(False).eval()

    def prepare(self, frames: int) -> None:
        """Make what belongs to clips of so many frames: tables, and weights of frequencies."""
        for stage in self.stages:
            frames = stage.prepare(frames)

    def features(self, x: Tensor) -> Tensor:
        """(R, T, V, C) -> (R, F), the mean over frames and joints."""
        x = x.permute(1, 2, 0, 3) * self.scale + self.shift  # T, V, R, C
        x = x.contiguous()
        for stage in self.stages:
            x = stage(x)
        return x.mean((0, 1))


class StageOnCPU:
    """One stage: graph, then time, with a residual around both."""

    def __init__(self, stage: Stage, wiring: Wiring):
        self.graph = GraphOnCPU(stage.graph, wiring)
        conv = stage.temporal.conv
        assert conv.bias is not None
        weight, self.bias = linear_and_norm(conv.weight, conv.bias, stage.temporal.norm)
        self.weight = weight.contiguous(memory_format=torch.channels_last)
        self.stride = conv.stride[0]
        self.shortcut, self.identity = None, isinstance(stage.residual, nn.Identity)
        if (residual := fold_residual(stage.residual)) is not None:
            self.shortcut, bias = residual
            self.bias = self.bias + bias
        self.at_points: dict[int, tuple[Tiling, list[Tensor]]] = {}  # by T

    def prepare(self, frames: int) -> int:
        """See `STGCNOnCPU.prepare`; the number of frames that come out."""
        self.graph.wiring.for_frames(frames)
        wanted = pays(self.weight.dtype, None, *self.weight.shape[:2], self.stride)
        if wanted and frames not in self.at_points:
            tiling = Tiling.of(self.weight, frames, self.stride)
            self.at_points[frames] = tiling, tiling.weight_at_points(self.weight)
        return -(-frames // self.stride)

    def __call__(self, x: Tensor) -> Tensor:
        """(T, V, R, C), which may be written over -> (ceil(T / stride), V, R, O)."""
        y = self.graph(x)
        onto = None
        if self.shortcut is not None:
            kept = x[:: self.stride].flatten(0, 2)
            onto = kept.new_empty(len(kept), len(self.shortcut))
            project(kept, self.shortcut, onto)
            onto = onto.view(-1, x.shape[1] * x.shape[2], len(self.shortcut))
        elif self.identity:
            onto = x.flatten(1, 2)
        y = y.flatten(1, 2)
        if len(x) in self.at_points:
            tiling, weights = self.at_points[len(x)]
            y = convolve(y, weights, self.bias, tiling, onto)
        else:
            y = direct(y, self.weight, self.bias, self.stride)
            y = y if onto is None else y.add_(onto)
        return y.relu_().unflatten(1, x.shape[1:3])


class GraphOnCPU:
    """A graph convolution and the ReLU behind it."""

    def __init__(self, graph: GraphConv, wiring: Wiring):
        edges, project = graph.edges(), graph.project
        scale, shift = scale_and_shift(graph.norm)
        weight = project.weight.view(len(edges), -1, project.in_features)  # K, O, C
        self.weight = weight * scale[:, None]
        self.wiring, self.edges = wiring, edges
        self.values = torch.cat([edges[wiring.edges.unbind(1)], edges.new_ones(1)])
        bias = project.bias.view(len(edges), -1)  # K, O
        self.bias = edges.sum(1).t() @ bias * scale + shift  # W, O

    def __call__(self, x: Tensor) -> Tensor:
        """(T, V, R, C) -> (T, V, R, O)."""
        if x.shape[3] < NARROW:
            y = gather_then_project(x, self.edges, self.weight) + self.bias[:, None]
        else:
            z = send(x, self.weight, self.bias, self.wiring)
            y = receive(z, self.values, x, self.wiring)
        return y.relu_()
