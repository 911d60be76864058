"""AGCN and AAGCN: graphs that a clip bends to itself, and attention to joints, frames and channels.

Sources: Shi et al., "Two-Stream Adaptive Graph Convolutional Networks for Skeleton-Based Action
Recognition", CVPR 2019 (arXiv:1805.07694), and "Skeleton-Based Action Recognition with Multi-Stream
Adaptive Graph Convolutional Networks", IEEE TIP 2020 (arXiv:1912.06971), in the form of MMAction2
1.2.0, which publishes AGCN as `2s-agcn`, and of PYSKL, which publishes AAGCN; their weights map
one-to-one to these. Where the two differ, in the start of the residual around a stage, this is
MMAction2's. Against the papers, edges are added by a tanh instead of a softmax.

Axes: N clips, M persons, R = N x M rows, T frames, V joints (W as receivers), C channels in, O
out, E = O / 4 embedded, K = 3 neighbour subsets of the graph.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from stgcn_lightning.models.parts import (
    Head,
    Pointwise,
    Shortcut,
    channels_first,
    channels_last,
    kaiming_fan_out,
    rectified_sum,
    residual_around,
    stage_sizes,
)
from stgcn_lightning.models.staged import Staged, check_width, persons_of
from stgcn_lightning.models.stgcn import FRAMES_SEEN, TemporalConv

EMBEDDED = 4  # of so many channels out, one is embedded

# our name -> that of MMAction2 and PYSKL
FOREIGN_NAMES = (
    ("adjacency", "backbone.A"),
    ("data_norm", "backbone.data_bn"),
    ("stages.*.graph.adjacency", "backbone.gcn.*.gcn.A"),
    ("stages.*.graph.strength", "backbone.gcn.*.gcn.alpha"),
    ("stages.*.graph.sender.*", "backbone.gcn.*.gcn.conv_a.*"),
    ("stages.*.graph.receiver.*", "backbone.gcn.*.gcn.conv_b.*"),
    ("stages.*.graph.project.*", "backbone.gcn.*.gcn.conv_d.*"),
    ("stages.*.graph.norm", "backbone.gcn.*.gcn.bn"),
    ("stages.*.graph.down.project", "backbone.gcn.*.gcn.down.0"),
    ("stages.*.graph.down.norm", "backbone.gcn.*.gcn.down.1"),
    ("stages.*.attention.joints", "backbone.gcn.*.gcn.conv_sa"),
    ("stages.*.attention.frames", "backbone.gcn.*.gcn.conv_ta"),
    ("stages.*.attention.squeeze", "backbone.gcn.*.gcn.fc1c"),
    ("stages.*.attention.excite", "backbone.gcn.*.gcn.fc2c"),
    ("stages.*.temporal.conv", "backbone.gcn.*.tcn.conv"),
    ("stages.*.temporal.norm", "backbone.gcn.*.tcn.bn"),
    ("stages.*.residual.project", "backbone.gcn.*.residual.conv"),
    ("stages.*.residual.norm", "backbone.gcn.*.residual.bn"),
    ("classify", "cls_head.fc"),
)


class GraphConv(nn.Module):
    """Gather each joint's neighbours by learned weights and by how alike two joints move."""

    down: Shortcut | nn.Identity

    def __init__(self, adjacency: Tensor, channels: int, out_channels: int):
        super().__init__()
        K, embedded = len(adjacency), out_channels // EMBEDDED
        self.adjacency = nn.Parameter(adjacency.clone())  # K, V, V: from joint, to joint
        self.strength = nn.Parameter(torch.zeros(1))  # of what the clip itself adds to it
        send, receive, project = (
            [Pointwise(channels, width) for _ in range(K)]
            for width in (embedded, embedded, out_channels)
        )
        self.sender, self.receiver = nn.ModuleList(send), nn.ModuleList(receive)
        self.project = nn.ModuleList(project)
        self.norm = nn.BatchNorm2d(out_channels)
        self.down = residual_around(channels, out_channels)
        for embed in (*send, *receive):
            kaiming_fan_out(embed)
        for one in project:
            nn.init.normal_(one.weight, std=(2 / (K * out_channels * channels)) ** 0.5)
            nn.init.zeros_(one.bias)
        nn.init.constant_(self.norm.weight, 1e-6)

    def forward(self, x: Tensor) -> Tensor:
        """(R, C, T, V) -> (R, O, T, V)."""
        gathered = [edges.mT[:, None] @ channels_last(x) for edges in self.edges(x)]  # R, T, W, C
        pairs = zip(self.project, gathered, strict=True)
        y = sum(project(channels_first(one)) for project, one in pairs)
        return (self.norm(y) + self.down(x)).relu_()

    def edges(self, x: Tensor) -> list[Tensor]:
        """K of (R, V, W): the weight with which joint w of a person receives from joint v."""
        return [
            adjacency + self.strength * alike(send(x), receive(x)).tanh()
            for adjacency, send, receive in zip(
                self.adjacency, self.sender, self.receiver, strict=True
            )
        ]


