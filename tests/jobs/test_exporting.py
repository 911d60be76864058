"""What `export` writes is what was trained, and wrong input is refused in one sentence."""

import collections
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import CHECKOUT, GOLDEN, shared, skeleton, three_stages

from stgcn_lightning.checkpoints.names import ours_alone, to_reference
from stgcn_lightning.checkpoints.safetensors import read_safetensors
from stgcn_lightning.checkpoints.weights import read_weights
from stgcn_lightning.data.normalise import normalise
from stgcn_lightning.data.streams import bone
from stgcn_lightning.errors import BadInput
from stgcn_lightning.files.archives import read_checkpoint
from stgcn_lightning.files.reading import sha256
from stgcn_lightning.jobs import exporting
from stgcn_lightning.jobs.backbones import build_model
from stgcn_lightning.jobs.cards import model_card
from stgcn_lightning.jobs.classes import class_names
from stgcn_lightning.jobs.exporting import export
from stgcn_lightning.launching.composing import composed
from stgcn_lightning.models import registry
from stgcn_lightning.models.stgcn import STGCN
from stgcn_lightning.settings.compose import settings_of

TINY = ("model.base_channels=4", "data.clip_frames=12", "data.test_clips=3")
PAGE = (CHECKOUT / "docs" / "export.md").read_text()


@pytest.fixture(autouse=True)
def in_its_own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def save_ours(*overrides, path="ours.ckpt") -> STGCN:
    """A checkpoint of ours, as a run with `overrides` leaves it, with statistics of a few clips."""
    settings = settings_of("train", composed("train", "run_dir=run", *overrides))
    names = class_names(settings.benchmark.classes)
    torch.manual_seed(0)
    model = build_model(settings.model, settings.skeleton, len(names), persons=2)
    model(torch.randn(2, 2, 12, settings.skeleton.num_joints, 3))
    state = {f"model.{name}": value for name, value in model.state_dict().items()}
    torch.save({"state_dict": state, "stgcn_lightning": model_card(settings, names)}, path)
    return model.eval()


def save_theirs(model, path="theirs.pth"):
    torch.save({"state_dict": to_reference(type(model), model.state_dict())}, path)


def run(*overrides):
    export(settings_of("export", composed("export", "run_dir=runs/export/now", *overrides)))


def equal(state, again):
    assert state.keys() == again.keys()
    for name, value in state.items():
        assert value.dtype == again[name].dtype
        assert torch.equal(value, again[name]), name


# What is written


def test_safetensors_carry_weights_and_card_both_ways():
    model = save_ours(*TINY, "stream=bone")
    run("checkpoint=ours.ckpt", "format=safetensors", "out=ours.safetensors")
    state, card = read_weights(Path("ours.safetensors"))
    equal(model.state_dict(), state)
    assert card == read_weights(Path("ours.ckpt"))[1]
    run("checkpoint=ours.safetensors", "format=safetensors", "out=again.safetensors")
    assert Path("again.safetensors").read_bytes() == Path("ours.safetensors").read_bytes()


def test_mmaction2_names_come_back_bit_for_bit():
    model = save_ours(*TINY, "stream=bone")
    run("checkpoint=ours.ckpt", "format=mmaction2", "out=theirs.pth")
    state, card = read_weights(Path("theirs.pth"))
    equal(model.state_dict(), state)
    assert card == {}
    saved = torch.load("theirs.pth", weights_only=True)
    assert type(saved["state_dict"]) is collections.OrderedDict
    assert saved["meta"]["dataset_meta"]["classes"][0] == "sit_down"
    assert saved["meta"]["experiment_name"] == "synthetic_bone"


@pytest.mark.parametrize("family", registry.names())
def test_pyskl_names_come_back_bit_for_bit(family):
    model = save_ours("benchmark=synthetic_3d", f"model={family}", *TINY, "model.base_channels=8")
    run("checkpoint=ours.ckpt", "format=pyskl", "out=theirs.pth")
    saved = read_checkpoint("theirs.pth")["state_dict"]
    assert {name for name in saved if name.startswith("cls_head.fc")} == {
        "cls_head.fc_cls.weight",
        "cls_head.fc_cls.bias",
    }
    alone = ours_alone(type(model))
    equal(
        {name: value for name, value in model.state_dict().items() if name not in alone},
        read_weights(Path("theirs.pth"))[0],
    )


@pytest.mark.parametrize("family", ["ctrgcn", "dgstgcn"])
def test_it_is_said_that_mmaction2_lacks_a_network(family, capsys):
    save_ours(f"model={family}", *TINY, "model.base_channels=8")
    run("checkpoint=ours.ckpt", "format=mmaction2", "out=theirs.pth")
    assert ("MMAction2 has no dgstgcn" in capsys.readouterr().out) == (family == "dgstgcn")


