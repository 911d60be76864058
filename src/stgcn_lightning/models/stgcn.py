"""ST-GCN: graph convolutions over joints alternating with convolutions over time.

Source: Yan et al., "Spatial Temporal Graph Convolutional Networks for Skeleton-Based Action
Recognition", AAAI 2018 (arXiv:1801.07455), in the form of MMAction2 1.2.0, whose weights map
one-to-one to these: its depth, residuals, initialisation, one norm of the input for all persons.

Axes: N clips, M persons, R = N x M rows, T frames, V joints (W as receivers), C channels in, O
out, K neighbour subsets of the graph.
"""

import numpy as np
import torch
from torch import Tensor, nn

from stgcn_lightning.models.parts import (
    Head,
    Shortcut,
    SubsetLinear,
    rectified_sum,
    residual_around,
    stage_sizes,
    time_conv,
)
from stgcn_lightning.models.staged import Staged

FRAMES_SEEN = 9  # by one temporal convolution, and by AAGCN's attention to frames

# our name -> that of MMAction2 and PYSKL
FOREIGN_NAMES = (
    ("data_norm", "backbone.data_bn"),
    ("stages.*.graph.adjacency", "backbone.gcn.*.gcn.A"),
    ("stages.*.graph.edge_importance", "backbone.gcn.*.gcn.PA"),
    ("stages.*.graph.project", "backbone.gcn.*.gcn.conv"),
    ("stages.*.graph.norm", "backbone.gcn.*.gcn.bn"),
    ("stages.*.temporal.conv", "backbone.gcn.*.tcn.conv"),
    ("stages.*.temporal.norm", "backbone.gcn.*.tcn.bn"),
    ("stages.*.residual.project", "backbone.gcn.*.residual.conv"),
    ("stages.*.residual.norm", "backbone.gcn.*.residual.bn"),
    ("classify", "cls_head.fc"),
)


class GraphConv(nn.Module):
    """Gather each joint's neighbours with one learned importance per edge; frames do not mix."""

    adjacency: Tensor

    def __init__(self, adjacency: Tensor, channels: int, out_channels: int):
        super().__init__()
        self.register_buffer("adjacency", adjacency.clone())  # K, V, V: from joint, to joint
        self.edge_importance = nn.Parameter(torch.ones_like(adjacency))
        self.project = SubsetLinear(channels, out_channels, len(adjacency))
        self.norm = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """(R, C, T, V) -> (R, O, T, V)."""
        return self.norm(self.project(x, self.edges())).relu_()

    def edges(self) -> Tensor:
        """(K, V, W): the weight with which joint w receives from joint v."""
        return self.adjacency * self.edge_importance


class TemporalConv(nn.Module):
    """Convolve each joint over neighbouring frames and normalise; joints do not mix."""

    def __init__(self, channels: int, stride: int):
        super().__init__()
        self.conv = time_conv(channels, FRAMES_SEEN, stride=stride)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(R, C, T, V) -> (R, C, ceil(T / stride), V)."""
        return self.norm(self.conv(x))


class Stage(nn.Module):
    """Graph convolution, then temporal convolution, with a residual around both."""

    residual: Shortcut | nn.Identity | None

    def __init__(
        self, adjacency: Tensor, channels: int, out_channels: int, stride: int, residual: bool
    ):
        super().__init__()
        self.graph = GraphConv(adjacency, channels, out_channels)
        self.temporal = TemporalConv(out_channels, stride)
        self.residual = residual_around(channels, out_channels, stride) if residual else None

    def forward(self, x: Tensor) -> Tensor:
        """(R, C, T, V) -> (R, O, ceil(T / stride), V)."""
        return rectified_sum(self.temporal(self.graph(x)), self.residual, x)


class STGCN(Staged):
    """The whole classifier: clips of skeletons in, one logit per class out.

    Args:
        adjacency: (K, V, V), from joint to joint, as `graph.adjacency` builds it; kept in float32.
        classes: number of classes.
        channels: C of the input, e.g. x, y, score.
        base_channels: width of the first stages; doubled twice.
        dropout: probability with which a pooled feature is dropped in training.

    Examples:
        >>> model = STGCN(torch.ones(3, 17, 17), classes=60, base_channels=4)
        >>> model(torch.zeros(1, 2, 20, 17, 3)).shape  # clips (N, M, T, V, C)
        torch.Size([1, 60])
    """

    title = "an ST-GCN"
    foreign_names = FOREIGN_NAMES

    def __init__(
        self,
        adjacency: np.ndarray | Tensor,
        classes: int,
        *,
        channels: int = 3,
        base_channels: int = 64,
        dropout: float = 0.0,
    ):
        adjacency = torch.as_tensor(adjacency, dtype=torch.float32)
        sizes = stage_sizes(channels, base_channels)
        stages = [Stage(adjacency, *size, residual=i > 0) for i, size in enumerate(sizes)]
        head = Head(stages[-1].graph.norm.num_features, classes, dropout)
        super().__init__(stages, head, joints=adjacency.shape[-1], channels=channels)

    def learned_edges(self) -> Tensor:
        """(stages, K, V, W): the adjacency of each stage times its edges' importance."""
        stages = [stage for stage in self.stages if isinstance(stage, Stage)]
        return torch.stack([stage.graph.edges().detach() for stage in stages])
