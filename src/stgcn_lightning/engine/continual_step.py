"""One step of a continual network as a function: a frame and the state in, logits and state out.

What `continual.Continual` computes for `every=1`, for programs that keep the state themselves.
State that is not written to is copied anew in each step, so this form is the slower one.

Axes: R rows (persons), V joints, C channels, O out, T frames kept, M persons of a clip, W features
that are averaged, F features.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stgcn_lightning.engine.continual import continual_stages
from stgcn_lightning.engine.engine import Engine
from stgcn_lightning.engine.folded import FoldedStage, FoldedTimeConv
from stgcn_lightning.engine.folded_stgcnpp import FoldedBranches
from stgcn_lightning.models.backbone import Backbone


class ContinualStep(nn.Module):
    """A frame of each person, judged alone, and its state.

    Args:
        model: an ST-GCN or ST-GCN++, in evaluation mode.
        window: W.
        persons: M, of whom all but one are absent.
        clip_frames: frames of a clip of the training, of which the absent persons are.

    Attributes:
        delay: frames from a frame to its feature.

    Raises:
        BadInput: the model's family has no continual form.
    """

    absent: Tensor

    @torch.no_grad()
    def __init__(self, model: Backbone, window: int, persons: int, clip_frames: int):
        super().__init__()
        self.window, self.shape = window, (model.joints, model.channels)
        self.classify = model.classify
        spread, self.delay, parts = 1, 0, list[StageStep]()
        for stage in continual_stages(model):
            parts.append(StageStep(stage, spread, self.delay))
            spread *= stage.stride
            self.delay = parts[-1].delay_out
        self.stages = nn.ModuleList(parts)
        self.parts = parts
        like = model.classify.weight
        empty = torch.zeros(1, 1, clip_frames, *self.shape, dtype=like.dtype, device=like.device)
        absent, _ = Engine(model).evaluation().absent_persons(empty)
        self.register_buffer("absent", absent.expand(persons - 1, -1)[None].clone())

    def initial(self, rows: int) -> list[Tensor]:
        """The state before the first frame: zeros, (R, T, V, C) and last (R, W, F)."""
        like, sizes = self.classify.weight, list[tuple[int, ...]]()
        for part in self.parts:
            sizes += [(rows, T, self.shape[0], C) for T, C in part.kept]
        sizes.append((rows, self.window, self.classify.in_features))
        return [torch.zeros(size, dtype=like.dtype, device=like.device) for size in sizes]

    def forward(
        self, frame: Tensor, age: Tensor, state: list[Tensor]
    ) -> tuple[Tensor, list[Tensor]]:
        """Take one frame of everybody.

        Args:
            frame: (R, V, C) of the stream that the model was trained on.
            age: (R,) int64, frames of each person before this one.
            state: what the step before returned, or `initial`.

        Returns:
            Logits (R, classes), which mean nothing while `age` is below `delay`; the new state.
        """
        left, new, x = list(state), list[Tensor](), frame
        for part in self.parts:
            count = len(part.kept)
            x, kept = part(x, age, left[:count])
            left, new = left[count:], new + kept
        seen = (age >= self.delay)[:, None]  # R, 1
        features = torch.cat([left[0][:, 1:], torch.where(seen, x.mean(1), 0)[:, None]], 1)
        count = (age - self.delay + 1).clamp(1, self.window)[:, None]  # R, 1
        mean = features.sum(1) / count
        absent = self.absent.expand(mean.shape[0], -1, -1)  # of len, export makes a constant
        logits = self.classify(torch.cat([mean[:, None], absent], 1))  # R, M, F
        return logits, [*new, features]


class StageStep(nn.Module):
    """One stage, with the frames that it keeps of its temporal convolution and of its residual.

    Args:
        stage: what it computes.
        spread: product of the strides before it.
        delay: frames from a frame to this stage's input.

    Attributes:
        kept: (T, C) of each part of the state.
        delay_out: frames from a frame to this stage's output.
    """

    def __init__(self, stage: FoldedStage, spread: int, delay: int):
        super().__init__()
        self.graph, self.temporal = stage.graph, stage.temporal
        self.identity, self.spread, self.delay = stage.identity, spread, delay
        self.shortcut = stage.shortcut
        if isinstance(stage.temporal, FoldedTimeConv):
            out, channels, taps, _ = stage.temporal.weight.shape
            self.reach = taps // 2
        else:
            assert isinstance(stage.temporal, FoldedBranches)
            out = channels = len(stage.temporal.bias_in)
            self.reach = max(conv.dilation for conv in time_convs(stage.temporal))
        self.delay_out = delay + self.reach * spread
        self.kept = [(2 * self.reach * spread, channels)]
        if self.identity or self.shortcut is not None:
            past = out if self.shortcut is None else self.shortcut.shape[1]
            self.kept.append((self.reach * spread, past))

    def forward(self, x: Tensor, age: Tensor, state: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """(R, V, C), (R,) and the frames kept -> (R, V, O) and the frames to keep."""
        y = self.graph(x[:, None])  # R, 1, V, O
        if isinstance(self.temporal, FoldedBranches):
            y = branches_in(self.temporal, y)
        y = torch.where((age >= self.delay)[:, None, None, None], y, 0)
        frames = torch.cat([state[0], y], 1)  # R, T + 1, V, O
        new = [frames[:, 1:]]
        if isinstance(self.temporal, FoldedBranches):
            y = branches_out(self.temporal, frames, self.reach, self.spread)
        else:
            assert isinstance(self.temporal, FoldedTimeConv)
            y = convolved(self.temporal, frames, self.spread)
        if len(state) > 1:
            past = torch.cat([state[1], x[:, None]], 1)
            new.append(past[:, 1:])
            then = past[:, 0]
            y = y + (then if self.shortcut is None else F.linear(then, self.shortcut))
        return y.relu(), new


def time_convs(branches: FoldedBranches) -> list[FoldedTimeConv]:
    """The dilated convolutions of the branches."""
    return [conv for conv in branches.convs if isinstance(conv, FoldedTimeConv)]


def convolved(conv: FoldedTimeConv, frames: Tensor, spread: int) -> Tensor:
    """The one frame (R, V, O) that a convolution makes of all frames (R, T, V, C)."""
    x = frames.permute(0, 3, 1, 2)  # R, C, T, V
    y = F.conv2d(x, conv.weight, conv.bias, dilation=(conv.dilation * spread, 1))
    return y[:, :, 0].transpose(1, 2)


def branches_in(branches: FoldedBranches, y: Tensor) -> Tensor:
    """What the branches keep of a frame (R, 1, V, C): all but the last are rectified."""
    y = F.linear(y, branches.weight_in, branches.bias_in)
    point = branches.widths[-1]
    return torch.cat([y[..., :-point].relu(), y[..., -point:]], -1)


def branches_out(branches: FoldedBranches, frames: Tensor, half: int, spread: int) -> Tensor:
    """(R, V, C) of the frame in the middle of frames (R, T, V, C)."""
    *dilated, largest, point = frames.split(branches.widths, -1)
    middle, parts = half * spread, list[Tensor]()
    for conv, part in zip(time_convs(branches), dilated, strict=True):
        side = conv.dilation * spread
        parts.append(convolved(conv, part[:, middle - side : middle + side + 1], spread))
    near = largest[:, middle - spread : middle + spread + 1 : spread]
    parts += [near.amax(1), point[:, middle]]
    y = (branches.shift + torch.cat(parts, -1) * branches.scale).relu()
    return F.linear(y, branches.weight_out, branches.bias_out)
