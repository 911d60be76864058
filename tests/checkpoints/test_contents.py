"""Checkpoints of anybody: how programs wrap weights, and whose weights they are."""

import pytest
import torch
from helpers import skeleton
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from stgcn_lightning.checkpoints.names import to_reference
from stgcn_lightning.checkpoints.weights import checkpoint_in, load, load_model, read_weights
from stgcn_lightning.errors import BadInput
from stgcn_lightning.graph import adjacency
from stgcn_lightning.models.stgcn import STGCN


def model_of_five_joints():
    torch.manual_seed(0)
    model = STGCN(torch.rand(2, 5, 5), 3, base_channels=4)
    with torch.no_grad():
        for tensor in model.state_dict().values():
            if tensor.is_floating_point() and tensor.ndim < 3:
                tensor.uniform_(0.5, 1.5)
    return model


OURS = model_of_five_joints().state_dict()
THEIRS = to_reference(STGCN, OURS)

SHAPES = {  # how weights lie in a file, of any names
    "bare": lambda state: state,
    "model": lambda state: {"model": state, "epoch": 3},
    "state_dict": lambda state: {"state_dict": state, "optimizer": {"state": {}}},
    "model_state_dict": lambda state: {"model_state_dict": state, "optimizer_state_dict": {}},
    "net": lambda state: {"net": state, "acc": 90.0},
    "network": lambda state: {"network": state},
    "weights": lambda state: {"weights": state},
    "AveragedModel": lambda state: {"n_averaged": torch.tensor(3), **state},
    "nested": lambda state: {"model": {"state_dict": state}},
}
PREFIXES = ("module.", "model.", "_orig_mod.", "net.")
NAMES = {
    "ours": OURS,
    "MMAction2": THEIRS,
    "no recognizer": {name.removeprefix("backbone."): value for name, value in THEIRS.items()},
}


@settings(max_examples=40)
@given(
    shape=st.sampled_from(sorted(SHAPES)),
    names=st.sampled_from(sorted(NAMES)),
    prefixes=st.lists(st.sampled_from(PREFIXES), max_size=3),
    dtype=st.sampled_from([torch.float32, torch.float16, torch.bfloat16, torch.float64]),
    zipped=st.booleans(),
)
def test_weights_are_found_whatever_they_are_wrapped_in(
    tmp_path_factory, shape, names, prefixes, dtype, zipped
):
    state = {
        "".join(prefixes) + name: value.to(dtype) if value.is_floating_point() else value
        for name, value in NAMES[names].items()
    }
    path = tmp_path_factory.mktemp("weights") / "x y%20z.pth.tar"
    torch.save(SHAPES[shape](state), path, _use_new_zipfile_serialization=zipped)
    remarks = []
    found, card = read_weights(path, remarks.append)
    assert card == {}
    assert found.keys() == OURS.keys()
    for name, value in OURS.items():
        want = value.to(dtype).float() if value.is_floating_point() else value
        assert found[name].dtype == want.dtype
        assert torch.equal(found[name], want)
    said = str(dtype).removeprefix("torch.")
    assert remarks == (
        []
        if dtype == torch.float32
        else [f"{path} holds weights in {said}: they are computed in float32"]
    )
    load(model_of_five_joints(), found, path)  # half precision is no other graph


@pytest.mark.parametrize(
    ("wrap", "said"),
    [
        (
            lambda state, _: {"state_dict_ema": state},
            "holds its weights under `state_dict_ema`, wh",
        ),
        (lambda state, _: {"ema": {"module": state}, "epoch": 1}, "holds its weights under `ema`"),
        (lambda state, _: {"generator": state, "optimizer": {}}, "holds its weights under `gener"),
        (
            lambda state, other: {"ema_state_dict": other, "state_dict": state},
            "holds weights under `state_dict`, `ema_state_dict`: those under the first name are",
        ),
    ],
)
def test_which_weights_of_a_file_are_taken_is_said(tmp_path, wrap, said):
    other = {name: value + 1 for name, value in THEIRS.items()}
    torch.save(wrap(THEIRS, other), tmp_path / "x.pth")
    remarks = []
    found, _ = read_weights(tmp_path / "x.pth", remarks.append)
    assert all(torch.equal(found[name], OURS[name]) for name in OURS)
    assert len(remarks) == 1
    assert said in remarks[0]


