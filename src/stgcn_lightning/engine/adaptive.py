"""AGCN's stages for CPUs, on activations of two orders in memory.

Tensors keep PyTorch's order of axes, (R, C, T, V); only their strides differ. A graph convolution
works on (R, V, T, C): what a joint shows in all frames is one vector there, so that a person's
edges, and its neighbours, are products of a few large matrices. All embeddings are one product.
What comes out is rectified into (T, R, V, C): with the frames first a convolution along time is
made of products of frequencies (`fourier.py`).

Axes: R rows, T frames, V joints (W as receivers), K subsets, C channels in, O out, E embedded.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from stgcn_lightning.engine.devices import left_plain
from stgcn_lightning.engine.frames_first import AddAndRectify
from stgcn_lightning.engine.orders import JOINTS_SECOND, ROWS_SECOND, undone
from stgcn_lightning.engine.products import project, project_back, weight_back
from stgcn_lightning.models import aagcn
from stgcn_lightning.models.parts import Pointwise

TO_ROWS = undone(ROWS_SECOND)


class GraphConv(aagcn.GraphConv):
    """AGCN's graph convolution, a subset of all persons at once."""

    plain_class = aagcn.GraphConv

    def forward(self, x: Tensor) -> Tensor:
        """(R, C, T, V) -> (R, O, T, V)."""
        if left_plain(x):
            return super().forward(x)
        first = x.permute(JOINTS_SECOND).contiguous()  # R, V, T, C
        given = (first, *stacked(self))
        if torch.is_autocast_enabled("cpu"):
            given = (part.to(torch.get_autocast_dtype("cpu")) for part in given)
        with torch.autocast("cpu", enabled=False):
            y: Tensor = _Adaptive.apply(self.adjacency, self.strength, *given)  # pyright: ignore[reportAssignmentType]
        down = self.down(first.permute(JOINTS_SECOND))
        return _RectifyFramesFirst.apply(self.norm(y.permute(JOINTS_SECOND)), down)  # pyright: ignore[reportReturnType]


class _RectifyFramesFirst(torch.autograd.Function):
    """ReLU of the sum of (R, O, T, V) in the order `JOINTS_SECOND`, in the order `ROWS_SECOND`."""

    @staticmethod
    def forward(ctx, y: Tensor, residual: Tensor) -> Tensor:
        """Twice (R, O, T, V) -> (R, O, T, V)."""
        R, O, T, V = y.shape  # noqa: E741
        made = torch.add(y, residual, out=y.new_empty(T, R, V, O).permute(TO_ROWS)).relu_()
        ctx.save_for_backward(made)
        return made

    @staticmethod
    def backward(ctx, *grad_outputs: Tensor):
        """Gradients of both."""
        (made,) = ctx.saved_tensors
        R, O, T, V = made.shape  # noqa: E741
        g = made.new_empty(R, V, T, O).permute(JOINTS_SECOND)
        torch.ops.aten.threshold_backward.grad_input(grad_outputs[0], made, 0, grad_input=g)
        return g, g


class Stage(aagcn.Stage):
    """AGCN's stage, whose gradients lie in memory as its activations do."""

    plain_class = aagcn.Stage

    def forward(self, x: Tensor) -> Tensor:
        """(R, C, T, V) -> (R, O, ceil(T / stride), V)."""
        if left_plain(x):
            return super().forward(x)
        y = self.graph(x)
        if self.attention is not None:
            y = self.attention(y)
        residual = None if self.residual is None else self.residual(x)
        return AddAndRectify.apply(self.temporal(y), residual)  # pyright: ignore[reportReturnType]


class Attention(aagcn.Attention):
    """AAGCN's attention: two means of the input, then one product with it."""

    plain_class = aagcn.Attention

    def forward(self, y: Tensor) -> Tensor:
        """(R, O, T, V) -> the same."""
        if left_plain(y):
            return super().forward(y)
        first = y.permute(ROWS_SECOND).contiguous()  # T, R, V, O
        with torch.autocast("cpu", enabled=False):
            made: Tensor = _Attend.apply(first, *weights_of(self))  # pyright: ignore[reportAssignmentType]
        return made.permute(TO_ROWS)


class Stacked(NamedTuple):
    """The weights of a graph convolution, subset after subset.

    Attributes:
        into: (2 K E, C), of the senders, then of the receivers.
        into_bias: (2 K E,).
        out: (K, C, O).
        out_bias: (O,).
    """

    into: Tensor
    into_bias: Tensor
    out: Tensor
    out_bias: Tensor


def stacked(graph: aagcn.GraphConv) -> Stacked:
    """The weights of `graph`, with the way back to them."""
    embed, projects = (
        [one for one in layers if isinstance(one, Pointwise)]
        for layers in ((*graph.sender, *graph.receiver), graph.project)
    )
    return Stacked(
        torch.cat([one.weight for one in embed]),
        torch.cat([one.bias for one in embed]),
        torch.stack([one.weight.t() for one in projects]),
        torch.stack([one.bias for one in projects]).sum(0),
    )


