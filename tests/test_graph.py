"""Adjacency against the reference's, and by hand on a chain."""

import numpy as np
import pytest
from helpers import GOLDEN, skeleton

from stgcn_lightning.errors import BadInput
from stgcn_lightning.graph import GRAPH_MODES, adjacency
from stgcn_lightning.skeleton import Skeleton

CHAIN = Skeleton.from_dict(
    {
        "name": "chain",
        "joints": ["a", "b", "c", "d", "e"],
        "edges": [[1, 0], [2, 1], [3, 2], [4, 3]],
        "graph_centre": 0,
        "bone_parents": [0, 0, 1, 2, 3],
        "left_right": [],
        "normalise": None,
    }
)


@pytest.mark.parametrize("mode", [mode for mode in GRAPH_MODES if mode != "none"])
@pytest.mark.parametrize(
    ("name", "layout"), [("coco17", "coco"), ("ntu25", "nturgb+d"), ("openpose18", "openpose")]
)
def test_against_mmaction2_every_adjacency_is_equal(name, layout, mode):
    golden = np.load(GOLDEN / "graphs.npz")[f"{layout}|{mode}"]
    ours = adjacency(skeleton(name), mode)
    assert ours.dtype == golden.dtype
    assert np.array_equal(ours, golden)


def test_no_graph_has_no_subsets():
    assert adjacency(CHAIN, "none").shape == (0, 5, 5)


def test_a_chain_by_hand_beyond_the_second_joint_all_are_infinitely_far():
    half, third = 1 / 2, 1 / 3  # a joint hears itself and one or two neighbours, equally
    itself = np.diag([half, third, third, third, half])
    outer = np.zeros((5, 5))
    outer[1, 0], outer[2, 1], outer[3, 2], outer[4, 3] = half, third, third, third
    outer[2, 3], outer[3, 4] = third, half  # towards the centre, but infinity >= infinity
    inner = np.zeros((5, 5))
    inner[0, 1], inner[1, 2] = third, third
    assert np.array_equal(adjacency(CHAIN, "stgcn_spatial"), [itself, outer, inner])


def test_a_chain_by_hand_each_joint_hears_its_parent_and_its_child():
    from_parent, from_child = np.eye(5, k=1), np.eye(5, k=-1)
    assert np.array_equal(adjacency(CHAIN, "spatial"), [np.eye(5), from_parent, from_child])
    assert np.array_equal(adjacency(CHAIN, "binary_adj"), [from_parent + from_child])


def test_an_unknown_mode_is_refused_with_the_known_ones():
    with pytest.raises(BadInput, match=r"no graph mode `spatail`.*stgcn_spatial, spatial"):
        adjacency(CHAIN, "spatail")