def alike(a: Tensor, b: Tensor) -> Tensor:
    """Mean over channels and frames of products: twice (R, E, T, V) -> (R, V, W)."""
    _, E, T, _ = a.shape
    return torch.einsum("retv,retw->rvw", a, b) / (E * T)


class Attention(nn.Module):
    """Let some joints, then frames, then channels count up to twice."""

    def __init__(self, channels: int, joints: int):
        super().__init__()
        seen = joints - (joints + 1) % 2  # odd
        self.joints = nn.Conv1d(channels, 1, seen, padding=seen // 2)
        self.frames = nn.Conv1d(channels, 1, FRAMES_SEEN, padding=FRAMES_SEEN // 2)
        self.squeeze = nn.Linear(channels, channels // 2)
        self.excite = nn.Linear(channels // 2, channels)
        nn.init.xavier_normal_(self.joints.weight)
        nn.init.normal_(self.squeeze.weight, std=(2 / channels) ** 0.5)
        nn.init.zeros_(self.frames.weight)
        nn.init.zeros_(self.excite.weight)
        for part in (self.joints, self.frames, self.squeeze, self.excite):
            assert part.bias is not None
            nn.init.zeros_(part.bias)

    def forward(self, y: Tensor) -> Tensor:
        """(R, O, T, V) -> the same."""
        y = y + y * self.joints(y.mean(2)).sigmoid()[:, :, None]
        y = y + y * self.frames(y.mean(3)).sigmoid()[..., None]
        weights = self.excite(self.squeeze(y.mean((2, 3))).relu_()).sigmoid()  # R, O
        return y + y * weights[..., None, None]


class Stage(nn.Module):
    """Graph convolution, attention, temporal convolution, and a residual around all."""

    attention: Attention | None
    residual: Shortcut | nn.Identity | None

    def __init__(
        self,
        adjacency: Tensor,
        channels: int,
        out_channels: int,
        stride: int,
        *,
        attention: bool,
        residual: bool,
    ):
        super().__init__()
        self.graph = GraphConv(adjacency, channels, out_channels)
        self.attention = Attention(out_channels, adjacency.shape[-1]) if attention else None
        self.temporal = TemporalConv(out_channels, stride)
        self.residual = residual_around(channels, out_channels, stride) if residual else None

    def forward(self, x: Tensor) -> Tensor:
        """(R, C, T, V) -> (R, O, ceil(T / stride), V)."""
        y = self.graph(x)
        if self.attention is not None:
            y = self.attention(y)
        return rectified_sum(self.temporal(y), self.residual, x)


class AGCN(Staged):
    """The whole classifier without attention: clips of skeletons in, one logit per class out.

    Args:
        adjacency: (K, V, V), from joint to joint, where the learned one of each stage starts; kept
            in float32.
        classes: number of classes.
        channels: C of the input, e.g. x, y, score.
        base_channels: width of the first stages, 4 or more; doubled twice.
        persons: M of the clips, whose places are normalised apart.
        dropout: probability with which a pooled feature is dropped in training.

    Raises:
        BadInput: there are too few channels to be embedded.

    Examples:
        >>> model = AGCN(torch.ones(3, 17, 17), classes=60, base_channels=4)
        >>> model(torch.zeros(1, 2, 20, 17, 3)).shape  # clips (N, M, T, V, C)
        torch.Size([1, 60])
    """

    title = "an AGCN"
    graphs = ("spatial", "stgcn_spatial")
    foreign_names = tuple(pair for pair in FOREIGN_NAMES if "attention" not in pair[0])
    attention: ClassVar[bool] = False

    adjacency: Tensor

    def __init__(
        self,
        adjacency: np.ndarray | Tensor,
        classes: int,
        *,
        channels: int = 3,
        base_channels: int = 64,
        persons: int = 2,
        dropout: float = 0.0,
    ):
        embeddings = f"the embeddings of {self.title}, a quarter of them"
        check_width(base_channels, EMBEDDED, embeddings)
        adjacency = torch.as_tensor(adjacency, dtype=torch.float32)
        stages = [
            Stage(adjacency, *size, attention=self.attention, residual=i > 0)
            for i, size in enumerate(stage_sizes(channels, base_channels))
        ]
        head = Head(stages[-1].graph.norm.num_features, classes, dropout)
        joints = adjacency.shape[-1]
        super().__init__(stages, head, joints=joints, channels=channels, persons=persons)
        self.register_buffer("adjacency", adjacency.clone())  # tells the skeleton, is not read

    @classmethod
    def options_of(cls, state: Mapping[str, Tensor]) -> dict[str, Any]:
        """Width and persons of a `state_dict`."""
        channels = state["stages.0.graph.sender.0.weight"].shape[1]
        return super().options_of(state) | {"persons": persons_of(state, channels)}


class AAGCN(AGCN):
    """`AGCN` with attention to joints, frames and channels in every stage.

    Examples:
        >>> model = AAGCN(torch.ones(3, 17, 17), classes=60, base_channels=4)
        >>> model(torch.zeros(1, 2, 20, 17, 3)).shape  # clips (N, M, T, V, C)
        torch.Size([1, 60])
    """

    title = "an AAGCN"
    foreign_names = FOREIGN_NAMES
    attention = True
