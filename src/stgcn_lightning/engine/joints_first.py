"""CTR-GCN and ST-GCN++ on activations that lie in memory as (R, C, V, T), for CPUs.

Tensors keep PyTorch's order of axes, (R, C, T, V), between stages; only their strides differ. With
joints before frames the K projections of a channel are one matrix (K U, T), so that a channel
gathers from all subsets by one product and nothing is copied, and a 1x1 convolution is a product
from the left. What a clip refines is averaged over frames before it is projected, and the three
terms of a refined graph, alpha W D + alpha b + A, are one product with the rows (D, 1, A).

Axes: R rows, T frames (S of them come out), V joints (U as senders, W as receivers), C channels in,
O out, K subsets, Q channels of a refinement, P = Q + 2 rows of (D, 1, A), b of a branch.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stgcn_lightning.engine.branches import OfSeveralFrames, begun, last_norms, of_several_frames
from stgcn_lightning.engine.devices import left_plain
from stgcn_lightning.engine.norms import norm_together
from stgcn_lightning.models import ctrgcn, stgcnpp
from stgcn_lightning.models.parts import DilatedBranch, Pointwise, Shortcut


class CTRStage(ctrgcn.Stage):
    """CTR-GCN's stage, joints before frames in memory."""

    plain_class = ctrgcn.Stage

    def forward(self, x: Tensor) -> Tensor:
        """(R, C, T, V) -> (R, O, S, V)."""
        if left_plain(x, autocast=True):
            return super().forward(x)
        x = x.transpose(2, 3).contiguous()  # R, C, V, T
        y = along_time(self.temporal, refined_graph_conv(self.graph, x))
        if isinstance(self.residual, Shortcut):
            y = (y + shortcut(self.residual, x, self.temporal.stride)).relu_()
        elif self.residual is not None:
            y = y + x  # neither is negative
        return y.transpose(2, 3)


class PPStage(stgcnpp.Stage):
    """ST-GCN++'s stage, joints before frames in memory."""

    plain_class = stgcnpp.Stage

    def forward(self, x: Tensor) -> Tensor:
        """(R, C, T, V) -> (R, O, S, V)."""
        if left_plain(x, autocast=True):
            return super().forward(x)
        x = x.transpose(2, 3).contiguous()  # R, C, V, T
        y = along_time_pp(self.temporal, graph_conv(self.graph, x))
        if isinstance(self.residual, Shortcut):
            y = y + shortcut(self.residual, x, self.temporal.stride)
        elif self.residual is not None:
            y = y + x
        return y.relu_().transpose(2, 3)


def graph_conv(graph: stgcnpp.GraphConv, x: Tensor) -> Tensor:
    """ST-GCN++'s graph convolution, neighbours first: (R, C, V, T) -> (R, O, V, T)."""
    (R, C, V, T), edges = x.shape, graph.adjacency
    K, linear = len(edges), graph.project
    weight = linear.weight.view(K, -1, C).permute(1, 2, 0).flatten(1)  # O, C K
    bias = linear.bias.view(K, -1).t() @ edges.sum(1)  # O, W
    gather = edges.transpose(1, 2).flatten(0, 1).expand(R * C, -1, -1)  # R C, K W, V
    gathered = torch.bmm(gather, x.view(R * C, V, T)).view(R, C * K, V, T)
    y = graph.norm(project(gathered, weight) + bias[..., None])
    down = shortcut(graph.down, x) if isinstance(graph.down, Shortcut) else x
    return (y + down).relu_()


def refined_graph_conv(graph: ctrgcn.GraphConv, x: Tensor) -> Tensor:
    """The graph convolution: (R, C, V, T) -> (R, O, V, T)."""
    subsets = [subset for subset in graph.subsets if isinstance(subset, ctrgcn.Subset)]
    into = [part for one in subsets for part in (one.send, one.receive)]
    pq = F.linear(
        x.mean(3).transpose(1, 2),
        torch.cat([part.weight for part in into]),
        torch.cat([part.bias for part in into]),
    )
    D = with_constants(pq, graph.adjacency)
    mix = [mixing(one.refine, graph.alpha) for one in subsets]
    weight = torch.stack([one.project.weight for one in subsets], 1)  # O, K, C
    h = project(x, weight.flatten(0, 1))  # R, O K, U, T
    bias = received_bias(mix, [one.project.bias for one in subsets])
    bias = torch.matmul(bias, D.sum(3).flatten(1, 2))  # R, O, W
    z = _Gather.apply(h, D, torch.stack(mix), bias)
    assert isinstance(z, Tensor)
    down = shortcut(graph.down, x) if isinstance(graph.down, Shortcut) else x
    return (graph.norm(z) + down).relu_()


