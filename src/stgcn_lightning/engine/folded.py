"""The evaluation form of a model: whatever is constant once training stops, folded into weights.

Every batch norm disappears into the product or convolution before it, edges become one matrix, the
norm of the input becomes part of the first stage, which is a single product. Logits differ from the
unfolded ones by rounding alone. `fold` makes the form of a model whose family has one; these are
the parts that families share.

Axes: R rows (persons of clips), T frames, V joints (W as receivers), C channels in, O out, K
subsets.
"""

import copy
import functools
from collections.abc import Iterable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stgcn_lightning.models.parts import Shortcut, SubsetLinear
from stgcn_lightning.models.staged import Staged


@functools.singledispatch
def fold(model: nn.Module, *, quick: bool = False) -> "Folded | None":
    """The evaluation form of a model's present weights; None: the family has none.

    A family's own is registered by its class: ``@fold.register`` before a function of a model of
    that class and `quick`, annotated with the class. What it returns offers `classify` and
    `features` as a backbone does, and `forward` for export.

    Args:
        model: any backbone, which stays as it is.
        quick: leave out products that are known to be zero; otherwise the form is for export: fewer
            and plainer operations.
    """
    return None


def folded_form(model: nn.Module, *, quick: bool = False) -> "Folded | None":
    """`fold` of a model of just the class that a form was registered for; None of any other.

    The form of a class that the model's class derives from leaves out what the model does
    otherwise.
    """
    return fold.registry.get(type(model), fold.dispatch(object))(model, quick=quick)


