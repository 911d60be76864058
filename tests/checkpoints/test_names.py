"""Names and shapes of foreign weights, both ways."""

import json

import numpy as np
import pytest
import torch
from helpers import GOLDEN

from stgcn_lightning.checkpoints.names import (
    check_graph,
    from_reference,
    is_reference,
    to_reference,
)
from stgcn_lightning.errors import BadInput
from stgcn_lightning.models.stgcn import STGCN


@pytest.mark.parametrize(
    ("tag", "layout", "classes"),
    [
        ("stgcn_coco", "coco", 60),
        ("stgcn_ntu", "nturgb+d", 120),
        ("stgcn_openpose", "openpose", 400),
    ],
)
def test_against_mmaction2_names_and_shapes_are_equal(tag, layout, classes):
    shapes = json.loads((GOLDEN / "state_dict_shapes.json").read_text())[tag]
    graph = np.load(GOLDEN / "graphs.npz")[f"{layout}|stgcn_spatial"]
    theirs = to_reference(STGCN(graph, classes).state_dict())
    assert {name: list(tensor.shape) for name, tensor in theirs.items()} == shapes


def test_a_round_trip_changes_no_bit(small):
    ours = small.state_dict()
    again = from_reference(to_reference(ours))
    assert again.keys() == ours.keys()
    for name, tensor in ours.items():
        assert again[name].dtype == tensor.dtype
        assert torch.equal(again[name], tensor)
    small.load_state_dict(again)  # strict


def test_pyskls_head_and_a_wrapped_model_are_understood(small):
    theirs = to_reference(small.state_dict())
    pyskl = {
        "module." + n.replace("cls_head.fc.", "cls_head.fc_cls."): t for n, t in theirs.items()
    }
    assert "module.cls_head.fc_cls.bias" in pyskl
    ours = from_reference(pyskl)
    assert all(torch.equal(ours[name], tensor) for name, tensor in small.state_dict().items())


def test_the_batch_counters_travel(small, clips):
    small(clips)
    theirs = to_reference(small.state_dict())
    counters = [n for n in theirs if n.endswith("num_batches_tracked")]
    assert len(counters) == 1 + 2 * 10 + 2
    assert all(theirs[name] == 1 for name in counters)


def test_both_kinds_of_names_are_told_apart(small):
    assert not is_reference(small.state_dict())
    assert is_reference(to_reference(small.state_dict()))
    assert is_reference(f"module.{name}" for name in to_reference(small.state_dict()))


def test_missing_and_unknown_names_are_listed(small):
    theirs = to_reference(small.state_dict())
    del theirs["backbone.gcn.3.gcn.PA"]
    theirs["backbone.gcn.3.gcn.alpha"] = torch.zeros(1)
    with pytest.raises(
        BadInput,
        match=r"not the weights of an ST-GCN of MMAction2 or PYSKL \(missing"
        r" `backbone.gcn.3.gcn.PA`; unknown `backbone.gcn.3.gcn.alpha`\): give",
    ):
        from_reference(theirs)
    with pytest.raises(BadInput, match=r"of this package .*missing `classify.bias`.* and 178 more"):
        to_reference({"weight": torch.zeros(1)})


def test_another_graph_is_refused_and_rounding_is_not(small):
    state = small.state_dict()
    name = "stages.0.graph.adjacency"
    check_graph(state | {name: state[name] + 5e-6}, small)
    with pytest.raises(BadInput, match=r"another graph, with edges that differ by up to 0.0001 \("):
        check_graph(state | {name: state[name] + 1e-4}, small)
    with pytest.raises(BadInput, match=r"= \(3, 17, 17\) instead of \(2, 5, 5\).*choose the skel"):
        check_graph(state | {name: torch.zeros(3, 17, 17)}, small)
