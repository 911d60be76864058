"""Weight names of MMAction2 and PYSKL <-> ours: one-to-one, bit-exact, nothing computed.

Each family's file states the names that its tensors have there (`Backbone.foreign_names`); here
they are applied. Every model of a family, whatever its width and classes, holds tensors of the
same names, so a name that is missing or unknown is refused in either direction. Shapes differ in
one place: the reference mixes channels with a 1x1 convolution, (O, C, 1, 1), where ours is linear,
(O, C).
"""

import functools
import re
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from stgcn_lightning.errors import BadInput
from stgcn_lightning.models import registry
from stgcn_lightning.models.backbone import Backbone


@functools.cache
def foreign_names(family: type[Backbone]) -> dict[str, str]:
    """Our name -> the reference's, of every tensor of a family; empty if the reference has none.

    Raises:
        TypeError: the family's pairs leave a tensor without a name.
    """
    if not family.foreign_names:
        return {}
    patterns = [
        (re.compile(re.escape(ours).replace(r"\*", r"(\d+)") + r"(\.\w+)*"), ours, foreign)
        for ours, foreign in family.foreign_names
    ]
    return {name: _foreign(name, patterns) for name in _template(family).state_dict()}


def _foreign(name: str, patterns: list[tuple[re.Pattern[str], str, str]]) -> str:
    for pattern, ours, foreign in patterns:
        found = pattern.fullmatch(name)
        if found:
            numbers = found.groups()[: ours.count("*")]
            replaced = foreign
            for number in numbers:
                ours, replaced = ours.replace("*", number, 1), replaced.replace("*", number, 1)
            return replaced + name.removeprefix(ours)
    raise TypeError(f"no pair of `foreign_names` fits `{name}`")


@functools.cache
def _template(family: type[Backbone]) -> Backbone:
    """A model of the family on the meta device: names and shapes, no values."""
    with torch.device("meta"):
        return family(torch.ones(1, 1, 1), 1)


@functools.cache
def _mixing(family: type[Backbone]) -> set[str]:
    """Our names of the weights that are 1x1 convolutions in the reference."""
    return {
        f"{name}.weight"
        for name, module in _template(family).named_modules()
        if isinstance(module, nn.Linear) and name != "classify"
    }


def to_reference(family: type[Backbone], state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """MMAction2's `state_dict` for our weights of a model of `family`.

    Raises:
        BadInput: the reference has no such family, a tensor of the family is missing, or there is
            one that the family does not have.
    """
    names = foreign_names(family)
    if not names:
        raise BadInput(
            f"MMAction2 has no names for the weights of {family.title}: use format=safetensors"
        )
    _check_names(state, names, f"{family.title} of this package")
    mixing = _mixing(family)
    return {
        names[name]: value[..., None, None] if name in mixing else value
        for name, value in state.items()
    }


def from_reference(family: type[Backbone], state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our `state_dict` for the weights of a model of `family`, trained by MMAction2 or PYSKL.

    PYSKL's name of the head is understood as well, and the prefix `module.` of a model that was
    saved inside a wrapper for several GPUs.

    Raises:
        BadInput: a tensor of the family is missing, or there is one that the family does not have.
    """
    state = {_unwrapped(name): value for name, value in state.items()}
    ours = {foreign: name for name, foreign in foreign_names(family).items()}
    _check_names(state, ours, f"{family.title} of MMAction2 or PYSKL")
    mixing = _mixing(family)
    return {
        ours[name]: value.flatten(1) if ours[name] in mixing else value
        for name, value in state.items()
    }


def family_of_reference(names: Iterable[str]) -> type[Backbone]:
    """The registered family that weights of MMAction2 or PYSKL have most names in common with."""
    given = {_unwrapped(name) for name in names}
    families = [registry.family_of(name) for name in registry.names()]
    return min(families, key=lambda one: len(given ^ set(foreign_names(one).values())))


def is_reference(names: Iterable[str]) -> bool:
    """Whether weights carry the names of MMAction2 or PYSKL rather than ours."""
    return any(_unwrapped(name).startswith("backbone.") for name in names)


def family_of_ours(names: Iterable[str]) -> type[Backbone] | None:
    """The registered family whose tensors have exactly these names; None: no family has."""
    given = set(names)
    families = (registry.family_of(name) for name in registry.names())
    return next((one for one in families if given == _template(one).state_dict().keys()), None)


def check_graph(state: Mapping[str, Tensor], model: Backbone) -> None:
    """Refuse weights, under our names, that were trained with another skeleton or graph mode.

    `load_state_dict` would silently replace the skeleton's adjacency by that of the weights. A
    learned adjacency differs in any case, so that its shape alone is compared.

    Raises:
        BadInput: an adjacency has another shape or, not being learned, differs by more than 1e-5.
    """
    learned = dict(model.named_parameters())
    for name, ours in model.state_dict().items():
        if not name.endswith(".adjacency"):
            continue
        found = state[name]
        if found.shape != ours.shape:
            difference = f"(K, V, V) = {tuple(found.shape)} instead of {tuple(ours.shape)}"
        elif name not in learned and not torch.allclose(found.to(ours), ours, rtol=0, atol=1e-5):
            difference = (
                f"with edges that differ by up to {(found.to(ours) - ours).abs().max():.3g}"
            )
        else:
            continue
        raise BadInput(
            f"the checkpoint was trained on another graph, {difference} (`{name}`): choose the"
            " skeleton and the graph mode that it was trained with."
        )


def _unwrapped(name: str) -> str:
    name = name.removeprefix("module.")
    return name.replace("cls_head.fc_cls.", "cls_head.fc.")  # PYSKL's name -> MMAction2's


def _check_names(names: Iterable[str], expected: Iterable[str], whose: str) -> None:
    names, expected = set(names), set(expected)
    complaints = [
        f"{what} {', '.join(f'`{name}`' for name in sorted(some)[:3])}"
        + (f" and {len(some) - 3} more" if len(some) > 3 else "")
        for what, some in (("missing", expected - names), ("unknown", names - expected))
        if some
    ]
    if complaints:
        raise BadInput(
            f"these are not the weights of {whose} ({'; '.join(complaints)}): give a checkpoint of"
            " that model."
        )
