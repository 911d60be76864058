"""Weight names of MMAction2 and PYSKL <-> ours: one-to-one, bit-exact, nothing computed.

Every ST-GCN, whatever its width and classes, holds exactly the tensors of one table, so a name that
is missing or not in it is refused in either direction. Shapes differ in one place: the reference
projects with a 1x1 convolution, (K O, C, 1, 1), where ours is linear, (K O, C).
"""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from stgcn_lightning.errors import BadInput
from stgcn_lightning.models.stgcn import STAGES, STGCN, WIDENED

AFFINE = (".weight", ".bias")
NORM = (*AFFINE, ".running_mean", ".running_var", ".num_batches_tracked")
STAGE = (  # our part of a stage, the reference's, the tensors in it
    ("graph.adjacency", "gcn.A", ("",)),
    ("graph.edge_importance", "gcn.PA", ("",)),
    ("graph.project", "gcn.conv", AFFINE),
    ("graph.norm", "gcn.bn", NORM),
    ("temporal.conv", "tcn.conv", AFFINE),
    ("temporal.norm", "tcn.bn", NORM),
)
SHORTCUT = (
    ("residual.project", "residual.conv", AFFINE),
    ("residual.norm", "residual.bn", NORM),
)


def _names() -> dict[str, str]:
    """Our name -> the reference's, of every tensor of a model."""
    parts = [("data_norm", "backbone.data_bn", NORM), ("classify", "cls_head.fc", AFFINE)]
    for i in range(STAGES):
        for our, reference, tensors in STAGE + (SHORTCUT if i + 1 in WIDENED else ()):
            parts.append((f"stages.{i}.{our}", f"backbone.gcn.{i}.{reference}", tensors))
    return {our + t: reference + t for our, reference, tensors in parts for t in tensors}


TO_REFERENCE = _names()
FROM_REFERENCE = {reference: our for our, reference in TO_REFERENCE.items()}


def to_reference(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """MMAction2's `state_dict` for the weights of an `STGCN`.

    Raises:
        BadInput: a tensor that every ST-GCN has is missing, or one that none has is there.
    """
    _check_names(state, TO_REFERENCE, "an ST-GCN of this package")
    return {
        TO_REFERENCE[name]: value[..., None, None] if name.endswith("project.weight") else value
        for name, value in state.items()
    }


def from_reference(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our `state_dict` for the weights of an ST-GCN trained by MMAction2 or PYSKL.

    PYSKL's name of the head is understood as well, and the prefix `module.` of a model that was
    saved inside a wrapper for several GPUs.

    Raises:
        BadInput: a tensor that every ST-GCN has is missing, or one that none has is there.
    """
    state = {_unwrapped(name): value for name, value in state.items()}
    _check_names(state, FROM_REFERENCE, "an ST-GCN of MMAction2 or PYSKL")
    return {
        our: value.flatten(1) if our.endswith("project.weight") else value
        for our, value in ((FROM_REFERENCE[name], value) for name, value in state.items())
    }


def is_reference(names: Iterable[str]) -> bool:
    """Whether weights carry the names of MMAction2 or PYSKL rather than ours."""
    return any(_unwrapped(name).startswith("backbone.") for name in names)


def check_graph(state: Mapping[str, Tensor], model: STGCN) -> None:
    """Refuse weights, under our names, that were trained with another skeleton or graph mode.

    `load_state_dict` would put their adjacency in place of the skeleton's without a word.

    Raises:
        BadInput: an adjacency has another shape or differs by more than 1e-5.
    """
    for name, ours in model.state_dict().items():
        if not name.endswith(".adjacency"):
            continue
        theirs = state[name]
        if theirs.shape != ours.shape:
            difference = f"(K, V, V) = {tuple(theirs.shape)} instead of {tuple(ours.shape)}"
        elif not torch.allclose(theirs.to(ours), ours, rtol=0, atol=1e-5):
            difference = (
                f"with edges that differ by up to {(theirs.to(ours) - ours).abs().max():.3g}"
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
