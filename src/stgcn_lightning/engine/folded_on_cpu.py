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


class STGCNOnCPU(nn.Module):
    """All stages and the head, for evaluation alone.

    Args:
        model: whose present weights are folded.
    """

    scale: Tensor
    shift: Tensor

    @torch.no_grad()
    def __init__(self, model: STGCN):
        super().__init__()
        stages = [stage for stage in model.stages if isinstance(stage, Stage)]
        for name, part in zip(("scale", "shift"), scale_and_shift(model.data_norm), strict=True):
            self.register_buffer(name, part.view(model.joints, 1, -1))  # V, 1, C
        wiring = Wiring.of(stages[0].graph.adjacency != 0)
        self.stages = nn.ModuleList(StageOnCPU(stage, wiring) for stage in stages)
        self.classify = copy.deepcopy(model.classify).requires_grad_(False)
        self.eval()

    def prepare(self, frames: int) -> None:
        """Make what belongs to clips of so many frames: tables, weights of frequencies, choices."""
        V, _, C = self.scale.shape
        x = self.scale.new_zeros(1, frames, V, C)
        for stage in self.stages:
            assert isinstance(stage, StageOnCPU)
            frames = stage.prepare(frames)
        self.features(x)

    def normalise_clips(self, clips: Tensor) -> Tensor:
        """Nothing: `features` begins with the norm of the input."""
        return clips

    def features(self, x: Tensor) -> Tensor:
        """(R, T, V, C) -> (R, F), the mean over frames and joints."""
        x = (x.permute(1, 2, 0, 3) * self.scale + self.shift).contiguous()  # T, V, R, C
        for stage in self.stages:
            x = stage(x)
        return x.mean((0, 1))

    def forward(self, clips: Tensor) -> Tensor:
        """Logits (N, classes) of clips (N, M, T, V, C), every person computed."""
        self.prepare(clips.shape[2])
        features = self.features(clips.flatten(0, 1))
        return self.classify(features.unflatten(0, clips.shape[:2]))


class StageOnCPU(nn.Module):
    """One stage: graph, then time, with a residual around both."""

    weight: Tensor
    bias: Tensor
    shortcut: Tensor | None

    def __init__(self, stage: Stage, wiring: Wiring):
        super().__init__()
        self.graph = GraphOnCPU(stage.graph, wiring)
        conv, residual = stage.temporal.conv, fold_residual(stage.residual)
        assert conv.bias is not None
        weight, bias = linear_and_norm(conv.weight, conv.bias, stage.temporal.norm)
        self.register_buffer("weight", weight.contiguous(memory_format=torch.channels_last))
        self.register_buffer("bias", bias if residual is None else bias + residual[1])
        self.register_buffer("shortcut", None if residual is None else residual[0])
        self.stride, self.identity = conv.stride[0], isinstance(stage.residual, nn.Identity)
        self.at_points: dict[int, tuple[Tiling, list[Tensor]]] = {}  # by T

    def prepare(self, frames: int) -> int:
        """See `STGCNOnCPU.prepare`; the number of frames that come out."""
        self.graph.wiring.for_frames(frames)
        wanted = pays(self.weight.dtype, None, *self.weight.shape[:2], self.stride)
        if wanted and frames not in self.at_points:
            tiling = Tiling.of(self.weight, frames, self.stride)
            self.at_points[frames] = tiling, tiling.weight_at_points(self.weight)
        return -(-frames // self.stride)

    def forward(self, x: Tensor) -> Tensor:
        """(T, V, R, C), which is written over -> (ceil(T / stride), V, R, O)."""
        y = self.graph(x).flatten(1, 2)
        past = None
        if self.shortcut is not None:
            kept = x[:: self.stride].flatten(0, 2)
            past = kept.new_empty(len(kept), len(self.shortcut))
            project(kept, self.shortcut, past)
            past = past.view(-1, y.shape[1], len(self.shortcut))
        elif self.identity:
            past = x.flatten(1, 2)
        if len(x) in self.at_points:
            tiling, weights = self.at_points[len(x)]
            y = convolve(y, weights, self.bias, tiling, past)
        else:
            y = direct(y, self.weight, self.bias, self.stride)
            y = y if past is None else y.add_(past)
        return y.relu_().unflatten(1, x.shape[1:3])


class GraphOnCPU(nn.Module):
    """A graph convolution and the ReLU behind it."""

    weight: Tensor
    bias: Tensor
    edges: Tensor
    values: Tensor

    def __init__(self, graph: GraphConv, wiring: Wiring):
        super().__init__()
        edges, project = graph.edges(), graph.project
        scale, shift = scale_and_shift(graph.norm)
        weight = project.weight.view(len(edges), -1, project.in_features)  # K, O, C
        bias = edges.sum(1).t() @ project.bias.view(len(edges), -1)  # W, O
        self.register_buffer("weight", weight * scale[:, None])
        self.register_buffer("bias", bias * scale + shift)
        self.register_buffer("edges", edges)
        self.register_buffer(
            "values", torch.cat([edges[wiring.edges.unbind(1)], edges.new_ones(1)])
        )
        self.wiring = wiring

    def forward(self, x: Tensor) -> Tensor:
        """(T, V, R, C) -> (T, V, R, O)."""
        if x.shape[3] < NARROW:
            y = gather_then_project(x, self.edges, self.weight) + self.bias[:, None]
        else:
            z = send(x, self.weight, self.bias, self.wiring)
            y = receive(z, self.values, x, self.wiring)
        return y.relu_()
