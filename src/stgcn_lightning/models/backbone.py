"""The protocol of every family: what a backbone must offer, and what it may.

A backbone is a plain `nn.Module` that turns each person of a clip into features, followed by a head
that averages persons and classifies. Speed is applied from outside: `engine.engine.Engine` computes
an absent person once, normalises in groups, compiles, folds. For that to be exact, rows must be
independent of each other but for ordinary batch norms (`nn.BatchNorm1d/2d/3d`, rows first).

A family's constructor is ``(adjacency, classes, *, channels=3, dropout=0.0, **own_options)``; its
own options are plain values, which `conf/model/NAME.yaml` sets and the checkpoint's card keeps.

Axes: N clips, M persons, T frames, V joints, C channels, R = N x M rows, F features, K subsets.
"""

import copy
from collections.abc import Mapping
from numbers import Integral
from typing import Any, ClassVar, TypeVar

from torch import Tensor, nn

from stgcn_lightning.errors import BadInput, UnfitModel

Model = TypeVar("Model", bound=nn.Module)


class Backbone(nn.Module):
    """The base class of every family. A family must set the three attributes and define `features`.

    Attributes:
        joints: V of the clips that the model was built for.
        channels: C of these clips.
        persons: M of its clips, where the family tells their places apart; None: any number.
        classify: the head, (N, M, F) -> logits (N, classes): `parts.Head`, or another `nn.Linear`
            that averages persons.
        title: the family's name in sentences, with its article.
        graphs: modes of `graph.adjacency` that its constructor takes; empty: any.
        foreign_names: pairs of names, ours and those of MMAction2 and PYSKL, of a tensor or of the
            module that holds it; `*` stands for a number. The first pair that fits a tensor counts.
            None: the tensor has no counterpart there, is left out of what is exported to there, and
            as it started in what comes from there. Empty where the family is in neither.
    """

    joints: int
    channels: int
    persons: int | None = None
    classify: nn.Linear
    title: ClassVar[str] = "a backbone"
    graphs: ClassVar[tuple[str, ...]] = ()
    foreign_names: ClassVar[tuple[tuple[str, str | None], ...]] = ()

    def features(self, x: Tensor) -> Tensor:
        """Features (R, F) of persons (R, T, V, C); R and T are free."""
        raise NotImplementedError

    def normalise_clips(self, clips: Tensor) -> Tensor:
        """What happens to whole clips (N, M, T, V, C) before their persons are rows.

        Where the first norm tells the places of persons apart, it is here, and `features` takes
        what it returns, of the same shape. It is asked for where `persons` is set.
        """
        return clips

    def forward(self, clips: Tensor) -> Tensor:
        """Logits (N, classes) of clips (N, M, T, V, C), every person computed.

        Raises:
            BadInput: the clips have other joints or channels than the model was built for.
            UnfitModel: features or logits have another shape than (R, F) or (N, classes).
        """
        self.check(clips)
        N, M = clips.shape[:2]
        rows = self.features(self.normalise_clips(clips).flatten(0, 1))
        _check_shape(self, "features", rows, (N * M, self.classify.in_features))
        logits = self.classify(rows.unflatten(0, (N, M)))
        _check_shape(self, "classify", logits, (N, self.classify.out_features))
        return logits

    def check(self, clips: Tensor) -> None:
        """Refuse clips that do not fit the model.

        Raises:
            BadInput: they have other joints, channels or persons than the model was built for.
        """
        if clips.ndim == 5 and self.persons not in (None, clips.shape[1]):
            raise BadInput(
                f"{self.title} normalises every place of a clip apart: this one was built for clips"
                f" of {self.persons} persons, these have {clips.shape[1]}: set"
                f" data.persons={self.persons}, or train with another number"
            )
        if clips.ndim != 5 or clips.shape[3:] != (self.joints, self.channels):
            raise BadInput(
                f"the model was built for {self.joints} joints and {self.channels} channels, clips"
                f" of (N, M, T, {self.joints}, {self.channels}), but these have the shape"
                f" {tuple(clips.shape)}: choose the skeleton that belongs to the data."
            )

    # What a family may offer

    def training_features(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """`features` of (R, T, V, C), and what else of each row (R, ...) the training learns from.

        The second goes to `further_loss`; None: the family learns from its logits alone.
        """
        return self.features(x), None

    def further_loss(self, more: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
        """What is added to the cross entropy in training.

        Args:
            more: (N, M, ...), what `training_features` gave, of every person of the clips.
            logits: (N, classes), detached.
            labels: (N,) int64.
        """
        raise NotImplementedError

    def learned_edges(self) -> Tensor | None:
        """The learned weight of every edge, (layers, K, V, V), for the report; None: no edges."""
        return None

    def draws_random_numbers(self) -> bool:
        """Whether equal persons may differ in training: true with dropout before the head.

        Dropout is seen where a module is an `nn.Dropout` or has a number `dropout` above 0, as
        `nn.LSTM` has. A family that draws random numbers in another way answers itself.
        """
        before = [m for name, m in self.named_modules() if name.split(".")[0] != "classify"]
        shares = [m.p for m in before if isinstance(m, nn.modules.dropout._DropoutNd)]
        shares += [getattr(module, "dropout", 0) for module in before]
        return any(isinstance(share, int | float) and share > 0 for share in shares)

    @classmethod
    def options_of(cls, state: Mapping[str, Tensor]) -> dict[str, Any]:
        """Those of the family's own options that the shapes of a `state_dict` show."""
        return {}


def check_backbone(model: Backbone) -> None:
    """Refuse a model that does not offer what its family must.

    Raises:
        UnfitModel: an attribute or `features` is missing, or `forward` is its own.
    """
    family = type(model)
    for name, kind, meaning in (
        ("joints", Integral, "V of its clips"),
        ("channels", Integral, "C of its clips"),
        ("classify", nn.Linear, "its head, models.parts.Head or another nn.Linear"),
    ):
        if not isinstance(getattr(model, name, None), kind):
            raise UnfitModel(f"{family.__name__} lacks {name}: set self.{name}, {meaning}")
    if family.features is Backbone.features:
        raise UnfitModel(f"{family.__name__} lacks features: define it, (R, T, V, C) -> (R, F)")
    if family.forward is not Backbone.forward:
        raise UnfitModel(
            f"{family.__name__} defines forward, which an engine would not call: define features,"
            " and do what comes after it in the head, classify"
        )


def _check_shape(model: Backbone, part: str, found: object, shape: tuple[int, ...]) -> None:
    if not isinstance(found, Tensor) or tuple(found.shape) != shape:
        what = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        meaning = {"features": "a row for every person", "classify": "persons averaged"}[part]
        raise UnfitModel(
            f"{part} of {type(model).__name__} returns {what}, where {shape} is wanted: {meaning}"
        )


def plain_copy(model: Model) -> Model:
    """A copy in which every module is again of the class that the family's file names.

    A module that something from outside gave a faster class names the class it had before in
    `plain_class`.
    """
    model = copy.deepcopy(model)
    for module in model.modules():
        module.__class__ = getattr(module, "plain_class", type(module))
    return model
