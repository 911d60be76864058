import numpy as np
import pytest
import torch
from helpers import GOLDEN

from stgcn_lightning.errors import BadInput
from stgcn_lightning.models.msg3d import MSG3D, by_distance
from stgcn_lightning.models.parts import Shortcut


def chain(joints: int) -> torch.Tensor:
    """(V, V) bool: each joint is joined with the next one."""
    joined = torch.ones(joints - 1).diag(1).bool()
    return joined | joined.T


def small(**options) -> MSG3D:
    torch.manual_seed(0)
    return MSG3D(chain(5)[None], 3, base_channels=6, **options)


@pytest.mark.parametrize("layout", ["coco", "nturgb+d", "openpose"])
def test_graphs_are_those_of_the_reference_to_the_bit(layout):
    graphs = np.load(GOLDEN / "families" / "graphs.npz")
    model = MSG3D(graphs[f"{layout}|binary_adj"], 3, base_channels=6)
    for stage in model.stages:
        for module, mode in (
            (stage.graph, "msgcn"),
            (stage.windows[0].graph, "g3d_window3"),
            (stage.windows[1].graph, "g3d_window5"),
        ):
            assert np.array_equal(module.adjacency.numpy(), graphs[f"{layout}|{mode}"])
    assert np.array_equal(model.adjacency.numpy(), graphs[f"{layout}|binary_adj"][0])


def test_a_graph_holds_the_joints_just_so_far_away_and_the_joint_itself():
    nearest, far, beyond = by_distance(chain(4), 5)[torch.tensor([1, 3, 4])]
    assert nearest[:, 1].tolist() == pytest.approx([1 / 3, 1 / 3, 1 / 3, 0])
    assert far[:, 0].tolist() == [0.5, 0, 0, 0.5]
    assert far[:, 1].tolist() == [0, 1, 0, 0]
    assert torch.equal(beyond, torch.eye(4))


def test_edges_of_any_weight_direction_and_subset_join_joints():
    weights = torch.zeros(2, 5, 5)
    weights[0].diagonal().fill_(1)
    weights[0, 0, 1], weights[1, 2, 1], weights[1, 2, 3], weights[0, 4, 3] = 0.2, -1, 3, 0.5
    assert torch.equal(MSG3D(weights, 3, base_channels=6).adjacency, chain(5).float())


def test_a_window_sees_its_frames_and_no_others():
    """Frame 5 is seen by windows of 3 and of 5 frames around 4 to 6, and around 3 to 7."""
    model = small().eval()
    for window, seen in zip(model.stages[0].windows, (1, 2), strict=True):
        x = torch.zeros(2, 3, 11, 5)
        x[1, :, 5] = 1
        with torch.no_grad():
            still, moved = window(x)
        frames = (still != moved).any(0).any(1).nonzero()[:, 0]
        assert frames.tolist() == list(range(5 - seen, 6 + seen))


def test_initial_weights_follow_the_reference():
    model = MSG3D(chain(5)[None], 60)
    stage = model.stages[1]  # 96 -> 192 channels
    for offset in (stage.graph.edge_offset, stage.windows[1].graph.edge_offset):
        assert 0.9e-6 < offset.abs().max() <= 1e-6
    for module, fan_in in (  # uniform, PyTorch's
        (stage.graph.project, 13 * 96),
        (stage.windows[0].graph.project, 6 * 96),
        (stage.windows[0].collapse, 3 * 96),
        (stage.first.residual.project, 96),
        (stage.first.branches[0].conv, 3 * 32),
        (stage.first.branches[5].project, 96),
    ):
        bound = fan_in**-0.5
        assert 0.97 * bound < module.weight.abs().max() <= bound
        assert module.bias.any()


def test_the_last_branch_takes_the_remainder():
    temporal = MSG3D(chain(5)[None], 3, base_channels=8).stages[0].last
    assert [one.norm.num_features for one in temporal.branches] == [1, 1, 1, 1, 1, 3]
    assert isinstance(temporal.branches[5], Shortcut)


def test_places_are_normalised_apart():
    """So that two persons who change places are answered otherwise."""
    model = small().eval()
    with torch.no_grad():
        model.data_norm.weight.uniform_(0.5, 1.5)
        clips = torch.randn(2, 2, 12, 5, 3)
        assert (model(clips) - model(clips.flip(1))).abs().max() > 1e-4
    with pytest.raises(BadInput, match=r"built for clips of 2 persons, these have 1"):
        model(clips[:, :1])


def test_the_learned_edges_are_in_units_of_the_given_ones():
    model = small()
    with torch.no_grad():
        model.stages[2].graph.edge_offset[1, 0, 1] = 1 / 6  # to the third that joint 1 receives
    edges = model.learned_edges()
    assert edges.shape == (3, 1, 5, 5)
    assert edges[0, 0, 0, 1].item() == pytest.approx(1, abs=1e-5)
    assert edges[2, 0, 0, 1].item() == pytest.approx(1.5, abs=1e-5)
    assert not edges[:, :, 0, 2:].any()
    assert not edges.requires_grad


@pytest.mark.parametrize(("persons", "channels"), [(2, 3), (1, 4)])
def test_options_are_read_off_the_weights(persons, channels):
    model = small(persons=persons, channels=channels)
    found = MSG3D.options_of(model.state_dict())
    assert found == {"base_channels": 6, "persons": persons}


def test_a_width_that_leaves_a_branch_empty_is_refused():
    with pytest.raises(BadInput, match=r"base_channels=5 .*: set model.base_channels=6 or more"):
        MSG3D(torch.ones(1, 5, 5), classes=2, base_channels=5)