def with_constants(pq: Tensor, adjacency: Tensor) -> Tensor:
    """Rows (D, 1, A) of every subset: (R, V, 2 K Q), (K, U, W) -> (R, K, P, U, W)."""
    (R, V, _), K = pq.shape, len(adjacency)
    p, q = pq.transpose(1, 2).reshape(R, K, 2, -1, V).unbind(2)  # R, K, Q, V
    D = torch.tanh(p[..., :, None] - q[..., None, :])
    A = adjacency[:, None].expand(R, K, 1, V, V)
    return torch.cat([D, torch.ones_like(A), A], 2)


def mixing(refine: nn.Linear, alpha: Tensor) -> Tensor:
    """What makes edges of the rows (D, 1, A) of a subset: (O, P)."""
    ones = torch.ones_like(refine.bias)
    return torch.cat([alpha * refine.weight, (alpha * refine.bias)[:, None], ones[:, None]], 1)


def received_bias(mix: list[Tensor], bias: list[Tensor]) -> Tensor:
    """What makes of those rows, summed over senders, the gathered bias of the projections.

    Args:
        mix: of every subset (O, P).
        bias: of every subset (O,).

    Returns:
        (O, K P).
    """
    return torch.cat([b[:, None] * m for m, b in zip(mix, bias, strict=True)], 1)


class _Gather(torch.autograd.Function):
    """Every channel gathers from its senders by a graph of its own, of all subsets at once."""

    @staticmethod
    def forward(ctx, h: Tensor, D: Tensor, mix: Tensor, bias: Tensor) -> Tensor:
        """(R, O K, U, T), (R, K, P, U, W), (K, O, P), (R, O, W) -> (R, O, W, T)."""
        edges = refined_edges(D, mix)
        ctx.save_for_backward(h, D, mix, edges)
        return gather(h, edges, bias)

    @staticmethod
    def backward(ctx, *grad_outputs: Tensor):
        """Gradients of all four."""
        h, D, mix, edges = ctx.saved_tensors
        R, K, P, V, _ = D.shape
        g = grad_outputs[0].flatten(0, 1).contiguous()  # R O, W, T
        h_matrix = h.view(len(g), K * V, -1)
        grad_h = torch.bmm(edges.view(len(g), K * V, V), g).view(h.shape)
        by_edge = torch.bmm(h_matrix, g.transpose(1, 2)).view(R, -1, K, V * V)  # R, O, K, U W
        grad_D, grad_mix = torch.empty_like(D), torch.empty_like(mix)
        for k in range(K):
            part = by_edge[:, :, k]
            grad_D[:, k] = torch.bmm(mix[k].t().expand(R, -1, -1), part).view(R, P, V, V)
            grad_mix[k] = torch.bmm(part, D[:, k].flatten(2).transpose(1, 2)).sum(0)
        return grad_h, grad_D, grad_mix, g.sum(2).view(R, -1, V)


def refined_edges(D: Tensor, mix: Tensor) -> Tensor:
    """(R, K, P, U, W), (K, O, P) -> (R, O, K U, W)."""
    R, K, _, V, _ = D.shape
    edges = D.new_empty(R, mix.shape[1], K, V * V)
    for k in range(K):
        torch.bmm(mix[k].expand(R, -1, -1), D[:, k].flatten(2), out=edges[:, :, k])
    return edges.view(R, -1, K * V, V)


def gather(h: Tensor, edges: Tensor, bias: Tensor) -> Tensor:
    """(R, O K, U, T), (R, O, K U, W), (R, O, W) -> (R, O, W, T)."""
    R, O, KU, _ = edges.shape  # noqa: E741
    start = bias.flatten(0, 1)[..., None]  # R O, W, 1
    y = torch.baddbmm(start, edges.flatten(0, 1).transpose(1, 2), h.view(R * O, KU, -1))
    return y.view(R, O, *y.shape[1:])


