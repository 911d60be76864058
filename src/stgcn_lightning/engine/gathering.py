"""A graph convolution that gathers neighbours first and projects them afterwards.

Axes: R rows, T frames, V joints (W as receivers), K subsets, C channels in, O out.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from stgcn_lightning.models.parts import SubsetLinear, channels_first, channels_last

NARROW = 8  # input channels below which gathering and projecting is one dense product


class GatherFirst(SubsetLinear):
    """`SubsetLinear`, computed as sum_k (A_k^T x) W_k, so that neither product copies.

    The bias then differs between joints, each receiving b_k times the weight of its edges in subset
    k.
    """

    plain_class = SubsetLinear

    def forward(self, input: Tensor, edges: Tensor) -> Tensor:
        """(R, C, T, V), edges (K, V, W) from joint to joint -> (R, O, T, W)."""
        x = channels_last(input)
        (R, T, V, C), K = x.shape, len(edges)
        weight = self.weight.view(K, -1, C)
        bias = edges.sum(1).t() @ self.bias.view(K, -1)  # W, O
        if C < NARROW:  # one product per frame
            dense = torch.einsum("kvw,koc->wovc", edges, weight).reshape(-1, V * C)
            y = F.linear(x.flatten(2), dense, bias.flatten()).view(R, T, V, -1)
        else:
            gather = edges.permute(2, 0, 1).reshape(V * K, V).expand(R * T, -1, -1)  # R T, W K, V
            x = torch.bmm(gather, x.reshape(R * T, V, C)).view(R, T, V, K * C)
            y = F.linear(x, weight.transpose(0, 1).flatten(1)) + bias
        return channels_first(y)
