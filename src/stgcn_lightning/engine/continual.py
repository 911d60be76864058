"""A network that takes one frame at a time: what it computed for earlier frames, it keeps.

It is made of the folded form of a model. Every temporal convolution keeps the last frames of its
input, and gives one frame of output for one of input; a residual waits as long as the convolution
beside it. The answer is that of the mean of the last features.

*Delayed.* A convolution over frames p - 4 to p + 4 can give its output for frame p when frame p + 4
has come, so the feature of frame p comes `delay` frames after it: 76 for the ten stages of ST-GCN
and ST-GCN++. In return it is the feature that the whole sequence has there, with zeros before the
first frame at every convolution; there is no end of the sequence yet.

*Strides.* `every=1` spreads the frames that a convolution sees instead of leaving frames out (à
trous): each frame has a feature, that of the strided network which begins at its phase. `every=4`,
the product of the strides, leaves frames out as the network does: a new answer with every fourth
frame, for a third of the work.

Source: Hedegaard, Heidari and Iosifidis, "Continual Spatio-Temporal Graph Convolutional Networks",
Pattern Recognition 2023 (arXiv:2203.11009).

Axes: R rows (persons), V joints (W as receivers), C channels in, O out, K subsets, F features.
"""

from collections.abc import Sequence
from math import gcd

import torch
from torch import Tensor, nn

# a family's own folded form is known once its file is imported
from stgcn_lightning.engine import folded_stgcn  # noqa: F401
from stgcn_lightning.engine.folded import (
    Folded,
    FoldedFirst,
    FoldedGraphConv,
    FoldedStage,
    FoldedTimeConv,
    folded_form,
)
from stgcn_lightning.engine.folded_stgcnpp import FoldedBranches
from stgcn_lightning.engine.rings import Ring, RunningMean, Views
from stgcn_lightning.errors import BadInput
from stgcn_lightning.models.backbone import Backbone


def continual_stages(model: Backbone) -> list[FoldedStage]:
    """The folded stages of a model of which there is a continual form.

    Raises:
        BadInput: the model's family has none.
    """
    form = folded_form(model)
    stages = list(form.stages) if isinstance(form, Folded) else []
    known = [stage for stage in stages if isinstance(stage, FoldedStage) and knows(stage)]
    if not stages or len(known) < len(stages):
        raise BadInput(
            f"{type(model).__name__} has no continual form, ST-GCN and ST-GCN++ have one: answer "
            "for windows of frames, continual=False, or export their form, format=onnx"
        )
    return known


def knows(stage: FoldedStage) -> bool:
    """Whether both parts of a stage are of a kind that has a step here."""
    graphs, temporals = (FoldedFirst, FoldedGraphConv), (FoldedTimeConv, FoldedBranches)
    return isinstance(stage.graph, graphs) and isinstance(stage.temporal, temporals)


