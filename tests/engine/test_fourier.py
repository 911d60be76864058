"""Convolutions along time by frequencies, against the direct ones."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from stgcn_lightning.engine import fourier
from stgcn_lightning.engine.fourier import FourierConv, Tiling, maps, pays, time_conv


def plain(x, weight, bias, stride):
    """(T, Q, C) -> (U, Q, O), by PyTorch."""
    image = x.permute(1, 2, 0)[..., None]  # Q, C, T, 1
    y = F.conv2d(image, weight, bias, (stride, 1), (weight.shape[2] // 2, 0))
    return y[..., 0].permute(2, 0, 1)


@settings(deadline=None, max_examples=40)
@given(
    st.integers(1, 120), st.integers(1, 4), st.integers(1, 6), st.integers(1, 6),
    st.sampled_from([1, 2]), st.sampled_from([1, 5, 9]),
)  # fmt: skip
def test_a_convolution_and_its_gradients_equal_the_direct_one(T, Q, C, O, stride, k):  # noqa: E741
    generator = torch.Generator().manual_seed(T)
    shapes = ((T, Q, C), (O, C, k, 1), (O,))
    inputs = [
        torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_()
        for shape in shapes
    ]
    ours, theirs = time_conv(*inputs, stride), plain(*inputs, stride)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)
    g = torch.randn(theirs.shape, generator=generator, dtype=torch.float64)
    for a, b in zip(
        torch.autograd.grad(ours, inputs, g), torch.autograd.grad(theirs, inputs, g), strict=True
    ):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-11)


@pytest.mark.parametrize("T", [25, 50, 100])
def test_rounding_in_float32_stays_within_four_times_that_of_the_direct_one(T):
    torch.manual_seed(0)
    x = torch.randn(T, 68, 128).relu()
    weight = torch.randn(128, 128, 9, 1) * (2 / (9 * 128)) ** 0.5
    bias = torch.randn(128)
    exact = plain(x.double(), weight.double(), bias.double(), 1)
    ours, theirs = (f(x, weight, bias, 1).double() for f in (time_conv, plain))
    assert (ours - exact).norm() < 4 * (theirs - exact).norm()
    assert (ours - exact).abs().max() < 2e-6 * exact.abs().max()


@pytest.mark.parametrize(("n", "k", "products"), [(1, 9, 13), (25, 9, 49), (50, 9, 86), (1, 1, 1)])
def test_a_tile_takes_three_products_for_every_pair_of_frequencies(n, k, products):
    A, B, C = maps(n, k)
    assert [*A.shape, *B.shape, *C.shape] == [products, n + k - 1, products, k, n, products]
    x, w = torch.randn(n + k - 1).double(), torch.randn(k).double()
    expected = torch.stack([(w * x[t : t + k]).sum() for t in range(n)])
    torch.testing.assert_close(C @ ((B @ w) * (A @ x)), expected)


def test_the_tiling_follows_the_cost():
    narrow, wide = (Tiling.of(torch.zeros(C, C, 9, 1), 100, 1) for C in (64, 1024))
    assert narrow.tiles * narrow.points > wide.tiles * wide.points  # products weigh more


def test_tiles_of_a_form_made_in_inference_mode_serve_training():
    weight, x = torch.randn(3, 2, 9, 1), torch.randn(11, 4, 2, requires_grad=True)
    with torch.inference_mode():
        time_conv(x, weight, torch.zeros(3))
    time_conv(x, weight, torch.zeros(3)).sum().backward()
    assert x.grad is not None


def test_narrow_convolutions_are_direct_without_measuring(monkeypatch):
    monkeypatch.setattr(fourier, "faster", None)
    pays.cache_clear()
    assert not pays(torch.float32, None, 64, 32, 1)
    assert pays(torch.float64, None, 64, 64, 1)


@pytest.mark.parametrize("by_frequencies", [True, False])
@pytest.mark.parametrize("stride", [1, 2])
def test_both_ways_take_and_give_the_frames_first(by_frequencies, stride, monkeypatch):
    monkeypatch.setattr(fourier, "pays", lambda *_: by_frequencies)
    torch.manual_seed(0)
    conv = torch.nn.Conv2d(4, 6, (9, 1), (stride, 1), (4, 0)).double()
    x = torch.randn(11, 5, 3, 4).double().permute(2, 3, 0, 1)  # R, C, T, V
    expected = conv(x)
    assert FourierConv.suits(conv)
    conv.__class__ = FourierConv
    torch.testing.assert_close(conv(x), expected)
    assert conv(x).permute(2, 3, 0, 1).is_contiguous()
    torch.testing.assert_close(conv(x.contiguous()), expected)
