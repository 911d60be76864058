"""Parts that several families are made of.

Axes: N clips, M persons, R rows (persons of clips), T frames, V joints (W as receivers), C
channels in, O out, K neighbour subsets of the graph. Activations have PyTorch's
order of axes, (R, C, T, V), and lie in memory as (R, T, V, C), its `channels_last` format:
there a frame is a matrix of joints by channels, gathering neighbours is a product from the
left, mixing channels one from the right, and nothing is copied in between.
"""

from collections.abc import Iterator

import torch.nn.functional as F
from torch import Tensor, nn

STAGES = 10
WIDENED = (5, 8)  # stages, counted from 1, that double the channels and halve the frames


def stage_sizes(channels: int, base_channels: int) -> Iterator[tuple[int, int, int]]:
    """Channels in, channels out and stride of every stage of ST-GCN and the networks after it.

    Args:
        channels: C of the input.
        base_channels: channels out of the first stage.
    """
    width = base_channels
    for number in range(1, STAGES + 1):
        stride = 2 if number in WIDENED else 1
        width *= stride
        yield channels, width, stride
        channels = width


def channels_first(x: Tensor) -> Tensor:
    """View (R, T, V, C) as (R, C, T, V), PyTorch's order of axes."""
    return x.permute(0, 3, 1, 2)


def channels_last(x: Tensor) -> Tensor:
    """View (R, C, T, V) as (R, T, V, C): `channels_first` undone."""
    return x.permute(0, 2, 3, 1)


def normalise_input(norm: nn.BatchNorm1d, x: Tensor) -> Tensor:
    """Normalise every channel of every joint apart: (R, T, V, C) -> (R, C, T, V).

    Args:
        norm: of V C features, numbered v C + c.
        x: (R, T, V, C).
    """
    flat = norm(x.flatten(2).transpose(1, 2))  # R, V C, T
    return channels_first(flat.transpose(1, 2).unflatten(2, x.shape[2:]))


def normalise_places(norm: nn.BatchNorm1d, clips: Tensor) -> Tensor:
    """Normalise every channel of every joint of every place apart: (N, M, T, V, C) -> the same.

    Args:
        norm: of M V C features, numbered (m V + v) C + c.
        clips: (N, M, T, V, C).
    """
    flat = norm(clips.permute(0, 1, 3, 4, 2).flatten(1, 3))  # N, M V C, T
    return flat.view(*clips.permute(0, 1, 3, 4, 2).shape).permute(0, 1, 4, 2, 3)


class Pointwise(nn.Linear):
    """Mix the channels of every joint, of every `stride`-th frame.

    A strided 1x1 convolution, written as a product: oneDNN's channels-last kernel for one writes
    past its memory below 8 channels (torch 2.13, CPU).
    """

    def __init__(self, channels: int, out_channels: int, stride: int = 1):
        super().__init__(channels, out_channels)
        self.stride = stride

    def forward(self, input: Tensor) -> Tensor:
        """(R, C, T, V) -> (R, O, ceil(T / stride), V)."""
        return channels_first(super().forward(channels_last(input[:, :, :: self.stride])))


class SubsetLinear(nn.Linear):
    """Project every joint once for every subset, then gather: sum_k A_k^T (x W_k + b_k).

    Its weight is (K O, C), that of output channel o in subset k being row k O + o.

    Args:
        channels: C.
        out_channels: O.
        subsets: K.
    """

    def __init__(self, channels: int, out_channels: int, subsets: int):
        super().__init__(channels, subsets * out_channels)

    def forward(self, input: Tensor, edges: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        """(R, C, T, V), edges (K, V, W) from joint to joint -> (R, O, T, W)."""
        x = super().forward(channels_last(input)).unflatten(-1, (len(edges), -1))  # R, T, V, K, O
        gather = edges.permute(2, 1, 0).flatten(1)  # W, V K
        return channels_first(gather @ x.flatten(2, 3))


class Shortcut(nn.Module):
    """Match another shape: every `stride`-th frame, channels mixed, normalised.

    Around a stage it starts as in MMAction2; `kaiming=False` leaves PyTorch's start.
    """

    def __init__(self, channels: int, out_channels: int, stride: int = 1, *, kaiming: bool = True):
        super().__init__()
        self.project = Pointwise(channels, out_channels, stride)
        self.norm = nn.BatchNorm2d(out_channels)
        if kaiming:
            kaiming_fan_out(self.project)

    def forward(self, x: Tensor) -> Tensor:
        """(R, C, T, V) -> (R, O, ceil(T / stride), V)."""
        return self.norm(self.project(x))


def residual_around(
    channels: int, out_channels: int, stride: int = 1, *, kaiming: bool = True
) -> "Shortcut | nn.Identity":
    """What is added to an output: the input, brought to its shape where they differ."""
    if channels == out_channels and stride == 1:
        return nn.Identity()
    return Shortcut(channels, out_channels, stride, kaiming=kaiming)


def rectified_sum(y: Tensor, residual: Shortcut | nn.Identity | None, x: Tensor) -> Tensor:
    """How a stage ends: ReLU of what it made (R, O, S, V) and its residual of (R, C, T, V)."""
    return (y if residual is None else y + residual(x)).relu_()


def kaiming_fan_out(layer: nn.Conv2d | nn.Linear) -> None:
    """Start a convolution as MMAction2 does: normal, std sqrt(2 / (channels out x frames))."""
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)


