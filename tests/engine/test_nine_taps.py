import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from stgcn_lightning.engine.nine_taps import (
    frames,
    frames_back,
    nine_taps,
    pays,
    points,
    points_back,
)


def direct(x, weight, bias):
    return F.conv2d(x.permute(0, 3, 1, 2), weight, bias, padding=(4, 0)).permute(0, 2, 3, 1)


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 40), st.integers(1, 4), st.integers(1, 6), st.integers(1, 6))
def test_nine_taps_and_their_gradients_equal_the_direct_convolution(T, V, C, O):  # noqa: E741
    generator = torch.Generator().manual_seed(T)
    shapes = ((2, T, V, C), (O, C, 9, 1), (O,))
    inputs = [
        torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_()
        for shape in shapes
    ]
    ours, theirs = nine_taps(*inputs), direct(*inputs)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)
    g = torch.randn(theirs.shape, generator=generator, dtype=torch.float64)
    for a, b in zip(
        torch.autograd.grad(ours, inputs, g), torch.autograd.grad(theirs, inputs, g), strict=True
    ):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-11)


def test_rounding_in_float32_stays_within_three_times_that_of_the_direct_one():
    torch.manual_seed(0)
    x = torch.randn(4, 50, 17, 128).relu()
    weight = torch.randn(128, 128, 9, 1) * (2 / (9 * 128)) ** 0.5
    bias = torch.randn(128)
    exact = direct(x.double(), weight.double(), bias.double())
    ours, theirs = (f(x, weight, bias).double() for f in (nine_taps, direct))
    assert (ours - exact).norm() < 3 * (theirs - exact).norm()


@pytest.mark.parametrize("T", [1, 3, 10, 25])
def test_the_combinations_are_transposed_exactly(T):
    """<A x, g> = <x, A^T g>."""
    torch.manual_seed(0)
    x = torch.randn(2, T, 3, 4, dtype=torch.float64)
    made = points(x)
    g = [torch.randn_like(p) for p in made]
    forwards = sum((a * b).sum() for a, b in zip(made, g, strict=True))
    torch.testing.assert_close(forwards, (x * points_back(g, T)).sum())
    y = [torch.randn(2, -(-T // 3), 3, 4, dtype=torch.float64) for _ in range(5)]
    out = frames(y, T)
    g = torch.randn_like(out)
    backwards = sum((a * b).sum() for a, b in zip(y, frames_back(g), strict=True))
    torch.testing.assert_close((out * g).sum(), backwards)


def test_it_is_left_alone_where_it_does_not_pay():
    x = torch.zeros(1)
    assert pays(x, 128)
    assert not pays(x, 64)
    assert not pays(x.bfloat16(), 128)
    with torch.autocast("cpu", torch.bfloat16):
        assert not pays(x, 128)
