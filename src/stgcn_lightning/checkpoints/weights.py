"""Checkpoint files of ours, MMAction2's and PYSKL's -> weights, cards and models."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import torch

from stgcn_lightning.checkpoints.agreement import HOW, refuse_other_family
from stgcn_lightning.checkpoints.card import Card, admitted
from stgcn_lightning.checkpoints.classes import HEAD_PARTS, agree
from stgcn_lightning.checkpoints.contents import Say, first_names, network_like, weights_of
from stgcn_lightning.checkpoints.names import (
    OLD_TITLE,
    check_graph,
    family_of_ours,
    family_of_reference,
    from_old_stgcn,
    from_reference,
    is_old_stgcn,
    is_reference,
    ours_alone,
    unknown_to,
)
from stgcn_lightning.checkpoints.safetensors import is_safetensors, read_safetensors
from stgcn_lightning.errors import BadInput
from stgcn_lightning.files.archives import read_checkpoint
from stgcn_lightning.models import registry
from stgcn_lightning.models.backbone import Backbone
from stgcn_lightning.skeleton import Skeleton

NOT_ITS_OWN = ("name", "_target_", "graph", *HOW)  # settings that its constructor does not take
CARD = "stgcn_lightning"  # the key of our checkpoints' card
HEAD = "classify.weight"  # which every model of ours has
SUFFIXES = (".ckpt", ".pth", ".pt", ".safetensors")


def quiet(remark: str) -> None:
    """Say nothing."""


def checkpoint_in(path: Path, say: Say = quiet) -> Path:
    """The file that a path means: itself, or of a run's folder the best checkpoint, else the last.

    Raises:
        BadInput: it is a folder without either.
    """
    if not path.is_dir():
        return path
    for name in ("best.ckpt", "last.ckpt"):
        for folder in (path / "checkpoints", path):
            if (folder / name).is_file():
                why = ", since it has no best.ckpt" if name == "last.ckpt" else ""
                say(f"{path} is a folder: its {name} is taken{why}")
                return folder / name
    if runs := sorted(path.glob("*/checkpoints/best.ckpt")):
        some = ", ".join(str(run.parents[1]) for run in runs[:3])
        raise BadInput(f"{path} is a folder of {len(runs)} runs: give one of them, such as {some}")
    if any(path.glob("*.distcp")) or (path / "latest").is_file():
        raise BadInput(
            f"{path} is a checkpoint in several parts: join them into one file, as "
            "torch.distributed.checkpoint.format_utils or zero_to_fp32.py does, and give that"
        )
    there = sorted(file.name for file in path.iterdir() if file.suffix in SUFFIXES)
    files = f", such as {', '.join(there[:3])}" if there else ""
    raise BadInput(
        f"{path} is a folder without checkpoints/best.ckpt: give the folder of a run, or a "
        f"file{files}"
    )


def read_weights(path: Path, say: Say = quiet) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Weights under our names, in float32, and the card, from a checkpoint of anybody.

    Ours are Lightning's (`.ckpt`) and what `export` writes (`.safetensors`). The file is never
    unpickled by torch. A foreign one has no card; its family is found by its names.

    Args:
        path: of the checkpoint.
        say: is given remarks: weights in half precision, an older ST-GCN.

    Raises:
        BadInput: there is no such file, or it holds no model that is registered.
    """
    if is_safetensors(path):
        state, card = read_safetensors(path)
        return weights_in({"state_dict": state, CARD: card}, path, say)
    return weights_in(read_checkpoint(path), path, say)


def weights_in(
    content: dict[str, Any], path: Path, say: Say = quiet
) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """`read_weights` of what a torch checkpoint holds.

    Args:
        content: the checkpoint.
        path: where it was, for sentences.
        say: is given remarks.

    Raises:
        BadInput: it holds no model that is registered, or its card says what cannot be.
    """
    state = weights_of(content, path, say)
    if HEAD not in state and f"model.{HEAD}" in state:  # beside weights of something else
        state = {k.removeprefix("model."): v for k, v in state.items() if k.startswith("model.")}
    if HEAD in state:
        return state, admitted(content.get(CARD), path)
    if is_old_stgcn(state):
        found = from_old_stgcn(state, path)
        say(
            f"{path} is {OLD_TITLE}, which was trained on key points prepared by rules of its own: "
            "in 3D as they were recorded (benchmark.normalise=none), in 2D scaled to the picture "
            "but from -0.5 to 0.5"
        )
        return found, {}
    if is_reference(state):
        family = family_of_reference(state)
        if not network_like(unknown_to(family, state)):
            try:
                return from_reference(family, state), {}
            except BadInput as error:
                raise BadInput(f"{path}: {error}") from None
    network = network_like(state) or "another network"
    known = ", ".join(registry.family_of(name).title for name in registry.names())
    raise BadInput(
        f"{path} holds {first_names(state)}, which look like the weights of {network}: give a "
        f"checkpoint of one of the networks that there are here ({known})"
    )


