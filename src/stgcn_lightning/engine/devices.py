"""Which tensors the formulations for CPUs compute; the others are left to the plain ones."""

import torch
from torch import Tensor


def left_plain(x: Tensor, *, autocast: bool = False) -> bool:
    """Whether the plain formulation computes `x`: on a GPU, or compiled.

    Args:
        x: the input.
        autocast: whether under autocast, too.
    """
    if x.is_cuda or torch.compiler.is_compiling():
        return True
    return autocast and torch.is_autocast_enabled("cpu")
