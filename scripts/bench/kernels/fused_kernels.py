"""Two kernels of the training step on a GPU, each with the same computation in plain PyTorch.

Both write a convolution's result and, while it is still in registers, the moments that the batch
norm behind it needs; the second one also normalises its input and applies ReLU. A normalised
activation is then never written. The moments are those of each row, over frames and joints, in
float32, and take part in differentiation: `stages.factors` makes of them what a norm multiplies and
adds.

No GPU has been measured yet, so the package does not use them; scripts/bench/gpu.py times them.
Triton is imported when a kernel runs.

Axes: R rows, T frames (S of them come out), V joints (W as receivers), K subsets, C channels in, O
out.
"""

import functools
from collections.abc import Callable
from importlib.util import find_spec

import torch
import torch.nn.functional as F
from torch import Tensor

from stgcn_lightning.errors import BadInput

Moments = tuple[Tensor, Tensor, Tensor]  # a result, and mean and variance (R, O) of its rows


def graph(x: Tensor, edges: Tensor, weight: Tensor, bias: Tensor) -> Moments:
    """Gather every joint's neighbours and project them, sum_k (A_k^T x) W_k + bias.

    Args:
        x: (R, T, V, C), float32 or bf16.
        edges: (K, V, W).
        weight: (K, O, C).
        bias: (W, O).

    Returns:
        (R, T, W, O) in the type of `x`, and its moments.
    """
    x, edges, weight = _cast(x, edges, weight)
    return _Graph.apply(x, edges, weight, bias)  # pyright: ignore[reportReturnType]


def plain_graph(x: Tensor, edges: Tensor, weight: Tensor, bias: Tensor) -> Moments:
    """`graph` by PyTorch's operations."""
    x, edges, weight = _cast(x, edges, weight)
    y = F.linear(_gathered(x, edges).flatten(3), weight.transpose(0, 1).flatten(1))
    return _with_moments((y + bias).to(x.dtype))


def temporal(
    z: Tensor, scale: Tensor, shift: Tensor, weight: Tensor, bias: Tensor, stride: int
) -> Moments:
    """Convolve relu(scale z + shift) along frames, zeros around it.

    Args:
        z: (R, T, V, C), float32 or bf16.
        scale: (R, C) float32.
        shift: (R, C) float32.
        weight: (O, C, 9, 1).
        bias: (O,).
        stride: frames from one output to the next.

    Returns:
        (R, S, V, O) in the type of `z`, S = ceil(T / stride), and its moments.
    """
    z, weight = _cast(z, weight)
    return _Temporal.apply(z, scale, shift, weight, bias, stride)  # pyright: ignore[reportReturnType]


