import subprocess
import sys

import pytest
import torch
from helpers import skeleton

from stgcn_lightning.errors import BadInput
from stgcn_lightning.models import registry
from stgcn_lightning.models.backbone import Backbone
from stgcn_lightning.models.parts import Head
from stgcn_lightning.models.stgcn import STGCN


class Mine(Backbone):
    """A user's own."""

    def __init__(self, adjacency, classes, *, channels=3, dropout=0.0, depth=1):
        super().__init__()
        self.joints, self.channels, self.depth = len(adjacency[0]), channels, depth
        self.classify = Head(8, classes, dropout)

    def features(self, x):
        """Nothing of the persons."""
        return x.new_zeros(len(x), 8)


@pytest.fixture(autouse=True)
def restored(monkeypatch):
    monkeypatch.setattr(registry, "_registered", {})


def test_ours_are_known_by_name_and_cost_no_torch_until_they_are_built():
    code = "from stgcn_lightning.models import registry; import sys; registry.names();"
    code += "sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert registry.names()[:2] == ["stgcn", "stgcnpp"]
    assert registry.family_of("stgcn") is STGCN
    assert registry.name_of(STGCN) == "stgcn"


def test_a_user_s_own_is_registered_once():
    registry.register("mine", Mine)
    registry.register("mine", Mine)  # a sweep's next run
    assert registry.names()[-1] == "mine"
    assert registry.build("mine", torch.ones(1, 5, 5), 4, depth=7).depth == 7
    other = type("Other", (Mine,), {})
    with pytest.raises(BadInput, match="mine is the name of Mine already: choose another for O"):
        registry.register("mine", other)
    with pytest.raises(BadInput, match="stgcn is the name of STGCN already"):
        registry.register("stgcn", Mine)
    registry.register("stgcn", STGCN)


@pytest.mark.parametrize("what", [torch.nn.Linear, "os.system", lambda adjacency: None])
def test_what_is_no_backbone_is_not_registered(what):
    with pytest.raises(BadInput, match=r"is no backbone: derive it from .*Backbone"):
        registry.register("mine", what)


def test_an_unknown_name_is_answered_with_the_nearest_or_all():
    with pytest.raises(BadInput, match="there is no model stgncpp: did you mean stgcnpp"):
        registry.family_of("stgncpp")
    with pytest.raises(BadInput, match=r"no model os.system: choose from stgcn, stgcnpp"):
        registry.family_of("os.system")


def test_a_graph_that_a_family_does_not_start_from_is_refused():
    body = skeleton("coco17")
    assert registry.graph_of("stgcn", body, "binary_adj").shape == (1, 17, 17)
    with pytest.raises(BadInput, match=r"model.graph=spatial is none that .* set model.graph=none"):
        registry.graph_of("dgstgcn", body, "spatial")


def test_an_option_that_a_family_lacks_is_named():
    with pytest.raises(
        BadInput, match=r"model.depth=3 is no option of stgcn, whose own are base_channels: take it"
    ):
        registry.build("stgcn", torch.ones(1, 5, 5), 4, depth=3)
