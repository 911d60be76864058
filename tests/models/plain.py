"""ST-GCN once more, as its equations read: the independent twin that the tests compare with.

Everything is padded and in (R, C, T, V) order; every joint is projected once per subset, then its
neighbours are gathered. It takes the weights of an `STGCN` by name and shares no code with it.
"""

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Weights = Mapping[str, Tensor]


def norm(x: Tensor, weights: Weights, name: str, training: bool) -> Tensor:
    mean, var = weights[f"{name}.running_mean"], weights[f"{name}.running_var"]
    affine = weights[f"{name}.weight"], weights[f"{name}.bias"]
    return F.batch_norm(x, mean, var, *affine, training=training)


def stage(x: Tensor, weights: Weights, name: str, stride: int, training: bool) -> Tensor:
    def conv(x: Tensor, part: str, **keywords) -> Tensor:
        weight = weights[f"{part}.weight"]
        weight = weight.view(*weight.shape, *[1] * (4 - weight.ndim))  # a product is a 1x1 one
        return F.conv2d(x, weight, weights[f"{part}.bias"], **keywords)

    edges = weights[f"{name}.graph.adjacency"] * weights[f"{name}.graph.edge_importance"]
    y = conv(x, f"{name}.graph.project").unflatten(1, (len(edges), -1))  # R, K, O, T, V
    y = torch.einsum("rkctv,kvw->rctw", y, edges)
    y = torch.relu(norm(y, weights, f"{name}.graph.norm", training))
    y = conv(y, f"{name}.temporal.conv", stride=(stride, 1), padding=(4, 0))
    y = norm(y, weights, f"{name}.temporal.norm", training)
    if f"{name}.residual.project.weight" in weights:
        x = conv(x, f"{name}.residual.project", stride=(stride, 1))
        y = y + norm(x, weights, f"{name}.residual.norm", training)
    elif name != "stages.0":
        y = y + x
    return torch.relu(y)


def stgcn(clips: Tensor, weights: Weights, training: bool = False) -> Tensor:
    """Logits (N, classes) of clips (N, M, T, V, C); training also moves the running statistics."""
    N, M, T, V, C = clips.shape
    x = clips.permute(0, 1, 3, 4, 2).reshape(N * M, V * C, T)
    x = norm(x, weights, "data_norm", training)
    x = x.view(N * M, V, C, T).permute(0, 2, 3, 1).contiguous()  # R, C, T, V
    for i in range(10):
        x = stage(x, weights, f"stages.{i}", 2 if i in (4, 7) else 1, training)
    x = x.mean((2, 3)).view(N, M, -1).mean(1)
    return F.linear(x, weights["classify.weight"], weights["classify.bias"])


def contender(model: nn.Module) -> tuple[Callable[[Tensor], Tensor], list[Tensor]]:
    """For a race in training: the forward pass, and its parameters, copied from `model`."""
    learned = dict(model.named_parameters())
    weights = {
        name: tensor.detach().clone().requires_grad_(name in learned)
        for name, tensor in model.state_dict().items()
    }
    return lambda clips: stgcn(clips, weights, True), [weights[name] for name in learned]


def evaluator(model: nn.Module) -> tuple[Callable[[Tensor], Tensor], list[Tensor]]:
    """For a race in evaluation."""
    weights = model.state_dict()
    return lambda clips: stgcn(clips, weights), []
