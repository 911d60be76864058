"""ST-GCN's graph convolution on activations that lie in memory as (T, V, R, C), for CPUs.

Tensors keep PyTorch's order of axes, (R, C, T, V); only their strides differ. With the frames first
a transform along time is one product from the left (`fourier.py`), and a joint's channels of all
rows are one long vector, so that neighbours are gathered by weighted sums of few long vectors. Only
the edges that the graph has are computed (49 of 867 in coco17's `stgcn_spatial`), and a subset
projects only the joints that send something in it (5 of 17 in the last one).

Axes: R rows, T frames, V joints (W as receivers), K subsets, C channels in, O out, E edges; Z
vectors (R O) that are projected: those of the senders of every subset and frame, then the bias of
every joint.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from stgcn_lightning.engine.devices import left_plain
from stgcn_lightning.engine.orders import memory_order, undone
from stgcn_lightning.engine.products import (
    by_convolution,
    convolved,
    project,
    project_back,
    weight_back,
)
from stgcn_lightning.models import parts, stgcn

NARROW = 8  # input channels below which neighbours are gathered before they are projected
FEW = 0.7  # of all joints: so many senders, at most, are copied out before they are projected


class GraphConv(stgcn.GraphConv):
    """ST-GCN's graph convolution along the edges that its graph has."""

    plain_class = stgcn.GraphConv

    def forward(self, x: Tensor) -> Tensor:
        """(R, C, T, V) -> (R, O, T, V)."""
        if left_plain(x):
            return super().forward(x)
        edges, project = self.edges(), self.project
        x = x.permute(2, 3, 0, 1).contiguous()  # T, V, R, C
        weight = project.weight.view(len(edges), -1, x.shape[3])  # K, O, C
        with torch.autocast("cpu", enabled=False):
            bias = edges.sum(1).t() @ project.bias.view(len(edges), -1)  # W, O
        if x.shape[3] < NARROW:
            y = gather_then_project(x, edges, weight) + bias[:, None]
        else:
            wiring = self.wiring()
            given = x, weight, bias, edges[wiring.edges.unbind(1)]
            if torch.is_autocast_enabled("cpu"):
                given = (part.to(torch.get_autocast_dtype("cpu")) for part in given)
            y = project_then_gather(*given, wiring)
        return torch.relu(self.norm(y.permute(2, 3, 0, 1)))

    def wiring(self) -> "Wiring":
        """The edges of the graph, looked for again when the adjacency has changed."""
        version = 0 if self.adjacency.is_inference() else self.adjacency._version
        state = (self.adjacency.data_ptr(), version)
        known = self.__dict__.get("_wiring")
        if known is None or known[0] != state:
            known = self._wiring = state, Wiring.of(self.adjacency != 0)
        return known[1]


class Stage(stgcn.Stage):
    """ST-GCN's stage, whose gradients lie in memory as its activations do."""

    plain_class = stgcn.Stage

    def forward(self, x: Tensor) -> Tensor:
        """(R, C, T, V) -> (R, O, ceil(T / stride), V)."""
        if left_plain(x):
            return super().forward(x)
        y = self.temporal(self.graph(x))
        residual = None if self.residual is None else self.residual(x)
        return AddAndRectify.apply(y, residual)  # pyright: ignore[reportReturnType]


class AddAndRectify(torch.autograd.Function):
    """ReLU of a sum. The gradient of a mean has no order in memory: here it gets one."""

    @staticmethod
    def forward(ctx, y: Tensor, residual: Tensor | None) -> Tensor:
        """Twice (R, C, T, V) -> (R, C, T, V)."""
        y = torch.relu(y) if residual is None else (y + residual).relu_()
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, *grad_outputs: Tensor):
        """Gradients of both."""
        (y,) = ctx.saved_tensors
        g = torch.empty_like(y)
        torch.ops.aten.threshold_backward.grad_input(grad_outputs[0], y, 0, grad_input=g)
        return g, g if ctx.needs_input_grad[1] else None


class Pointwise(parts.Pointwise):
    """`parts.Pointwise`, which leaves the order in memory as it is."""

    plain_class = parts.Pointwise

    def forward(self, input: Tensor) -> Tensor:
        """(R, C, T, V) -> (R, O, ceil(T / stride), V)."""
        order = memory_order(input)
        if order is None or left_plain(input):
            return super().forward(input)
        kept_frames = (slice(None),) * order.index(2) + (slice(None, None, self.stride),)
        x = input.permute(order)[kept_frames]  # sliced so, its gradient has this order too
        kept = x.flatten(0, 2)
        if by_convolution(kept, self.weight):
            y = convolved(kept, self.weight, self.bias)
        else:
            y = F.linear(kept, self.weight, self.bias)
        return y.unflatten(0, x.shape[:3]).permute(undone(order))


