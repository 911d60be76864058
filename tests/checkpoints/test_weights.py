import math
import sys

import pytest
import torch
from helpers import LEGACY

from stgcn_lightning.checkpoints.names import ours_alone, to_reference
from stgcn_lightning.checkpoints.weights import (
    fine_tune,
    first_not_finite,
    load,
    load_model,
)
from stgcn_lightning.engine.engine import Engine
from stgcn_lightning.errors import BadInput
from stgcn_lightning.models import registry
from stgcn_lightning.models.stgcn import STGCN


def test_weights_of_another_version_are_refused_by_name(tmp_path):
    old, new = (f"stages.4.residual.{part}.weight" for part in ("project", "conv"))
    model = STGCN(torch.ones(3, 5, 5), classes=2, base_channels=4)
    state = model.state_dict()
    state[new] = state.pop(old)
    with pytest.raises(BadInput, match=rf"holds other weights .*, {new} among them"):
        load(model, state, tmp_path / "old.ckpt")


def test_weights_of_another_family_say_which_model_to_choose(tmp_path):
    graph = torch.ones(3, 5, 5)
    model, other = (
        registry.build(name, graph, 2, base_channels=8) for name in ("stgcn", "stgcnpp")
    )
    with pytest.raises(BadInput, match=r"x.ckpt holds an ST-GCN\+\+: set model=stgcnpp"):
        load(model, other.state_dict(), tmp_path / "x.ckpt")
    with pytest.raises(BadInput, match=r"x.ckpt holds an ST-GCN: set model=stgcn"):
        load(other, model.state_dict(), tmp_path / "x.ckpt")


def test_a_family_is_known_without_what_its_reference_s_checkpoints_lack(tmp_path):
    model = registry.build("dgstgcn", torch.ones(0, 5, 5), 2, base_channels=8)
    other = registry.build("protogcn", torch.ones(0, 5, 5), 2, base_channels=8)
    lacking = ours_alone(type(other))
    state = {name: value for name, value in other.state_dict().items() if name not in lacking}
    assert lacking
    with pytest.raises(BadInput, match=r"x.ckpt holds a ProtoGCN: set model=protogcn"):
        load(model, state, tmp_path / "x.ckpt")
    with pytest.raises(BadInput, match=r"x.ckpt holds a DG-STGCN: set model=dgstgcn"):
        load(other, model.state_dict(), tmp_path / "x.ckpt")


def test_other_persons_are_a_key_of_the_data(tmp_path):
    graph = torch.ones(3, 5, 5)
    model, other = (registry.build("ctrgcn", graph, 2, persons=persons) for persons in (2, 3))
    with pytest.raises(BadInput, match=r"has 3 persons: set data.persons=3"):
        load(model, other.state_dict(), tmp_path / "x.ckpt")


@pytest.mark.parametrize("name", registry.names())
def test_another_width_says_which_one_to_set(tmp_path, name):
    graph = torch.ones(3, 5, 5)
    model, other = (registry.build(name, graph, 2, base_channels=width) for width in (8, 12))
    with pytest.raises(BadInput, match=r"has 12 base channels: set model.base_channels=12"):
        load(model, other.state_dict(), tmp_path / "x.ckpt")


@pytest.mark.parametrize("name", ["agcn", "ctrgcn", "msg3d"])
def test_another_number_of_places_says_which_one_to_set(tmp_path, name):
    graph = torch.ones(3, 5, 5)
    model, other = (registry.build(name, graph, 2, base_channels=8, persons=M) for M in (2, 1))
    with pytest.raises(BadInput, match=r"has 1 persons: set data.persons=1"):
        load(model, other.state_dict(), tmp_path / "x.ckpt")


def test_weights_of_other_channels_are_named(tmp_path):
    graph = torch.ones(3, 5, 5)
    model, other = (STGCN(graph, 2, channels=channels, base_channels=4) for channels in (3, 2))
    with pytest.raises(BadInput, match=r"`data_norm.weight` of shape \(10,\), .* has \(15,\)"):
        load(model, other.state_dict(), tmp_path / "x.ckpt")


