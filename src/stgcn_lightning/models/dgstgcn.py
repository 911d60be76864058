"""DG-STGCN: no skeleton at all; who listens to whom is learned, and follows from the clip.

Source: Duan et al., "DG-STGCN: Dynamic Spatial-Temporal Modeling for Skeleton-based Action
Recognition", 2022 (arXiv:2210.05895), in the form of PYSKL, whose weights map one-to-one to these.
Every stage has a graph for every one of its middle channels. It is the sum of a learned one, of
differences and of products between what joints are on average over the clip. Along time, a joint
more, the mean of all, goes through the branches of ST-GCN++ and is added to each.

Axes: N clips, M persons, R = N x M rows, T frames (S = ceil(T / stride) of them come out), V
joints (W as receivers), C channels in, O out, K subsets of m channels each, numbered k m + c.
"""

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from stgcn_lightning.models import stgcnpp
from stgcn_lightning.models.parts import (
    Head,
    Pointwise,
    Shortcut,
    rectified_sum,
    residual_around,
    stage_sizes,
)
from stgcn_lightning.models.staged import Staged, check_width

SUBSETS = 8  # K
MEAN, STD = 0.04, 0.02  # of the edges at their start
MOST_JOINTS = 25  # PYSKL weighs the mean joint for so many joints, whatever V is

# our name -> that of PYSKL; the first that fits counts
FOREIGN_NAMES = (
    ("data_norm", "backbone.data_bn"),
    ("stages.*.graph.adjacency", "backbone.gcn.*.gcn.A"),
    ("stages.*.graph.difference", "backbone.gcn.*.gcn.alpha"),
    ("stages.*.graph.product", "backbone.gcn.*.gcn.beta"),
    ("stages.*.graph.spread", "backbone.gcn.*.gcn.pre.0"),
    ("stages.*.graph.spread_norm", "backbone.gcn.*.gcn.pre.1"),
    ("stages.*.graph.sender", "backbone.gcn.*.gcn.conv1"),
    ("stages.*.graph.receiver", "backbone.gcn.*.gcn.conv2"),
    ("stages.*.graph.project", "backbone.gcn.*.gcn.post"),
    ("stages.*.temporal.of_mean", "backbone.gcn.*.tcn.add_coeff"),
    *(pair for pair in stgcnpp.FOREIGN_NAMES if pair[0].startswith("stages.")),
    ("classify", "cls_head.fc"),
)