def scale_and_shift(norm: nn.modules.batchnorm._BatchNorm) -> tuple[Tensor, Tensor]:
    """What a norm does in evaluation: x scale + shift, each (features,)."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
    return scale, norm.bias - norm.running_mean * scale


def linear_and_norm(
    weight: Tensor, bias: Tensor, norm: nn.modules.batchnorm._BatchNorm
) -> tuple[Tensor, Tensor]:
    """Weight (O, ...) and bias (O,) of a product or convolution with the norm behind it."""
    scale, shift = scale_and_shift(norm)
    return weight * scale.view(-1, *[1] * (weight.ndim - 1)), bias * scale + shift


class Order(NamedTuple):
    """An order of the joints in which the receivers of the sparsest subset come first.

    In the graph `stgcn_spatial` only the neighbours of the centre, and their neighbours, receive
    anything in the last subset. The head averages joints, so their order is free.

    Attributes:
        joints: (V,) which joint comes at each place.
        sparse: that subset; None if every joint receives something in each, or it is not wanted.
        receivers: how many joints receive something in it.
    """

    joints: Tensor
    sparse: int | None
    receivers: int

    @classmethod
    def of(cls, adjacency: Tensor, look: bool) -> "Order":
        """The order for an adjacency (K, V, W)."""
        receives = (adjacency != 0).any(1)  # K, W
        sparse = int(receives.sum(1).argmin())
        receivers = int(receives[sparse].sum())
        if not look or receivers == receives.shape[1] or len(receives) == 1:
            return cls(torch.arange(receives.shape[1], device=adjacency.device), None, 0)
        first = receives[sparse].logical_not().to(torch.int8).argsort(stable=True)
        return cls(first, sparse, receivers)


def fold_graph(
    edges: Tensor,
    project: SubsetLinear,
    norm: nn.BatchNorm2d,
    order: Order,
    *,
    input_norm: nn.BatchNorm1d | None = None,
    down: tuple[Tensor, Tensor] | None = None,
    identity: bool = False,
) -> "FoldedGraphConv | FoldedFirst":
    """The evaluation form of a graph convolution and the ReLU behind it.

    Args:
        edges: (K, V, W), from joint to joint.
        project: (K O, C).
        norm: of the O channels.
        order: of the joints.
        input_norm: that of the input, if this is the first stage.
        down: weight (O, C) and bias (O,) of a residual inside, its norm folded.
        identity: whether the residual inside is the input itself.
    """
    scale, shift = scale_and_shift(norm)
    K, C = len(edges), project.in_features
    weight = project.weight.view(K, -1, C) * scale[:, None]  # K, O, C
    bias = edges.sum(1).t() @ project.bias.view(K, -1) * scale + shift  # W, O
    if identity and input_norm is not None:
        down, identity = (torch.eye(C).to(weight), torch.zeros(C).to(weight)), False
    if down is not None:
        bias = bias + down[1]
    bias = bias[order.joints]
    if input_norm is None:
        edges = edges[:, order.joints][:, :, order.joints]
        past = None if down is None else down[0]
        return FoldedGraphConv(edges, weight, bias, order, past, identity)
    dense = torch.einsum("kvw,koc->wovc", edges[:, :, order.joints], weight)
    if down is not None:
        dense[torch.arange(len(order.joints)), :, order.joints] += down[0]
    before, offset = (part.view(dense.shape[2:]) for part in scale_and_shift(input_norm))  # V, C
    bias = bias + (dense * offset).sum((2, 3))
    return FoldedFirst((dense * before).flatten(2).flatten(0, 1), bias.flatten())


def fold_residual(residual: nn.Module | None) -> tuple[Tensor, Tensor] | None:
    """Weight (O, C) and bias (O,) of a projected residual; None for another one."""
    if not isinstance(residual, Shortcut):
        return None
    return linear_and_norm(residual.project.weight, residual.project.bias, residual.norm)


class FoldedGraphConv(nn.Module):
    """Gather, project, add bias and residual, ReLU.

    Args:
        edges: (K, V, W), from joint to joint, in the order.
        weight: (K, O, C) of the projection.
        bias: (W, O).
        order: its sparse subset is computed for its receivers alone, which come first.
        down: (O, C) of a projected residual, or none.
        identity: whether the input itself is added.
    """

    gather: Tensor
    weight: Tensor
    bias: Tensor
    few: Tensor
    few_weight: Tensor
    down: Tensor | None

    def __init__(
        self,
        edges: Tensor,
        weight: Tensor,
        bias: Tensor,
        order: Order,
        down: Tensor | None = None,
        identity: bool = False,
    ):
        super().__init__()
        K, V, W = edges.shape
        others = [k for k in range(K) if k != order.sparse]
        gather = edges[others].permute(2, 0, 1).reshape(W * len(others), V)
        self.register_buffer("gather", gather)  # W K, V
        self.register_buffer("weight", weight[others].transpose(0, 1).flatten(1))  # O, K C
        self.register_buffer("bias", bias)
        self.register_buffer("down", down)
        self.receivers, self.identity = order.receivers, identity
        if order.sparse is not None:
            few = edges[order.sparse, :, : order.receivers].t().contiguous()
            self.register_buffer("few", few)
            self.register_buffer("few_weight", weight[order.sparse])

    def forward(self, x: Tensor) -> Tensor:
        """(R, T, V, C) -> (R, T, V, O)."""
        R, T, V, _ = x.shape
        gathered = torch.matmul(self.gather, x).reshape(R, T, V, -1)  # R, T, W, K C
        y = F.linear(gathered, self.weight)
        if self.receivers:
            y[:, :, : self.receivers] += F.linear(torch.matmul(self.few, x), self.few_weight)
        y.add_(self.bias)
        if self.down is not None:
            y += F.linear(x, self.down)
        elif self.identity:
            y += x
        return y.relu_()


class FoldedFirst(nn.Module):
    """The norm of the input and the first graph convolution, as one product per frame."""

    weight: Tensor
    bias: Tensor

    def __init__(self, weight: Tensor, bias: Tensor):
        super().__init__()
        self.register_buffer("weight", weight)  # W O, V C
        self.register_buffer("bias", bias)  # W O

    def forward(self, x: Tensor) -> Tensor:
        """(R, T, V, C) -> (R, T, V, O)."""
        return F.linear(x.flatten(2), self.weight, self.bias).relu_().unflatten(2, (x.shape[2], -1))


class FoldedTimeConv(nn.Module):
    """A convolution along time.

    Args:
        weight: (O, C, frames seen, 1).
        bias: (O,).
        stride: frames from one output to the next.
        dilation: frames from one of those seen to the next.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, weight: Tensor, bias: Tensor, stride: int, dilation: int = 1):
        super().__init__()
        weight = weight.contiguous(memory_format=torch.channels_last)
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias)
        self.stride, self.dilation = stride, dilation

    def forward(self, x: Tensor) -> Tensor:
        """(R, T, V, C) -> (R, ceil(T / stride), V, O)."""
        x = x.permute(0, 3, 1, 2)  # R, C, T, V
        padding = (self.dilation * (self.weight.shape[2] // 2), 0)
        x = F.conv2d(x, self.weight, self.bias, (self.stride, 1), padding, (self.dilation, 1))
        return x.permute(0, 2, 3, 1)


class FoldedStage(nn.Module):
    """One stage: graph, then time, with a residual around both.

    Args:
        graph: (R, T, V, C) -> (R, T, V, O).
        temporal: (R, T, V, O) -> (R, ceil(T / stride), V, O), with the shortcut's bias in its own.
        stride: of `temporal`.
        shortcut: (O, C) of a projected residual, or none.
        identity: whether the input itself is added.
    """

    shortcut: Tensor | None

    def __init__(
        self,
        graph: nn.Module,
        temporal: nn.Module,
        stride: int,
        *,
        shortcut: Tensor | None,
        identity: bool,
    ):
        super().__init__()
        self.graph, self.temporal = graph, temporal
        self.register_buffer("shortcut", shortcut)
        self.stride, self.identity = stride, identity

    def forward(self, x: Tensor) -> Tensor:
        """(R, T, V, C) -> (R, ceil(T / stride), V, O)."""
        y = self.temporal(self.graph(x))
        if self.shortcut is not None:
            y += F.linear(x[:, :: self.stride], self.shortcut)
        elif self.identity:
            y += x
        return y.relu_()


class Folded(nn.Module):
    """All stages and the head, for evaluation alone.

    Args:
        stages: the folded stages; the first one takes the raw input.
        classify: the model's head, which is copied.

    Attributes:
        narrower: its widest tensor, which may be made of one row alone, is so many times as wide as
            what is made of all rows.
    """

    narrower = 1

    def __init__(self, stages: Iterable[nn.Module], classify: nn.Linear):
        super().__init__()
        self.stages = nn.ModuleList(stages)
        self.classify = copy.deepcopy(classify).requires_grad_(False)
        self.eval()

    def features(self, x: Tensor) -> Tensor:
        """(R, T, V, C) -> (R, F), the mean over frames and joints."""
        for stage in self.stages:
            x = stage(x)
        return x.float().mean((1, 2)) if x.dtype == torch.bfloat16 else x.mean((1, 2))

    def normalise_clips(self, clips: Tensor) -> Tensor:
        """See `Backbone.normalise_clips`: nothing, where `features` begins with the first norm."""
        return clips

    def forward(self, clips: Tensor) -> Tensor:
        """Logits (N, classes) of clips (N, M, T, V, C), every person computed."""
        features = self.features(self.normalise_clips(clips).flatten(0, 1))
        return self.classify(features.unflatten(0, clips.shape[:2]))


class FoldedOfPlaces(Folded):
    """`Folded` of a model whose first norm tells the places of persons apart.

    Args:
        stages: the folded stages; the first one takes what the norm makes.
        model: whose norm of the input and head are taken.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, stages: Iterable[nn.Module], model: Staged):
        super().__init__(stages, model.classify)
        assert model.persons is not None
        places = model.persons, 1, model.joints, model.channels
        for name, part in zip(("scale", "shift"), scale_and_shift(model.data_norm), strict=True):
            self.register_buffer(name, part.view(places).clone())

    def normalise_clips(self, clips: Tensor) -> Tensor:
        """(N, M, T, V, C) -> the same, every place apart."""
        return torch.addcmul(self.shift, clips, self.scale)
