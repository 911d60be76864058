"""DG-STGCN's and ProtoGCN's parts for training on CPUs.

What is sent along graphs lies in memory as (R, C, T, V), where a channel's frames are one matrix,
everything else as (R, T, V, C); the products in between change from one to the other, so that
nothing is copied. The graphs of a clip, as large as its activations, are made again in the backward
pass instead of being kept. Branches along time begin together (`branches.py`).

Axes: R rows, T frames (S come out), V joints (W as receivers), C channels in, O out, K subsets of m
channels.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from stgcn_lightning.engine.branches import along_time, of_several_frames
from stgcn_lightning.engine.devices import left_plain
from stgcn_lightning.models import dgstgcn, protogcn
from stgcn_lightning.models.parts import channels_first, channels_last


class GraphConv(dgstgcn.GraphConv):
    """`dgstgcn.GraphConv`, which copies nothing and makes its graphs twice."""

    plain_class = dgstgcn.GraphConv

    def forward(self, x: Tensor) -> Tensor:
        """(R, C, T, V) -> (R, O, T, W)."""
        if left_plain(x):
            return super().forward(x)
        with torch.autocast("cpu", enabled=False):
            p, q = self.senders_and_receivers(x)  # R, K, m, V
            products = torch.matmul(p.mT, q).softmax(-2)
            edges = self.adjacency + self.product[0] * products  # R, K, V, W
        sent = self.sent(x)
        y = _Along.apply(sent, p, q, edges, self.difference[0])
        return self.received(y, x)  # pyright: ignore[reportArgumentType]

    def along(self, x: Tensor, relations: Tensor) -> Tensor:
        """(R, C, T, V), (R, K, m, V, W) -> (R, O, T, W)."""
        if left_plain(x):
            return super().along(x, relations)
        sent = self.sent(x)
        edges = (self.adjacency[:, None] + relations).to(sent.dtype)
        y = torch.bmm(sent.flatten(0, 1), edges.flatten(0, 2))
        return self.received(y.view(sent.shape), x)

    def senders_and_receivers(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """What joints are on average: (R, C, T, V) -> twice (R, K, m, V)."""
        layers = self.sender, self.receiver
        weight, bias = (
            torch.cat([getattr(one, name) for one in layers]) for name in ("weight", "bias")
        )
        mean = F.linear(x.mean(2).mT.to(weight.dtype), weight, bias)  # R, V, 2 K m
        p, q = mean.mT.unflatten(1, (2, dgstgcn.SUBSETS, -1)).unbind(1)
        return p, q

    def sent(self, x: Tensor) -> Tensor:
        """(R, C, T, V) -> (R, K m, T, V), which lies in memory as this says."""
        flat = channels_last(x).flatten(1, 2)  # R, T V, C
        weight, bias = self.spread.weight, self.spread.bias
        made = torch.baddbmm(bias[:, None], weight.expand(len(x), -1, -1), flat.mT)
        return self.spread_norm(made.unflatten(2, x.shape[2:])).relu_()

    def received(self, y: Tensor, x: Tensor) -> Tensor:
        """(R, K m, T, W), and the input -> (R, O, T, W)."""
        weight, bias = self.project.weight, self.project.bias
        flat = y.flatten(2).mT  # R, T W, K m
        made = torch.baddbmm(bias, flat, weight.t().expand(len(y), -1, -1))
        y = self.norm(channels_first(made.unflatten(1, y.shape[2:])))
        return (y + self.down(x)).relu_()


class WideGraphConv(GraphConv):
    """`GraphConv` for a ProtoGCN, which averages first as well."""

    plain_class = protogcn.GraphConv


class TemporalConv(dgstgcn.TemporalConv):
    """`dgstgcn.TemporalConv`, whose branches begin together."""

    plain_class = dgstgcn.TemporalConv

    def forward(self, x: Tensor) -> Tensor:
        """(R, C, T, V) -> (R, C, S, V)."""
        if left_plain(x):
            return super().forward(x)
        x = channels_first(_WithMean.apply(channels_last(x)))  # pyright: ignore[reportArgumentType]
        parts = [*along_time(of_several_frames(self.branches), x), self.branches[-1](x)]
        y = torch.cat([channels_last(part) for part in parts], -1)  # R, S, V + 1, C
        of_mean = self.of_mean[: y.shape[2] - 1].to(y.dtype)
        y = channels_first(_AddMean.apply(y, of_mean))  # pyright: ignore[reportArgumentType]
        return self.norm(self.project(self.branch_norm(y).relu_()))


FASTER = (GraphConv, WideGraphConv, TemporalConv)


class _Along(torch.autograd.Function):
    """Every channel sent along edges + difference tanh(p[v] - q[w]), made twice, not kept."""

    @staticmethod
    def forward(
        ctx, sent: Tensor, p: Tensor, q: Tensor, edges: Tensor, difference: Tensor
    ) -> Tensor:
        """(R, K m, T, V), twice (R, K, m, V), (R, K, V, W), () -> (R, K m, T, W)."""
        ctx.save_for_backward(sent, p, q, edges, difference)
        with torch.autocast("cpu", enabled=False):
            graphs = (p[..., None] - q[..., None, :]).tanh_()
            graphs = graphs.mul_(difference).add_(edges[:, :, None]).to(sent.dtype)
            return torch.bmm(sent.flatten(0, 1), graphs.flatten(0, 2)).view(sent.shape)

    @staticmethod
    def backward(ctx, *grad_outputs: Tensor):
        """Gradients of all of them."""
        sent, p, q, edges, difference = ctx.saved_tensors
        g, sent_flat = grad_outputs[0].flatten(0, 1), sent.flatten(0, 1)  # R K m, T, V
        tanh = (p[..., None] - q[..., None, :]).tanh_()  # R, K, m, V, W
        graphs = torch.addcmul(edges[:, :, None], tanh, difference).to(sent.dtype)
        by_sent = torch.bmm(g, graphs.flatten(0, 2).mT).view(sent.shape)
        by_graphs = torch.bmm(sent_flat.mT, g).view(tanh.shape).to(tanh.dtype)
        by_difference = torch.dot(by_graphs.flatten(), tanh.flatten())
        by_edges = by_graphs.sum(2)
        inside = torch.ops.aten.tanh_backward(by_graphs, tanh)
        by_p = inside.sum(-1).mul_(difference)
        by_q = inside.sum(-2).mul_(-difference)
        return by_sent, by_p, by_q, by_edges, by_difference


class _WithMean(torch.autograd.Function):
    """A joint more: the mean of all."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        """(R, T, V, C) -> (R, T, V + 1, C)."""
        return torch.cat([x, x.mean(2, keepdim=True)], 2)

    @staticmethod
    def backward(ctx, *grad_outputs: Tensor):
        """Gradient of the joints."""
        g = grad_outputs[0]
        V = g.shape[2] - 1
        return torch.add(g[:, :, :V], g[:, :, V:], alpha=1 / V)


class _AddMean(torch.autograd.Function):
    """The last joint is added to each of the others, by a weight of its own."""

    @staticmethod
    def forward(ctx, y: Tensor, weight: Tensor) -> Tensor:
        """(R, S, V + 1, C), (V,) -> (R, S, V, C)."""
        mean = y[:, :, -1:].clone()
        ctx.save_for_backward(mean, weight)
        return torch.addcmul(y[:, :, :-1], mean, weight[:, None])

    @staticmethod
    def backward(ctx, *grad_outputs: Tensor):
        """Gradients of both."""
        mean, weight = ctx.saved_tensors
        g = grad_outputs[0]  # R, S, V, C
        by_mean = torch.matmul(weight, g)[:, :, None]
        by_weight = torch.matmul(g, mean.mT).sum((0, 1, 3))
        return torch.cat([g, by_mean], 2), by_weight
