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
    """Match the shape of a stage's output: every `stride`-th frame, channels mixed, normalised."""

    def __init__(self, channels: int, out_channels: int, stride: int):
        super().__init__()
        self.project = Pointwise(channels, out_channels, stride)
        self.norm = nn.BatchNorm2d(out_channels)
        nn.init.kaiming_normal_(self.project.weight, mode="fan_out", nonlinearity="relu")
        nn.init.zeros_(self.project.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(R, C, T, V) -> (R, O, ceil(T / stride), V)."""
        return self.norm(self.project(x))


def residual_around(channels: int, out_channels: int, stride: int) -> "Shortcut | nn.Identity":
    """What is added to the output of a stage: the input, brought to its shape where they differ."""
    if channels == out_channels and stride == 1:
        return nn.Identity()
    return Shortcut(channels, out_channels, stride)


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


def time_conv(channels: int, frames: int, *, stride: int = 1, dilation: int = 1) -> nn.Conv2d:
    """Convolution along time, C channels in and out, zeros around; initialised as in the reference.

    Args:
        channels: C.
        frames: how many one output frame sees.
        stride: frames from one output to the next.
        dilation: frames from one of those seen to the next.
    """
    conv = nn.Conv2d(
        channels,
        channels,
        (frames, 1),
        stride=(stride, 1),
        padding=(dilation * (frames // 2), 0),
        dilation=(dilation, 1),
    )
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    assert conv.bias is not None
    nn.init.zeros_(conv.bias)
    return conv
