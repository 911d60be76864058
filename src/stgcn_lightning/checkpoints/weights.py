"""Checkpoint files to models: ours, MMAction2's and PYSKL's, or a sentence why not."""

from pathlib import Path
from typing import Any

import torch

from stgcn_lightning.checkpoints.names import check_graph, from_reference, is_reference
from stgcn_lightning.checkpoints.safetensors import read_safetensors
from stgcn_lightning.errors import BadInput
from stgcn_lightning.files.archives import read_checkpoint
from stgcn_lightning.models.stgcn import STGCN

HOW = ("norm_group", "compile")  # a model is computed, not what it is


def read_weights(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Weights under our names, and the card, from a checkpoint of ours, MMAction2's or PYSKL's.

    Ours are Lightning's (`.ckpt`) and what `export` writes (`.safetensors`). The file is never
    unpickled by torch.

    Raises:
        BadInput: there is no such file, or it holds no ST-GCN.
    """
    if path.suffix == ".safetensors":
        state, card = read_safetensors(path)
        if "stages.0.graph.adjacency" not in state:
            raise BadInput(f"{path} holds no ST-GCN of this package: write it with the export door")
        return state, card
    content = read_checkpoint(path)
    state = content.get("state_dict", content)
    if not isinstance(state, dict):
        raise BadInput(f"{path} holds no state_dict: give a checkpoint of an ST-GCN")
    if is_reference(state):
        return from_reference(state), {}
    prefix = "model."
    ours = {k[len(prefix) :]: v for k, v in state.items() if k.startswith(prefix)}
    if "stgcn_lightning" not in content or "stages.0.graph.adjacency" not in ours:
        raise BadInput(f"{path} is no checkpoint of this package, MMAction2's or PYSKL's ST-GCN")
    return ours, content["stgcn_lightning"]


def load(model: STGCN, state: dict[str, torch.Tensor], checkpoint: Path) -> None:
    """Load all weights, or say which setting makes the model fit them."""
    ours = model.state_dict()
    differing = sorted(state.keys() ^ ours.keys())
    if differing:
        raise BadInput(
            f"{checkpoint} holds other weights than this version's model, {differing[0]} among them"
            ": test it with the version that wrote it"
        )
    width, classes = (len(state[name]) for name in ("stages.0.temporal.conv.bias", "classify.bias"))
    if width != len(ours["stages.0.temporal.conv.bias"]):
        raise BadInput(f"{checkpoint} has {width} base channels: set model.base_channels={width}")
    check_graph(state, model)
    if classes != len(ours["classify.bias"]):
        raise BadInput(
            f"{checkpoint} knows {classes} classes but the benchmark has "
            f"{len(ours['classify.bias'])}: set benchmark.classes={classes}"
        )
    model.load_state_dict(state)


def fine_tune(model: STGCN, checkpoint: Path) -> tuple[int, list[str]]:
    """Start from other weights; a head for other classes is left as it is.

    Returns:
        How many tensors were loaded, and the names of those that were not.
    """
    state, _ = read_weights(checkpoint)
    ours = model.state_dict()
    head = [name for name in state if name.startswith("classify.")]
    skipped = [name for name in head if state[name].shape != ours[name].shape]
    load(model, state | {name: ours[name] for name in skipped}, checkpoint)
    return len(state) - len(skipped), skipped


def refuse_other_card(card: dict[str, Any], ours: dict[str, Any], checkpoint: Path) -> None:
    """Refuse weights that were trained on something else than what they are to be tested on."""
    remedies = {
        "stream": "stream={stream}",
        "dimension": "benchmark={benchmark}",
        "normalise": "benchmark.normalise={normalise}",
    }
    for key, remedy in remedies.items():
        if key in card and card[key] != ours[key]:
            raise BadInput(
                f"{checkpoint} was trained with {key} {card[key]}, not {ours[key]}: set "
                + remedy.format(**card)
            )
    if "classes" in card and len(card["classes"]) != len(ours["classes"]):
        raise BadInput(
            f"{checkpoint} knows {len(card['classes'])} classes but the benchmark has "
            f"{len(ours['classes'])}: give the benchmark.classes that it was trained with"
        )
    model = {key: value for key, value in card.get("model", {}).items() if key not in HOW}
    differing = [key for key, value in model.items() if ours["model"].get(key) != value]
    if differing:
        settings = " ".join(f"model.{key}={card['model'][key]}" for key in differing)
        raise BadInput(f"{checkpoint} holds another model: set {settings}")
    if "skeleton" in card and card["skeleton"] != ours["skeleton"]:
        raise BadInput(
            f"{checkpoint} was trained on skeleton {card['skeleton']['name']}, which differs from "
            f"{ours['skeleton']['name']} as configured"
        )
