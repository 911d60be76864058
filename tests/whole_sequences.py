"""The network over a whole sequence, a feature for every frame: what a continual form equals."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stgcn_lightning.models.parts import normalise_input
from stgcn_lightning.models.stgcn import STGCN


def whole_sequence(model, x: Tensor) -> Tensor:
    """Features (R, T, F) of all frames x (R, T, V, C), each seen from both sides.

    Strides are dilations of everything after them; zeros stand around the sequence. Written with
    the modules of the plain model, their norms unfolded.
    """
    y, spread = normalise_input(model.data_norm, x), 1
    with torch.no_grad():
        for stage in model.stages:
            before, temporal = y, stage.temporal
            y = stage.graph(y)
            if isinstance(model, STGCN):
                stride = temporal.conv.stride[0]
                y = temporal.norm(spread_conv(temporal.conv, y, spread))
            else:
                stride = temporal.stride
                parts = []
                for branch in temporal.branches[:4]:
                    few = branch.norm(branch.project(y)).relu()
                    parts.append(spread_conv(branch.conv, few, spread))
                branch = temporal.branches[4]
                few = branch.norm(branch.project(y)).relu()
                few = F.pad(few, (0, 0, spread, spread))
                ends = few.shape[2] - 2 * spread
                shifts = [few[:, :, s : s + ends] for s in (0, spread, 2 * spread)]
                parts.append(torch.stack(shifts).amax(0))
                point = temporal.branches[5]
                parts.append(every_frame(point, y))
                y = temporal.branch_norm(torch.cat(parts, 1)).relu()
                y = temporal.norm(temporal.project(y))
            if isinstance(stage.residual, nn.Identity):
                y = y + before
            elif stage.residual is not None:
                y = y + stage.residual.norm(every_frame(stage.residual.project, before))
            y, spread = y.relu(), spread * stride
    return y.mean(3).transpose(1, 2)


def spread_conv(conv: nn.Conv2d, x: Tensor, spread: int) -> Tensor:
    taps, dilation = conv.kernel_size[0], conv.dilation[0] * spread
    padding = (taps // 2 * dilation, 0)
    return F.conv2d(x, conv.weight, conv.bias, (1, 1), padding, (dilation, 1))


def every_frame(point, x: Tensor) -> Tensor:
    return F.linear(x.permute(0, 2, 3, 1), point.weight, point.bias).permute(0, 3, 1, 2)
