"""MS-G3D's graph convolutions on CPUs: windows that are not copied, one row in the cache at a time.

Activations lie in memory as (R, T, V, C), so that the joints of neighbouring frames are one block,
and a window is a view. Wide frames are projected before they are gathered: once for every frame,
which is in F / stride windows. Nothing but the input is kept for the backward pass: what a row was
projected or gathered to is made again there, row by row, in memory that stays in the cache.

Axes: R rows, T frames (S windows), V joints, C channels in, O out, E between, K distances, F frames
of a window, U = F V its nodes (node f V + v) as senders, W = V F as receivers (receiver v F + f:
the frames of a joint, next to each other, are what is brought back to one frame).
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from stgcn_lightning.engine.branches import along_time, last_norms, of_several_frames
from stgcn_lightning.engine.devices import left_plain
from stgcn_lightning.engine.norms import norm_together
from stgcn_lightning.models import msg3d
from stgcn_lightning.models.parts import Shortcut, channels_first, channels_last

NARROW = 8  # input channels below which windows are gathered before they are projected


class GraphConv(msg3d.GraphConv):
    """MS-G3D's graph convolution, that keeps nothing of what it gathered."""

    plain_class = msg3d.GraphConv

    def forward(self, x: Tensor) -> Tensor:
        """(R, C, T, V) -> (R, O, T, V)."""
        if left_plain(x, autocast=True) or x.shape[1] < NARROW:
            return super().forward(x)
        edges, x = self.edges(), channels_last(x).contiguous()
        gather = edges.permute(2, 0, 1).flatten(0, 1)  # V K, V
        y = _GatherThenProject.apply(x, gather, self.project.weight, self.project.bias)
        assert isinstance(y, Tensor)
        return self.norm(channels_first(y)).relu_()


class WindowConv(msg3d.WindowConv):
    """MS-G3D's window, a view of its frames."""

    plain_class = msg3d.WindowConv

    def forward(self, x: Tensor) -> Tensor:
        """(R, C, T, V) -> (R, O, S, V)."""
        if left_plain(x, autocast=True):
            return super().forward(x)
        graph, V = self.graph, x.shape[3]
        edges, weight = graph.edges(), graph.project.weight
        x = channels_last(x).contiguous()
        if x.shape[3] < NARROW:
            y = gather_windows(x, edges, self.frames, self.stride)
            y = F.linear(y, weight, graph.project.bias)  # R, S, W, E
        else:
            y = _ProjectThenGather.apply(
                x,
                gather_of(edges, self.frames),
                by_subset(weight, len(edges)),
                graph.project.bias,
                self.frames,
                self.stride,
            )
            assert isinstance(y, Tensor)
        y = channels_last(graph.norm(channels_first(y)).relu_())
        y = y.reshape(*y.shape[:2], V, -1)  # R, S, V, F E
        y = F.linear(y, collapse_of(self.collapse.weight), self.collapse.bias)
        return self.norm(channels_first(y))


class TemporalConv(msg3d.TemporalConv):
    """MS-G3D's temporal convolution: one product into its branches, two norms over all of them."""

    plain_class = msg3d.TemporalConv

    def forward(self, x: Tensor) -> Tensor:
        """(R, C, T, V) -> (R, O, S, V)."""
        if left_plain(x, autocast=True):
            return super().forward(x)
        several, point = of_several_frames(self.branches), self.branches[-1]
        assert isinstance(point, Shortcut)
        y = torch.cat([*along_time(several, x), point.project(x)], 1)
        y = norm_together([*last_norms(several), point.norm], y)
        y = y + self.residual(x)
        return y.relu_() if self.rectify else y


def gather_of(edges: Tensor, frames: int) -> Tensor:
    """(K, U, U), from node to node -> (W, F V K), what each receives, receivers by joint."""
    K, U, _ = edges.shape
    return edges.view(K, U, frames, -1).permute(3, 2, 1, 0).reshape(U, U * K)


def by_subset(weight: Tensor, subsets: int) -> Tensor:
    """(E, K C), which mixes what was gathered -> (K E, C), which projects before."""
    return weight.unflatten(1, (subsets, -1)).transpose(0, 1).flatten(0, 1)