class GraphConv(nn.Module):
    """Every channel is sent along a graph of its own, which depends on the clip."""

    down: Shortcut | nn.Identity

    def __init__(self, start: Tensor, channels: int, out_channels: int):
        super().__init__()
        middle = SUBSETS * (out_channels // SUBSETS)  # K m
        self.adjacency = nn.Parameter(start.clone())  # K, V, W: from joint, to joint
        # PYSKL has a weight for every subset, and uses the first for all
        self.difference = nn.Parameter(torch.zeros(SUBSETS))
        self.product = nn.Parameter(torch.zeros(SUBSETS))
        self.spread = Pointwise(channels, middle)
        self.spread_norm = nn.BatchNorm2d(middle)
        self.sender = Pointwise(channels, middle)
        self.receiver = Pointwise(channels, middle)
        self.project = Pointwise(middle, out_channels)
        self.norm = nn.BatchNorm2d(out_channels)
        self.down = residual_around(channels, out_channels, kaiming=False)

    def forward(self, x: Tensor) -> Tensor:
        """(R, C, T, V) -> (R, O, T, W)."""
        return self.along(x, self.relations(x))

    def relations(self, x: Tensor) -> Tensor:
        """What a clip adds to the graph: (R, C, T, V) -> (R, K, m, V, W)."""
        # the softmax's argument is a long sum: in float32
        with torch.autocast("cuda" if x.is_cuda else "cpu", enabled=False):
            p, q = (
                self.on_average(layer, x).to(layer.weight.dtype).unflatten(1, (SUBSETS, -1))
                for layer in (self.sender, self.receiver)
            )  # R, K, m, V
            differences = (p[..., None] - q[..., None, :]).tanh()
            products = torch.einsum("rkcv,rkcw->rkvw", p, q).softmax(-2)  # of what a joint hears
            return self.difference[0] * differences + self.product[0] * products[:, :, None]

    def on_average(self, layer: Pointwise, x: Tensor) -> Tensor:
        """A layer of the mean over frames: (R, C, T, V) -> (R, K m, V)."""
        return layer(x.mean(2, keepdim=True).to(layer.weight.dtype))[:, :, 0]

    def along(self, x: Tensor, relations: Tensor) -> Tensor:
        """Send along given relations: (R, C, T, V), (R, K, m, V, W) -> (R, O, T, W)."""
        sent = self.spread_norm(self.spread(x)).relu_().unflatten(1, (SUBSETS, -1))
        edges = self.adjacency[:, None] + relations  # R, K, m, V, W
        y = torch.einsum("rkctv,rkcvw->rkctw", sent, edges.to(sent.dtype)).flatten(1, 2)
        return (self.norm(self.project(y)) + self.down(x)).relu_()


class TemporalConv(stgcnpp.TemporalConv):
    """Six branches along time, which a joint more goes through: the mean of all."""

    def __init__(self, channels: int, stride: int, joints: int):
        super().__init__(channels, stride, kaiming=False)
        self.of_mean = nn.Parameter(torch.zeros(max(MOST_JOINTS, joints)))

    def forward(self, x: Tensor) -> Tensor:
        """(R, C, T, V) -> (R, C, S, V)."""
        x = torch.cat([x, x.mean(3, keepdim=True)], 3)  # R, C, T, V + 1
        y = torch.cat([branch(x) for branch in self.branches], 1)
        y = y[..., :-1] + y[..., -1:] * self.of_mean[: y.shape[3] - 1]  # R, C, S, V
        return self.norm(self.project(self.branch_norm(y).relu_()))


class Stage(nn.Module):
    """Graph convolution, then temporal convolution, with a residual around both."""

    residual: Shortcut | nn.Identity | None

    def __init__(
        self, graph: GraphConv, channels: int, out_channels: int, stride: int, first: bool
    ):
        super().__init__()
        self.graph = graph
        self.temporal = TemporalConv(out_channels, stride, graph.adjacency.shape[-1])
        around = residual_around(channels, out_channels, stride, kaiming=False)
        self.residual = None if first else around

    def forward(self, x: Tensor) -> Tensor:
        """(R, C, T, V) -> (R, O, S, V)."""
        return self.after_graph(self.graph(x), x)

    def after_graph(self, y: Tensor, x: Tensor) -> Tensor:
        """What the graph made (R, O, T, V) of the stage's input (R, C, T, V) -> (R, O, S, V)."""
        return rectified_sum(self.temporal(y), self.residual, x)


class DGSTGCN(Staged):
    """The whole classifier: clips of skeletons in, one logit per class out.

    Args:
        adjacency: (0, V, V): of the skeleton, the number of joints alone counts.
        classes: number of classes.
        channels: C of the input, e.g. x, y, score.
        base_channels: width of the first stages, 8 or more; doubled twice.
        dropout: probability with which a pooled feature is dropped in training.

    Raises:
        BadInput: there are fewer channels than subsets.

    Examples:
        >>> model = DGSTGCN(torch.zeros(0, 17, 17), classes=60, base_channels=8)
        >>> model(torch.zeros(1, 2, 20, 17, 3)).shape  # clips (N, M, T, V, C)
        torch.Size([1, 60])
    """

    title = "a DG-STGCN"
    graphs = ("none",)
    foreign_names = FOREIGN_NAMES
    graph_conv: ClassVar[type[GraphConv]] = GraphConv

    def __init__(
        self,
        adjacency: np.ndarray | Tensor,
        classes: int,
        *,
        channels: int = 3,
        base_channels: int = 64,
        dropout: float = 0.0,
    ):
        check_width(base_channels, SUBSETS, f"some of the {SUBSETS} graphs of {self.title}")
        joints = adjacency.shape[-1]
        start = torch.empty(SUBSETS, joints, joints).normal_(MEAN, STD)  # of every stage
        stages = [
            Stage(self.graph_conv(start, *size[:2]), *size, first=i == 0)
            for i, size in enumerate(stage_sizes(channels, base_channels))
        ]
        head = Head(stages[-1].graph.norm.num_features, classes, dropout)
        super().__init__(stages, head, joints=joints, channels=channels)
