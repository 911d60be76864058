"""The evaluation form of an ST-GCN: whatever is constant once training stops, folded into weights.

Every batch norm disappears into the product or convolution before it, edges times importance become
one matrix, the norm of the input becomes part of the first stage, which is a single product. Logits
differ from the unfolded ones by rounding alone.

Axes: R rows (persons of clips), T frames, V joints (W where they listen), C channels (O where they
come out), K subsets.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stgcn_lightning.engine.nine_taps import at_points, convolve, pays
from stgcn_lightning.engine.persons import sent


def scale_and_shift(norm: nn.modules.batchnorm._BatchNorm) -> tuple[Tensor, Tensor]:
    """What a norm does in evaluation: x scale + shift, each (features,)."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
    return scale, norm.bias - norm.running_mean * scale


class Order(NamedTuple):
    """An order of the joints in which the listeners of the sparsest subset come first.

    In the graph `stgcn_spatial` only joints next to the centre, and those next to them, hear
    anything in the last subset. The head averages joints, so their order is free.

    Attributes:
        joints: (V,) which joint comes at each place.
        sparse: that subset; None if every joint hears something in each, or it is not looked for.
        listeners: how many joints hear something in it.
    """

    joints: Tensor
    sparse: int | None
    listeners: int

    @classmethod
    def of(cls, adjacency: Tensor, look: bool) -> "Order":
        """The order for an adjacency (K, V, W)."""
        heard = (adjacency != 0).any(1)  # K, W
        sparse = int(heard.sum(1).argmin())
        listeners = int(heard[sparse].sum())
        if not look or listeners == heard.shape[1] or len(heard) == 1:
            return cls(torch.arange(heard.shape[1], device=adjacency.device), None, 0)
        return cls(
            heard[sparse].logical_not().to(torch.int8).argsort(stable=True), sparse, listeners
        )


class FoldedGraphConv(nn.Module):
    """Gather, project, shift, rectify.

    Args:
        edges: (K, V, W), from joint to joint.
        weight: (K, O, C) of the projection.
        bias: (W, O).
        sparse: a subset that only the first `listeners` joints hear, to be computed for those
            alone.
        listeners: how many those are.
    """

    gather: Tensor
    weight: Tensor
    bias: Tensor
    few: Tensor
    few_weight: Tensor

    def __init__(
        self,
        edges: Tensor,
        weight: Tensor,
        bias: Tensor,
        sparse: int | None = None,
        listeners: int = 0,
    ):
        super().__init__()
        K, V, W = edges.shape
        others = [k for k in range(K) if k != sparse]
        gather = edges[others].permute(2, 0, 1).reshape(W * len(others), V)
        self.register_buffer("gather", gather)  # W K, V
        self.register_buffer("weight", weight[others].transpose(0, 1).flatten(1))  # O, K C
        self.register_buffer("bias", bias)
        self.listeners = listeners
        if sparse is not None:
            self.register_buffer("few", edges[sparse, :, :listeners].t().contiguous())
            self.register_buffer("few_weight", weight[sparse])

    def forward(self, x: Tensor) -> Tensor:
        """(R, T, V, C) -> (R, T, V, O)."""
        R, T, V, _ = x.shape
        gathered = torch.matmul(self.gather, x).reshape(R, T, V, -1)  # R, T, W, K C
        y = F.linear(gathered, self.weight)
        if self.listeners:
            y[:, :, : self.listeners] += F.linear(torch.matmul(self.few, x), self.few_weight)
        return y.add_(self.bias).relu_()


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


