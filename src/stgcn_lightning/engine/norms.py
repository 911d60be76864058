"""Batch norms over distinct persons: each row counts as often as it stands for a person.

Axes: R rows (distinct persons), G norm groups of clips, F features, P positions that share a
statistic with a row (frames x joints).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stgcn_lightning.engine.devices import left_plain
from stgcn_lightning.engine.orders import AS_MATRIX, CHANNELS_LAST, undone
from stgcn_lightning.engine.persons import Rows
from stgcn_lightning.errors import UnfitModel

ORDERS = ((0, 1, 2, 3), CHANNELS_LAST, *AS_MATRIX)


class CurrentRows:
    """What the rows stand for that pass through a model at the moment; all its norms share one.

    Attributes:
        rows: their description; None where every row is a person of its own.
    """

    def __init__(self) -> None:
        self.rows: Rows | None = None

    @contextmanager
    def described_by(self, rows: Rows | None) -> Iterator[None]:
        """Let the norms count these rows until the block ends."""
        self.rows = rows
        try:
            yield
        finally:
            self.rows = None


class RowNorm(nn.modules.batchnorm._BatchNorm):
    """A batch norm that normalises rows as their padded batch would be.

    With several norm groups, the running statistics move by the mean of the groups' statistics, as
    with DDP's ranks. In evaluation, and where every row is a person of its own, it is the batch
    norm of PyTorch.
    """

    current: CurrentRows
    plain_class: ClassVar[type[nn.Module]]

    def forward(self, input: Tensor) -> Tensor:
        """(R, F, ...) -> (R, F, ...), in any memory format.

        Raises:
            UnfitModel: the input has another number of rows than the batch.
        """
        rows = self.current.rows
        self._check_rows(input)
        if rows is None:
            return super().forward(input)
        if not self.training and self.running_mean is not None:
            return super().forward(input)
        self._check_input_dim(input)
        return self._normalised(input, rows)

    def _normalised(self, input: Tensor, rows: Rows) -> Tensor:
        x = input  # R, F, any two axes
        if x.ndim != 4:
            x = x.unsqueeze(-1) if x.ndim == 3 else x.reshape(*x.shape[:2], -1, 1)
        ones = x.new_ones(x.shape[1]) if self.weight is None else self.weight
        shift = torch.zeros_like(ones) if self.bias is None else self.bias
        with torch.autocast(x.device.type, enabled=False):  # statistics in float32 or better
            if left_plain(x):
                y, mean, var = _RowNorm.apply(  # pyright: ignore[reportGeneralTypeIssues]
                    x, ones, shift, rows.group, rows.share, self.eps
                )
            else:
                y, mean, var = norm_of_groups(x, ones, shift, rows, self.eps)
        if self.training and self.running_mean is not None:
            self._move(mean, var, rows.persons * (x.shape[2] * x.shape[3]))
        return y.view(input.shape) if input.ndim != 4 else y

    @torch.no_grad()
    def _move(self, mean: Tensor, var: Tensor, n: Tensor) -> None:
        """Move the running statistics by groups' mean and variance (G, F) of n (G,) positions."""
        var = var * (n / (n - 1))[:, None]
        assert self.num_batches_tracked is not None
        self.num_batches_tracked += 1
        for running, statistic in ((self.running_mean, mean), (self.running_var, var)):
            assert running is not None
            new = statistic[0] if len(statistic) == 1 else statistic.mean(0)
            new = new.to(running.dtype)
            if self.momentum is None:  # the mean of all batches
                running.lerp_(new, (1 / self.num_batches_tracked).to(running.dtype))
            else:
                running.lerp_(new, self.momentum)

    def _check_rows(self, input: Tensor) -> None:
        """Refuse other rows than the batch has.

        Where nobody says what rows stand for, that may be a backward pass, which does not know.
        """
        rows = self.current.rows
        if rows is None:
            self._refuse_recomputation()
        elif len(input) != len(rows.group):
            raise UnfitModel(
                f"a batch norm was given {len(input)} rows, but the batch has {len(rows.group)}: a"
                " backbone keeps its persons as the first axis (models/backbone.py)"
            )

    def _refuse_recomputation(self) -> None:
        """Refuse to be run by a backward pass, which does not know what the rows stand for."""
        if torch.compiler.is_compiling() or not self.training:
            return
        if torch._C._current_graph_task_id() != -1:
            raise UnfitModel(
                "an engine cannot train a model that computes activations again in its backward"
                " pass (torch.utils.checkpoint): the batch norms would move twice"
            )


