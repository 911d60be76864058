"""Which differences between two cards matter."""

import pytest

from stgcn_lightning.checkpoints.agreement import other_body


def body(**changes):
    return {"name": "five", "joints": ["hip", "chest", "head"], "edges": [[1, 0]]} | changes


@pytest.mark.parametrize(
    ("theirs", "difference"),
    [
        (body(), ""),
        (body(name="six"), ""),  # the same body under another name
        (body(joints=["hip", "head", "chest"]), "joint 1, which is 'head' there and 'chest' here"),
        (body(edges=[[0, 1]]), "its edges"),
    ],
)
def test_where_two_bodies_differ(theirs, difference):
    assert other_body({"skeleton": theirs}, {"skeleton": body()}) == difference


@pytest.mark.parametrize(
    ("theirs", "ours", "stream", "difference"),
    [
        (None, [0, 0, 1], "joint", ""),  # a checkpoint of a version without k-bones
        (None, [0, 0, 1], "k_bone_motion", "its k_bone_parents"),
        (None, [0, 0, 0], "k_bone", ""),  # the parent's parent, in so many words
        ([0, 0, 1], [0, 0, 1], "k_bone", ""),
        ([0, 0, 1], None, "joint", "its k_bone_parents"),
    ],
)
def test_where_k_bones_start_matters_to_whom_it_may_concern(theirs, ours, stream, difference):
    leg = {
        "name": "leg", "joints": ["hip", "knee", "foot"], "edges": [[1, 0], [2, 1]],
        "graph_centre": 0, "bone_parents": [0, 0, 1], "left_right": [], "normalise": None,
    }  # fmt: skip
    bodies = [leg if one is None else leg | {"k_bone_parents": one} for one in (theirs, ours)]
    card, own = ({"skeleton": one, "stream": stream} for one in bodies)
    assert other_body(card, own) == difference
