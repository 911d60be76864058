"""Products by MKL and by oneDNN's convolutions give the same."""

import pytest
import torch

from stgcn_lightning.engine import products


@pytest.fixture(params=[True, False], ids=["convolutions", "products"])
def way(request, monkeypatch):
    monkeypatch.setattr(products, "faster", lambda *_: request.param)
    products._by_convolution.cache_clear()
    yield request.param
    products._by_convolution.cache_clear()


@pytest.mark.parametrize(("C", "O"), [(32, 64), (64, 32)])
def test_a_product_and_its_transposes(way, C, O):  # noqa: E741
    torch.manual_seed(0)
    x, g, weight = torch.randn(50, C), torch.randn(50, O), torch.randn(O, C)
    assert products.by_convolution(x, weight) is way
    out = torch.empty(50, O)
    products.project(x, weight, out)
    torch.testing.assert_close(out, x @ weight.t())
    back = torch.ones(50, C)
    products.project_back(g, weight, back, add=True)
    torch.testing.assert_close(back, 1 + g @ weight)
    products.project_back(g, weight, back, add=False)
    torch.testing.assert_close(back, g @ weight)
    torch.testing.assert_close(products.weight_back(g, x, weight), g.t() @ x)


def test_narrow_and_exact_products_are_not_measured(monkeypatch):
    monkeypatch.setattr(products, "faster", None)
    assert not products.by_convolution(torch.ones(4, 8), torch.ones(64, 8))
    assert not products.by_convolution(torch.ones(4, 64).double(), torch.ones(64, 64))