class RowNorm1d(RowNorm, nn.BatchNorm1d):
    """`RowNorm` of (R, F) or (R, F, T)."""

    plain_class = nn.BatchNorm1d


class RowNorm2d(RowNorm, nn.BatchNorm2d):
    """`RowNorm` of (R, F, T, V)."""

    plain_class = nn.BatchNorm2d


class RowNorm3d(RowNorm, nn.BatchNorm3d):
    """`RowNorm` of (R, F) and three more axes."""

    plain_class = nn.BatchNorm3d


def norm_together(norms: Sequence[nn.Module], x: Tensor) -> Tensor:
    """What norms make of the channels that each one has of a CPU's (R, F, T, V), in one pass."""
    parts = [norm for norm in norms if isinstance(norm, RowNorm)]
    weight, shift = torch.cat([one.weight for one in parts]), torch.cat([one.bias for one in parts])
    first, rows = parts[0], parts[0].current.rows
    if not first.training:
        mean, var = (
            torch.cat([getattr(one, name) for one in parts])
            for name in ("running_mean", "running_var")
        )
        return F.batch_norm(x, mean, var, weight, shift, eps=first.eps)
    first._check_rows(x)
    with torch.autocast(x.device.type, enabled=False):
        if rows is None:
            y, mean, var = _PlainNorm.apply(x, weight, shift, first.eps)  # pyright: ignore[reportGeneralTypeIssues]
            mean, var, persons = mean[None], var[None], mean.new_tensor([len(x)])
        else:
            y, mean, var = norm_of_groups(x, weight, shift, rows, first.eps)
            persons = rows.persons
    widths = [one.num_features for one in parts]
    n = persons * (x.shape[2] * x.shape[3])
    moments = zip(mean.split(widths, 1), var.split(widths, 1), strict=True)
    for one, (its_mean, its_var) in zip(parts, moments, strict=True):
        one._move(its_mean, its_var, n)
    return y


