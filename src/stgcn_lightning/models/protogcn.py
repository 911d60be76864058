"""ProtoGCN: DG-STGCN, wider, whose graphs are trained to tell classes apart by prototypes.

Source: Liu et al., "Revealing Key Details to See Differences: A Novel Prototypical Perspective for
Skeleton-based Action Recognition", CVPR 2025 (arXiv:2411.18941), in the form of its authors' code,
whose weights map one-to-one to these. In training the last stage's graph of a clip is composed of
prototypes, and the loss asks that it be nearer to graphs of its own class, remembered from earlier
clips, than to those of others. Logits need none of this.

Axes: N clips, M persons, R = N x M rows, T frames, V joints (W as receivers), C channels in, F
features, P prototypes.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stgcn_lightning.models import dgstgcn
from stgcn_lightning.models.dgstgcn import DGSTGCN, Stage
from stgcn_lightning.models.parts import Pointwise, channels_first, channels_last

EMBEDDED = 256  # numbers that a graph is compared by
KEPT = 0.9  # of the memory of a class, when clips of it come
TEMPERATURE = 0.125
LEAST = 1e-12  # is added to what is divided by

# our name -> that of ProtoGCN; the first that fits counts
FOREIGN_NAMES = (
    *dgstgcn.FOREIGN_NAMES,
    ("prototypes.query", "backbone.prn.query_matrix"),
    ("prototypes.values", "backbone.prn.memory_matrix"),
    ("prototypes.project", "backbone.post"),
    ("prototypes.norm", "backbone.bn"),
    ("contrast.embed", "cls_head.csc_loss.cl_fc"),
    ("contrast.memory", None),
)


class GraphConv(dgstgcn.GraphConv):
    """DG-STGCN's, which averages over frames after a layer instead of before."""

    def on_average(self, layer: Pointwise, x: Tensor) -> Tensor:
        """The mean over frames of a layer: (R, C, T, V) -> (R, K m, V)."""
        return layer(x.to(layer.weight.dtype)).mean(2)


class Prototypes(nn.Module):
    """What a graph is made of: (N, F, V, W) -> (N, V W)."""

    def __init__(self, features: int, prototypes: int, dropout: float):
        super().__init__()
        self.query = nn.Linear(features, prototypes, bias=False)
        self.values = nn.Linear(prototypes, features, bias=False)
        self.project = Pointwise(features, features)
        self.norm = nn.BatchNorm2d(features)
        self.dropout = dropout

    def forward(self, graphs: Tensor) -> Tensor:
        """Every edge's features (N, F, V, W) as a mixture of prototypes, then one number each."""
        shares = self.query(channels_last(graphs)).softmax(-1)  # N, V, W, P
        made = F.dropout(self.values(shares), self.dropout, self.training)  # N, V, W, F
        return self.norm(self.project(channels_first(made))).relu_().mean(1).flatten(1)


class Contrast(nn.Module):
    """How much a graph is like those of its class that came before, rather than of others.

    The memory of every class is no parameter. It is saved, so that a resumed run goes on with it;
    the reference does not save it, and a model that is read from there starts with a random one.
    """

    memory: Tensor

    def __init__(self, joints: int, classes: int):
        super().__init__()
        self.embed = nn.Linear(joints * joints, EMBEDDED)
        self.register_buffer("memory", torch.randn(EMBEDDED, classes))

    def forward(self, graphs: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
        """Cross entropy of likenesses: graphs (N, V W), logits (N, classes), labels (N,)."""
        f = self.embed(graphs).to(self.memory.dtype)  # N, 256
        with torch.autocast("cuda" if f.is_cuda else "cpu", enabled=False):
            memory = self.moved(f, logits, labels)
            if self.training:
                self.memory.copy_(memory.detach())
            likeness = _unit(f, 1) @ _unit(memory, 0) / TEMPERATURE  # N, classes
            return F.cross_entropy(likeness, labels)

    def moved(self, f: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
        """The memory moved to the means of clips that were recognised, class by class."""
        recognised = logits.argmax(1) == labels
        of_class = F.one_hot(labels, logits.shape[1]).to(f) * recognised[:, None]  # N, classes
        number = of_class.sum(0)
        means = f.t() @ of_class / (number + LEAST)
        moved = KEPT * self.memory + (1 - KEPT) * means
        return torch.where(number > 0, moved, self.memory)


def _unit(x: Tensor, dim: int) -> Tensor:
    """Vectors along an axis, of length 1."""
    return x / (x.norm(dim=dim, keepdim=True) + LEAST)


class ProtoGCN(DGSTGCN):
    """The whole classifier: clips of skeletons in, one logit per class out.

    Args:
        adjacency: (0, V, V): of the skeleton, the number of joints alone counts.
        classes: number of classes.
        channels: C of the input, e.g. x, y, score.
        base_channels: width of the first stages, 8 or more; doubled twice.
        dropout: probability with which a pooled feature is dropped in training.
        prototypes: P.
        prototype_dropout: probability with which a number that prototypes make is dropped.
        contrast_weight: of the loss that is added to the cross entropy.

    Raises:
        BadInput: there are fewer channels than subsets.

    Examples:
        >>> model = ProtoGCN(torch.zeros(0, 17, 17), classes=60, base_channels=8)
        >>> model(torch.zeros(1, 2, 20, 17, 3)).shape  # clips (N, M, T, V, C)
        torch.Size([1, 60])
    """

    title = "a ProtoGCN"
    foreign_names = FOREIGN_NAMES
    graph_conv: ClassVar[type[dgstgcn.GraphConv]] = GraphConv

    def __init__(
        self,
        adjacency: np.ndarray | Tensor,
        classes: int,
        *,
        channels: int = 3,
        base_channels: int = 96,
        dropout: float = 0.0,
        prototypes: int = 400,
        prototype_dropout: float = 0.1,
        contrast_weight: float = 0.2,
    ):
        super().__init__(
            adjacency, classes, channels=channels, base_channels=base_channels, dropout=dropout
        )
        last = self.stages[-1]
        assert isinstance(last, Stage)
        features = last.graph.sender.out_features
        self.prototypes = Prototypes(features, prototypes, prototype_dropout)
        self.contrast = Contrast(self.joints, classes)
        self.contrast_weight = contrast_weight

    def training_features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Features (R, F) of persons (R, T, V, C), and the last stage's relations (R, F, V, W)."""
        x = self.normalised(x)
        *stages, last = self.stages
        for stage in stages:
            x = stage(x)
        assert isinstance(last, Stage)
        relations = last.graph.relations(x)
        x = last.after_graph(last.graph.along(x, relations), x)
        return x.mean((2, 3)), relations.flatten(1, 2)

    def further_loss(self, more: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
        """The contrast of a clip's mean relations, weighted.

        Args:
            more: (N, M, F, V, W) relations of every person.
            logits: (N, classes), detached.
            labels: (N,) int64.
        """
        graphs = self.prototypes(more.mean(1))
        return self.contrast_weight * self.contrast(graphs, logits, labels)

    def draws_random_numbers(self) -> bool:
        """No: prototypes are dropped where the persons of a clip are one graph already."""
        return False

    @classmethod
    def options_of(cls, state: Mapping[str, Tensor]) -> dict[str, Any]:
        """Width and prototypes of a `state_dict`."""
        return super().options_of(state) | {"prototypes": len(state["prototypes.query.weight"])}