class Head(nn.Linear):
    """Average persons, drop features in training, classify."""

    def __init__(self, features: int, classes: int, dropout: float = 0.0):
        super().__init__(features, classes)
        self.dropout = dropout
        nn.init.normal_(self.weight, std=0.01)
        nn.init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        """Features of persons (N, M, C) -> logits (N, classes)."""
        return super().forward(F.dropout(input.mean(1), self.dropout, self.training))


def time_conv(
    channels: int, frames: int, *, stride: int = 1, dilation: int = 1, kaiming: bool = True
) -> nn.Conv2d:
    """Convolution along time, C channels in and out, zeros around.

    Args:
        channels: C.
        frames: how many one output frame sees.
        stride: frames from one output to the next.
        dilation: frames from one of those seen to the next.
        kaiming: start as in MMAction2, see `kaiming_fan_out`; else as PyTorch does.
    """
    conv = nn.Conv2d(
        channels,
        channels,
        (frames, 1),
        stride=(stride, 1),
        padding=(dilation * (frames // 2), 0),
        dilation=(dilation, 1),
    )
    if kaiming:
        kaiming_fan_out(conv)
    return conv


class DilatedBranch(nn.Module):
    """A few frames, `dilation` apart, of few channels.

    Args:
        channels: C.
        out_channels: O.
        stride: frames from one output to the next.
        dilation: frames from one of those seen to the next.
        frames: how many one output frame sees.
        norm_after: whether the convolution is normalised, too.
        kaiming: see `time_conv`.
    """

    last_norm: nn.BatchNorm2d | None

    def __init__(
        self,
        channels: int,
        out_channels: int,
        stride: int,
        dilation: int,
        *,
        frames: int = 3,
        norm_after: bool = False,
        kaiming: bool = True,
    ):
        super().__init__()
        self.project = Pointwise(channels, out_channels)
        self.norm = nn.BatchNorm2d(out_channels)
        self.conv = time_conv(
            out_channels, frames, stride=stride, dilation=dilation, kaiming=kaiming
        )
        self.last_norm = nn.BatchNorm2d(out_channels) if norm_after else None

    def forward(self, x: Tensor) -> Tensor:
        """(R, C, T, V) -> (R, O, S, V), S = ceil(T / stride)."""
        y = self.conv(self.norm(self.project(x)).relu_())
        return y if self.last_norm is None else self.last_norm(y)


class LargestBranch(nn.Module):
    """Maximum over three frames, of few channels; arguments as of `DilatedBranch`."""

    last_norm: nn.BatchNorm2d | None

    def __init__(self, channels: int, out_channels: int, stride: int, *, norm_after: bool = False):
        super().__init__()
        self.project = Pointwise(channels, out_channels)
        self.norm = nn.BatchNorm2d(out_channels)
        self.stride = stride
        self.last_norm = nn.BatchNorm2d(out_channels) if norm_after else None

    def forward(self, x: Tensor) -> Tensor:
        """(R, C, T, V) -> (R, O, S, V)."""
        y = largest(self.norm(self.project(x)).relu_(), self.stride)
        return y if self.last_norm is None else self.last_norm(y)


def largest(x: Tensor, stride: int) -> Tensor:
    """The largest of each frame and its two neighbours, for every `stride`-th frame."""
    return F.max_pool2d(x, (3, 1), (stride, 1), (1, 0))
