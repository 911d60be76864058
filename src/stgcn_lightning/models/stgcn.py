"""ST-GCN: graph convolutions over joints alternating with convolutions over time.

Source: Yan et al., "Spatial Temporal Graph Convolutional Networks for Skeleton-Based Action
Recognition", AAAI 2018 (arXiv:1801.07455), in the form of MMAction2 1.2.0, whose weights map
one-to-one to these: its depth, residuals, initialisation, one norm of the input for all persons.

Axes: N clips, M persons, T frames, V joints (W where they listen), C channels (O where they come
out); R = N x M rows, one per person of a clip; K neighbour subsets of the graph. Activations lie in
memory as (R, T, V, C), so that a frame is a matrix of joints by channels: gathering neighbours is a
product from the left, mixing channels one from the right. Convolutions and norms see the same
memory as (R, C, T, V), PyTorch's `channels_last` format: nothing is copied in between.
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stgcn_lightning.engine import kernels
from stgcn_lightning.engine.folded import (
    Folded,
    FoldedFirst,
    FoldedGraphConv,
    FoldedStage,
    Order,
    scale_and_shift,
)
from stgcn_lightning.engine.nine_taps import nine_taps, pays
from stgcn_lightning.engine.persons import Rows, batch_norm, distinct, factors
from stgcn_lightning.errors import BadInput

STAGES = 10
WIDENED = (5, 8)  # stages, counted from 1, that double the channels and halve the frames
FRAMES_SEEN = 9  # by one temporal convolution
NARROW = 8  # input channels below which gathering and projecting is one dense product
# by `is_cuda`: memory of an evaluation's widest tensor, at most; on a CPU the fastest, on a GPU
# what keeps three times as many numbers countable in 31 bits
ROWS_BYTES = {False: 64 << 20, True: 2 << 30}
FREE_PART = 16  # of a GPU's free memory, for the widest tensor: there are up to eight such at once
BUCKETS = 8  # numbers of rows that are compiled for, at most
COMPILE_MODES = ("default", "reduce-overhead", "max-autotune-no-cudagraphs", "max-autotune")


def channels_first(x: Tensor) -> Tensor:
    """View (R, T, V, C) as (R, C, T, V), PyTorch's order of axes."""
    return x.permute(0, 3, 1, 2)


def channels_last(x: Tensor) -> Tensor:
    """View (R, C, T, V) as (R, T, V, C): `channels_first` undone."""
    return x.permute(0, 2, 3, 1)


class GraphConv(nn.Module):
    """Gather each joint's neighbours with one learned importance per edge; frames do not mix.

    The paper projects every joint for every subset and then gathers: sum_k A_k^T (x W_k + b_k).
    Here the neighbours are gathered first, sum_k (A_k^T x) W_k, so that neither product copies; the
    bias then differs between joints, each receiving b_k times the weight of its edges in subset k.
    """

    adjacency: Tensor

    def __init__(self, adjacency: Tensor, channels: int, out_channels: int):
        super().__init__()
        self.register_buffer("adjacency", adjacency.clone())  # K, V, V: from joint, to joint
        self.edge_importance = nn.Parameter(torch.ones_like(adjacency))
        self.project = nn.Linear(channels, len(adjacency) * out_channels)  # rows k O + o
        self.norm = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor, rows: Rows) -> Tensor:
        """(R, T, V, C) -> (R, T, V, O)."""
        R, T, V, C = x.shape
        edges, weight, bias = self.parts()
        K = len(edges)
        if C < NARROW:  # one product per frame
            dense = torch.einsum("kvw,koc->wovc", edges, weight).reshape(-1, V * C)
            x = F.linear(x.flatten(2), dense, bias.flatten()).view(R, T, V, -1)
        else:
            gather = edges.permute(2, 0, 1).reshape(V * K, V).expand(R * T, -1, -1)  # R T, W K, V
            x = torch.bmm(gather, x.reshape(R * T, V, C)).view(R, T, V, K * C)
            x = F.linear(x, weight.transpose(0, 1).flatten(1)) + bias  # R, T, W, O
        return batch_norm(x, self.norm, rows, relu=True)

    def parts(self) -> tuple[Tensor, Tensor, Tensor]:
        """Edges (K, V, W), projection (K, O, C), and the bias (W, O) of each joint."""
        edges = self.adjacency * self.edge_importance
        K = len(edges)
        weight = self.project.weight.view(K, -1, self.project.in_features)
        return edges, weight, edges.sum(1).t() @ self.project.bias.view(K, -1)

    def folded(self, norm: nn.BatchNorm1d | None, order: Order) -> nn.Module:
        """The evaluation form; with the `norm` of the input, that of the first stage."""
        scale, shift = scale_and_shift(self.norm)
        edges, weight, bias = self.parts()
        weight, bias = weight * scale[:, None], (bias * scale + shift)[order.joints]
        if norm is None:
            edges = edges[:, order.joints][:, :, order.joints]
            return FoldedGraphConv(edges, weight, bias, *order[1:])
        dense = torch.einsum("kvw,koc->wovc", edges[:, :, order.joints], weight)
        before, offset = (part.view(dense.shape[2:]) for part in scale_and_shift(norm))  # V, C
        bias = bias + (dense * offset).sum((2, 3))
        dense = (dense * before).flatten(2).flatten(0, 1)  # W O, V C
        return FoldedFirst(dense, bias.flatten())