def collapse_of(weight: Tensor) -> Tensor:
    """(O, E, 1, F, 1), of a convolution -> (O, F E)."""
    return weight[:, :, 0, :, 0].transpose(1, 2).flatten(1)


def gather_windows(x: Tensor, edges: Tensor, frames: int, stride: int) -> Tensor:
    """Few channels: (R, T, V, C), edges (K, U, U) -> (R, S, W, K C)."""
    around = frames // 2
    x = F.pad(x, (0, 0, 0, 0, around, around)).unfold(1, frames, stride)  # R, S, V, C, F
    x = x.permute(0, 1, 3, 4, 2).flatten(3)  # R, S, C, U
    K, U, _ = edges.shape
    gather = edges.view(K, U, frames, -1).permute(1, 3, 2, 0).reshape(U, -1)  # U, W K
    return (x @ gather).unflatten(3, (U, K)).permute(0, 1, 3, 4, 2).flatten(3)


class Windows(NamedTuple):
    """Windows of F frames of a row (T, ...), zeros around it."""

    length: int  # T
    frames: int  # F
    stride: int

    @property
    def number(self) -> int:
        """S."""
        return -(-self.length // self.stride)

    def room(self, like: Tensor, size: int) -> Tensor:
        """Memory (T + F - 1, size) of a row, whose frames around it are zero."""
        made = like.new_empty(self.length + self.frames - 1, size)
        around = self.frames // 2
        made[:around] = 0
        made[around + self.length :] = 0
        return made

    def inside(self, room: Tensor) -> Tensor:
        """The T frames of such memory."""
        return room[self.frames // 2 :][: self.length]

    def of(self, room: Tensor, channels: int) -> Tensor:
        """All windows of a row in such memory, as views: (S, F size / channels, channels)."""
        size = room.shape[1]
        shape = self.number, self.frames * size // channels, channels
        return room.as_strided(shape, (self.stride * size, channels, 1))

    def receivers(self, phase: int) -> tuple[list[int], int]:
        """Who receives from the frames phase, phase + stride, ...

        Returns:
            At which place of a window these frames are, for one window after the other, and in
            which window the first of these frames is at the first of these places.
        """
        place = phase + self.frames // 2  # in the window 0
        first = place % self.stride
        places = list(range(first, self.frames, self.stride))[::-1]
        return places, (place - places[0]) // self.stride

    @property
    def past(self) -> int:
        """How many windows before the first one, and after the last, may receive from a frame."""
        return (self.frames - 1) // self.stride + 1


class _ProjectThenGather(torch.autograd.Function):
    """sum_k B_k^T (x W_k) + b over the windows of each row."""

    @staticmethod
    def forward(
        ctx, x: Tensor, gather: Tensor, weight: Tensor, bias: Tensor, frames: int, stride: int
    ) -> Tensor:
        """(R, T, V, C), (W, F V K), (K E, C), (E,) -> (R, S, W, E)."""
        ctx.save_for_backward(x, gather, weight)
        ctx.windows = Windows(x.shape[1], frames, stride)
        return project_then_gather(x, gather, weight, bias, frames, stride)

    @staticmethod
    def backward(ctx, *grad_outputs: Tensor):
        """Gradients of x, gather, weight and bias."""
        x, gather, weight = ctx.saved_tensors
        windows: Windows = ctx.windows
        g = grad_outputs[0].contiguous()  # R, S, W, E
        (R, T, V, C), (W, E), past = x.shape, g.shape[2:], windows.past
        KE = len(weight)
        by_frame = gather.view(W, windows.frames, -1)  # W, F, V K
        phases = []
        for phase in range(min(windows.stride, T)):
            places, first = windows.receivers(phase)
            back = by_frame[:, places].permute(2, 1, 0).flatten(1)  # V K, places W
            frames = len(range(phase, T, windows.stride))
            phases.append((phase, first + past, len(places), back.expand(frames, -1, -1)))
        room, received = windows.room(x, V * KE), g.new_zeros(windows.number + 2 * past, W * E)
        grad_z = x.new_empty(T, V * KE // E, E)
        grad_x, grad_weight, grad_gather = (torch.zeros_like(one) for one in (x, weight, gather))
        for r in range(R):
            _project(x[r], weight, windows, room)
            for window, part in zip(windows.of(room, E), g[r], strict=True):
                grad_gather.addmm_(part, window.t())
            received[past:-past] = g[r].flatten(1)
            for phase, first, places, back in phases:
                shape, steps = (len(back), places * W, E), (W * E, E, 1)
                part = received.as_strided(shape, steps, first * W * E)
                torch.bmm(back, part, out=grad_z[phase :: windows.stride])
            flat = grad_z.view(T * V, KE)
            torch.mm(flat, weight, out=grad_x[r].view(T * V, C))
            grad_weight.addmm_(flat.t(), x[r].view(T * V, C))
        return grad_x, grad_gather, grad_weight, g.sum((0, 1, 2)), None, None


def project_then_gather(
    x: Tensor, gather: Tensor, weight: Tensor, bias: Tensor, frames: int, stride: int
) -> Tensor:
    """Project every frame, then gather in windows: (R, T, V, C) -> (R, S, W, E).

    Args:
        x: (R, T, V, C), contiguous.
        gather: (W, F V K).
        weight: (K E, C).
        bias: (E,).
        frames: F.
        stride: frames from one window to the next.
    """
    R, T, V, _ = x.shape
    windows = Windows(T, frames, stride)
    W, E = len(gather), len(bias)
    y = x.new_empty(R, windows.number, W, E)
    room = windows.room(x, V * len(weight))
    gather = gather.expand(windows.number, -1, -1)
    for r in range(R):
        _project(x[r], weight, windows, room)
        torch.bmm(gather, windows.of(room, E), out=y[r])
    return y.add_(bias)


def _project(x: Tensor, weight: Tensor, windows: Windows, room: Tensor) -> None:
    """Write the row x (T, V, C), projected, into its memory."""
    inside = windows.inside(room).view(-1, len(weight))
    torch.mm(x.flatten(0, 1), weight.t(), out=inside)


class _GatherThenProject(torch.autograd.Function):
    """sum_k (A_k^T x) W_k + b of each row."""

    @staticmethod
    def forward(ctx, x: Tensor, gather: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """(R, T, V, C), (V K, V), (O, K C), (O,) -> (R, T, V, O)."""
        ctx.save_for_backward(x, gather, weight)
        return gather_then_project(x, gather, weight, bias)

    @staticmethod
    def backward(ctx, *grad_outputs: Tensor):
        """Gradients of x, gather, weight and bias."""
        x, gather, weight = ctx.saved_tensors
        g = grad_outputs[0].contiguous()
        R, T, V, C = x.shape
        into = gather.expand(T, -1, -1)
        gathered, grad_gathered = (x.new_empty(T, len(gather), C) for _ in range(2))
        grad_x, grad_weight, grad_gather = (torch.zeros_like(one) for one in (x, weight, gather))
        for r in range(R):
            part = g[r].view(T * V, -1)
            torch.bmm(into, x[r], out=gathered)
            torch.mm(part, weight, out=grad_gathered.view(T * V, -1))
            grad_weight.addmm_(part.t(), gathered.view(T * V, -1))
            torch.bmm(into.mT, grad_gathered, out=grad_x[r])
            grad_gather += torch.bmm(grad_gathered, x[r].mT).sum(0)
        return grad_x, grad_gather, grad_weight, g.sum((0, 1, 2))


def gather_then_project(x: Tensor, gather: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Gather in every frame, then project: (R, T, V, C) -> (R, T, V, O).

    Args:
        x: (R, T, V, C), contiguous.
        gather: (V K, V), of each joint and distance from where.
        weight: (O, K C).
        bias: (O,).
    """
    R, T, V, C = x.shape
    y = x.new_empty(R, T, V, len(weight))
    gathered = x.new_empty(T, len(gather), C)
    into = gather.expand(T, -1, -1)
    for r in range(R):
        torch.bmm(into, x[r], out=gathered)
        torch.addmm(bias, gathered.view(T * V, -1), weight.t(), out=y[r].view(T * V, -1))
    return y
