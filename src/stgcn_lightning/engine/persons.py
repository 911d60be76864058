"""Computing an empty person once, exactly.

Most clips show one person; the second is all zero, and all who are absent are the same tensor. They
are computed as one row that carries its number of copies into every batch norm. Nothing else in the
network mixes persons, so logits, gradients and running statistics are those of the padded batch.

Axes: N clips, M persons, R rows (distinct persons), G norm groups of clips, P positions that share
a statistic (frames x joints), F features.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn


class Rows(NamedTuple):
    """The distinct persons of a batch, and where they stand in it.

    Attributes:
        group: (R,) int64, norm group of each row.
        share: (G, R) float, the part of a group's persons that a row stands for; rows sum to 1.
        persons: (G,) float, persons of each group, absent ones included.
        of_person: (N, M) int64, row of each person.
    """

    group: Tensor
    share: Tensor
    persons: Tensor
    of_person: Tensor


def distinct(
    clips: Tensor, norm_group: int | None = None, step: int = 1, present: Tensor | None = None
) -> tuple[Tensor, Rows]:
    """Split a batch into its distinct persons.

    Args:
        clips: (N, M, T, V, C); a person is absent if all zero.
        norm_group: clips that share their statistics, at most; None is the whole batch.
        step: round the number of rows up to a multiple of this, with rows that stand for nobody:
            few different shapes, for compiled code.
        present: (N, M) bool on the CPU, who may be other than zero. What is not given is read off
            the clips, for which the CPU waits where they lie on a GPU.

    Returns:
        Rows (R, T, V, C), those present first, and their description.
    """
    N, M = clips.shape[:2]
    flat = clips.flatten(0, 1)
    if present is None:
        present = (flat != 0).flatten(1).any(1).cpu()
    present = present.flatten()
    # the description is made on the CPU, where its sizes are known without waiting
    groups = 1 if norm_group is None else -(-N // norm_group)
    person_group = (torch.arange(N) * groups // N).repeat_interleave(M)  # N M
    here = present.nonzero()[:, 0]
    absent = torch.bincount(person_group[~present], minlength=groups)  # G
    hollow = absent.nonzero()[:, 0]  # groups with absent persons
    used = len(here) + len(hollow)
    padding = -used % step

    group = torch.cat([person_group[here], hollow, hollow.new_zeros(padding)])
    copies = torch.cat([absent.new_ones(len(here)), absent[hollow], absent.new_zeros(padding)])
    persons = torch.bincount(person_group, minlength=groups).to(clips.dtype)
    share = torch.zeros(groups, used + padding, dtype=clips.dtype)
    share[group, torch.arange(used + padding)] = copies.to(clips.dtype)
    of_person = torch.empty(N * M, dtype=torch.int64)
    of_person[here] = torch.arange(len(here))
    rank = torch.empty(groups, dtype=torch.int64)
    rank[hollow] = torch.arange(len(here), used)
    of_person[~present] = rank[person_group[~present]]

    described = Rows(group, share / persons[:, None], persons, of_person.view(N, M))
    here, *described = (sent(part, clips.device) for part in (here, *described))
    rows = torch.cat([flat[here], flat.new_zeros(len(hollow) + padding, *flat.shape[1:])])
    return rows, Rows(*described)


def sent(tensor: Tensor, device: torch.device) -> Tensor:
    """`tensor` on `device`; a GPU fetches it when it comes to it, and nobody waits."""
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def batch_norm(
    x: Tensor, norm: nn.modules.batchnorm._BatchNorm, rows: Rows, *, relu: bool = False
) -> Tensor:
    """Normalise rows as their padded batch would be; moves the running statistics in training.

    Args:
        x: (R, ..., F), features last.
        norm: weight, bias, running statistics, eps and momentum.
        rows: what the rows stand for.
        relu: rectify the result.

    Several norm groups move the running statistics by the mean of theirs, as DDP's ranks do.
    """
    R, features = len(x), x.shape[-1]
    positions = x.view(R, -1, features)
    if norm.training:
        with torch.autocast(x.device.type, enabled=False):  # statistics in float32 or better
            y, mean, var = _TrainingNorm.apply(  # pyright: ignore[reportGeneralTypeIssues]
                positions, norm.weight, norm.bias, rows.group, rows.share, norm.eps, relu
            )
        _move(norm, mean, var, rows.persons * positions.shape[1])
    else:
        assert norm.running_mean is not None
        assert norm.running_var is not None
        scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
        y = torch.addcmul(norm.bias - norm.running_mean * scale, positions, scale).to(x.dtype)
        y = y.relu() if relu else y
    return y.view(x.shape)


def factors(
    mean: Tensor, var: Tensor, positions: int, norm: nn.modules.batchnorm._BatchNorm, rows: Rows
) -> tuple[Tensor, Tensor]:
    """What `batch_norm` multiplies rows by in training, and adds, where their moments are known.

    Args:
        mean: (R, F) of each row over its `positions`.
        var: (R, F), likewise.
        positions: P.
        norm: as for `batch_norm`; its running statistics move.
        rows: what the rows stand for.

    Returns:
        Twice (R, F); the moments take part in differentiation.
    """
    with torch.autocast(mean.device.type, enabled=False):
        share = rows.share.to(mean.dtype)
        group_mean = share @ mean
        group_var = share @ (var + (mean - group_mean[rows.group]).square())
        scale = norm.weight * (group_var + norm.eps).rsqrt()
        shift = norm.bias - group_mean * scale
    _move(norm, group_mean, group_var, rows.persons * positions)
    return scale[rows.group], shift[rows.group]


@torch.no_grad()
def _move(norm: nn.modules.batchnorm._BatchNorm, mean: Tensor, var: Tensor, n: Tensor) -> None:
    """Move the running statistics by groups' mean and variance (G, F) of n (G,) positions each."""
    var = var * (n / (n - 1))[:, None]
    assert norm.momentum is not None
    for running, statistic in ((norm.running_mean, mean), (norm.running_var, var)):
        assert running is not None
        running.lerp_(statistic.mean(0).to(running.dtype), norm.momentum)
    assert norm.num_batches_tracked is not None
    norm.num_batches_tracked += 1


