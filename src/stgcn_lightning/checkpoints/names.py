"""Weight names of MMAction2 and PYSKL <-> ours: one-to-one, bit-exact, nothing computed.

Each family's file states the names that its tensors have there (`Backbone.foreign_names`); here
they are applied. Every model of a family, whatever its width and classes, holds tensors of the
same names, so a name that is missing or unknown is refused in either direction. Shapes differ in
one place: the reference mixes channels with a 1x1 convolution, (O, C, 1, 1), where ours is linear,
(O, C).

The ST-GCN of its authors (st-gcn, mmskeleton) and of MMAction2 0.x computes the same from
weights of a third kind of names, `OLD_STGCN`, with one adjacency for all stages (`from_old_stgcn`).
"""

import functools
import re
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from stgcn_lightning.errors import BadInput
from stgcn_lightning.files.reading import AnyPath
from stgcn_lightning.models import registry
from stgcn_lightning.models.backbone import Backbone
from stgcn_lightning.models.parts import Pointwise, SubsetLinear
from stgcn_lightning.models.stgcn import STGCN

# our name -> that of the authors' own code; of MMAction2 0.x, `backbone.` and `cls_head.` before it
OLD_STGCN = (
    ("data_norm", "data_bn"),
    ("stages.*.graph.adjacency", "A"),
    ("stages.*.graph.edge_importance", "edge_importance.*"),
    ("stages.*.graph.project", "st_gcn_networks.*.gcn.conv"),
    ("stages.*.graph.norm", "st_gcn_networks.*.tcn.0"),
    ("stages.*.temporal.conv", "st_gcn_networks.*.tcn.2"),
    ("stages.*.temporal.norm", "st_gcn_networks.*.tcn.3"),
    ("stages.*.residual.project", "st_gcn_networks.*.residual.0"),
    ("stages.*.residual.norm", "st_gcn_networks.*.residual.1"),
    ("classify", "fcn"),
)
OLD_TITLE = "the ST-GCN of st-gcn, mmskeleton or MMAction2 0.x"
# What half precision may change: bfloat16 rounds a number below 1 by 2^-9. Two graphs differ in an
# edge, whose weight is one over the neighbours of a joint: far more.
ROUNDING = 2**-9


@functools.cache
def foreign_names(family: type[Backbone]) -> dict[str, str]:
    """Our name -> the reference's, of the tensors of a family; empty if the reference has none.

    Those without a counterpart there are left out, see `ours_alone`.

    Raises:
        TypeError: the family's pairs leave a tensor without a name.
    """
    return _renamed(family, family.foreign_names) if family.foreign_names else {}


@functools.cache
def ours_alone(family: type[Backbone]) -> set[str]:
    """Our names of those tensors of a family that have no counterpart in the reference."""
    if not family.foreign_names:
        return set()
    return _template(family).state_dict().keys() - foreign_names(family).keys()


def _renamed(family: type[Backbone], pairs: Iterable[tuple[str, str | None]]) -> dict[str, str]:
    patterns = [
        (re.compile(re.escape(ours).replace(r"\*", r"(\d+)") + r"(\.\w+)*"), ours, foreign)
        for ours, foreign in pairs
    ]
    names = {name: _foreign(name, patterns) for name in _template(family).state_dict()}
    return {name: foreign for name, foreign in names.items() if foreign is not None}


def _foreign(name: str, patterns: list[tuple[re.Pattern[str], str, str | None]]) -> str | None:
    for pattern, ours, foreign in patterns:
        found = pattern.fullmatch(name)
        if found:
            if foreign is None:
                return None
            numbers = found.groups()[: ours.count("*")]
            replaced = foreign
            for number in numbers:
                ours, replaced = ours.replace("*", number, 1), replaced.replace("*", number, 1)
            return replaced + name.removeprefix(ours)
    raise TypeError(f"no pair of `foreign_names` fits `{name}`")


