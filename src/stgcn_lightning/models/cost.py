"""What a model costs: its parameters, and the multiply-accumulates of a clip."""

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from stgcn_lightning.models.backbone import Backbone, plain_copy


def count_parameters(model: nn.Module) -> int:
    """How many numbers are learned."""
    return sum(parameter.numel() for parameter in model.parameters())


def count_macs(model: Backbone, frames: int, persons: int) -> int:
    """Multiply-accumulates of one clip by the operations that the family's file writes down.

    Published models are compared by this number: products and convolutions alone, without what an
    engine saves. Nothing is computed: the tensors are on the meta device.
    """
    plain = plain_copy(model).to("meta").eval().requires_grad_(False)
    clips = torch.zeros(1, persons, frames, model.joints, model.channels, device="meta")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        plain(clips)
    return counter.get_total_flops() // 2