@pytest.mark.parametrize("dtype", [torch.complex64, torch.int32])
def test_weights_that_are_no_floats_are_named(tmp_path, dtype):
    torch.save({name: value.to(dtype) for name, value in THEIRS.items()}, tmp_path / "x.pth")
    found, _ = read_weights(tmp_path / "x.pth")
    said = rf"x.pth holds `data_norm.weight` in {str(dtype)[6:]}, where weights are floating-point"
    with pytest.raises(BadInput, match=said):
        load(model_of_five_joints(), found, tmp_path / "x.pth")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            {"optimizer": {"state": {}, "param_groups": []}},
            "the state of an optimiser (`optimizer`",
        ),
        ({"state": {0: {}}, "param_groups": []}, "holds the state of an optimiser (`state`, `par"),
        ({"epoch": 3, "acc": 0.5}, "holds no weights, but `epoch`, `acc`: write them with torch"),
        ({}, "holds nothing, an empty dictionary"),
        ({"state_dict": {}}, "holds nothing, an empty dictionary"),
        (
            {"state": {0: {"momentum_buffer": torch.ones(1)}}, "param_groups": []},
            "holds the state of an optimiser",
        ),
        (
            {"student": {"a": torch.ones(1)}, "teacher": {"a": torch.ones(1)}},
            "holds weights under several names (`student`, `teacher`): write those that you mean",
        ),
        ({1: torch.ones(1)}, "holds no weights, but nothing that has a name"),
        ({"model": nn.Linear(2, 2)}, "holds a whole model, which only the program"),
        (nn.Linear(2, 2), "holds a whole model, which only the program"),
    ],
)
def test_a_file_without_weights_says_what_it_holds(tmp_path, content, said):
    torch.save(content, tmp_path / "x.pth")
    with pytest.raises(BadInput) as caught:
        read_weights(tmp_path / "x.pth")
    assert said in str(caught.value)
    assert "Inert" not in str(caught.value)


@pytest.mark.parametrize(
    ("names", "network"),
    [
        (["data_bn.weight", "l1.gcn1.convs.0.conv1.weight", "l1.gcn1.PA", "fc.bias"], "CTR-GCN"),
        (["backbone.data_bn.weight", "backbone.net.0.gcn1.convs.0.conv1.weight"], "CTR-GCN"),
        (["data_bn.weight", "l1.gcn1.PA", "l1.gcn1.conv_a.0.weight"], "2s-AGCN or AAGCN"),
        (["backbone.data_bn.bias", "backbone.gcn.0.gcn.conv_a.weight"], "2s-AGCN or AAGCN"),
        (["data_bn.weight", "gcn3d1.gcn3d.0.in1x1.weight", "sgcn1.0.PA"], "MS-G3D"),
        (
            ["backbone.layer1.0.conv1.conv.weight", "cls_head.fc_cls.bias"],
            "SlowOnly, PoseC3D or I3D",
        ),
        (["conv1.weight", "layer1.0.conv1.weight", "fc.weight"], "ResNet"),
        (["Conv3d_1a_7x7.weight", "Mixed_3b.b0.weight"], "I3D"),
        (["encoder.weight"], "another network"),
    ],
)
def test_other_networks_are_called_by_their_names(tmp_path, names, network):
    torch.save({"state_dict": {name: torch.zeros(1) for name in names}}, tmp_path / "x.pth")
    with pytest.raises(BadInput) as caught:
        read_weights(tmp_path / "x.pth")
    said = str(caught.value)
    assert f"holds `{names[0]}`" in said
    assert f"which look like the weights of {network}: give a checkpoint of one of the" in said
    assert "an ST-GCN, an ST-GCN++" in said