class Wiring(NamedTuple):
    """The edges that a graph has, and the tables by which vectors are added along them.

    Attributes:
        edges: (E, 3) int64, subset, sender and receiver of each.
        senders: of each subset: which joints are projected.
        joints: V.
        tables: those made so far, by the number of frames.
    """

    edges: Tensor
    senders: list[Tensor]
    joints: int
    tables: dict[int, "Tables"]

    @classmethod
    def of(cls, present: Tensor) -> "Wiring":
        """For a graph (K, V, W) bool, from joint to joint."""
        V = present.shape[1]
        senders = [subset.any(1).nonzero()[:, 0] for subset in present]
        everybody = torch.arange(V)
        senders = [some if len(some) <= FEW * V else everybody for some in senders]
        return cls(present.nonzero(), senders, V, {})

    def for_frames(self, T: int) -> "Tables":
        """The tables for so many frames."""
        if T not in self.tables:
            self.tables[T] = Tables.of(self, T)
        return self.tables[T]


class Tables(NamedTuple):
    """Which vectors are added to which, for T frames; as bags of `F.embedding_bag`.

    Attributes:
        starts: where the vectors of each subset start, and those of the biases.
        into: bags T W of the vectors Z: what each joint receives, and its bias.
        back: bags Z of the vectors T W.
    """

    starts: list[int]
    into: "Bags"
    back: "Bags"

    @classmethod
    def of(cls, wiring: Wiring, T: int) -> "Tables":
        """See `Wiring.for_frames`."""
        V = wiring.joints
        starts, place = [0], torch.zeros(len(wiring.senders), V, dtype=torch.int64)
        for k, some in enumerate(wiring.senders):
            place[k, some] = torch.arange(len(some))
            starts.append(starts[-1] + T * len(some))
        k, v, w = wiring.edges.unbind(1)
        sizes = torch.tensor([len(some) for some in wiring.senders])
        frame = torch.arange(T)[:, None]
        sent = torch.tensor(starts)[k] + frame * sizes[k] + place[k, v]  # T, E
        received = frame * V + w
        which = torch.arange(len(k)).expand(T, -1)
        biases = starts[-1] + torch.arange(V).expand(T, -1)
        everywhere = frame * V + torch.arange(V)
        unit = torch.full((T, V), len(k))  # the weight of a bias comes after those of the edges
        z = torch.cat([sent, biases], 1).flatten()
        y = torch.cat([received, everywhere], 1).flatten()
        which = torch.cat([which, unit], 1).flatten()
        return cls(starts, Bags.of(z, y, which, T * V), Bags.of(y, z, which, starts[-1] + V))


class Bags(NamedTuple):
    """Sums of weighted vectors.

    Attributes:
        vectors: (B,) int64, the vectors of one bag after the other.
        bag: (B,) int64, of each.
        offsets: (bags + 1,) int64, where each bag starts, and the end.
        which: (B,) int64, the weight of each.
    """

    vectors: Tensor
    bag: Tensor
    offsets: Tensor
    which: Tensor

    @classmethod
    def of(cls, vectors: Tensor, bags: Tensor, which: Tensor, number: int) -> "Bags":
        """Of pairs of a vector and its bag."""
        order = bags.argsort(stable=True)
        offsets = torch.zeros(number + 1, dtype=torch.int64)
        torch.cumsum(torch.bincount(bags, minlength=number), 0, out=offsets[1:])
        return cls(vectors[order], bags[order], offsets, which[order])

    def sums(self, vectors: Tensor, weights: Tensor) -> Tensor:
        """(vectors, numbers) -> (bags, numbers)."""
        return F.embedding_bag(
            self.vectors,
            vectors,
            self.offsets,
            mode="sum",
            per_sample_weights=weights[self.which],
            include_last_offset=True,
        )

    def products(self, g: Tensor, vectors: Tensor) -> Tensor:
        """Gradient (B,) of the weights, from that of the bags."""
        return torch.ops.aten._embedding_bag_per_sample_weights_backward(
            g, vectors, self.vectors, self.offsets[:-1], self.bag, 0
        )