class Continual:
    """One step a frame for any number of persons, who come and leave.

    Persons are rows 0 to R - 1 of every step. It holds the weights that the model had when it was
    made, and the state of its persons: use one for one stream, from one thread at a time.

    Args:
        model: an ST-GCN or ST-GCN++, in evaluation mode.
        window: frames whose features are averaged.
        every: frames from one feature to the next: 1, or a divisor of the product of the strides.

    Attributes:
        delay: frames from a frame to its feature.

    Raises:
        BadInput: the model's family has no continual form, or `every` does not divide its strides.
    """

    @torch.inference_mode()
    def __init__(self, model: Backbone, window: int, every: int = 1):
        self.classify, self.every, self.delay, self.time = model.classify, every, 0, 0
        stages = continual_stages(model)
        strides = 1
        self.stages: list[ContinualStage] = []
        for stage in stages:
            self.stages.append(ContinualStage(stage, strides, every, self.delay, model.joints))
            strides *= stage.stride
            self.delay = self.stages[-1].delay_out
        if every < 1 or strides % every:
            allowed = ", ".join(str(n) for n in range(1, strides + 1) if strides % n == 0)
            raise BadInput(f"every={every} is none of {allowed}, which the model's strides allow")
        self.mean = RunningMean(
            max(1, window // every), self.classify.in_features, self.classify.weight.detach()
        )
        self.born: list[int] = []

    @property
    def ready(self) -> list[bool]:
        """(R,) whether a person has been there for longer than the delay."""
        return [self.time - born > self.delay for born in self.born]

    @torch.inference_mode()
    def arrive(self) -> int:
        """Add a person, whose first frame is that of the next step; returns the row."""
        self.born.append(self.time)
        self._resize()
        return len(self.born) - 1

    @torch.inference_mode()
    def leave(self, row: int) -> None:
        """Take a person away; the last row takes the place."""
        last = len(self.born) - 1
        for part in (*self.stages, self.mean):
            part.move(last, row)
        self.born[row] = self.born[last]
        self.born.pop()
        self._resize()

    @torch.inference_mode()
    def step(self, frame: Tensor) -> Tensor | None:
        """Take one frame of everybody.

        Args:
            frame: (R, V, C) of the stream that the model was trained on.

        Returns:
            Mean features (R, F); those of persons who are not `ready` mean nothing. None: there are
            no new ones in this step.
        """
        time, x = self.time, frame
        self.time += 1
        newest = time - max(self.born)  # frames that the youngest has been there for
        for stage in self.stages:
            if newest < self.delay + self.every:
                self._start(stage, time, stage.delay, stage.period)
            found = stage.step(time, x)
            if found is None:
                return None
            x = found
        if newest < self.delay + self.every:
            self._start(self.mean, time, self.delay, self.every)
        return self.mean.push(x.mean(1))

    def _start(self, part: "ContinualStage | RunningMean", time: int, delay: int, period: int):
        """Forget what was there before a person's first frame, when it gets to a part."""
        for row, born in enumerate(self.born):
            if 0 <= time - born - delay < period:
                part.clear(row)

    def _resize(self) -> None:
        for part in (*self.stages, self.mean):
            part.resize(len(self.born))


class ContinualStage:
    """One stage: graph, then time, with a residual around both that waits for the time.

    Args:
        stage: what it computes.
        stride_in: product of the strides before it.
        every: see `Continual`.
        delay: frames from a frame to this stage's input.
        joints: V.
    """

    def __init__(self, stage: FoldedStage, stride_in: int, every: int, delay: int, joints: int):
        self.delay, self.period = delay, gcd(every, stride_in)
        self.period_out = gcd(every, stride_in * stage.stride)
        self.graph = graph_step(stage.graph)
        self.temporal = temporal_step(stage.temporal)
        self.delay_out = delay + self.temporal.taps // 2 * stride_in
        self.identity = stage.identity
        self.shortcut = None if stage.shortcut is None else stage.shortcut.t().contiguous()
        dilation, like = stride_in // self.period, self.temporal.like
        self.ring = Ring(self.temporal.taps, dilation, joints, self.temporal.channels, like)
        self.past = None  # of the residual
        if self.identity or self.shortcut is not None:
            channels = self.temporal.out_channels if self.shortcut is None else len(self.shortcut)
            self.past = Ring(self.temporal.taps // 2 + 1, dilation, joints, channels, like)

    def resize(self, rows: int) -> None:
        """Use the first `rows` rows from now on."""
        for ring in self._rings():
            ring.resize(rows)

    def clear(self, row: int) -> None:
        """Let all frames before the next one be zero."""
        for ring in self._rings():
            ring.clear(row)

    def move(self, source: int, target: int) -> None:
        """Let the row `target` be what the row `source` is."""
        for ring in self._rings():
            ring.move(source, target)

    def step(self, time: int, x: Tensor) -> Tensor | None:
        """(R, V, C) -> (R, V, O); None: the stride leaves this frame out."""
        step = time // self.period
        views = self.ring.at(step)
        past = None if self.past is None else self.past.at(step)
        self.temporal.write(self.graph(x), views.newest)
        if past is not None:
            past.newest.copy_(x)
        if time % self.period_out:
            return None
        y = self.temporal.read(views)
        if past is not None:
            then = past.frames[:, :, 0].flatten(0, 1)
            y = y.add_(then) if self.shortcut is None else y.addmm_(then, self.shortcut)
        return y.relu_().unflatten(0, x.shape[:2])

    def _rings(self) -> Sequence[Ring]:
        return [self.ring] if self.past is None else [self.ring, self.past]


def graph_step(graph: nn.Module) -> "FirstStep | GraphStep":
    """One frame of a folded graph convolution, (R, V, C) -> (R V, O), without its ReLU."""
    if isinstance(graph, FoldedFirst):
        return FirstStep(graph)
    assert isinstance(graph, FoldedGraphConv)
    return GraphStep(graph)


def temporal_step(temporal: nn.Module) -> "TapsStep | BranchesStep":
    """One frame of a folded temporal convolution."""
    if isinstance(temporal, FoldedTimeConv):
        return TapsStep(temporal)
    assert isinstance(temporal, FoldedBranches)
    return BranchesStep(temporal)


class FirstStep:
    """The norm of the input and the first graph convolution: one product."""

    def __init__(self, graph: FoldedFirst):
        self.weight, self.bias = graph.weight.t().contiguous(), graph.bias

    def __call__(self, x: Tensor) -> Tensor:
        """(R, V, C) -> (R V, O)."""
        return torch.addmm(self.bias, x.flatten(1), self.weight).view(x.shape[0] * x.shape[1], -1)


class GraphStep:
    """Gather, project, add bias and residual."""

    def __init__(self, graph: FoldedGraphConv):
        self.gather, self.bias, self.identity = graph.gather, graph.bias, graph.identity
        self.weight = graph.weight.t().contiguous()  # K C, O
        self.down = None if graph.down is None else graph.down.t().contiguous()  # C, O
        self.biases = self.bias  # R V, O

    def __call__(self, x: Tensor) -> Tensor:
        """(R, V, C) -> (R V, O)."""
        R, V, _ = x.shape
        if len(self.biases) != R * V:
            self.biases = self.bias.repeat(R, 1)
        gathered = torch.bmm(self.gather.expand(R, -1, -1), x).view(R * V, -1)  # R W, K C
        y = torch.addmm(self.biases, gathered, self.weight)
        if self.down is not None:
            return y.addmm_(x.flatten(0, 1), self.down)
        return y.add_(x.flatten(0, 1)) if self.identity else y


class TapsStep:
    """A convolution as one product of the whole window.

    Attributes:
        taps: frames that it sees, an odd number.
        channels: of the ring.
        out_channels: O.
        like: a tensor of the type and device of the frames.
    """

    def __init__(self, conv: FoldedTimeConv):
        self.out_channels, self.channels, self.taps, _ = conv.weight.shape
        self.like, self.bias = conv.bias, conv.bias
        weight = conv.weight[..., 0].permute(2, 1, 0)  # taps, C, O
        self.weight = weight.reshape(-1, self.out_channels)

    def write(self, y: Tensor, newest: Tensor) -> None:
        """Put what the graph convolution gives, (R V, O) before its ReLU, into the ring."""
        torch.clamp_min(y.view(newest.shape), 0, out=newest)

    def read(self, views: Views) -> Tensor:
        """(R V, O) of the frame in the middle of the window."""
        return torch.addmm(self.bias, views.matrix, self.weight)


class BranchesStep:
    """The six branches of ST-GCN++ around the frame in the middle; attributes of `TapsStep`."""

    def __init__(self, branches: FoldedBranches):
        self.folded = branches
        self.out_channels = self.channels = len(branches.bias_in)
        self.like = branches.bias_in
        self.weight_in = branches.weight_in.t().contiguous()
        self.weight_out = branches.weight_out.t().contiguous()
        convs = [conv for conv in branches.convs if isinstance(conv, FoldedTimeConv)]
        self.middle = max(conv.dilation for conv in convs)
        self.taps = 2 * self.middle + 1
        self.convs = [
            (conv.dilation, conv.weight[..., 0].permute(2, 1, 0).reshape(-1, len(conv.bias)), conv)
            for conv in convs
        ]
        ends = torch.tensor(branches.widths).cumsum(0).tolist()
        self.columns = [slice(end - n, end) for n, end in zip(branches.widths, ends, strict=True)]

    def write(self, y: Tensor, newest: Tensor) -> None:
        """Put what the graph convolution gives, (R V, O) before its ReLU, into the ring."""
        y = torch.addmm(self.folded.bias_in, y.relu_(), self.weight_in)
        y[:, : self.columns[-1].start].relu_()  # all branches but the frame itself
        newest.copy_(y.view(newest.shape))

    def read(self, views: Views) -> Tensor:
        """(R V, O) of the frame in the middle of the window."""
        frames, middle = views.frames, self.middle
        y = frames.new_empty(len(views.matrix), self.channels)
        for (dilation, weight, conv), columns in zip(self.convs, self.columns, strict=False):
            seen = frames[:, :, middle - dilation : middle + dilation + 1 : dilation, columns]
            torch.addmm(conv.bias, seen.reshape(len(y), -1), weight, out=y[:, columns])
        *_, largest, point = self.columns
        near = frames[:, :, middle - 1 : middle + 2, largest]
        y[:, largest] = near.amax(2).flatten(0, 1)
        y[:, point] = frames[:, :, middle, point].flatten(0, 1)
        y = torch.addcmul(self.folded.shift, y, self.folded.scale).relu_()
        return torch.addmm(self.folded.bias_out, y, self.weight_out)