def test_a_part_of_an_st_gcn_says_what_is_missing(tmp_path):
    torch.save({n: v for n, v in THEIRS.items() if "cls_head" not in n}, tmp_path / "x.pth")
    said = r"x.pth: these are not .*missing `cls_head.fc.bias`, `cls_head.fc.weight`\)"
    with pytest.raises(BadInput, match=said):
        read_weights(tmp_path / "x.pth")


# The ST-GCN of its authors, restated: one adjacency for all blocks, weighted edge by edge.


class OldBlock(nn.Module):
    def __init__(self, channels, out, subsets, stride, residual):
        super().__init__()
        self.gcn = nn.Module()
        self.gcn.conv = nn.Conv2d(channels, out * subsets, 1)
        self.tcn = nn.Sequential(
            nn.BatchNorm2d(out),
            nn.ReLU(),
            nn.Conv2d(out, out, (9, 1), (stride, 1), (4, 0)),
            nn.BatchNorm2d(out),
            nn.Dropout(0.5),
        )
        self.skips = residual and channels == out and stride == 1
        if residual and not self.skips:
            self.residual = nn.Sequential(
                nn.Conv2d(channels, out, 1, (stride, 1)), nn.BatchNorm2d(out)
            )

    def forward(self, x, edges):
        added = x if self.skips else self.residual(x) if hasattr(self, "residual") else 0
        y = self.gcn.conv(x).unflatten(1, (len(edges), -1))
        return torch.relu(self.tcn(torch.einsum("nkctv,kvw->nctw", y, edges)) + added)


class OldNet(nn.Module):
    def __init__(self, edges, classes, width=4, weighted=True):
        super().__init__()
        self.register_buffer("A", edges)
        self.data_bn = nn.BatchNorm1d(3 * edges.shape[-1])
        sizes = [1, 1, 1, 1, 2, 2, 2, 4, 4, 4]
        channels = [3, *(width * size for size in sizes)]
        self.st_gcn_networks = nn.ModuleList(
            OldBlock(channels[i], channels[i + 1], len(edges), 1 + (i in (4, 7)), i > 0)
            for i in range(10)
        )
        self.edge_importance = [1] * 10
        if weighted:
            self.edge_importance = nn.ParameterList(
                nn.Parameter(torch.rand_like(edges) + 0.5) for _ in range(10)
            )
        self.fcn = nn.Conv2d(channels[-1], classes, 1)

    def forward(self, x):  # N, C, T, V, M
        N, C, T, V, M = x.shape
        x = x.permute(0, 4, 3, 1, 2).reshape(N * M, V * C, T)
        x = self.data_bn(x).view(N, M, V, C, T).permute(0, 1, 3, 4, 2).reshape(N * M, C, T, V)
        for block, importance in zip(self.st_gcn_networks, self.edge_importance, strict=True):
            x = block(x, self.A * importance)
        x = x.mean((2, 3)).view(N, M, -1, 1, 1).mean(1)
        return self.fcn(x).flatten(1)