@functools.cache
def _template(family: type[Backbone]) -> Backbone:
    """A model of the family: names and shapes, no values.

    It is made with values, because PyTorch imports its compiler, which takes a second, to draw
    random numbers without memory.
    """
    with torch.random.fork_rng(devices=[]):
        return family(torch.ones(3, 1, 1), 1).to("meta")


@functools.cache
def _mixing(family: type[Backbone]) -> set[str]:
    """Our names of the weights that are 1x1 convolutions in the reference."""
    return {
        f"{name}.weight"
        for name, module in _template(family).named_modules()
        if isinstance(module, Pointwise | SubsetLinear)
    }


def to_reference(family: type[Backbone], state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """MMAction2's `state_dict` for our weights of a model of `family`, but for `ours_alone`.

    Raises:
        BadInput: the reference has no such family, a tensor of the family is missing, or there is
            one that the family does not have.
    """
    names = foreign_names(family)
    if not names:
        raise BadInput(
            f"MMAction2 has no names for the weights of {family.title}: use format=safetensors"
        )
    _check_names(state, {*names, *ours_alone(family)}, f"{family.title} of this package")
    mixing = _mixing(family)
    return {
        foreign: state[name][..., None, None] if name in mixing else state[name]
        for name, foreign in names.items()
    }


def from_reference(family: type[Backbone], state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our `state_dict`, but for `ours_alone`, for the weights of a model of `family` trained there.

    There is MMAction2 or PYSKL, whose name of the head is understood as well, and the prefix
    `module.` of a model that was saved inside a wrapper for several GPUs.

    Raises:
        BadInput: a tensor of the family is missing, or there is one that the family does not have.
    """
    state = {_in_mmaction2(name): value for name, value in state.items()}
    ours = {foreign: name for name, foreign in foreign_names(family).items()}
    _check_names(state, ours, f"{family.title} of MMAction2 or PYSKL")
    mixing = _mixing(family)
    return {
        ours[name]: value.flatten(1) if ours[name] in mixing else value
        for name, value in state.items()
    }


def from_old_stgcn(state: Mapping[str, Tensor], path: AnyPath) -> dict[str, Tensor]:
    """Our `state_dict` for an ST-GCN of its authors' code, of mmskeleton or of MMAction2 0.x.

    What such a model computes is what ours does: each stage gets the one adjacency, edges that were
    not weighted the importance 1, and norms that were saved before torch counted batches a 0.

    Raises:
        BadInput: a tensor of the model is missing, there is one that it does not have, or its graph
            convolutions see more than one frame.
    """
    given = {_without_mmaction2(name): value for name, value in state.items()}
    weighted = any(name.startswith("edge_importance.") for name in given)
    theirs = _renamed(STGCN, OLD_STGCN)
    for ours, name in theirs.items():
        if name.startswith("edge_importance.") and "A" in given and not weighted:
            given[name] = torch.ones_like(given["A"])
        if ours.endswith(".num_batches_tracked"):
            given.setdefault(name, torch.tensor(0))
    if complaint := _difference(given, theirs.values()):
        raise BadInput(
            f"{path} holds weights of {OLD_TITLE}, but not all, or of a variant of it that has no "
            f"counterpart here ({complaint}): give a whole checkpoint of that model"
        )
    found = {ours: given[name] for ours, name in theirs.items()}
    for name in (*_mixing(STGCN), "classify.weight"):
        if found[name].shape[2:] != (1, 1):
            raise BadInput(
                f"{path} is a variant of {OLD_TITLE}, in which `{theirs[name]}` has the shape "
                f"{tuple(found[name].shape)}: it has no counterpart here"
            )
        found[name] = found[name].flatten(1)
    return found


def unknown_to(family: type[Backbone], names: Iterable[str]) -> set[str]:
    """Those names of foreign weights that a family does not have in MMAction2 or PYSKL."""
    return {_in_mmaction2(name) for name in names} - set(foreign_names(family).values())


def is_old_stgcn(names: Iterable[str]) -> bool:
    """Whether weights carry the names of `OLD_STGCN`."""
    return any("st_gcn_networks." in name for name in names)


def _without_mmaction2(name: str) -> str:
    return re.sub(r"^(cls_head\.)?fcn?\.", "fcn.", name.removeprefix("backbone."))


def family_of_reference(names: Iterable[str]) -> type[Backbone]:
    """The registered family that weights of MMAction2 or PYSKL have most names in common with."""
    given = {_in_mmaction2(name) for name in names}
    families = [registry.family_of(name) for name in registry.names()]
    return min(families, key=lambda one: len(given ^ set(foreign_names(one).values())))


def is_reference(names: Iterable[str]) -> bool:
    """Whether weights carry the names of MMAction2 or PYSKL rather than ours."""
    return any(_in_mmaction2(name).startswith("backbone.") for name in names)


def family_of_ours(names: Iterable[str]) -> type[Backbone] | None:
    """The registered family whose tensors have these names; None: no family has.

    Those without counterpart in the reference may be missing: its checkpoints lack them.
    """
    given = set(names)
    for family in map(registry.family_of, registry.names()):
        known = _template(family).state_dict().keys()
        if known - ours_alone(family) <= given <= known:
            return family
    return None


def check_graph(state: Mapping[str, Tensor], model: Backbone) -> None:
    """Refuse weights, under our names, that were trained with another skeleton or graph mode.

    `load_state_dict` would silently replace the skeleton's adjacency by that of the weights. A
    learned adjacency differs in any case, so that its shape alone is compared.

    Raises:
        BadInput: an adjacency has another shape or, not being learned, differs by more than
            `ROUNDING`.
    """
    learned = dict(model.named_parameters())
    for name, ours in model.state_dict().items():
        if name.rsplit(".", 1)[-1] != "adjacency":
            continue
        found = state[name]
        if found.shape != ours.shape:
            difference = f"(K, V, V) = {tuple(found.shape)} instead of {tuple(ours.shape)}"
        elif name not in learned and (off := (found.to(ours) - ours).abs().max()) > ROUNDING:
            difference = f"with edges that differ by up to {off:.3g}"
        else:
            continue
        raise BadInput(
            f"the checkpoint was trained on another graph, {difference} (`{name}`): set "
            "skeleton=NAME and model.graph=MODE to those that it was trained with"
        )


def to_pyskl(theirs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """PYSKL's `state_dict` for MMAction2's: the two call the head differently, and nothing else."""
    return {_in_pyskl(name): value for name, value in theirs.items()}


def _in_pyskl(name: str) -> str:
    return name.replace("cls_head.fc.", "cls_head.fc_cls.")


def _in_mmaction2(name: str) -> str:
    """MMAction2's name for one of PYSKL, of a wrapped model, or of one without its recognizer."""
    name = name.removeprefix("module.")
    name = re.sub(r"^(A$|data_bn\.|(gcn|net)\.\d|(sgcn|gcn3d|tcn)\d)", r"backbone.\1", name)
    return name.replace("cls_head.fc_cls.", "cls_head.fc.")


def _check_names(names: Iterable[str], expected: Iterable[str], whose: str) -> None:
    if complaint := _difference(names, expected):
        raise BadInput(
            f"these are not the weights of {whose} ({complaint}): give a checkpoint of that model."
        )


def _difference(names: Iterable[str], expected: Iterable[str]) -> str:
    """Which names are missing and unknown; empty if none is."""
    names, expected = set(names), set(expected)
    return "; ".join(
        f"{what} {', '.join(f'`{name}`' for name in sorted(some)[:3])}"
        + (f" and {len(some) - 3} more" if len(some) > 3 else "")
        for what, some in (("missing", expected - names), ("unknown", names - expected))
        if some
    )