def first_not_finite(state: Mapping[str, Any]) -> str | None:
    """The name of a tensor that holds NaN or infinity; None: all are finite."""
    floats = {
        name: value
        for name, value in state.items()
        if isinstance(value, torch.Tensor) and value.is_floating_point()
    }
    # one answer for all of them, since each that is read waits for a GPU
    finite = [value.isfinite().all() for value in floats.values()]
    if not finite or torch.stack(finite).all():
        return None
    return next(name for name, good in zip(floats, finite, strict=True) if not good)


def refuse_diverged(state: Mapping[str, Any], checkpoint: Path) -> None:
    """Refuse weights that are no numbers: every score of theirs would be none, or by chance one.

    Raises:
        BadInput: with the name of the first such tensor.
    """
    if name := first_not_finite(state):
        raise BadInput(
            f"{checkpoint} holds NaN or infinity in `{name}`: its training diverged before it was "
            "saved; give an earlier checkpoint, or train again with a lower recipe.lr"
        )


def load(model: Backbone, state: dict[str, torch.Tensor], checkpoint: Path) -> None:
    """Load all weights, or say which setting makes the model fit them.

    Weights of MMAction2 or PYSKL leave what has no counterpart there as it is.

    Raises:
        BadInput: the weights are those of another family, width, graph or number of classes, or
            are not finite.
    """
    refuse_diverged(state, checkpoint)
    ours = model.state_dict()
    given, state = state, {name: ours[name] for name in ours_alone(type(model))} | state
    differing = sorted(state.keys() ^ ours.keys())
    if differing:
        refuse_other_names(given, differing[0], checkpoint)
    configured = type(model).options_of(ours)
    refuse_other_options(type(model).options_of(state), configured, checkpoint)
    for name, value in ours.items():
        if value.is_floating_point() and not state[name].is_floating_point():
            kind = str(state[name].dtype).removeprefix("torch.")
            raise BadInput(
                f"{checkpoint} holds `{name}` in {kind}, where weights are floating-point numbers: "
                "write them with torch.save(model.state_dict(), FILE)"
            )
    check_graph(state, model)
    classes = len(state[HEAD])
    if classes != len(ours[HEAD]):
        raise BadInput(
            f"{checkpoint} knows {classes} classes but the benchmark has "
            f"{len(ours[HEAD])}: set benchmark.classes={classes}"
        )
    wrong = [name for name in ours if state[name].shape != ours[name].shape]
    if wrong:
        raise BadInput(
            f"{checkpoint} holds `{wrong[0]}` of shape {tuple(state[wrong[0]].shape)}, where the "
            f"model has {tuple(ours[wrong[0]].shape)}: give the model the settings that the "
            "checkpoint was trained with"
        )
    model.load_state_dict(state)


def refuse_other_names(state: Mapping[str, Any], name: str, checkpoint: Path) -> NoReturn:
    """Refuse weights that are not named as the model's, `name` among them.

    Raises:
        BadInput: always, with the family that they are of where it is known.
    """
    other = family_of_ours(state)
    if other is not None:
        family = registry.name_of(other)
        raise BadInput(f"{checkpoint} holds {other.title}: set model={family}")
    raise BadInput(
        f"{checkpoint} holds other weights than this version's model, {name} among them: test it "
        "with the version that wrote it"
    )


def refuse_other_options(
    found: Mapping[str, Any], configured: Mapping[str, Any], checkpoint: Path
) -> None:
    """Refuse options of a model that the shapes of its weights contradict.

    Raises:
        BadInput: with the first such option and its value.
    """
    for option, value in found.items():
        given = configured.get(option, value)
        if value != given or (type(value) is int and type(given) is not int):  # 16.0, True
            name = option.replace("_", " ")
            group = "data" if option in registry.OFFERED else "model"
            raise BadInput(f"{checkpoint} has {value} {name}: set {group}.{option}={value}")