class _TrainingNorm(torch.autograd.Function):
    """Batch norm over rows that count several times, group by group.

    With weights w (copies of a row), n = sum(w) P persons times positions:
    mean = sum(w x) / n, var = sum(w (x - mean)^2) / n, x^ = (x - mean) / sigma, and backwards
    dx = gamma / sigma (g - w (S1 + x^ S2) / n) with S1 = sum(g), S2 = sum(g x^): the gradient g of
    a row is already summed over its copies, so w multiplies only the terms of the statistics.
    """

    @staticmethod
    def forward(
        ctx,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        group: Tensor,
        share: Tensor,
        eps: float,
        relu: bool,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(R, P, F) -> (R, P, F), and the groups' mean and variance (G, F)."""
        row_mean, row_var = row_moments(x)
        share = share.to(row_mean.dtype)
        mean = share @ row_mean
        var = share @ (row_var + (row_mean - mean[group]).square())
        inverse = (var + eps).rsqrt()  # of sigma
        scale = weight * inverse
        shift = bias - mean * scale
        y = torch.addcmul(shift[group][:, None], x, scale[group][:, None]).to(x.dtype)
        if relu:
            y.relu_()
        ctx.save_for_backward(x, y if relu else None, weight, group, share, mean, inverse)
        ctx.mark_non_differentiable(mean, var)
        return y, mean, var

    @staticmethod
    def backward(ctx, *grad_outputs: Tensor):
        """Gradients of x, weight and bias."""
        g = grad_outputs[0]
        x, y, weight, group, share, mean, inverse = ctx.saved_tensors
        if y is not None:
            g = torch.ops.aten.threshold_backward(g, y, 0)
        S1, S2 = row_products(g, x, mean[group], inverse[group])  # R, F
        grad_bias, grad_weight = S1.sum(0), S2.sum(0)
        member = (share > 0).to(S1.dtype)  # G, R
        # w / n = share / P
        part = share.sum(0)[:, None] / x.shape[1]  # R, 1
        S1, S2 = (part * (member @ S)[group] for S in (S1, S2))
        scale = (weight * inverse)[group]
        slope = -scale * S2 * inverse[group]
        offset = -scale * S1 - slope * mean[group]
        dx = torch.addcmul(offset[:, None], x, slope[:, None])
        dx = dx.addcmul_(g, scale[:, None]).to(x.dtype)
        return dx, grad_weight, grad_bias, None, None, None, None


def row_moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance over positions: (R, P, F) -> twice (R, F), in float32 or better.

    On a CPU, ATen's own batch-norm statistics row by row: its variance over a middle axis is 15
    times slower.
    """
    if x.is_cuda or torch.compiler.is_compiling():
        var, mean = torch.var_mean(x if x.dtype == torch.float64 else x.float(), 1, correction=0)
        return mean, var
    dtype = torch.float64 if x.dtype == torch.float64 else torch.float32
    unused = torch.zeros(2, x.shape[-1], dtype=dtype)  # its running statistics
    found = [
        torch.ops.aten.batch_norm_update_stats(_image(row), unused[0], unused[1], 0.0) for row in x
    ]
    means, variances = zip(*found, strict=True)
    return torch.stack(means), torch.stack(variances)


def row_products(g: Tensor, x: Tensor, mean: Tensor, inverse: Tensor) -> tuple[Tensor, Tensor]:
    """Sums over positions of g and of g (x - mean) inverse: (R, P, F) -> twice (R, F).

    On a CPU, ATen's batch-norm backward in evaluation mode, which computes just these.
    """
    if x.is_cuda or torch.compiler.is_compiling():
        g32 = g.to(mean.dtype)
        return g32.sum(1), (g32 * (x - mean[:, None])).sum(1) * inverse
    ones = torch.ones_like(mean[0])
    found = [
        torch.ops.aten.native_batch_norm_backward(
            _image(gr), _image(xr), ones, m, ones, None, None, False, 0.0, [False, True, True]
        )
        for gr, xr, m in zip(g, x, mean, strict=True)
    ]
    _, products, sums = zip(*found, strict=True)
    return torch.stack(sums), torch.stack(products) * inverse


def _image(row: Tensor) -> Tensor:
    """(P, F) as an image (1, F, P, 1), channels last."""
    return row[None, :, None].permute(0, 3, 1, 2)