@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("of_mmaction2", [True, False])
def test_the_st_gcn_of_its_authors_computes_the_same_here(tmp_path, weighted, of_mmaction2):
    torch.manual_seed(0)
    graph = torch.as_tensor(adjacency(skeleton("openpose18"), "stgcn_spatial"), dtype=torch.float32)
    old = OldNet(graph, 5, weighted=weighted)
    clips = torch.randn(6, 2, 20, 18, 3)  # N, M, T, V, C
    for _ in range(3):
        old(clips.permute(0, 4, 2, 3, 1))  # statistics
    old.eval()
    state = old.state_dict()
    if of_mmaction2:  # 0.x: `fcn` is called `fc`, in the head
        state = {
            f"cls_head.fc.{name[4:]}" if name.startswith("fcn.") else f"backbone.{name}": value
            for name, value in state.items()
        }
    else:  # saved before torch counted batches
        state = {name: v for name, v in state.items() if "num_batches_tracked" not in name}
    torch.save({"state_dict": state}, tmp_path / "old.pt")
    remarks = []
    found, card = read_weights(tmp_path / "old.pt", remarks.append)
    assert card == {}
    assert "is the ST-GCN of st-gcn, mmskeleton or MMAction2 0.x" in remarks[0]
    assert "benchmark.normalise=none" in remarks[0]
    model = STGCN(graph, 5, base_channels=4)
    load(model, found, tmp_path / "old.pt")
    with torch.no_grad():
        want = old(clips.permute(0, 4, 2, 3, 1))
        torch.testing.assert_close(model.eval()(clips), want, rtol=1e-4, atol=1e-5)
    other = STGCN(adjacency(skeleton("openpose18"), "spatial"), 5, base_channels=4)
    with pytest.raises(BadInput, match="was trained on another graph"):
        load(other, found, tmp_path / "old.pt")


@pytest.mark.parametrize("name", ["backbone.st_gcn_networks.0.gcn.conv.weight", "A"])
def test_a_part_of_the_old_st_gcn_is_refused_by_its_name(tmp_path, name):
    state = {name: torch.zeros(192, 3, 1, 1), "st_gcn_networks.9.gcn.conv.weight": torch.zeros(1)}
    torch.save(state, tmp_path / "x.pth")
    with pytest.raises(
        BadInput, match=r"the ST-GCN of st-gcn, mmskeleton or MMAction2 0.x.*missin"
    ):
        read_weights(tmp_path / "x.pth")


def test_a_run_s_folder_means_its_best_checkpoint(tmp_path):
    remarks = []
    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    (run / "checkpoints" / "epoch_3.pth").write_bytes(b"")
    with pytest.raises(
        BadInput, match=r"run is a folder without checkpoints/best.ckpt: give the f"
    ):
        checkpoint_in(run)
    with pytest.raises(BadInput, match=r"or a file, such as epoch_3.pth"):
        checkpoint_in(run / "checkpoints")
    for name, why in (("last", ", since it has no best.ckpt"), ("best", "")):
        (run / "checkpoints" / f"{name}.ckpt").write_bytes(b"")
        for folder in (run, run / "checkpoints"):
            assert checkpoint_in(folder, remarks.append) == run / "checkpoints" / f"{name}.ckpt"
            assert remarks.pop() == f"{folder} is a folder: its {name}.ckpt is taken{why}"
    assert checkpoint_in(tmp_path / "absent.pth") == tmp_path / "absent.pth"


def test_a_folder_of_runs_or_of_parts_is_called_so(tmp_path):
    for number in "01":
        run = tmp_path / "sweep" / number / "checkpoints"
        run.mkdir(parents=True)
        (run / "best.ckpt").write_bytes(b"")
    with pytest.raises(BadInput, match=r"is a folder of 2 runs: give one of them, .*sweep/0, "):
        checkpoint_in(tmp_path / "sweep")
    (tmp_path / "__0_0.distcp").write_bytes(b"")
    with pytest.raises(BadInput, match="is a checkpoint in several parts: join them"):
        checkpoint_in(tmp_path)


def test_a_path_from_a_browser_is_recognised(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    torch.save({"state_dict": THEIRS}, tmp_path / "my run.pth")
    with pytest.raises(BadInput, match=rf"my%20run.pth; did you mean {tmp_path}/my run.pth?"):
        read_weights(tmp_path / "my%20run.pth")
    with pytest.raises(BadInput, match=r"my run.pth does not say what it was trained on"):
        load_model("~/my run.pth")