class _Adaptive(torch.autograd.Function):
    """Keeps input, embeddings and edges; what was gathered is gathered again."""

    @staticmethod
    def forward(
        ctx,
        adjacency: Tensor,
        strength: Tensor,
        x: Tensor,
        into: Tensor,
        into_bias: Tensor,
        out: Tensor,
        out_bias: Tensor,
    ) -> Tensor:
        """(K, V, W), (1,), (R, V, T, C) and `Stacked` -> (R, W, T, O)."""
        R, V, T, C = x.shape
        flat = x.flatten(0, 2)
        embedded = x.new_empty(len(flat), len(into))
        project(flat, into, embedded)
        embedded = by_joint(embedded.add_(into_bias).view(R, V, T, -1), len(out))
        alike = likeness(embedded).tanh_()  # K, R, V, W
        gather = (adjacency[:, None] + strength * alike).mT.to(x.dtype).contiguous()
        y, z = x.new_empty(len(flat), out.shape[2]), x.new_empty(R, V, T * C)
        for k, edges in enumerate(gather):
            torch.bmm(edges, x.flatten(2), out=z)
            project_back(z.view(-1, C), out[k], y, add=k > 0)
        y += out_bias
        ctx.save_for_backward(strength, x, into, out, embedded, alike, gather)
        return y.view(R, V, T, -1)

    @staticmethod
    def backward(ctx, *grad_outputs: Tensor):
        """Gradients of all."""
        strength, x, into, out, embedded, alike, gather = ctx.saved_tensors
        (T, C), frames, flat = x.shape[2:], x.flatten(2), x.flatten(0, 2)
        g = grad_outputs[0].contiguous().flatten(0, 2)  # R W T, O
        z, grad_x = torch.empty_like(frames), torch.empty_like(frames)
        grad_out, grad_gather = torch.empty_like(out), torch.empty_like(gather)
        for k, edges in enumerate(gather):
            torch.bmm(edges, frames, out=z)
            grad_out[k] = weight_back(z.view(-1, C), g, out[k])
            project(g, out[k], z.view(-1, C))  # the gradient of what was gathered
            torch.bmm(z, frames.mT, out=grad_gather[k])
            if k:
                grad_x.baddbmm_(edges.mT, z)
            else:
                torch.bmm(edges.mT, z, out=grad_x)
        grad_edges = grad_gather.mT.to(alike.dtype)
        grad_alike = (1 - alike.square()).mul_(strength).mul_(grad_edges)
        grad_embedded = joined(likeness_back(grad_alike, embedded), T)
        project_back(grad_embedded, into, grad_x.view(-1, C), add=True)
        return (
            grad_edges.sum(1), (grad_edges * alike).sum()[None], grad_x.view(x.shape),
            weight_back(grad_embedded, flat, into), grad_embedded.sum(0), grad_out, g.sum(0),
        )  # fmt: skip


def by_joint(embedded: Tensor, subsets: int) -> Tensor:
    """(R, V, T, 2 K E) -> (2 K, R, V, T E): what a joint shows is one vector for each embedding."""
    return embedded.unflatten(3, (2 * subsets, -1)).permute(3, 0, 1, 2, 4).flatten(3)


def joined(embedded: Tensor, frames: int) -> Tensor:
    """`by_joint` undone, as a matrix: (2 K, R, V, T E) -> (R V T, 2 K E)."""
    return embedded.unflatten(3, (frames, -1)).permute(1, 2, 3, 0, 4).flatten(3).flatten(0, 2)


def likeness(embedded: Tensor) -> Tensor:
    """Mean products of senders and receivers: (2 K, R, V, T E) -> (K, R, V, W)."""
    send, receive = embedded.to(exact(embedded)).chunk(2)
    products = torch.bmm(send.flatten(0, 1), receive.flatten(0, 1).mT)
    return products.div_(embedded.shape[3]).view(*send.shape[:3], -1)


def likeness_back(g: Tensor, embedded: Tensor) -> Tensor:
    """Gradient of `likeness`: (K, R, V, W) -> (2 K, R, V, T E)."""
    g = (g / embedded.shape[3]).to(embedded.dtype).flatten(0, 1)
    send, receive = (part.flatten(0, 1) for part in embedded.chunk(2))
    made = torch.empty_like(embedded)
    of_send, of_receive = (part.flatten(0, 1) for part in made.chunk(2))
    torch.bmm(g, receive, out=of_send)
    torch.bmm(g.mT, send, out=of_receive)
    return made


def exact(x: Tensor) -> torch.dtype:
    """In which likenesses and means are summed."""
    return torch.promote_types(x.dtype, torch.float32)