@pytest.mark.parametrize("name", ["finished", "within_epoch"])
def test_a_checkpoint_of_version_0_1_0_makes_its_model(name):
    path = LEGACY / f"version_0_1_0_{name}.ckpt"
    model, card = load_model(path)
    assert isinstance(model, STGCN)
    assert not model.training
    assert card["version"] == "0.1.0"
    state = torch.load(path, weights_only=True)["state_dict"]
    for key, value in model.state_dict().items():
        assert torch.equal(value, state[f"model.{key}"])


def test_a_checkpoint_of_version_0_1_0_scores_as_it_did():
    """Clips are drawn by the data module; here the weights alone, against those read by torch."""
    model, card = load_model(LEGACY / "version_0_1_0_finished.ckpt")
    clips = torch.randn(3, 2, card["clip_frames"], model.joints, 3)
    clips[1:, 1] = 0
    with torch.no_grad():
        torch.testing.assert_close(Engine(model)(clips), model(clips))


def legacy(tmp_path, change):
    content = torch.load(LEGACY / "version_0_1_0_finished.ckpt", weights_only=True)
    change(content["stgcn_lightning"])
    torch.save(content, tmp_path / "x.ckpt")
    return tmp_path / "x.ckpt"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda card: card["model"].update(name="os"), "there is no model os: choose from stgcn"),
        (lambda card: card["model"].pop("graph"), "x.ckpt has a card without 'graph'"),
        (lambda card: card.pop("classes"), "x.ckpt has a card without 'classes'"),
        (lambda card: card["model"].update(depth=3), "model.depth=3 is no option of stgcn"),
        (lambda card: card["classes"].pop(), "a card of 11 classes and weights of 12"),
        (lambda card: card["model"].update(base_channels=2.0), "has 2 base channels: set model.ba"),
    ],
)
def test_a_card_that_fits_no_model_is_refused(tmp_path, change, message):
    with pytest.raises(BadInput, match=message):
        load_model(legacy(tmp_path, change))


def test_a_head_without_rows_is_refused(tmp_path):
    content = torch.load(LEGACY / "version_0_1_0_finished.ckpt", weights_only=True)
    content["state_dict"]["model.classify.weight"] = torch.tensor(1.0)
    torch.save(content, tmp_path / "x.ckpt")
    with pytest.raises(BadInput, match="a card of 12 classes and weights of none"):
        load_model(tmp_path / "x.ckpt")


def test_a_card_s_target_is_not_imported(tmp_path):
    path = legacy(tmp_path, lambda card: card["model"].update(_target_="evil_module.Model"))
    model, card = load_model(path)
    assert isinstance(model, STGCN)
    assert "evil_module" not in sys.modules
    assert card["model"]["_target_"] == "evil_module.Model"


def test_foreign_weights_have_no_card(tmp_path):
    state = to_reference(STGCN, STGCN(torch.ones(3, 5, 5), 2, base_channels=4).state_dict())
    torch.save({"state_dict": state}, tmp_path / "x.pth")
    with pytest.raises(BadInput, match=r"x.pth does not say what it was trained on"):
        load_model(tmp_path / "x.pth")


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_diverged_checkpoint_is_named(tmp_path, value):
    content = torch.load(LEGACY / "version_0_1_0_finished.ckpt", weights_only=True)
    content["state_dict"]["model.classify.bias"][1] = value
    torch.save(content, tmp_path / "x.ckpt")
    with pytest.raises(
        BadInput, match=r"x.ckpt holds NaN or infinity in `classify.bias`: .*diverg"
    ):
        load_model(tmp_path / "x.ckpt")


@pytest.mark.parametrize("name", ["classify.weight", "norm.running_var"])
def test_the_first_tensor_that_is_not_finite_is_found(name):
    state = {"steps": torch.tensor(3), "classify.weight": torch.ones(2), "norm.running_var": None}
    state["norm.running_var"] = torch.ones(3, dtype=torch.float16)
    assert first_not_finite(state) is None
    state[name][0] = math.inf
    assert first_not_finite(state) == name
    assert first_not_finite({}) is None


def test_a_head_for_other_classes_is_not_started_from(tmp_path):
    path = LEGACY / "version_0_1_0_finished.ckpt"
    model, card = load_model(path)
    _, skipped, _ = fine_tune(model, path, card["classes"])
    assert skipped == []
    _, skipped, _ = fine_tune(model, path, card["classes"][::-1])
    assert skipped == ["classify.weight", "classify.bias"]