def plain_temporal(
    z: Tensor, scale: Tensor, shift: Tensor, weight: Tensor, bias: Tensor, stride: int
) -> Moments:
    """`temporal` by PyTorch's operations."""
    z, weight = _cast(z, weight)
    h = normalised(z, scale, shift).relu().permute(0, 3, 1, 2)  # R, C, T, V
    y = F.conv2d(h, weight, bias.to(h.dtype), (stride, 1), (weight.shape[2] // 2, 0))
    return _with_moments(y.permute(0, 2, 3, 1))


def normalised(z: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """(R, T, V, O) times `scale` plus `shift`, both (R, O), in float32; in the type of `z`."""
    return torch.addcmul(shift[:, None, None], z, scale[:, None, None]).to(z.dtype)


class _Graph(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, edges: Tensor, weight: Tensor, bias: Tensor) -> Moments:
        y, mean, var = _run_graph(x, edges, weight, bias)
        ctx.save_for_backward(x, edges, weight, bias, y, mean)
        return y, mean, var

    @staticmethod
    def backward(ctx, *grad_outputs: Tensor):
        x, edges, weight, bias, y, mean = ctx.saved_tensors
        g = _through_moments(y, mean, *grad_outputs)
        (K, V, W), (R, T, _, C) = edges.shape, x.shape
        flat = weight.transpose(0, 1).flatten(1)  # O, K C
        into = (g @ flat).view(R * T, W * K, C)
        listening = edges.permute(1, 2, 0).reshape(V, W * K)
        dx = torch.bmm(listening.expand(R * T, -1, -1), into).view_as(x)
        pairs = torch.einsum("nvc,nuc->vu", x.reshape(R * T, V, C), into)
        dedges = pairs.view(V, W, K).permute(2, 0, 1)
        dweight = g.flatten(0, 2).t() @ _gathered(x, edges).flatten(3).flatten(0, 2)
        dweight = dweight.view(-1, K, C).transpose(0, 1)
        dbias = g.sum((0, 1), dtype=torch.float32).to(bias.dtype)
        return dx, dedges, dweight, dbias


class _Temporal(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx, z: Tensor, scale: Tensor, shift: Tensor, weight: Tensor, bias: Tensor, stride: int
    ) -> Moments:
        y, mean, var = _run_temporal(z, scale, shift, weight, bias, stride)
        ctx.save_for_backward(z, scale, shift, weight, bias, y, mean)
        ctx.stride = stride
        return y, mean, var

    @staticmethod
    def backward(ctx, *grad_outputs: Tensor):
        z, scale, shift, weight, bias, y, mean = ctx.saved_tensors
        g = _through_moments(y, mean, *grad_outputs)
        h = normalised(z, scale, shift).relu_()
        dh, dweight, dbias = torch.ops.aten.convolution_backward(
            g.permute(0, 3, 1, 2), h.permute(0, 3, 1, 2), weight, [len(bias)], [ctx.stride, 1],
            [weight.shape[2] // 2, 0], [1, 1], False, [0, 0], 1, [True, True, True],
        )  # fmt: skip
        dh = torch.ops.aten.threshold_backward(dh.permute(0, 2, 3, 1), h, 0)
        dscale = (dh * z.to(scale.dtype)).sum((1, 2))
        dshift = dh.sum((1, 2), dtype=shift.dtype)
        dz = (dh * scale[:, None, None]).to(z.dtype)
        return dz, dscale, dshift, dweight, dbias.to(bias.dtype), None


# opaque to `torch.compile`, which so need not look into Triton's interpreter or launches
@torch.library.custom_op("stgcn_lightning::graph", mutates_args=())
def _run_graph(x: Tensor, edges: Tensor, weight: Tensor, bias: Tensor) -> Moments:
    return _triton().graph(x, edges, weight, bias)


@_run_graph.register_fake
def _(x: Tensor, edges: Tensor, weight: Tensor, bias: Tensor) -> Moments:
    return _shaped(x, x.shape[1], weight.shape[1])


@torch.library.custom_op("stgcn_lightning::temporal", mutates_args=())
def _run_temporal(
    z: Tensor, scale: Tensor, shift: Tensor, weight: Tensor, bias: Tensor, stride: int
) -> Moments:
    return _triton().temporal(z, scale, shift, weight, bias, stride)


@_run_temporal.register_fake
def _(
    z: Tensor, scale: Tensor, shift: Tensor, weight: Tensor, bias: Tensor, stride: int
) -> Moments:
    return _shaped(z, -(-z.shape[1] // stride), len(weight))


def _shaped(x: Tensor, frames: int, channels: int) -> Moments:
    """The shapes of a kernel's results."""
    mean = x.new_empty(len(x), channels, dtype=torch.float32)
    return x.new_empty(len(x), frames, x.shape[2], channels), mean, torch.empty_like(mean)


def _triton():
    """The kernels themselves.

    Raises:
        BadInput: Triton is not installed.
    """
    if find_spec("triton") is None:
        raise BadInput(
            f"the GPU kernels need Triton, which is not installed: install the version that belongs"
            f" to torch {torch.__version__}."
        )
    from kernels import triton_kernels

    return triton_kernels


def _cast(*tensors: Tensor) -> tuple[Tensor, ...]:
    """What autocast, which does not know these operations, would make of their operands."""
    device = tensors[0].device.type
    dtype = tensors[0].dtype
    if torch.is_autocast_enabled(device):
        dtype = torch.get_autocast_dtype(device)
    return tuple(tensor.to(dtype) for tensor in tensors)


def _gathered(x: Tensor, edges: Tensor) -> Tensor:
    """Every joint's neighbours, subset by subset: (R, T, W, K, C)."""
    (K, V, W), (R, T, _, C) = edges.shape, x.shape
    gather = edges.permute(2, 0, 1).reshape(W * K, V).expand(R * T, -1, -1)
    return torch.bmm(gather, x.reshape(R * T, V, C)).view(R, T, W, K, C)


def _with_moments(y: Tensor) -> Moments:
    var, mean = torch.var_mean(y.flatten(1, 2).float(), 1, correction=0)
    return y, mean, var


def _through_moments(y: Tensor, mean: Tensor, g: Tensor, to_mean: Tensor, to_var: Tensor) -> Tensor:
    """The gradient of a result, of which a part comes through its moments."""
    P = y.shape[1] * y.shape[2]
    slope = 2 / P * to_var
    offset = to_mean / P - slope * mean
    return (g + normalised(y, slope, offset)).to(y.dtype)


def races(
    device: torch.device, dtype: torch.dtype, rows: int, joints: int, width: int
) -> dict[str, tuple[Callable[[], object], Callable[[], object]]]:
    """Each kernel and the same in plain PyTorch, forward and backward, at the stages' sizes.

    Args:
        device: where.
        dtype: of the activations.
        rows: R, persons of a batch.
        joints: V.
        width: channels of the first stages; clips have 100 frames.

    Raises:
        BadInput: Triton is not installed.
    """
    _triton()
    make = functools.partial(torch.randn, device=device)

    def job(run: Callable[..., Moments], learned: list[Tensor], *more: int) -> Callable[[], object]:
        def step() -> object:
            y, mean, var = run(*learned, *more)
            loss = mean.sum() + var.sum()
            return torch.autograd.grad([y, loss], learned, [y.detach(), torch.ones_like(loss)])

        return step

    jobs = {}
    for T, C, O, stride in (
        (100, 3, width, 1), (100, width, width, 1), (100, width, 2 * width, 2),
        (50, 2 * width, 2 * width, 1), (50, 2 * width, 4 * width, 2), (25, 4 * width, 4 * width, 1),
    ):  # fmt: skip
        learned = [
            make(rows, T, joints, C, dtype=dtype),
            make(3, joints, joints, dtype=dtype) / joints,
            make(3, O, C, dtype=dtype),
            make(joints, O),
        ]
        learned = [tensor.requires_grad_() for tensor in learned]
        name = f"graph, {T} frames, {C} -> {O}"
        jobs[name] = job(graph, learned), job(plain_graph, learned)
        learned = [
            make(rows, T, joints, O, dtype=dtype),
            make(rows, O),
            make(rows, O),
            make(O, O, 9, 1, dtype=dtype) / O,
            make(O),
        ]
        learned = [tensor.requires_grad_() for tensor in learned]
        name = f"temporal, {T} frames, {O} channels, stride {stride}"
        jobs[name] = job(temporal, learned, stride), job(plain_temporal, learned, stride)
    return jobs
