"""MS-G3D: joints at every distance apart, and graphs that reach across frames.

Source: Liu et al., "Disentangling and Unifying Graph Convolutions for Skeleton-Based Action
Recognition", CVPR 2020 (arXiv:2003.14111), in the form of PYSKL, whose weights map one-to-one to
these. Against ST-GCN, a graph has a matrix for every distance between joints, to which a learned
one is added; beside the graph and two temporal convolutions, each of the three stages joins the
joints of 3 and of 5 neighbouring frames to one graph. Places of persons are normalised apart.

Axes: N clips, M persons, R = N x M rows, T frames (S = ceil(T / stride) of them come out), V
joints, C channels in, O out, E between, K distances, F frames of a window, U = F V its nodes (node
f V + v), W receivers.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stgcn_lightning.models.parts import (
    DilatedBranch,
    Head,
    LargestBranch,
    Pointwise,
    Shortcut,
    channels_first,
    channels_last,
    residual_around,
)
from stgcn_lightning.models.staged import Staged, check_width, persons_of

STRIDES = (1, 2, 2)  # of the stages; a strided one doubles the channels
DISTANCES = 13  # 0 to 12 edges, within a frame
WINDOW_DISTANCES = 6
WINDOWS = (3, 5)  # frames
DILATIONS = (1, 2, 3, 4)  # of the first four branches
BRANCHES = len(DILATIONS) + 2
OFFSET = 1e-6  # of a learned edge at the start, at most

# of a temporal convolution, our name -> that of PYSKL; the first that fits counts
TEMPORAL_NAMES = (
    ("branches.4.last_norm", "branches.4.4"),
    ("branches.*.project", "branches.*.0"),
    ("branches.*.norm", "branches.*.1"),
    ("branches.*.conv", "branches.*.3.conv"),
    ("branches.*.last_norm", "branches.*.3.bn"),
    ("residual.project", "residual.conv"),
    ("residual.norm", "residual.bn"),
)
GRAPH_NAMES = (
    ("adjacency", "A"),
    ("edge_offset", "PA"),
    ("project", "mlp.layers.0"),
    ("norm", "mlp.layers.1"),
)
STAGE_NAMES = (  # {} is the stage, counted from 0 and from 1
    *((f"stages.{{}}.graph.{a}", f"backbone.sgcn{{}}.0.{b}") for a, b in GRAPH_NAMES),
    *((f"stages.{{}}.first.{a}", f"backbone.sgcn{{}}.1.{b}") for a, b in TEMPORAL_NAMES),
    *((f"stages.{{}}.second.{a}", f"backbone.sgcn{{}}.2.{b}") for a, b in TEMPORAL_NAMES),
    *(
        (f"stages.{{}}.windows.*.graph.{a}", f"backbone.gcn3d{{}}.gcn3d.*.gcn3d.1.{b}")
        for a, b in GRAPH_NAMES
    ),
    ("stages.{}.windows.*.collapse", "backbone.gcn3d{}.gcn3d.*.out_conv"),
    ("stages.{}.windows.*.norm", "backbone.gcn3d{}.gcn3d.*.out_bn"),
    *((f"stages.{{}}.last.{a}", f"backbone.tcn{{}}.{b}") for a, b in TEMPORAL_NAMES),
)
FOREIGN_NAMES = (
    ("adjacency", "backbone.A"),
    ("data_norm", "backbone.data_bn"),
    *((a.format(i), b.format(i + 1)) for i in range(len(STRIDES)) for a, b in STAGE_NAMES),
    ("classify", "cls_head.fc"),
)


def by_distance(joined: Tensor, distances: int) -> Tensor:
    """A graph for every distance: from joints just so many edges away, and from the joint itself.

    Args:
        joined: (V, V) bool, symmetric, where there is an edge.
        distances: K, counted from 0.

    Returns:
        (K, V, V) float32, from joint to joint; what each receives in a graph sums to 1.
    """
    itself = torch.eye(len(joined), dtype=torch.float64)
    step = joined + itself
    graphs, reached = [itself], itself
    for _ in range(1, distances):
        further = (reached @ step > 0).double()
        graphs.append(further - reached + itself)
        reached = further
    made = torch.stack(graphs)
    return (made / made.sum(1, keepdim=True)).float()


class GraphConv(nn.Module):
    """Gather from each distance apart, by given plus learned edges, and mix all that is gathered.

    Args:
        adjacency: (K, V, V), from joint to joint.
        channels: C.
        out_channels: O.
    """

    adjacency: Tensor

    def __init__(self, adjacency: Tensor, channels: int, out_channels: int):
        super().__init__()
        self.register_buffer("adjacency", adjacency)  # K, V, V: from joint, to joint
        self.edge_offset = nn.Parameter(torch.empty_like(adjacency).uniform_(-OFFSET, OFFSET))
        self.project = Pointwise(len(adjacency) * channels, out_channels)
        self.norm = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """(R, C, T, V) -> (R, O, T, V)."""
        edges = self.edges()
        gather = edges.permute(2, 0, 1).flatten(0, 1)  # W K, V
        x = (gather @ channels_last(x)).unflatten(2, (-1, len(edges)))  # R, T, W, K, C
        return self.norm(self.project(channels_first(x.flatten(3)))).relu_()

    def edges(self) -> Tensor:
        """(K, V, W): the weight with which joint w receives from joint v."""
        return self.adjacency + self.edge_offset


class WindowConv(nn.Module):
    """Let the joints of neighbouring frames be one graph, then bring them back to one frame.

    Args:
        joined: (V, V) bool, symmetric, where there is an edge.
        frames: F.
        channels: C.
        between: E.
        out_channels: O.
        stride: frames from one window to the next.
    """

    def __init__(
        self,
        joined: Tensor,
        frames: int,
        channels: int,
        between: int,
        out_channels: int,
        stride: int,
    ):
        super().__init__()
        self.frames, self.stride = frames, stride
        # a joint is joined with itself and its neighbours in all frames
        near = joined | torch.eye(len(joined), dtype=torch.bool)
        adjacency = by_distance(near.repeat(frames, frames), WINDOW_DISTANCES)
        self.graph = GraphConv(adjacency, channels, between)
        self.collapse = nn.Conv3d(between, out_channels, (1, frames, 1))
        self.norm = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """(R, C, T, V) -> (R, O, S, V)."""
        V, around = x.shape[3], self.frames // 2
        x = F.pad(x, (0, 0, around, around)).unfold(2, self.frames, self.stride)  # R, C, S, V, F
        y = self.graph(x.transpose(3, 4).flatten(3))  # R, E, S, U
        return self.norm(self.collapse(y.unflatten(3, (-1, V))).squeeze(3))


class TemporalConv(nn.Module):
    """Six branches along time, next to each other, with a residual around; joints do not mix."""

    residual: Shortcut | nn.Identity

    def __init__(self, channels: int, out_channels: int, stride: int = 1, *, rectify: bool = True):
        super().__init__()
        few = out_channels // BRANCHES
        self.branches = nn.ModuleList(
            DilatedBranch(channels, few, stride, dilation, norm_after=True, kaiming=False)
            for dilation in DILATIONS
        )
        self.branches.append(LargestBranch(channels, few, stride, norm_after=True))
        rest = out_channels - few * (BRANCHES - 1)
        self.branches.append(Shortcut(channels, rest, stride, kaiming=False))
        self.residual = residual_around(channels, out_channels, stride, kaiming=False)
        self.rectify = rectify

    def forward(self, x: Tensor) -> Tensor:
        """(R, C, T, V) -> (R, O, S, V)."""
        y = torch.cat([branch(x) for branch in self.branches], 1) + self.residual(x)
        return y.relu_() if self.rectify else y


class Stage(nn.Module):
    """A graph and two temporal convolutions beside windows, then a temporal convolution."""

    def __init__(self, joined: Tensor, channels: int, out_channels: int, stride: int):
        super().__init__()
        between = channels if stride > 1 else out_channels
        self.graph = GraphConv(by_distance(joined, DISTANCES), channels, between)
        self.first = TemporalConv(between, out_channels, stride)
        self.second = TemporalConv(out_channels, out_channels, rectify=False)
        self.windows = nn.ModuleList(
            WindowConv(joined, frames, channels, between, out_channels, stride)
            for frames in WINDOWS
        )
        self.last = TemporalConv(out_channels, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """(R, C, T, V) -> (R, O, S, V)."""
        y = self.second(self.first(self.graph(x)))
        for window in self.windows:
            y = y + window(x)
        return self.last(y.relu_())


class MSG3D(Staged):
    """The whole classifier: clips of skeletons in, one logit per class out.

    Args:
        adjacency: (K, V, V), from joint to joint; joints are joined where any entry is other than
            zero. The weights of edges follow from the distances between joints.
        classes: number of classes.
        channels: C of the input, e.g. x, y, score.
        base_channels: width of the first stage, 6 or more; doubled twice.
        dropout: probability with which a pooled feature is dropped in training.
        persons: M of the clips.

    Raises:
        BadInput: there are fewer channels than branches.

    Examples:
        >>> model = MSG3D(torch.ones(1, 17, 17), classes=60, base_channels=6)
        >>> model(torch.zeros(1, 2, 20, 17, 3)).shape  # clips (N, M, T, V, C)
        torch.Size([1, 60])
    """

    title = "an MS-G3D"
    graphs = ("binary_adj",)
    foreign_names = FOREIGN_NAMES

    adjacency: Tensor

    def __init__(
        self,
        adjacency: np.ndarray | Tensor,
        classes: int,
        *,
        channels: int = 3,
        base_channels: int = 96,
        dropout: float = 0.0,
        persons: int = 2,
    ):
        check_width(base_channels, BRANCHES, f"some of MS-G3D's {BRANCHES} branches")
        joined = (torch.as_tensor(adjacency) != 0).any(0)
        joined = (joined | joined.T).fill_diagonal_(False)
        stages, inside, width = [], channels, base_channels
        for stride in STRIDES:
            width *= stride
            stages.append(Stage(joined, inside, width, stride))
            inside = width
        head = Head(width, classes, dropout)
        super().__init__(stages, head, joints=len(joined), channels=channels, persons=persons)
        self.register_buffer("adjacency", joined.float())  # V, V: of which skeleton the weights are

    def learned_edges(self) -> Tensor:
        """(stages, 1, V, W): edges of the skeleton within a frame, in units of the given weight."""
        edges = []
        for stage in self.stages:
            assert isinstance(stage, Stage)
            given, now = (one[1].detach() for one in (stage.graph.adjacency, stage.graph.edges()))
            edges.append(torch.where(given > 0, now / given, 0))
        return torch.stack(edges)[:, None]

    @classmethod
    def options_of(cls, state: Mapping[str, Tensor]) -> dict[str, Any]:
        """Width and persons of a `state_dict`."""
        channels = state["stages.0.graph.project.weight"].shape[1] // DISTANCES
        return super().options_of(state) | {"persons": persons_of(state, channels)}