class FoldedStage(nn.Module):
    """One stage: graph, then the temporal convolution on top of what passes it by."""

    shortcut: Tensor | None

    def __init__(
        self,
        graph: nn.Module,
        weight: Tensor,
        bias: Tensor,
        stride: int,
        *,
        identity: bool,
        shortcut: Tensor | None,
    ):
        super().__init__()
        self.graph = graph
        self.register_buffer("weight", weight)  # O, O, frames seen, 1
        self.register_buffer("bias", bias)  # O
        self.register_buffer("shortcut", shortcut)  # O, C
        self.stride, self.identity = stride, identity
        self.taps: list[Tensor] = []  # of `temporal.convolve`, where it pays

    weight: Tensor
    bias: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """(R, T, V, C) -> (R, ceil(T / stride), V, O)."""
        y = self.graph(x)
        if self.taps and pays(y, y.shape[-1]):
            y = convolve(y, self.taps, self.bias)
        else:
            y = y.permute(0, 3, 1, 2)  # R, O, T, V
            padding = (self.weight.shape[2] // 2, 0)
            y = F.conv2d(y, self.weight, self.bias, (self.stride, 1), padding)
            y = y.permute(0, 2, 3, 1)
        if self.shortcut is not None:
            y += F.linear(x[:, :: self.stride], self.shortcut)
        elif self.identity:
            y += x
        return y.relu_()


class Folded(nn.Module):
    """All stages and the head, for evaluation alone.

    Args:
        stages: the folded stages; the first one takes the raw input.
        weight, bias: of the classifier.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, stages: Iterable[FoldedStage], weight: Tensor, bias: Tensor):
        super().__init__()
        self.stages = nn.ModuleList(stages)
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias)
        self.empty: dict[int, Tensor] = {}  # frames -> features (O,) of an absent person

    def quicken(self) -> "Folded":
        """Use fewer multiplications where that pays; returns itself."""
        for stage in self.stages:
            assert isinstance(stage, FoldedStage)
            if stage.stride == 1 and pays(stage.weight, len(stage.weight)):
                stage.taps = at_points(stage.weight)
        return self

    def features(self, x: Tensor) -> Tensor:
        """(R, T, V, C) -> (R, O), the mean over frames and joints."""
        for stage in self.stages:
            x = stage(x)
        return x.float().mean((1, 2)) if x.dtype == torch.bfloat16 else x.mean((1, 2))

    def forward(self, clips: Tensor) -> Tensor:
        """Logits (N, classes) of clips (N, M, T, V, C), every person computed."""
        features = self.features(clips.flatten(0, 1))
        return F.linear(features.unflatten(0, clips.shape[:2]).mean(1), self.weight, self.bias)

    def distinct(
        self,
        clips: Tensor,
        rows_at_once: int,
        present: Tensor | None = None,
        *,
        features: Callable[["Folded", Tensor], Tensor] | None = None,
        step: int = 1,
    ) -> Tensor:
        """The same, with absent persons computed once per number of frames.

        Args:
            clips: (N, M, T, V, C); a person is absent if all zero.
            rows_at_once: persons computed together, which bounds the memory.
            present: (N, M) bool on the CPU, see `persons.distinct`; it may be left out.
            features: the compiled form of `Folded.features`, if there is one.
            step: what the number of persons given to it is rounded up to.
        """
        N, M, T, V, C = clips.shape
        flat = clips.flatten(0, 1)
        if present is None:
            present = (flat != 0).flatten(1).any(1).cpu()
        here = sent(present.flatten().nonzero()[:, 0], clips.device)
        parts: list[Tensor] = []
        for some in here.split(rows_at_once) if len(here) else ():
            rows = F.pad(flat[some], (0, 0) * 3 + (0, -len(some) % step))
            part = Folded.features(self, rows) if features is None else features(self, rows)
            parts.append(part[: len(some)].clone())  # a replayed CUDA graph writes there again
        if len(here) == N * M:
            pooled = torch.cat(parts)
        else:
            if T not in self.empty:
                with torch.autocast(clips.device.type, enabled=False):
                    zeros = torch.zeros(1, T, V, C, dtype=self.weight.dtype, device=clips.device)
                    self.empty[T] = self.features(zeros)[0]
            pooled = self.empty[T].repeat(N * M, 1)
            if parts:
                pooled[here] = torch.cat(parts).to(pooled.dtype)
        return F.linear(pooled.view(N, M, -1).mean(1), self.weight, self.bias)
