import json

import pytest
import torch
from helpers import GOLDEN

from stgcn_lightning.checkpoints.names import from_reference, to_reference
from stgcn_lightning.errors import BadInput
from stgcn_lightning.models.aagcn import AAGCN, AGCN, Attention, GraphConv

LAYOUTS = {"coco": (17, 60), "ntu": (25, 120)}


def of_two_joints() -> GraphConv:
    """One channel, whose embedding and projection are the channel itself; no edges of its own."""
    conv = GraphConv(torch.zeros(3, 2, 2), 1, 4).eval()
    with torch.no_grad():
        for part in (*conv.sender, *conv.receiver, *conv.project):
            part.weight.fill_(1.0)
        for part in (*conv.project[1:], conv.down.project):
            part.weight.zero_()
        conv.norm.weight.fill_(1.0)
        conv.strength.fill_(1.0)
    return conv


def test_joints_that_move_alike_receive_from_each_other():
    conv = of_two_joints()
    x = torch.tensor([[1.0, 2.0], [3.0, 0.0]])[None, None]  # two frames of two joints
    # the mean over frames of products: (1 1 + 3 3) / 2 = 5, (1 2 + 3 0) / 2 = 1, (2 2 + 0 0) / 2
    edges = torch.tensor([[5.0, 1.0], [1.0, 2.0]]).tanh()
    for one in conv.edges(x):
        torch.testing.assert_close(one, edges[None])
    torch.testing.assert_close(conv(x)[0, 0], x[0, 0] @ edges, rtol=1e-4, atol=0)  # eps of the norm


def test_the_first_joint_of_an_edge_sends():
    conv = of_two_joints()
    with torch.no_grad():
        conv.strength.zero_()
        conv.adjacency[0, 0, 1] = 2.0
        y = conv(torch.tensor([[[[3.0, 5.0]]]]))
    torch.testing.assert_close(y[0, :, 0], torch.tensor([0.0, 6.0]).expand(4, 2), rtol=1e-4, atol=0)


def test_attention_that_has_learned_nothing_adds_a_half_of_frames_and_channels():
    attention, y = Attention(4, joints=2), torch.rand(2, 4, 7, 2)
    with torch.no_grad():
        attention.joints.weight.zero_()
        attention.joints.bias.fill_(100.0)  # all of it
        torch.testing.assert_close(attention(y), y * 2 * 1.5 * 1.5)


@pytest.mark.parametrize(("joints", "seen"), [(17, 17), (18, 17), (2, 1), (1, 1)])
def test_attention_sees_an_odd_number_of_joints(joints, seen):
    attention = Attention(4, joints)
    assert attention.joints.kernel_size == (seen,)
    assert attention(torch.rand(1, 4, 3, joints)).shape == (1, 4, 3, joints)


@pytest.mark.parametrize("family", [AGCN, AAGCN])
def test_a_place_is_normalised_apart(family):
    model = family(torch.ones(3, 5, 5) / 5, 3, base_channels=4)
    with torch.no_grad():
        model.data_norm.running_mean[:15] = 1.0  # of the first place
        clips = torch.rand(1, 2, 6, 5, 3)
        placed = model.eval().normalise_clips(clips)
    torch.testing.assert_close(placed[:, 0], clips[:, 0] - 1, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(placed[:, 1], clips[:, 1], rtol=1e-4, atol=1e-5)
    with pytest.raises(BadInput, match=r"for clips of 2 persons, these have 1: set data.persons=2"):
        model(clips[:, :1])


def test_initial_weights_follow_the_reference():
    torch.manual_seed(0)
    adjacency = torch.rand(3, 5, 5)
    model = AAGCN(adjacency, classes=1000)
    stage = model.stages[7]  # 128 -> 256 channels
    graph, attention = stage.graph, stage.attention
    assert torch.equal(graph.adjacency, adjacency)
    assert graph.adjacency.requires_grad
    assert not graph.strength.any()
    assert torch.equal(graph.norm.weight, torch.full((256,), 1e-6))
    assert torch.equal(graph.down.norm.weight, torch.ones(256))
    for part, variance in (
        (graph.sender[1], 2 / 64),
        (graph.receiver[2], 2 / 64),
        (graph.project[0], 2 / (3 * 256 * 128)),
        (graph.down.project, 2 / 256),
        (stage.temporal.conv, 2 / (9 * 256)),
        (stage.residual.project, 2 / 256),  # MMAction2's
        (attention.joints, 2 / (5 * 257)),
        (attention.squeeze, 2 / 256),
        (model.classify, 1e-4),
    ):
        assert part.weight.std().item() == pytest.approx(variance**0.5, rel=0.03)
        assert not part.bias.any()
    for part in (attention.frames, attention.excite):
        assert not part.weight.any()
        assert not part.bias.any()


@pytest.mark.parametrize("tag", ["agcn_coco", "agcn_ntu", "aagcn_coco", "aagcn_ntu"])
def test_against_pyskl_names_and_shapes_are_equal(tag):
    shapes = json.loads((GOLDEN / "families" / "state_dict_shapes.json").read_text())[tag]
    name, layout = tag.split("_")
    family = {"agcn": AGCN, "aagcn": AAGCN}[name]
    joints, classes = LAYOUTS[layout]
    ours = family(torch.ones(3, joints, joints), classes).state_dict()
    theirs = to_reference(family, ours)
    assert {name: list(tensor.shape) for name, tensor in theirs.items()} == shapes
    pyskl = {name.replace("cls_head.fc.", "cls_head.fc_cls."): t for name, t in theirs.items()}
    assert "cls_head.fc_cls.bias" in pyskl
    again = from_reference(family, pyskl)
    assert again.keys() == ours.keys()
    assert all(torch.equal(again[name], tensor) for name, tensor in ours.items())


@pytest.mark.parametrize("family", [AGCN, AAGCN])
def test_the_learned_edges_are_the_adjacencies(family):
    model = family(torch.rand(3, 5, 5), classes=3, base_channels=8, persons=1)
    edges = model.learned_edges()
    assert edges.shape == (10, 3, 5, 5)
    assert torch.equal(edges[4], model.stages[4].graph.adjacency)
    assert not edges.requires_grad
    assert family.options_of(model.state_dict()) == {"base_channels": 8, "persons": 1}


def test_a_width_without_an_embedding_is_refused():
    with pytest.raises(BadInput, match=r"base_channels=3 .*: set model.base_channels=4 or more"):
        AGCN(torch.ones(3, 5, 5), classes=2, base_channels=3)