def test_a_checkpoint_of_pyskl_comes_back_bit_for_bit():
    if "ctrgcn" not in registry.names():
        pytest.skip("there is no ctrgcn here")
    theirs = shared("interop-families/pyskl_ctrgcn_tiny_bone_2d.pth")
    run("experiment=ctrgcn/ntu60_xsub_2d_bone", "benchmark.classes=4", "model.base_channels=8",
        f"checkpoint={theirs}", "format=pyskl", "out=again.pth")  # fmt: skip
    equal(read_checkpoint(theirs)["state_dict"], read_checkpoint("again.pth")["state_dict"])


@pytest.mark.parametrize(
    ("tag", "body", "classes"),
    [
        ("stgcn_coco", "coco17", 60),
        ("stgcn_ntu", "ntu25", 120),
        ("stgcn_openpose", "openpose18", 400),
    ],
)
def test_against_mmaction2_names_and_shapes_are_equal(tag, body, classes):
    save_ours(f"skeleton={body}", f"benchmark.classes={classes}")
    run("checkpoint=ours.ckpt", "format=mmaction2", "out=theirs.pth")
    shapes = json.loads((GOLDEN / "state_dict_shapes.json").read_text())[tag]
    saved = read_checkpoint("theirs.pth")["state_dict"]
    assert {name: list(tensor.shape) for name, tensor in saved.items()} == shapes


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("stgcn", "interop/mmaction2_stgcn_tiny_bone_2d.pth"),
        ("agcn", "interop-families/mmaction2_agcn_tiny_bone_2d.pth"),
    ],
)
def test_against_mmaction2_its_own_checkpoint_comes_back_bit_for_bit(model, name):
    theirs = shared(name)
    run("experiment=ntu60_xsub_2d_bone", "benchmark.classes=4", "model.base_channels=8",
        f"model={model}", f"checkpoint={theirs}", "format=mmaction2", "out=again.pth")  # fmt: skip
    equal(read_checkpoint(theirs)["state_dict"], read_checkpoint("again.pth")["state_dict"])


def test_the_sidecar_says_all_that_inputs_take():
    save_ours("experiment=ntu60_xsub_2d_bone", *TINY)
    run("checkpoint=ours.ckpt", "format=mmaction2", "data.test_clips=5")
    folder = Path("runs/export/now")
    about = json.loads((folder / "ntu60_xsub_2d_bone.json").read_text())
    assert (folder / about["file"]).name == "ntu60_xsub_2d_bone.pth"
    assert about["skeleton"] == skeleton("coco17").to_dict()
    assert about["classes"][59] == "walking apart from each other"
    keys = ("stream", "dimension", "normalise", "clip_frames", "test_clips", "persons")
    assert [about[key] for key in keys] == ["bone", "2d", "2d", 12, 5, 2]
    assert about["input"]["shape"] == ["N", 2, 12, 17, 3]
    assert about["input"]["channels"] == ["x", "y", "score"]
    assert about["output"]["scores"] == "softmax, averaged over clips"
    assert "bone parent" in about["prepare"]["2 stream"]
    assert about["checkpoint"] == {"file": "ours.ckpt", "sha256": sha256("ours.ckpt")}
    assert about["parity"] == {"equal_tensors": 181}
    assert about["version"]


def test_a_checkpoint_without_a_card_is_what_the_configuration_says():
    save_theirs(save_ours("experiment=ntu60_xsub_3d_joint_motion", *TINY))
    run("experiment=ntu60_xsub_3d_joint_motion", *TINY, "checkpoint=theirs.pth",
        "format=safetensors", "out=out.safetensors")  # fmt: skip
    assert read_safetensors("out.safetensors")[1] == read_weights(Path("ours.ckpt"))[1]


def test_settings_that_agree_with_the_card_are_welcome():
    save_ours("experiment=quickstart")
    run("experiment=quickstart", "stream=joint", "checkpoint=ours.ckpt", "format=mmaction2")


def onnx_lines() -> str:
    (lines,) = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    return lines


