"""Names and shapes of foreign weights, both ways."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from helpers import GOLDEN

from stgcn_lightning.checkpoints.names import (
    check_graph,
    family_of_ours,
    family_of_reference,
    foreign_names,
    from_reference,
    is_reference,
    ours_alone,
    to_reference,
)
from stgcn_lightning.errors import BadInput
from stgcn_lightning.models import registry
from stgcn_lightning.models.backbone import Backbone
from stgcn_lightning.models.stgcn import STGCN
from stgcn_lightning.models.stgcnpp import STGCNPP


@pytest.mark.parametrize(
    ("tag", "layout", "classes"),
    [
        ("stgcn_coco", "coco", 60),
        ("stgcn_ntu", "nturgb+d", 120),
        ("stgcn_openpose", "openpose", 400),
        ("stgcnpp_coco", "coco", 60),
        ("stgcnpp_ntu", "nturgb+d", 60),
    ],
)
def test_against_mmaction2_names_and_shapes_are_equal(tag, layout, classes):
    shapes = json.loads((GOLDEN / "state_dict_shapes.json").read_text())[tag]
    graph = np.load(GOLDEN / "graphs.npz")[f"{layout}|stgcn_spatial"]
    family = registry.family_of(tag.split("_")[0])
    theirs = to_reference(family, family(graph, classes).state_dict())
    assert {name: list(tensor.shape) for name, tensor in theirs.items()} == shapes


def test_a_round_trip_changes_no_bit(small):
    ours = small.state_dict()
    again = from_reference(STGCN, to_reference(STGCN, ours))
    assert again.keys() == ours.keys()
    for name, tensor in ours.items():
        assert again[name].dtype == tensor.dtype
        assert torch.equal(again[name], tensor)
    small.load_state_dict(again)  # strict


def test_pyskls_head_and_a_wrapped_model_are_understood(small):
    theirs = to_reference(STGCN, small.state_dict())
    pyskl = {
        "module." + n.replace("cls_head.fc.", "cls_head.fc_cls."): t for n, t in theirs.items()
    }
    assert "module.cls_head.fc_cls.bias" in pyskl
    ours = from_reference(STGCN, pyskl)
    assert all(torch.equal(ours[name], tensor) for name, tensor in small.state_dict().items())


def test_the_batch_counters_are_kept(small, clips):
    small(clips)
    theirs = to_reference(STGCN, small.state_dict())
    counters = [n for n in theirs if n.endswith("num_batches_tracked")]
    assert len(counters) == 1 + 2 * 10 + 2
    assert all(theirs[name] == 1 for name in counters)


def test_both_kinds_of_names_are_recognised(small):
    assert not is_reference(small.state_dict())
    assert is_reference(to_reference(STGCN, small.state_dict()))
    assert is_reference(f"module.{name}" for name in to_reference(STGCN, small.state_dict()))


def test_missing_and_unknown_names_are_listed(small):
    theirs = to_reference(STGCN, small.state_dict())
    del theirs["backbone.gcn.3.gcn.PA"]
    theirs["backbone.gcn.3.gcn.alpha"] = torch.zeros(1)
    with pytest.raises(
        BadInput,
        match=r"not the weights of an ST-GCN of MMAction2 or PYSKL \(missing"
        r" `backbone.gcn.3.gcn.PA`; unknown `backbone.gcn.3.gcn.alpha`\): give",
    ):
        from_reference(STGCN, theirs)
    with pytest.raises(BadInput, match=r"of this package .*missing `classify.bias`.* and 178 more"):
        to_reference(STGCN, {"weight": torch.zeros(1)})


def test_another_graph_is_refused_and_rounding_is_not(small):
    state = small.state_dict()
    name = "stages.0.graph.adjacency"
    for dtype in (torch.float16, torch.bfloat16):
        check_graph(state | {name: state[name].to(dtype)}, small)
        check_graph(state | {name: state[name].to(dtype).float()}, small)
    with pytest.raises(BadInput, match=r"another graph, with edges that differ by up to 0.01 \("):
        check_graph(state | {name: state[name] + 1e-2}, small)
    with pytest.raises(BadInput, match=r"= \(3, 17, 17\) instead of \(2, 5, 5\).*set skel"):
        check_graph(state | {name: torch.zeros(3, 17, 17)}, small)


@pytest.mark.parametrize("family", [STGCN, STGCNPP])
def test_the_family_of_foreign_weights_is_found_by_their_names(family):
    ours = family(torch.ones(3, 5, 5), 3, base_channels=8).state_dict()
    theirs = to_reference(family, ours)
    assert family_of_reference(theirs) is family
    assert family_of_reference(f"module.{name}" for name in theirs) is family
    again = from_reference(family, theirs)
    assert all(torch.equal(again[name], tensor) for name, tensor in ours.items())
    del theirs["cls_head.fc.bias"]
    assert family_of_reference(theirs) is family


def test_a_learned_adjacency_may_differ_from_the_skeleton_s():
    model = STGCNPP(torch.ones(3, 5, 5), 3, base_channels=8)
    name = "stages.0.graph.adjacency"
    state = model.state_dict()
    check_graph(state | {name: state[name] + 1}, model)
    with pytest.raises(BadInput, match=r"= \(3, 17, 17\) instead of \(3, 5, 5\).*set skel"):
        check_graph(state | {name: torch.zeros(3, 17, 17)}, model)


def test_a_family_that_the_reference_lacks_has_no_names():
    class Mine(Backbone):
        title = "a network of mine"

    assert foreign_names(Mine) == {}
    with pytest.raises(BadInput, match="has no names for the weights of a network of mine: use"):
        to_reference(Mine, {})


def test_a_tensor_that_no_pair_fits_is_named():
    class Half(STGCN):
        foreign_names = STGCN.foreign_names[:-1]

    with pytest.raises(TypeError, match=r"no pair of `foreign_names` fits `classify.weight`"):
        foreign_names(Half)


def test_finding_names_draws_no_random_numbers_and_imports_no_compiler():
    """A training that begins with foreign weights draws what it would draw without them."""
    code = (
        "import sys, torch\n"
        "from stgcn_lightning.checkpoints.names import foreign_names\n"
        "from stgcn_lightning.models.stgcn import STGCN\n"
        "before = torch.get_rng_state()\n"
        "assert len(foreign_names(STGCN)) == 181\n"
        "assert torch.equal(torch.get_rng_state(), before)\n"
        "assert 'torch._dynamo' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", registry.names())
def test_a_family_is_known_by_its_names_as_a_whole(name):
    family = registry.family_of(name)
    state = set(family(torch.ones(3, 5, 5), 4, base_channels=8).state_dict())
    assert family_of_ours(state) is family
    assert family_of_ours(state - ours_alone(family)) is family
    assert family_of_ours(state - {"classify.bias"}) is None
    assert family_of_ours(state | {"another"}) is None
