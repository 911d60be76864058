"""ST-GCN++: ST-GCN with a learned graph and six branches along time.

Source: Duan et al., "PYSKL: Towards Good Practices for Skeleton Action Recognition", ACM MM 2022
(arXiv:2205.09443), in the form of MMAction2 1.2.0 and PYSKL, whose weights map one-to-one to
these. Against ST-GCN, the adjacency itself is learned, the graph convolution has a residual
inside, and the temporal convolution sees 3, 5, 7 and 9 frames at once, a maximum and the frame
itself.

Axes: N clips, M persons, R = N x M rows, T frames (S = ceil(T / stride) of them come out), V
joints, C channels in, O out, K neighbour subsets of the graph.
"""

import numpy as np
import torch
from torch import Tensor, nn

from stgcn_lightning.models.parts import (
    DilatedBranch,
    Head,
    LargestBranch,
    Pointwise,
    Shortcut,
    SubsetLinear,
    rectified_sum,
    residual_around,
    stage_sizes,
)
from stgcn_lightning.models.staged import Staged, check_width

DILATIONS = (1, 2, 3, 4)  # of the first four branches
BRANCHES = len(DILATIONS) + 2

# our name -> that of MMAction2 and PYSKL; the first that fits counts
FOREIGN_NAMES = (
    ("data_norm", "backbone.data_bn"),
    ("stages.*.graph.adjacency", "backbone.gcn.*.gcn.A"),
    ("stages.*.graph.project", "backbone.gcn.*.gcn.conv"),
    ("stages.*.graph.norm", "backbone.gcn.*.gcn.bn"),
    ("stages.*.graph.down.project", "backbone.gcn.*.gcn.down.0"),
    ("stages.*.graph.down.norm", "backbone.gcn.*.gcn.down.1"),
    ("stages.*.temporal.branches.5", "backbone.gcn.*.tcn.branches.5"),
    ("stages.*.temporal.branches.*.project", "backbone.gcn.*.tcn.branches.*.0"),
    ("stages.*.temporal.branches.*.norm", "backbone.gcn.*.tcn.branches.*.1"),
    ("stages.*.temporal.branches.*.conv", "backbone.gcn.*.tcn.branches.*.3.conv"),
    ("stages.*.temporal.branch_norm", "backbone.gcn.*.tcn.transform.0"),
    ("stages.*.temporal.project", "backbone.gcn.*.tcn.transform.2"),
    ("stages.*.temporal.norm", "backbone.gcn.*.tcn.bn"),
    ("stages.*.residual.project", "backbone.gcn.*.residual.conv"),
    ("stages.*.residual.norm", "backbone.gcn.*.residual.bn"),
    ("classify", "cls_head.fc"),
)


class GraphConv(nn.Module):
    """Gather each joint's neighbours by learned weights, and add the joint itself."""

    down: Shortcut | nn.Identity

    def __init__(self, adjacency: Tensor, channels: int, out_channels: int):
        super().__init__()
        self.adjacency = nn.Parameter(adjacency.clone())  # K, V, V: from joint, to joint
        self.project = SubsetLinear(channels, out_channels, len(adjacency))
        self.norm = nn.BatchNorm2d(out_channels)
        self.down = residual_around(channels, out_channels, kaiming=False)

    def forward(self, x: Tensor) -> Tensor:
        """(R, C, T, V) -> (R, O, T, V)."""
        y = self.norm(self.project(x, self.adjacency))
        return (y + self.down(x)).relu_()


class TemporalConv(nn.Module):
    """Six branches along time, next to each other, then mixed; joints do not mix."""

    def __init__(self, channels: int, stride: int, *, kaiming: bool = True):
        super().__init__()
        self.stride = stride
        few = channels // BRANCHES
        first = channels - few * (BRANCHES - 1)  # the remainder as well
        self.branches = nn.ModuleList(
            DilatedBranch(channels, few if i else first, stride, dilation, kaiming=kaiming)
            for i, dilation in enumerate(DILATIONS)
        )
        self.branches.append(LargestBranch(channels, few, stride))
        self.branches.append(Pointwise(channels, few, stride))
        self.branch_norm = nn.BatchNorm2d(channels)
        self.project = Pointwise(channels, channels)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(R, C, T, V) -> (R, C, S, V)."""
        y = torch.cat([branch(x) for branch in self.branches], 1)
        return self.norm(self.project(self.branch_norm(y).relu_()))


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
        """(R, C, T, V) -> (R, O, S, V)."""
        return rectified_sum(self.temporal(self.graph(x)), self.residual, x)


class STGCNPP(Staged):
    """The whole classifier: clips of skeletons in, one logit per class out.

    Args:
        adjacency: (K, V, V), from joint to joint, where the learned one of each stage starts; kept
            in float32.
        classes: number of classes.
        channels: C of the input, e.g. x, y, score.
        base_channels: width of the first stages, 6 or more; doubled twice.
        dropout: probability with which a pooled feature is dropped in training.

    Raises:
        BadInput: there are fewer channels than branches.

    Examples:
        >>> model = STGCNPP(torch.ones(3, 17, 17), classes=60, base_channels=6)
        >>> model(torch.zeros(1, 2, 20, 17, 3)).shape  # clips (N, M, T, V, C)
        torch.Size([1, 60])
    """

    title = "an ST-GCN++"
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
        check_width(base_channels, BRANCHES, f"some of ST-GCN++'s {BRANCHES} branches")
        adjacency = torch.as_tensor(adjacency, dtype=torch.float32)
        sizes = stage_sizes(channels, base_channels)
        stages = [Stage(adjacency, *size, residual=i > 0) for i, size in enumerate(sizes)]
        head = Head(stages[-1].graph.norm.num_features, classes, dropout)
        super().__init__(stages, head, joints=adjacency.shape[-1], channels=channels)