class TemporalConv(nn.Module):
    """Convolve each joint over neighbouring frames and normalise; joints do not mix."""

    def __init__(self, channels: int, stride: int):
        super().__init__()
        self.conv = nn.Conv2d(
            channels, channels, (FRAMES_SEEN, 1), (stride, 1), padding=(FRAMES_SEEN // 2, 0)
        )
        self.norm = nn.BatchNorm2d(channels)
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_out", nonlinearity="relu")
        nn.init.zeros_(self.conv.bias)  # pyright: ignore[reportArgumentType] - there is a bias

    def forward(self, x: Tensor, rows: Rows) -> Tensor:
        """(R, T, V, C) -> (R, ceil(T / stride), V, C)."""
        conv = self.conv
        if conv.stride[0] == 1 and pays(x, conv.in_channels):
            assert conv.bias is not None
            return batch_norm(nine_taps(x, conv.weight, conv.bias), self.norm, rows)
        return batch_norm(channels_last(conv(channels_first(x))), self.norm, rows)


class Shortcut(nn.Module):
    """Match the shape of a stage's output: every `stride`-th frame, channels mixed, normalised.

    A strided 1x1 convolution, written as a product: oneDNN's channels-last kernel for it writes
    past its memory below 8 channels (torch 2.13, CPU).
    """

    def __init__(self, channels: int, out_channels: int, stride: int):
        super().__init__()
        self.stride = stride
        self.project = nn.Linear(channels, out_channels)
        self.norm = nn.BatchNorm2d(out_channels)
        nn.init.kaiming_normal_(self.project.weight, mode="fan_out", nonlinearity="relu")
        nn.init.zeros_(self.project.bias)

    def forward(self, x: Tensor, rows: Rows) -> Tensor:
        """(R, T, V, C) -> (R, ceil(T / stride), V, O)."""
        return batch_norm(self.project(x[:, :: self.stride]), self.norm, rows)


class Stage(nn.Module):
    """Graph convolution, then temporal convolution, around which the input may pass unchanged."""

    residual: Shortcut | nn.Identity | None

    def __init__(
        self, adjacency: Tensor, channels: int, out_channels: int, stride: int, residual: bool
    ):
        super().__init__()
        self.graph = GraphConv(adjacency, channels, out_channels)
        self.temporal = TemporalConv(out_channels, stride)
        if not residual:
            self.residual = None
        elif channels == out_channels and stride == 1:
            self.residual = nn.Identity()
        else:
            self.residual = Shortcut(channels, out_channels, stride)

    def forward(self, x: Tensor, rows: Rows) -> Tensor:
        """(R, T, V, C) -> (R, ceil(T / stride), V, O)."""
        fast = kernels.faster(x.device, x.dtype) if self.training else frozenset()
        out = self.by_kernels(x, rows, fast) if fast else self.temporal(self.graph(x, rows), rows)
        if isinstance(self.residual, Shortcut):
            out = out + self.residual(x, rows)
        elif self.residual is not None:
            out = out + x
        return F.relu(out)

    def by_kernels(self, x: Tensor, rows: Rows, fast: frozenset[str]) -> Tensor:
        """Both convolutions and their norms in training, those of `fast` by Triton."""
        graph = kernels.graph if "graph" in fast else kernels.plain_graph
        temporal = kernels.temporal if "temporal" in fast else kernels.plain_temporal
        conv, V = self.temporal.conv, x.shape[2]
        assert conv.bias is not None
        z, mean, var = graph(x, *self.graph.parts())
        scale, shift = factors(mean, var, z.shape[1] * V, self.graph.norm, rows)
        y, mean, var = temporal(z, scale, shift, conv.weight, conv.bias, conv.stride[0])
        scale, shift = factors(mean, var, y.shape[1] * V, self.temporal.norm, rows)
        return kernels.normalised(y, scale, shift)

    def folded(self, norm: nn.BatchNorm1d | None, order: Order) -> FoldedStage:
        """The evaluation form; `norm` is that of the input, before the first stage."""
        conv = self.temporal.conv
        assert conv.bias is not None
        scale, shift = scale_and_shift(self.temporal.norm)
        weight = conv.weight * scale[:, None, None, None]
        bias, shortcut = conv.bias * scale + shift, None
        if isinstance(self.residual, Shortcut):
            scale, shift = scale_and_shift(self.residual.norm)
            shortcut = self.residual.project.weight * scale[:, None]
            bias = bias + self.residual.project.bias * scale + shift
        return FoldedStage(
            self.graph.folded(norm, order),
            weight.contiguous(memory_format=torch.channels_last),
            bias,
            conv.stride[0],
            identity=isinstance(self.residual, nn.Identity),
            shortcut=shortcut,
        )


class STGCN(nn.Module):
    """The whole classifier: clips of skeletons in, one logit per class out.

    Args:
        adjacency: (K, V, V), from joint to joint, as `graph.adjacency` builds it; kept in float32.
        classes: number of classes.
        channels: C of the input, e.g. x, y, score.
        base_channels: width of the first stages; doubled twice.
        dropout: probability with which a pooled feature is dropped in training.
        norm_group: clips that share their batch-norm statistics, at most; None is the whole batch.
        compile_mode: compile training and evaluation, in this mode of `torch.compile` (of
            `COMPILE_MODES`); those but the first and the third replay CUDA graphs. None does not.
    """

    def __init__(
        self,
        adjacency: np.ndarray | Tensor,
        classes: int,
        *,
        channels: int = 3,
        base_channels: int = 64,
        dropout: float = 0.0,
        norm_group: int | None = None,
        compile_mode: str | None = None,
    ):
        super().__init__()
        adjacency = torch.as_tensor(adjacency, dtype=torch.float32)
        self.norm_group, self.compile_mode = norm_group, compile_mode
        self._most_clips = 0  # of a training batch so far
        self._rows_at_once: dict[tuple[Any, ...], int] = {}  # in evaluation, by what it depends on
        self.joints, self.channels = adjacency.shape[-1], channels
        self.data_norm = nn.BatchNorm1d(self.joints * channels)  # feature v C + c
        self.stages = nn.ModuleList()
        width = base_channels
        for number in range(1, STAGES + 1):
            stride = 2 if number in WIDENED else 1
            width *= stride
            self.stages.append(Stage(adjacency, channels, width, stride, residual=number > 1))
            channels = width
        self._folded: tuple[object, Folded] | None = None  # with the state of the weights
        self.dropout = nn.Dropout(dropout)
        self.classify = nn.Linear(width, classes)
        nn.init.normal_(self.classify.weight, std=0.01)
        nn.init.zeros_(self.classify.bias)

    def forward(self, clips: Tensor, present: Tensor | None = None) -> Tensor:
        """Logits (N, classes) of clips (N, M, T, V, C); an absent person is all zero.

        In evaluation without gradients the folded form answers.

        Args:
            clips: (N, M, T, V, C).
            present: (N, M) bool on the CPU, see `persons.distinct`; it may be left out.

        Raises:
            BadInput: the clips have other joints or channels than the model was built for.
        """
        if clips.ndim != 5 or clips.shape[3:] != (self.joints, self.channels):
            raise BadInput(
                f"the model was built for {self.joints} joints and {self.channels} channels, clips"
                f" of (N, M, T, {self.joints}, {self.channels}), but these have the shape"
                f" {tuple(clips.shape)}: choose the skeleton that belongs to the data."
            )
        if not (self.training or torch.is_grad_enabled()):
            at_once = self.rows_at_once(clips)
            if not self.compile_mode:
                return self.folded().distinct(clips, at_once, present)
            features = compiled(Folded.features, self.compile_mode)
            step = -(-at_once // BUCKETS)
            return self.folded().distinct(clips, at_once, present, features=features, step=step)
        N, M = clips.shape[:2]
        self._most_clips = max(self._most_clips, N)
        features, step = STGCN.features, 1
        if self.compile_mode and self._most_clips == N:  # not for the last batch of an epoch
            features = compiled(features, self.compile_mode)
            step = -(-N * M // BUCKETS)
        x, rows = distinct(clips, self.norm_group, step, present)
        x = features(self, x, rows)[rows.of_person].mean(1)  # N, C
        return self.classify(self.dropout(x))

    def rows_at_once(self, clips: Tensor) -> int:
        """How many persons of clips (N, M, T, V, C) evaluation computes together."""
        T, V = clips.shape[2:4]
        key = T, clips.dtype, clips.device
        if key not in self._rows_at_once:
            size = ROWS_BYTES[clips.is_cuda]
            if clips.is_cuda:
                free, _ = torch.cuda.mem_get_info(clips.device)
                free += torch.cuda.memory_reserved(clips.device)
                free -= torch.cuda.memory_allocated(clips.device)
                size = min(size, free // FREE_PART)
            row = T * V * self.first_graph.project.out_features * clips.element_size()
            self._rows_at_once[key] = max(1, size // row)
        return self._rows_at_once[key]

    @property
    def first_graph(self) -> GraphConv:
        """The graph convolution of the first stage; all stages have its adjacency."""
        stage = self.stages[0]
        assert isinstance(stage, Stage)
        return stage.graph

    def features(self, x: Tensor, rows: Rows) -> Tensor:
        """(R, C) of distinct persons (R, T, V, C): the mean over frames and joints."""
        x = batch_norm(x.flatten(2), self.data_norm, rows).view(x.shape)
        for stage in self.stages:
            x = stage(x, rows)
        return x.mean((1, 2))

    def folded(self) -> Folded:
        """The evaluation form of the present weights; built again when they have changed."""
        tensors = [*self.parameters(), *self.buffers()]
        state = [(t.data_ptr(), 0 if t.is_inference() else t._version) for t in tensors]
        if self._folded is None or self._folded[0] != state:
            self._folded = state, self.fold(quick=True)
        return self._folded[1]

    @torch.no_grad()
    def fold(self, *, quick: bool = False) -> Folded:
        """The evaluation form of the present weights.

        The `quick` one leaves out products that are known to be zero, and multiplies less often
        along time where that pays; the other one is for export: fewer and plainer operations.
        """
        order = Order.of(self.first_graph.adjacency, quick)
        with torch.autocast(self.classify.weight.device.type, enabled=False):
            stages = [
                stage.folded(None if i else self.data_norm, order)
                for i, stage in enumerate(self.stages)
                if isinstance(stage, Stage)
            ]
        form = Folded(stages, self.classify.weight.clone(), self.classify.bias.clone())
        return form.quicken() if quick else form


@functools.cache
def compiled(features: Callable[..., Tensor], mode: str) -> Callable[..., Tensor]:
    """`STGCN.features` or `Folded.features`, compiled once for every number of rows that comes."""
    limit = 4 * (BUCKETS + 1)  # of graphs: four models of one process, and a row for the absent
    torch._dynamo.config.recompile_limit = max(limit, torch._dynamo.config.recompile_limit)
    return torch.compile(features, mode=mode, dynamic=False, fullgraph=True)


def forward_macs(model: STGCN, frames: int, persons: int) -> int:
    """Multiply-accumulates of one clip in the paper's formulation, projection before gathering.

    It is the yardstick by which published models are compared, so it counts products and
    convolutions alone and ignores what this implementation saves.
    """
    macs = 0
    for stage in model.stages:
        assert isinstance(stage, Stage)
        V = stage.graph.adjacency.shape[-1]
        KO, C = stage.graph.project.weight.shape
        macs += frames * V * KO * (C + V)  # project, gather: K V V per channel and frame
        frames = -(-frames // stage.temporal.conv.stride[0])
        macs += frames * V * stage.temporal.conv.weight.numel()
        if isinstance(stage.residual, Shortcut):
            macs += frames * V * stage.residual.project.weight.numel()
    return persons * macs + model.classify.weight.numel()