class _RowNorm(torch.autograd.Function):
    """Batch norm over rows that count several times, group by group.

    With weights w (copies of a row), n = sum(w) P persons times positions:
    mean = sum(w x) / n, var = sum(w (x - mean)^2) / n, x^ = (x - mean) / sigma, and backwards
    dx = gamma / sigma (g - w (S1 + x^ S2) / n) with S1 = sum(g), S2 = sum(g x^): the gradient g of
    a row is already summed over its copies, so w multiplies only the terms of the statistics.
    """

    @staticmethod
    def forward(
        ctx, x: Tensor, weight: Tensor, bias: Tensor, group: Tensor, share: Tensor, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(R, F, T, V) -> (R, F, T, V), and the groups' mean and variance (G, F)."""
        row_mean, row_var = row_moments(x)
        share = share.to(row_mean.dtype)
        mean = share @ row_mean
        var = share @ (row_var + (row_mean - mean[group]).square())
        inverse = (var + eps).rsqrt()  # of sigma
        scale = weight * inverse
        shift = bias - mean * scale
        y = torch.addcmul(_wide(shift[group]), x, _wide(scale[group])).to(x.dtype)
        ctx.save_for_backward(x, weight, group, share, mean, inverse)
        ctx.mark_non_differentiable(mean, var)
        return y, mean, var

    @staticmethod
    def backward(ctx, *grad_outputs: Tensor):
        """Gradients of x, weight and bias."""
        g = grad_outputs[0]
        # a compiled backward pass is traced under autocast
        with torch.autocast(g.device.type, enabled=False):
            x, weight, group, share, mean, inverse = ctx.saved_tensors
            S1, S2 = row_products(g, x, mean[group], inverse[group])  # R, F
            grad_bias, grad_weight = S1.sum(0), S2.sum(0)
            member = (share > 0).to(S1.dtype)  # G, R
            # w / n = share / P
            part = share.sum(0)[:, None] / (x.shape[2] * x.shape[3])  # R, 1
            S1, S2 = (part * (member @ S)[group] for S in (S1, S2))
            scale = (weight * inverse)[group]
            slope = -scale * S2 * inverse[group]
            offset = -scale * S1 - slope * mean[group]
            dx = torch.addcmul(_wide(offset), x, _wide(slope))
            dx = dx.addcmul_(g, _wide(scale)).to(x.dtype)
        return dx, grad_weight, grad_bias, None, None, None


def row_moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance over positions: (R, F, T, V) -> twice (R, F), in float32 or better."""
    x = x if x.dtype == torch.float64 else x.float()
    var, mean = torch.var_mean(x, (2, 3), correction=0)
    return mean, var


def row_products(g: Tensor, x: Tensor, mean: Tensor, inverse: Tensor) -> tuple[Tensor, Tensor]:
    """Sums over positions of g and of g (x - mean) inverse: (R, F, T, V) -> twice (R, F)."""
    g = g.to(mean.dtype)
    return g.sum((2, 3)), (g * (x - _wide(mean))).sum((2, 3)) * inverse


# On a CPU: two calls over many rows, of ATen's own batch-norm statistics; its variance over inner
# axes is 15 times slower


def norm_of_groups(
    x: Tensor, weight: Tensor, bias: Tensor, rows: Rows, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Normalise every group by its own statistics.

    Args:
        x: (R, F, T, V).
        weight: (F,).
        bias: (F,).
        rows: what the rows stand for.
        eps: added to variances.

    Returns:
        (R, F, T, V), and the groups' mean and variance (G, F).
    """
    found = []
    for members, copies in rows.groups:
        part = x if members is None else x[members]
        if any(number > 1 for number in copies):
            found.append(_GroupNorm.apply(part, weight, bias, copies, eps))
        else:
            found.append(_PlainNorm.apply(part, weight, bias, eps))
    if rows.groups[0][0] is None:
        y, mean, var = found[0]
        return y, mean[None], var[None]
    ys, means, variances = zip(*found, strict=True)
    members = torch.cat([members for members, _ in rows.groups if members is not None])
    y = torch.zeros_like(x).index_copy(0, members, torch.cat(ys))
    return y, torch.stack(means), torch.stack(variances)


class _GroupNorm(torch.autograd.Function):
    """Batch norm over rows of which the last ones stand for several persons each.

    `_RowNorm` for one group, by the moments of all rows, each counted once, and of the last ones.
    """

    @staticmethod
    def forward(
        ctx, x: Tensor, weight: Tensor, bias: Tensor, copies: tuple[int, ...], eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(R, F, T, V) -> (R, F, T, V), and mean and variance (F,)."""
        persons = len(x)
        mean, var = moments(x)
        for i, number in enumerate(copies, len(x) - len(copies)):
            persons += number - 1
            share = (number - 1) / persons  # of the copies but one
            last_mean, last_var = moments(x[i : i + 1])
            apart = last_mean - mean
            mean = mean.lerp(last_mean, share)
            var = var.lerp_(last_var, share).addcmul_(apart, apart, value=share * (1 - share))
        inverse = (var + eps).rsqrt_()  # of sigma
        scale = weight * inverse
        shift = torch.addcmul(bias, mean, scale, value=-1)
        y = torch.addcmul(_wide(shift), x, _wide(scale)).to(x.dtype)
        ctx.save_for_backward(x, mean, inverse, scale)
        ctx.copies, ctx.positions = copies, persons * x[0, 0].numel()
        ctx.mark_non_differentiable(mean, var)
        return y, mean, var

    @staticmethod
    def backward(ctx, *grad_outputs: Tensor):
        """Gradients of x, weight and bias."""
        (g, *_), (x, mean, inverse, scale) = grad_outputs, ctx.saved_tensors
        S1, S2 = products(g, x, mean)
        S2 *= inverse
        n = ctx.positions
        slope = (S2 * inverse).mul_(scale).div_(-n)
        offset = torch.addcmul(S1 * scale / -n, slope, mean, value=-1)
        dx = torch.addcmul(_wide(offset), x, _wide(slope))
        # the terms of the statistics count as often as the row
        for i, number in enumerate(ctx.copies, len(x) - len(ctx.copies)):
            dx[i] *= number
        dx = dx.addcmul_(g, _wide(scale)).to(x.dtype)
        return dx, S2, S1, None, None


class _PlainNorm(torch.autograd.Function):
    """`_GroupNorm` of rows that are one person each: PyTorch's own.

    Its derivative is not left to autograd: ATen's gradients of weight and bias are wrong where the
    gradient lies in another order in memory than the input (torch 2.13, CPU).
    """

    @staticmethod
    def forward(
        ctx, x: Tensor, weight: Tensor, bias: Tensor, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(R, F, T, V) -> (R, F, T, V), and mean and variance (F,)."""
        order = _memory_order(x)
        y, mean, inverse = torch.native_batch_norm(
            _known(x, order), weight, bias, None, None, True, 0.0, eps
        )
        ctx.save_for_backward(x, weight, mean, inverse)
        ctx.eps = eps
        var = inverse.square().reciprocal_().sub_(eps)
        ctx.mark_non_differentiable(mean, var)
        return _restored(y, x.shape, order), mean, var

    @staticmethod
    def backward(ctx, *grad_outputs: Tensor):
        """Gradients of x, weight and bias."""
        x, weight, mean, inverse = ctx.saved_tensors
        order = _memory_order(x)
        dx, by_weight, by_bias = torch.ops.aten.native_batch_norm_backward(
            _known(grad_outputs[0], order), _known(x, order), weight, None, None, mean, inverse,
            True, ctx.eps, [ctx.needs_input_grad[0], True, True],
        )  # fmt: skip
        dx = _restored(dx, x.shape, order) if ctx.needs_input_grad[0] else None
        return dx, by_weight, by_bias, None


def moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance over rows and positions: (R, F, T, V) -> twice (F,), float32 or better."""
    unused = torch.empty(x.shape[1], dtype=_exact(x))  # its running statistics
    known = _known(x, _memory_order(x))
    return torch.ops.aten.batch_norm_update_stats(known, unused, unused, 0.0)


def products(g: Tensor, x: Tensor, mean: Tensor) -> tuple[Tensor, Tensor]:
    """Sums over rows and positions of g and of g (x - mean): (R, F, T, V) -> twice (F,).

    ATen's batch-norm backward in evaluation mode computes just these.
    """
    order = _memory_order(x)
    ones = torch.ones_like(mean)
    _, products, sums = torch.ops.aten.native_batch_norm_backward(
        _known(g, order), _known(x, order), ones, mean, ones, None, None, False, 0.0,
        [False, True, True],
    )  # fmt: skip
    return sums, products


def _memory_order(x: Tensor) -> tuple[int, ...]:
    """In which order the axes of (R, F, T, V) lie in memory, of those that ATen's kernels know."""
    return next((order for order in ORDERS if x.permute(order).is_contiguous()), CHANNELS_LAST)


def _known(x: Tensor, order: tuple[int, ...]) -> Tensor:
    """(R, F, T, V) in one of `ORDERS`, as ATen's kernels know it; copied if it lies otherwise."""
    x = x.permute(order).contiguous()
    if order in AS_MATRIX:
        return x.flatten(0, 2)
    return x.permute(0, 3, 1, 2) if order == CHANNELS_LAST else x


def _restored(x: Tensor, shape: torch.Size, order: tuple[int, ...]) -> Tensor:
    """`_known` undone."""
    if order not in AS_MATRIX:
        return x
    return x.view([shape[axis] for axis in order]).permute(undone(order))


def _exact(x: Tensor) -> torch.dtype:
    """The type of statistics."""
    return torch.float64 if x.dtype == torch.float64 else torch.float32


def _wide(x: Tensor) -> Tensor:
    """(R, F) or (F,), to be broadcast over frames and joints."""
    return x.view(*x.shape, 1, 1)