@pytest.mark.parametrize("frames", [40, 9])
def test_the_page_s_lines_run_the_onnx_file_from_the_sidecar_alone(exported, frames, capsys):
    model, folder = exported
    rng = np.random.default_rng(0)
    people = rng.random((1, frames, 17, 3)) * (1920, 1080, 1)
    np.save("keypoints.npy", people)
    for name in ("model.onnx", "model.json"):
        Path(name).write_bytes((folder / name).read_bytes())
    found = {}
    exec(onnx_lines(), found)  # the lines are ours

    people = people.astype(np.float32)
    joints = normalise(people[..., :2], people[..., 2], mode="2d", img_shape=(1080, 1920))
    parents = torch.tensor(skeleton("coco17").bone_parents)
    bones = bone(torch.from_numpy(joints[0]), parents, scored=True)  # T, V, C
    clips = torch.zeros(3, 2, 12, 17, 3)
    clips[:, 0] = bones[torch.from_numpy(found["frames"])]
    with torch.no_grad():
        scores = model(clips).softmax(-1).mean(0)
    np.testing.assert_allclose(found["scores"], scores, atol=1e-5)
    best = composed("train", "run_dir=run").benchmark.classes[int(scores.argmax())]
    assert capsys.readouterr().out.split()[0] == best


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The model, and the folder of its ONNX file and sidecar."""
    pytest.importorskip("onnxruntime")
    folder = tmp_path_factory.mktemp("exported")
    checkpoint = folder / "ours.ckpt"
    with three_stages():
        model = save_ours(*TINY, "stream=bone", path=checkpoint)
        run(f"checkpoint={checkpoint}", "format=onnx", f"out={folder}/model.onnx")
    return model, folder


def test_the_sidecar_of_an_onnx_file_holds_its_opset_and_parity(exported):
    about = json.loads((exported[1] / "model.json").read_text())
    assert about["opset"] == 20
    assert len(about["parity"]["cases"]) == 12
    assert all(case["difference"] < 1e-4 for case in about["parity"]["cases"])


@pytest.mark.parametrize(
    "command", re.findall(r"^python -m stgcn_lightning\.export (.*)$", PAGE, re.M)
)
def test_the_page_s_commands_compose(command):
    composed("export", *command.split())


# What is refused


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "say what to export to: format=onnx, onnx_continual, safetensors, mmaction2"),
        (["format=onxn"], "there is no format onxn: did you mean onnx"),
        (
            ["format=7"],
            "there is no format 7: choose from onnx, onnx_continual, safetensors, mmaction2",
        ),
        (["format=onnx"], "say which weights to export: checkpoint=FILE"),
        (["format=onnx", "checkpoint=absent.ckpt"], "there is no file absent.ckpt"),
        (["format=safetensors", "checkpoint=absent.safetensors"], "there is no file absent.safet"),
    ],
)
def test_without_format_or_checkpoint_it_says_so(arguments, message):
    with pytest.raises(BadInput, match=message):
        run(*arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["skeleton=openpose18"], "trained on skeleton coco17, which differs from openpose18"),
        (["stream=bone"], "trained with stream joint, not bone: set stream=joint"),
        (["experiment=ntu60_xsub_3d_joint"], "trained with dimension 2d, not 3d: set benchmark="),
        (["model.base_channels=8"], "holds another model: set model.base_channels=4"),
        (["benchmark.classes=60"], "knows 12 classes but the benchmark has 60"),
        (["data.test_clips=0"], "data.test_clips=0 must be a whole number of at least 1"),
        (["out=model.bin"], "out=model.bin must end in .pth"),
        (["out=ours.ckpt/model.pth"], "cannot write ours.ckpt/model.pth: .*; choose another fold"),
        (["out=/proc/model.pth"], "cannot write /proc/model"),
    ],
)  # fmt: skip
def test_what_contradicts_the_card_or_has_no_place_is_refused(arguments, message, tmp_path):
    save_ours(*TINY)
    with pytest.raises(BadInput, match=message):
        run("checkpoint=ours.ckpt", "format=mmaction2", *arguments)
    assert not [*tmp_path.rglob("*.pth"), *tmp_path.rglob("*.json"), *tmp_path.rglob("*.tmp")]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], r"theirs.pth does not say what it was trained on \(skeleton\): add experiment=NAME"),
        (["benchmark=synthetic"], r"trained on \(stream.name\): add experiment=NAME, or bench"),
        (["stream=joint", "skeleton=coco17"], r"\(benchmark.name\)"),
        (["benchmark=synthetic", "stream=joint"], "has 4 base channels: set model.base_channels=4"),
        (["experiment=ntu60_xsub_2d_bone", *TINY], "knows 12 classes .* set benchmark.classes=12"),
        (["experiment=ntu60_xsub_3d_bone", *TINY], r"another graph, \(K, V, V\) = \(3, 17, 17\)"),
        (["benchmark=synthetic", "stream=joint", *TINY, "benchmark.normalise=2D"], "=2D is none"),
        (["benchmark=synthetic", "stream.name=bnoe", *TINY], "stream 'bnoe' is none of joint"),
        (["benchmark=synthetic", "stream=joint", *TINY, "model.graph=spatail"], "`spatail`"),
    ],
)  # fmt: skip
def test_a_checkpoint_without_a_card_needs_to_be_described(arguments, message):
    save_theirs(save_ours(*TINY))
    with pytest.raises(BadInput, match=message):
        run("checkpoint=theirs.pth", "format=mmaction2", "out=out.pth", *arguments)
    assert not Path("out.pth").exists()


@pytest.mark.parametrize("taken", ["out.pth", "out.json"])
def test_nothing_is_overwritten(taken):
    save_ours(*TINY)
    Path(taken).write_text("mine")
    with pytest.raises(BadInput, match=f"{taken} exists already: remove it or choose another name"):
        run("checkpoint=ours.ckpt", "format=mmaction2", "out=out.pth")
    assert Path(taken).read_text() == "mine"


@pytest.mark.parametrize(
    ("form", "package"), [("onnx", "onnxruntime"), ("onnx", "onnxscript"), ("safetensors",) * 2]
)
def test_a_missing_package_says_how_to_get_it(form, package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(BadInput, match=rf"{form} needs {package}: pip install 'stgcn_lightning\["):
        run(f"format={form}", "checkpoint=ours.ckpt")


def test_a_card_that_lacks_something_is_named():
    save_ours(*TINY)
    content = torch.load("ours.ckpt", weights_only=True)
    del content["stgcn_lightning"]["stream"]
    torch.save(content, "ours.ckpt")
    with pytest.raises(BadInput, match=r"ours.ckpt has a card without 'stream'"):
        run("checkpoint=ours.ckpt", "format=mmaction2")


def test_a_card_leads_to_no_other_folder_and_nothing_in_it_is_computed(monkeypatch):
    monkeypatch.setenv("SECRET", "hunter2")
    save_ours(*TINY)
    content = torch.load("ours.ckpt", weights_only=True)
    content["stgcn_lightning"] |= {"benchmark": "../../../${oc.env:SECRET}"}
    torch.save(content, "ours.ckpt")
    run("checkpoint=ours.ckpt", "format=mmaction2")
    written = [path for path in Path().rglob("*") if path.is_file()]
    assert {path.parent for path in written} == {Path(), Path("runs/export/now")}
    assert "runs/export/now/oc.env_SECRET__joint.pth" in map(str, written)
    assert not any(b"hunter2" in path.read_bytes() for path in written)


def test_an_onnx_file_that_does_not_agree_is_not_left_behind(monkeypatch, tmp_path):
    save_ours(*TINY)
    case = {"frames": 37, "clips": 3, "difference": 0.5, "largest": 1.0}
    monkeypatch.setattr(exporting, "to_onnx", lambda model: b"wrong")
    monkeypatch.setattr(exporting, "parity", lambda model, content, persons: [case])
    with pytest.raises(BadInput, match=r"nothing was exported: .* by 0.5 for 3 clips of 37 frames"):
        run("checkpoint=ours.ckpt", "format=onnx", "out=out/model.onnx")
    assert not [*(tmp_path / "out").iterdir()]


@pytest.mark.parametrize(
    ("form", "reader"), [("safetensors", "read_safetensors"), ("mmaction2", "from_reference")]
)
def test_weights_that_do_not_read_back_are_not_left_behind(form, reader, monkeypatch, tmp_path):
    save_ours(*TINY)
    read = getattr(exporting, reader)

    def damaged(*arguments):
        found = read(*arguments)
        (found[0] if isinstance(found, tuple) else found)["classify.bias"][0] += 1
        return found

    monkeypatch.setattr(exporting, reader, damaged)
    with pytest.raises(BadInput, match=r"`classify.bias` came back different from the file"):
        run("checkpoint=ours.ckpt", f"format={form}", f"out=out/x{exporting.SUFFIXES[form]}")
    assert not [*(tmp_path / "out").iterdir()]


@pytest.mark.parametrize("form", [*exporting.SUFFIXES])
def test_diverged_weights_are_not_exported(form, tmp_path):
    save_ours(*TINY)
    content = torch.load("ours.ckpt", weights_only=True)
    content["state_dict"]["model.classify.bias"][0] = torch.nan
    torch.save(content, "ours.ckpt")
    with pytest.raises(BadInput, match=r"ours.ckpt holds NaN or infinity in `classify.bias`"):
        run("checkpoint=ours.ckpt", f"format={form}", f"out=out/x{exporting.SUFFIXES[form]}")
    assert not (tmp_path / "out").exists()