class Gates(NamedTuple):
    """How much joints, frames and channels count, 1 to 2, and the means that say so.

    Attributes:
        still: (R, V, O), mean over frames.
        joints: (R, 1, V).
        moving: (R, T, O), mean over joints that count so.
        frames: (R, 1, T).
        pooled: (R, O), mean over frames that count so.
        channels: (R, 1, O).
    """

    still: Tensor
    joints: Tensor
    moving: Tensor
    frames: Tensor
    pooled: Tensor
    channels: Tensor

    def product(self) -> Tensor:
        """(T, R, V, 1), of joints and frames."""
        return self.joints.mT * self.frames.permute(2, 0, 1)[..., None]


def weights_of(attention: aagcn.Attention) -> list[Tensor]:
    """Eight tensors: weight and bias for joints, frames, and of both products for channels."""
    made = []
    for part in (attention.joints, attention.frames, attention.squeeze, attention.excite):
        assert part.bias is not None
        made += part.weight, part.bias
    return made


def gates(y: Tensor, weights: Sequence[Tensor]) -> Gates:
    """The gates of (T, R, V, O)."""
    still = y.mean(0, dtype=exact(y))
    joints = neighbours_gate(still, *weights[:2])
    moving = (joints.to(y.dtype) @ y)[:, :, 0].to(exact(y)).transpose(0, 1) / y.shape[2]
    frames = neighbours_gate(moving, *weights[2:4])
    pooled = (frames @ moving)[:, 0] / y.shape[0]  # len() would be a constant of an export
    return Gates(still, joints, moving, frames, pooled, channels_gate(pooled, *weights[4:]))


def neighbours_gate(means: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """(R, places, O) -> (R, 1, places)."""
    return 1 + F.conv1d(means.mT, weight, bias, padding=weight.shape[2] // 2).sigmoid()


def channels_gate(
    pooled: Tensor, squeeze: Tensor, squeeze_bias: Tensor, excite: Tensor, excite_bias: Tensor
) -> Tensor:
    """(R, O) -> (R, 1, O)."""
    few = F.linear(pooled, squeeze, squeeze_bias).relu()
    return 1 + F.linear(few, excite, excite_bias).sigmoid()[:, None]


def attend(y: Tensor, gates: Gates) -> Tensor:
    """(T, R, V, O) -> the same."""
    return (y * gates.product().to(y.dtype)).mul_(gates.channels.to(y.dtype))


class _Attend(torch.autograd.Function):
    """Keeps its input and the gates, whose own small networks are run again for the gradient."""

    @staticmethod
    def forward(ctx, y: Tensor, *weights: Tensor) -> Tensor:
        """(T, R, V, O) and `weights_of` -> (T, R, V, O)."""
        found = gates(y, weights)
        ctx.save_for_backward(y, *weights, *found)
        return attend(y, found)

    @staticmethod
    def backward(ctx, *grad_outputs: Tensor):
        """Gradients of all."""
        y, *kept = ctx.saved_tensors
        weights, found = kept[:8], Gates(*kept[8:])
        (T, _, V, _), kind = y.shape, y.dtype
        g = grad_outputs[0].contiguous()
        joints, frames, channels = (
            one.to(kind) for one in (found.joints, found.frames, found.channels)
        )
        q = g * y
        by_joints = (joints @ q)[:, :, 0].to(found.still.dtype).transpose(0, 1)  # R, T, O
        of_pooled, *of_channels = grads(
            channels_gate, found.frames @ by_joints, found.pooled, weights[4:]
        )
        of_pooled = of_pooled[:, None] / T
        summed = by_joints * found.channels + found.moving * of_pooled
        of_moving, *of_frames = grads(
            neighbours_gate, summed.sum(2)[:, None], found.moving, weights[2:4]
        )
        of_moving = (of_moving + found.frames.mT * of_pooled) / V
        spread = of_moving.to(kind).transpose(0, 1)  # T, R, O
        of_each = (q @ channels.mT)[..., 0].mul_(frames[:, 0].t()[..., None])
        of_each += (y @ spread[..., None])[..., 0]  # T, R, V
        of_still, *of_joints = grads(
            neighbours_gate, of_each.sum(0, dtype=exact(y))[:, None], found.still, weights[:2]
        )
        torch.mul(g, found.product().to(kind), out=q)
        gy = torch.addcmul((of_still / T).to(kind), joints.mT, spread[:, :, None])
        gy.addcmul_(q, channels)
        return gy, *of_joints, *of_frames, *of_channels


def grads(
    gate: Callable[..., Tensor], g: Tensor, means: Tensor, weights: Sequence[Tensor]
) -> tuple[Tensor, ...]:
    """Gradients of the means and weights of a gate, from that of the gate."""
    with torch.enable_grad():
        inputs = [one.detach().requires_grad_() for one in (means, *weights)]
        return torch.autograd.grad(gate(*inputs), inputs, g)
