"""CTR-GCN: every channel of every clip gathers neighbours by a graph of its own.

Source: Chen et al., "Channel-wise Topology Refinement Graph Convolution for Skeleton-Based Action
Recognition", ICCV 2021 (arXiv:2107.12213), in the form of PYSKL and MMAction2 1.2.0, whose weights
map one-to-one to these; shortcuts around stages start as in MMAction2, the only difference of the
two. Against the authors' code, the refined graph is read in the other direction, from sender to
receiver, and the temporal convolution ends with a ReLU.

Axes: N clips, M persons, R = N x M rows, T frames (S = ceil(T / stride) of them come out), V joints
(U as senders, W as receivers), C channels in, O out, K neighbour subsets of the graph, Q channels
of a subset's refinement, b of a branch along time.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from stgcn_lightning.models.parts import (
    DilatedBranch,
    Head,
    LargestBranch,
    Pointwise,
    Shortcut,
    kaiming_fan_out,
    residual_around,
    stage_sizes,
)
from stgcn_lightning.models.staged import Staged, check_width, persons_of

REDUCTION = 8  # of the channels, for the refinement of the graph; Q is 8 where C is small
DILATIONS = (1, 2)  # of the first two branches along time
SEEN = 5  # frames that one output frame of these sees
BRANCHES = len(DILATIONS) + 2

# our name -> that of MMAction2 and PYSKL; the first that fits counts
FOREIGN_NAMES = (
    ("adjacency", "backbone.A"),
    ("data_norm", "backbone.data_bn"),
    ("stages.*.graph.adjacency", "backbone.net.*.gcn1.A"),
    ("stages.*.graph.alpha", "backbone.net.*.gcn1.alpha"),
    ("stages.*.graph.subsets.*.send", "backbone.net.*.gcn1.convs.*.conv1"),
    ("stages.*.graph.subsets.*.receive", "backbone.net.*.gcn1.convs.*.conv2"),
    ("stages.*.graph.subsets.*.project", "backbone.net.*.gcn1.convs.*.conv3"),
    ("stages.*.graph.subsets.*.refine", "backbone.net.*.gcn1.convs.*.conv4"),
    ("stages.*.graph.norm", "backbone.net.*.gcn1.bn"),
    ("stages.*.graph.down.project", "backbone.net.*.gcn1.down.0"),
    ("stages.*.graph.down.norm", "backbone.net.*.gcn1.down.1"),
    ("stages.*.temporal.branches.2.last_norm", "backbone.net.*.tcn1.branches.2.4"),
    ("stages.*.temporal.branches.*.project", "backbone.net.*.tcn1.branches.*.0"),
    ("stages.*.temporal.branches.*.norm", "backbone.net.*.tcn1.branches.*.1"),
    ("stages.*.temporal.branches.*.conv", "backbone.net.*.tcn1.branches.*.3.conv"),
    ("stages.*.temporal.branches.*.last_norm", "backbone.net.*.tcn1.branches.*.3.bn"),
    ("stages.*.residual.project", "backbone.net.*.residual.conv"),
    ("stages.*.residual.norm", "backbone.net.*.residual.bn"),
    ("classify", "cls_head.fc"),
)


class Subset(nn.Module):
    """Project every joint, and gather its neighbours by edges that the clip itself refines."""

    def __init__(self, channels: int, out_channels: int):
        super().__init__()
        few = REDUCTION if channels <= 2 * REDUCTION else channels // REDUCTION
        self.send = Pointwise(channels, few)
        self.receive = Pointwise(channels, few)
        self.project = Pointwise(channels, out_channels)
        self.refine = Pointwise(few, out_channels)

    def forward(self, x: Tensor, edges: Tensor, alpha: Tensor) -> Tensor:
        """(R, C, T, V), edges (U, W), alpha (1,) -> (R, O, T, W)."""
        p, q = self.send(x).mean(2), self.receive(x).mean(2)  # R, Q, V
        differences = torch.tanh(p[..., :, None] - q[..., None, :])  # R, Q, U, W
        edges = alpha * self.refine(differences) + edges  # R, O, U, W
        return torch.einsum("rotu,rouw->rotw", self.project(x), edges)


class GraphConv(nn.Module):
    """The sum of all subsets, and the joint itself."""

    down: Shortcut | nn.Identity

    def __init__(self, adjacency: Tensor, channels: int, out_channels: int):
        super().__init__()
        self.adjacency = nn.Parameter(adjacency.clone())  # K, V, V: from joint, to joint
        self.alpha = nn.Parameter(torch.zeros(1))
        self.subsets = nn.ModuleList(Subset(channels, out_channels) for _ in adjacency)
        self.norm = nn.BatchNorm2d(out_channels)
        self.down = residual_around(channels, out_channels)
        nn.init.constant_(self.norm.weight, 1e-6)

    def forward(self, x: Tensor) -> Tensor:
        """(R, C, T, V) -> (R, O, T, V)."""
        pairs = zip(self.subsets, self.adjacency, strict=True)
        y = torch.stack([subset(x, edges, self.alpha) for subset, edges in pairs]).sum(0)
        return (self.norm(y) + self.down(x)).relu_()


class TemporalConv(nn.Module):
    """Four branches along time, next to each other; joints do not mix."""

    def __init__(self, channels: int, stride: int):
        super().__init__()
        self.stride = stride
        few = channels // BRANCHES
        self.branches = nn.ModuleList(
            DilatedBranch(channels, few, stride, dilation, frames=SEEN, norm_after=True)
            for dilation in DILATIONS
        )
        self.branches.append(LargestBranch(channels, few, stride, norm_after=True))
        rest = channels - few * (BRANCHES - 1)
        self.branches.append(Shortcut(channels, rest, stride))

    def forward(self, x: Tensor) -> Tensor:
        """(R, C, T, V) -> (R, C, S, V)."""
        return torch.cat([branch(x) for branch in self.branches], 1).relu_()


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
        for part in self.modules():
            if isinstance(part, nn.Conv2d | nn.Linear):
                kaiming_fan_out(part)

    def forward(self, x: Tensor) -> Tensor:
        """(R, C, T, V) -> (R, O, S, V)."""
        y = self.temporal(self.graph(x))  # not negative: a ReLU alone would change nothing
        return y if self.residual is None else (y + self.residual(x)).relu_()


class CTRGCN(Staged):
    """The whole classifier: clips of skeletons in, one logit per class out.

    Args:
        adjacency: (K, V, V), from joint to joint, where the learned one of each stage starts; kept
            in float32.
        classes: number of classes.
        channels: C of the input, e.g. x, y, score.
        base_channels: width of the first stages, 4 or more; doubled twice.
        dropout: probability with which a pooled feature is dropped in training.
        persons: M of the clips, whose places are normalised apart.

    Raises:
        BadInput: there are fewer channels than branches.

    Examples:
        >>> model = CTRGCN(torch.ones(3, 17, 17), classes=60, base_channels=4)
        >>> model(torch.zeros(1, 2, 20, 17, 3)).shape  # clips (N, M, T, V, C)
        torch.Size([1, 60])
    """

    title = "a CTR-GCN"
    graphs = ("spatial", "stgcn_spatial")
    foreign_names = FOREIGN_NAMES

    adjacency: Tensor

    def __init__(
        self,
        adjacency: np.ndarray | Tensor,
        classes: int,
        *,
        channels: int = 3,
        base_channels: int = 64,
        dropout: float = 0.0,
        persons: int = 2,
    ):
        check_width(base_channels, BRANCHES, f"some of CTR-GCN's {BRANCHES} branches")
        adjacency = torch.as_tensor(adjacency, dtype=torch.float32)
        sizes, joints = stage_sizes(channels, base_channels), adjacency.shape[-1]
        stages = [Stage(adjacency, *size, residual=i > 0) for i, size in enumerate(sizes)]
        head = Head(stages[-1].graph.norm.num_features, classes, dropout)
        super().__init__(stages, head, joints=joints, channels=channels, persons=persons)
        self.register_buffer("adjacency", adjacency.clone())  # read by nobody, as in the reference

    @classmethod
    def options_of(cls, state: Mapping[str, Tensor]) -> dict[str, Any]:
        """Width and persons of a `state_dict`."""
        channels = state["stages.0.graph.subsets.0.send.weight"].shape[1]
        return super().options_of(state) | {"persons": persons_of(state, channels)}