def gather_then_project(x: Tensor, edges: Tensor, weight: Tensor) -> Tensor:
    """Of few channels: the neighbours of every joint, next to each other, are projected at once.

    Args:
        x: (T, V, R, C).
        edges: (K, V, W).
        weight: (K, O, C).

    Returns:
        (T, W, R, O).
    """
    (T, V, R, C), K = x.shape, len(edges)
    y = torch.matmul(edges.transpose(1, 2).flatten(0, 1), x.flatten(2))  # T, K W, R C
    y = y.view(T, K, V, R, C).permute(0, 2, 3, 1, 4).flatten(3)  # T, W, R, K C
    return F.linear(y, weight.transpose(0, 1).flatten(1))


def project_then_gather(
    x: Tensor, weight: Tensor, bias: Tensor, values: Tensor, wiring: Wiring
) -> Tensor:
    """Project the senders of every subset, then add what each joint receives.

    Args:
        x: (T, V, R, C).
        weight: (K, O, C).
        bias: (W, O), all that a joint receives of it.
        values: (E,) weights of the edges.
        wiring: the edges.

    Returns:
        (T, W, R, O).
    """
    return _ProjectThenGather.apply(  # pyright: ignore[reportReturnType]
        x, weight, bias, values, wiring
    )


class _ProjectThenGather(torch.autograd.Function):
    """Keeps what was projected, for the gradient of the edges."""

    @staticmethod
    def forward(
        ctx, x: Tensor, weight: Tensor, bias: Tensor, values: Tensor, wiring: Wiring
    ) -> Tensor:
        """(T, V, R, C) -> (T, W, R, O)."""
        z = send(x, weight, bias, wiring)
        weights = torch.cat([values, values.new_ones(1)]).to(z.dtype)
        ctx.save_for_backward(x, weight, z, weights)
        ctx.wiring = wiring
        return receive(z, weights, x, wiring)

    @staticmethod
    def backward(ctx, *grad_outputs: Tensor):
        """Gradients of x, weight, bias and values."""
        x, weight, z, weights = ctx.saved_tensors
        (T, V, R, C), wiring = x.shape, ctx.wiring
        tables = wiring.for_frames(T)
        g = grad_outputs[0].reshape(T * V, -1)  # T W, R O
        gz = tables.back.sums(g, weights)
        grad_x = x.new_zeros(x.shape)
        grad_weight = torch.empty_like(weight)
        flat = grad_x.view(-1, C)
        for k, (some, part) in enumerate(_subsets(gz, tables, wiring, weight.shape[1])):
            sent = (x if len(some) == V else x[:, some]).reshape(-1, C)
            grad_weight[k] = weight_back(part, sent, weight[k])
            if len(some) == V:
                project_back(part, weight[k], flat, add=True)
            else:
                few = part.new_empty(len(part), C)
                project_back(part, weight[k], few, add=False)
                grad_x.index_add_(1, some, few.view(T, -1, R, C))
        grad_bias = gz[tables.starts[-1] :].view(V, R, -1).sum(1)
        by_edge = tables.into.products(g, z)
        grad_values = by_edge.new_zeros(len(weights)).index_add_(0, tables.into.which, by_edge)
        return grad_x, grad_weight, grad_bias, grad_values[:-1], None


def send(x: Tensor, weight: Tensor, bias: Tensor, wiring: Wiring) -> Tensor:
    """The vectors (Z, R O) that are gathered: see `project_then_gather`."""
    (T, V, R, C), O = x.shape, weight.shape[1]  # noqa: E741
    tables = wiring.for_frames(T)
    z = x.new_empty(tables.starts[-1] + V, R * O)
    for k, (some, part) in enumerate(_subsets(z, tables, wiring, O)):
        sent = x if len(some) == V else x[:, some]
        project(sent.reshape(-1, C), weight[k], part)
    z[tables.starts[-1] :].view(V, R, O).copy_(bias[:, None])
    return z


def receive(z: Tensor, weights: Tensor, x: Tensor, wiring: Wiring) -> Tensor:
    """Vectors (Z, R O) added along the edges, for an input (T, V, R, C): (T, W, R, O)."""
    T, V, R, _ = x.shape
    return wiring.for_frames(T).into.sums(z, weights).view(T, V, R, -1)


def _subsets(z: Tensor, tables: Tables, wiring: Wiring, channels: int):
    """Of every subset: its senders, and their vectors among z as (T senders R, O)."""
    ends = zip(tables.starts[:-1], tables.starts[1:], strict=True)
    parts = [z[a:b].view(-1, channels) for a, b in ends]
    return zip(wiring.senders, parts, strict=True)