def refuse_other_size(
    name: str, options: Mapping[str, Any], state: Mapping[str, Any], checkpoint: Path
) -> None:
    """Refuse a width that the weights have not, before a model of it is made.

    A card may be anybody's, and a model of the width that it names larger than the memory.

    Args:
        name: of the backbone.
        options: of its constructor.
        state: the weights.
        checkpoint: for sentences.

    Raises:
        BadInput: the weights have another width, or are not those of this family.
    """
    try:
        found = registry.family_of(name).options_of(state)
    except KeyError as error:
        refuse_other_names(state, str(error).strip("'"), checkpoint)
    refuse_other_options(found, options, checkpoint)


def load_model(path: str | Path) -> tuple[Backbone, dict[str, Any]]:
    """The plain model in a checkpoint with a card, in evaluation mode, and the card.

    Raises:
        BadInput: there is no such file, it has no card, or they do not fit each other.
    """
    path = checkpoint_in(Path(path).expanduser())
    state, card = read_weights(path)
    if not card:
        raise BadInput(
            f"{path} does not say what it was trained on: export it with experiment=NAME "
            "format=safetensors, which adds that (a Recognizer of your own writes what it is given "
            "as card=)"
        )
    Card.from_dict(card, path)  # of which nothing may be absent here
    model = model_of(card, state, path)
    load(model, state, path)
    return model.eval(), card


def model_of(
    card: dict[str, Any], state: Mapping[str, Any], path: Path, **options: Any
) -> Backbone:
    """An untrained model as a card describes it; its family is looked up among those registered.

    Args:
        card: of a checkpoint, which is untrusted, as `read_weights` admits it.
        state: the weights beside it: a model that is larger than they are is not made.
        path: of the checkpoint, for sentences.
        **options: more for the model's constructor, as `dropout`.

    Raises:
        BadInput: the card lacks something, names a family that is not registered, or describes
            another model than that of the weights.
    """
    try:
        settings, skeleton, classes = dict(card["model"]), card["skeleton"], len(card["classes"])
        name, mode = settings["name"], settings["graph"]
    except KeyError as error:
        raise BadInput(f"{path} has a card without {error}: train it again") from None
    refuse_other_size(name, settings, state, path)
    body = Skeleton.from_dict(skeleton)
    rows = state[HEAD].shape[:1]
    if (classes,) != rows:
        raise BadInput(
            f"{path} has a card of {classes} classes and weights of {rows[0] if rows else 'none'}: "
            "train it again"
        )
    if body.num_joints**2 > sum(value.numel() for value in state.values()):
        raise BadInput(
            f"{path} has a card of {body.num_joints} joints, which its weights are too few for: "
            "train it again"
        )
    graph = registry.graph_of(name, body, mode)
    options["persons"] = card.get("persons", 2)
    return registry.build(name, graph, classes, **own_options(settings), **options)


def own_options(settings: dict[str, Any]) -> dict[str, Any]:
    """Those settings of a model that its constructor takes."""
    return {key: value for key, value in settings.items() if key not in NOT_ITS_OWN}


def fine_tune(
    model: Backbone, checkpoint: Path, classes: Sequence[str], say: Say = quiet
) -> tuple[int, list[str], dict[str, Any]]:
    """Start from other weights; a head for other classes, by number or name, is left as it is.

    Returns:
        How many tensors were loaded, the names of those that were not, and the checkpoint's card.

    Raises:
        BadInput: there is no such file, or but for the head its weights do not fit the model.
    """
    state, card = read_weights(checkpoint, say)
    name = dict(card.get("model", {})).get("name")
    if name is not None and name not in registry.names():
        refuse_other_family(name, checkpoint)
    ours = model.state_dict()
    head = [name for name in state if name.startswith(HEAD_PARTS) and name in ours]
    same = agree(card.get("classes", classes), classes)
    skipped = [name for name in head if not same or state[name].shape != ours[name].shape]
    load(model, state | {name: ours[name] for name in skipped}, checkpoint)
    return len(state) - len(skipped), skipped, card
