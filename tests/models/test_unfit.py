"""A model of the user's own that breaks the protocol: a sentence, or all of it stays exact."""

from copy import deepcopy

import pytest
import torch
from torch import nn

from stgcn_lightning.engine.engine import Engine
from stgcn_lightning.engine.folded import fold, folded_form
from stgcn_lightning.errors import UnfitModel
from stgcn_lightning.models import registry
from stgcn_lightning.models.backbone import Backbone
from stgcn_lightning.models.cost import count_macs
from stgcn_lightning.models.parts import Head
from stgcn_lightning.models.stgcn import STGCN


class Fit(Backbone):
    """The smallest backbone there is."""

    def __init__(self, adjacency, classes, *, channels=3, dropout=0.0):
        super().__init__()
        self.joints, self.channels = adjacency.shape[-1], channels
        self.norm = nn.BatchNorm1d(channels)
        self.classify = Head(channels, classes, dropout)

    def features(self, x):
        return self.norm(x.mean((1, 2)))


def built(**changes):
    """A model of a class like `Fit`, registered, but for some attributes of the class."""
    registry.register("mine", type("Mine", (Fit,), changes))
    return registry.build("mine", torch.ones(1, 5, 5), 4)


@pytest.fixture(autouse=True)
def restored(monkeypatch):
    monkeypatch.setattr(registry, "_registered", {})


def without(part):
    def init(self, adjacency, classes, *, channels=3, dropout=0.0):
        Fit.__init__(self, adjacency, classes, channels=channels, dropout=dropout)
        delattr(self, part)

    return init


@pytest.mark.parametrize("part", ["joints", "channels", "classify"])
def test_a_missing_part_is_named(part):
    with pytest.raises(UnfitModel, match=f"Mine lacks {part}: set self.{part}"):
        built(__init__=without(part))


def test_features_are_wanted_and_forward_is_not():
    with pytest.raises(UnfitModel, match=r"Mine lacks features: define it, \(R, T, V, C\)"):
        built(features=Backbone.features)
    with pytest.raises(UnfitModel, match="Mine defines forward, which an engine would not call"):
        built(forward=lambda self, clips: clips)


@pytest.mark.parametrize(
    ("features", "found"),
    [
        (lambda self, x: x.mean((1, 2))[:, None], r"\(2, 1, 3\), where \(2, 3\)"),
        (lambda self, x: x.mean(2).flatten(0, 1), r"\(40, 3\), where \(2, 3\)"),
        (lambda self, x: (x, x), "tuple, where"),
    ],
)
def test_features_of_another_shape_are_refused_before_training(features, found):
    with pytest.raises(UnfitModel, match=f"features of Mine returns {found}"):
        count_macs(built(features=features), 20, 2)


def test_a_head_that_keeps_persons_is_refused():
    model = built()
    model.classify = nn.Linear(3, 4)
    with pytest.raises(UnfitModel, match=r"classify of Mine returns \(1, 2, 4\), where \(1, 4\)"):
        count_macs(model, 20, 2)


def test_another_constructor_is_refused():
    def no_dropout(self, adjacency, classes, *, channels=3):
        Fit.__init__(self, adjacency, classes, channels=channels)

    def one_more(self, adjacency, classes, *, width, channels=3, dropout=0.0):
        Fit.__init__(self, adjacency, classes)

    registry.register("mine", type("Mine", (Fit,), {"__init__": no_dropout}))
    with pytest.raises(UnfitModel, match=r"Mine takes no dropout: a backbone's constructor is \(a"):
        registry.build("mine", torch.ones(1, 5, 5), 4, dropout=0.0)
    registry.register("more", type("More", (Fit,), {"__init__": one_more}))
    with pytest.raises(UnfitModel, match=r"cannot be built, missing a required .*'width'"):
        registry.build("more", torch.ones(1, 5, 5), 4)
    with pytest.raises(UnfitModel, match=r"model=stgcn cannot be built, .*: a backbone"):
        registry.build("stgcn", torch.ones(1, 5, 5), 4, base_channels="wide")


def clips():
    x = torch.randn(4, 2, 20, 5, 3, generator=torch.Generator().manual_seed(1)).double()
    x[:3, 1] = 0
    return x


def test_a_norm_over_frames_of_all_persons_is_refused():
    model = built(features=lambda self, x: self.norm(x.flatten(0, 2)).unflatten(0, x.shape[:3]))
    with pytest.raises(UnfitModel, match="persons as the first axis"):
        Engine(model.double())(clips())


def test_a_norm_without_running_statistics_stays_exact_in_evaluation():
    model = built().double()
    model.norm = nn.BatchNorm1d(3, track_running_stats=False).double()
    plain = deepcopy(model).eval()
    with torch.no_grad():
        found = Engine(model.eval())(clips())
        torch.testing.assert_close(found, plain(clips()), rtol=1e-12, atol=1e-12)


def test_dropout_inside_is_seen_however_it_is_written():
    model = built()
    assert not model.draws_random_numbers()
    model.more = nn.LSTM(3, 3, num_layers=2, dropout=0.1)
    assert model.draws_random_numbers()


def test_a_folded_form_is_not_used_for_a_class_that_does_otherwise():
    class Mine(STGCN):
        def features(self, x):
            return 2 * super().features(x)

    model = Mine(torch.ones(3, 5, 5) / 5, 4, base_channels=4).double().eval()
    assert fold(model) is not None
    assert folded_form(model) is None
    with torch.no_grad():
        found = Engine(deepcopy(model))(clips())
        torch.testing.assert_close(found, model(clips()), rtol=1e-10, atol=1e-12)