def along_time(temporal: ctrgcn.TemporalConv, x: Tensor) -> Tensor:
    """CTR-GCN's branches: (R, C, V, T) -> (R, C, V, S)."""
    branches, point = of_several_frames(temporal.branches), temporal.branches[-1]
    assert isinstance(point, Shortcut)
    y = norm_together(last_norms(branches), torch.cat(of_branches(branches, x), 1))
    return torch.cat([y, shortcut(point, x, temporal.stride)], 1).relu_()


def along_time_pp(temporal: stgcnpp.TemporalConv, x: Tensor) -> Tensor:
    """ST-GCN++'s branches: (R, C, V, T) -> (R, C, V, S)."""
    branches, point = of_several_frames(temporal.branches), temporal.branches[-1]
    assert isinstance(point, Pointwise)
    frame = project(x[..., :: temporal.stride], point.weight, point.bias)
    y = torch.cat([*of_branches(branches, x), frame], 1)
    y = temporal.branch_norm(y).relu_()
    return temporal.norm(project(y, temporal.project.weight, temporal.project.bias))


def of_branches(branches: list[OfSeveralFrames], x: Tensor) -> list[Tensor]:
    """Each branch but for the norm behind it: (R, C, V, T) -> (R, b, V, S)."""
    made = []
    for branch, part in zip(branches, begun(branches, x, project), strict=True):
        if isinstance(branch, DilatedBranch):
            conv = branch.conv
            weight, bias = conv.weight.transpose(2, 3), conv.bias
            stride, padding, dilation = conv.stride[::-1], conv.padding[::-1], conv.dilation[::-1]
            made.append(F.conv2d(part, weight, bias, stride, padding, dilation))
        else:
            made.append(_Largest.apply(part, branch.stride))
    return made


class _Largest(torch.autograd.Function):
    """The largest of each frame and its two neighbours; the first of equals gets the gradient."""

    @staticmethod
    def forward(ctx, x: Tensor, stride: int) -> Tensor:
        """(R, C, V, T) -> (R, C, V, S)."""
        y = largest(x, stride)
        ctx.save_for_backward(x, y)
        ctx.stride = stride
        return y

    @staticmethod
    def backward(ctx, *grad_outputs: Tensor):
        """Gradient of x."""
        (g, *_), (x, y) = grad_outputs, ctx.saved_tensors
        before, here, _ = (part == y for part in neighbours(x, ctx.stride))
        chosen = before, ~before & here, ~(before | here)
        made = x.new_zeros(*x.shape[:3], x.shape[3] + 2)
        for part, which in zip(views_of_three(made, ctx.stride), chosen, strict=True):
            part += g * which
        return made[..., 1:-1], None


def largest(x: Tensor, stride: int) -> Tensor:
    """`parts.largest` of (R, C, V, T)."""
    before, here, after = neighbours(x, stride)
    return torch.maximum(before, here).maximum(after)


def neighbours(x: Tensor, stride: int) -> list[Tensor]:
    """Of every `stride`-th frame the one before, itself and the one after, thrice (R, C, V, S)."""
    return views_of_three(F.pad(x, (1, 1), value=-torch.inf), stride)


def views_of_three(padded: Tensor, stride: int) -> list[Tensor]:
    """The views of `neighbours` of frames with one more at either end."""
    frames = padded.shape[3] - 2
    return [padded[..., d : d + frames : stride] for d in range(3)]


def shortcut(part: Shortcut, x: Tensor, stride: int = 1) -> Tensor:
    """`Shortcut` of (R, C, V, T)."""
    return part.norm(project(x[..., ::stride], part.project.weight, part.project.bias))


def project(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """(R, C, V, T), (O, C), (O,) -> (R, O, V, T)."""
    flat, wide = x.flatten(2), weight.expand(x.shape[0], -1, -1)
    y = torch.bmm(wide, flat) if bias is None else torch.baddbmm(bias[:, None], wide, flat)
    return y.unflatten(2, x.shape[2:])
