"""An ST-GCN whose stages train by kernels: `with_kernels` gives a model's stages that class.

Axes: R rows, T frames, V joints, P positions (frames x joints), F features.
"""

import torch
from torch import Tensor, nn

from kernels import fused_kernels
from stgcn_lightning.engine.norms import RowNorm
from stgcn_lightning.models.parts import channels_first, channels_last
from stgcn_lightning.models.stgcn import STGCN, Stage

KERNELS = frozenset({"graph", "temporal"})


class KernelStage(Stage):
    """A stage that trains by the kernels of `fast`; a `Stage` in float64 and in evaluation."""

    plain_class = Stage
    fast: frozenset[str]

    def forward(self, x: Tensor) -> Tensor:
        """(R, C, T, V) -> (R, O, ceil(T / stride), V)."""
        if not self.training or x.dtype == torch.float64:
            return super().forward(x)
        y = channels_first(self.by_kernels(channels_last(x)))
        if self.residual is not None:
            y = y + self.residual(x)
        return y.relu()

    def by_kernels(self, x: Tensor) -> Tensor:
        """Both convolutions and their norms: (R, T, V, C) -> (R, ceil(T / stride), V, O)."""
        graph = fused_kernels.graph if "graph" in self.fast else fused_kernels.plain_graph
        temporal = (
            fused_kernels.temporal if "temporal" in self.fast else fused_kernels.plain_temporal
        )
        conv, V, edges = self.temporal.conv, x.shape[2], self.graph.edges()
        K, project = len(edges), self.graph.project
        assert conv.bias is not None
        weight = project.weight.view(K, -1, project.in_features)  # K, O, C
        bias = edges.sum(1).t() @ project.bias.view(K, -1)  # W, O
        z, mean, var = graph(x, edges, weight, bias)
        scale, shift = factors(mean, var, z.shape[1] * V, self.graph.norm)
        y, mean, var = temporal(z, scale, shift, conv.weight, conv.bias, conv.stride[0])
        scale, shift = factors(mean, var, y.shape[1] * V, self.temporal.norm)
        return fused_kernels.normalised(y, scale, shift)


def with_kernels(model: STGCN, fast: frozenset[str] = KERNELS) -> STGCN:
    """The model, its stages changed in place; an engine must run it."""
    for stage in model.stages:
        assert isinstance(stage, Stage)
        stage.__class__ = KernelStage
        assert isinstance(stage, KernelStage)
        stage.fast = fast
    return model


def factors(mean: Tensor, var: Tensor, positions: int, norm: nn.Module) -> tuple[Tensor, Tensor]:
    """What a norm multiplies rows by in training, and adds, where their moments are known.

    Args:
        mean: (R, F) of each row over its positions.
        var: (R, F), likewise.
        positions: P.
        norm: that an engine converted; its running statistics move.

    Returns:
        Twice (R, F); the moments take part in differentiation.
    """
    assert isinstance(norm, RowNorm)
    rows = norm.current.rows
    assert rows is not None
    with torch.autocast(mean.device.type, enabled=False):
        share = rows.share.to(mean.dtype)
        group_mean = share @ mean
        group_var = share @ (var + (mean - group_mean[rows.group]).square())
        scale = norm.weight * (group_var + norm.eps).rsqrt()
        shift = norm.bias - group_mean * scale
    norm._move(group_mean, group_var, rows.persons * positions)
    return scale[rows.group], shift[rows.group]
