"""Backbones by name: ours, and those that a user's configuration registers.

A checkpoint's card names its backbone, and is untrusted: a name is looked up here, and nothing is
imported because a file says so.
"""

import difflib
import importlib
import inspect
from typing import TYPE_CHECKING, Any

from stgcn_lightning.errors import BadInput, UnfitModel, out_of_memory

if TYPE_CHECKING:  # asking for names alone does not import torch
    import numpy as np
    from torch import Tensor

    from stgcn_lightning.models.backbone import Backbone
    from stgcn_lightning.skeleton import Skeleton

# name -> module and class, imported when the class is asked for
OURS = {
    "stgcn": ("stgcn_lightning.models.stgcn", "STGCN"),
    "stgcnpp": ("stgcn_lightning.models.stgcnpp", "STGCNPP"),
    "agcn": ("stgcn_lightning.models.aagcn", "AGCN"),
    "aagcn": ("stgcn_lightning.models.aagcn", "AAGCN"),
    "msg3d": ("stgcn_lightning.models.msg3d", "MSG3D"),
    "dgstgcn": ("stgcn_lightning.models.dgstgcn", "DGSTGCN"),
    "protogcn": ("stgcn_lightning.models.protogcn", "ProtoGCN"),
    "ctrgcn": ("stgcn_lightning.models.ctrgcn", "CTRGCN"),
}
COMMON = ("channels", "dropout")  # options of every family
OFFERED = ("persons",)  # given to a family whose constructor names it
CONSTRUCTOR = (
    "a backbone's constructor is (adjacency, classes, *, channels=3, dropout=0.0, **own_options)"
)
_registered: "dict[str, type[Backbone]]" = {}


def names() -> list[str]:
    """All names there are, ours first."""
    return [*OURS, *_registered]


def register(name: str, family: "type[Backbone]") -> None:
    """Let `name` be a user's own backbone, from now on and in this process.

    Raises:
        BadInput: the name belongs to another class, or the class is no `Backbone`.
    """
    from stgcn_lightning.models.backbone import Backbone

    if not (inspect.isclass(family) and issubclass(family, Backbone)):
        raise UnfitModel(
            f"model.name={name}: {getattr(family, '__name__', family)} is no backbone: derive it "
            "from stgcn_lightning.models.backbone.Backbone"
        )
    known = family_of(name) if name in names() else family
    if (known.__module__, known.__qualname__) != (family.__module__, family.__qualname__):
        raise BadInput(
            f"model.name={name} is the name of {known.__name__} already: choose another for "
            f"{family.__name__}"
        )
    if name not in OURS:
        _registered[name] = family


def family_of(name: str) -> "type[Backbone]":
    """The class of a name.

    Raises:
        BadInput: there is none.
    """
    if name in _registered:
        return _registered[name]
    if name not in OURS:
        near = difflib.get_close_matches(str(name), names(), n=1)
        remedy = f"did you mean {near[0]}?" if near else f"choose from {', '.join(names())}"
        raise BadInput(
            f"there is no model {name}: {remedy} (one of your own needs the configuration that"
            " registers it: model=NAME --config-dir=FOLDER)"
        )
    module, kind = OURS[name]
    return getattr(importlib.import_module(module), kind)


def name_of(family: "type[Backbone]") -> str:
    """The name that a class has here; its own where it has none."""
    found = [name for name in names() if family_of(name) is family]
    return found[0] if found else family.__name__


def graph_of(name: str, skeleton: "Skeleton", mode: str) -> "np.ndarray":
    """The adjacency (K, V, V) that a model of the family `name` is built on.

    Raises:
        BadInput: there is no such family or mode, or it is none that the family starts from.
    """
    from stgcn_lightning.graph import adjacency

    family = family_of(name)
    if family.graphs and mode not in family.graphs:
        choices = " or ".join(family.graphs)
        raise BadInput(
            f"model.graph={mode} is none that {family.title} starts from: set model.graph={choices}"
        )
    return adjacency(skeleton, mode)


def build(name: str, adjacency: "np.ndarray | Tensor", classes: int, **options: Any) -> "Backbone":
    """An untrained model of the family `name`; see `Backbone` for the arguments.

    `persons`, M of its clips, may always be given: families that tell their places apart take it.

    Raises:
        BadInput: there is no such family, or it has no such option.
        UnfitModel: the family's constructor or parts are not those of a backbone.
    """
    from stgcn_lightning.models.backbone import check_backbone

    family = family_of(name)
    signature = inspect.signature(family)
    known = signature.parameters
    options = {key: value for key, value in options.items() if key in known or key not in OFFERED}
    takes_all = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in known.values())
    for option in options:
        if option not in known and not takes_all:
            if option in COMMON:
                raise UnfitModel(f"{family.__name__} takes no {option}: {CONSTRUCTOR}")
            given = ("adjacency", "classes", *COMMON, *OFFERED)
            own = ", ".join(one for one in known if one not in given)
            raise BadInput(
                f"model.{option}={options[option]} is no option of {name}"
                f"{f', whose own are {own}' if own else ''}: take it away with '~model.{option}'"
            )
    try:
        signature.bind(adjacency, classes, **options)
        model = family(adjacency, classes, **options)
    except BadInput:
        raise
    except (TypeError, ValueError, ArithmeticError, LookupError, RuntimeError) as error:
        if out_of_memory(error):
            raise
        raise UnfitModel(
            f"model={name} cannot be built, {' '.join(str(error).split())}: {CONSTRUCTOR}, and "
            f"values of its own options stand in conf/model/{name}.yaml"
        ) from error
    check_backbone(model)
    if model.classify.out_features != classes:
        raise UnfitModel(
            f"the head of {family.__name__} knows {model.classify.out_features} classes instead of "
            f"{classes}: {CONSTRUCTOR}"
        )
    return model
