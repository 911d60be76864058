"""Graph convolutions along edges, against those by dense products."""

from copy import deepcopy

import pytest
import torch
from helpers import skeleton
from hypothesis import given, settings
from hypothesis import strategies as st

from stgcn_lightning.engine import frames_first
from stgcn_lightning.engine.frames_first import Wiring, project_then_gather
from stgcn_lightning.graph import adjacency
from stgcn_lightning.models import stgcn


def dense(x, weight, bias, edges):
    """(T, V, R, C) -> (T, W, R, O)."""
    return torch.einsum("tvrc,koc,kvw->twro", x, weight, edges) + bias[:, None]


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 6), st.integers(1, 5), st.integers(1, 3), st.integers(1, 3), st.data())
def test_any_graph_and_its_gradients_equal_the_dense_product(T, V, R, K, data):
    """Joints that send or receive nothing, whole subsets without an edge: all of it is a graph."""
    bits = data.draw(st.lists(st.booleans(), min_size=K * V * V, max_size=K * V * V))
    present = torch.tensor(bits).view(K, V, V)
    generator = torch.Generator().manual_seed(V)
    shapes = ((T, V, R, 8), (K, 3, 8), (V, 3), (K, V, V))
    x, weight, bias, edges = (
        torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_()
        for shape in shapes
    )
    wiring = Wiring.of(present)
    ours = project_then_gather(x, weight, bias, edges[wiring.edges.unbind(1)], wiring)
    theirs = dense(x, weight, bias, edges * present)
    torch.testing.assert_close(ours, theirs)
    g = torch.randn(theirs.shape, generator=generator, dtype=torch.float64)
    given_ = (x, weight, bias, edges)
    for a, b in zip(
        torch.autograd.grad(ours, given_, g), torch.autograd.grad(theirs, given_, g), strict=True
    ):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize(
    ("name", "edges", "senders"),
    [("coco17", 49, [17, 17, 5]), ("ntu25", 73, [25, 25, 5]), ("coco_wholebody133", 397, None)],
)
def test_few_edges_and_few_senders_are_computed(name, edges, senders):
    graph = torch.from_numpy(adjacency(skeleton(name), "stgcn_spatial"))
    wiring = Wiring.of(graph != 0)
    assert len(wiring.edges) == edges
    if senders:
        assert [len(some) for some in wiring.senders] == senders
    assert len(wiring.for_frames(7).into.vectors) == 7 * (edges + graph.shape[1])


@pytest.mark.parametrize("channels", [3, 8])
def test_a_graph_that_is_loaded_is_followed(channels):
    """A checkpoint may hold another adjacency than the model was built with."""
    torch.manual_seed(0)
    before, after = torch.eye(5).repeat(3, 1, 1), torch.rand(3, 5, 5)
    plain = stgcn.GraphConv(before, channels, 4).eval()
    ours = deepcopy(plain)
    ours.__class__ = frames_first.GraphConv
    x = torch.randn(2, channels, 6, 5)
    torch.testing.assert_close(ours(x), plain(x))
    for one in (plain, ours):
        one.load_state_dict(one.state_dict() | {"adjacency": after})
    torch.testing.assert_close(ours(x), plain(x))
    torch.testing.assert_close(deepcopy(ours)(x), plain(x))
