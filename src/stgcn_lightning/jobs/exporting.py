"""Giving a checkpoint to other programs, with a sidecar that says how to prepare their input."""

import io
import json
from collections import OrderedDict
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO

import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from stgcn_lightning.checkpoints.names import from_reference, to_reference
from stgcn_lightning.checkpoints.onnx import (
    INPUT,
    OPSET,
    OUTPUT,
    TOLERANCE,
    agrees,
    parity,
    to_onnx,
)
from stgcn_lightning.checkpoints.safetensors import read_safetensors, safetensors_bytes
from stgcn_lightning.checkpoints.weights import load, read_weights, refuse_other_card
from stgcn_lightning.checkpoints.zoo import card_of
from stgcn_lightning.data.normalise import MODES
from stgcn_lightning.data.streams import check_stream
from stgcn_lightning.errors import BadInput, nearest
from stgcn_lightning.experiment import (
    CHOICES,
    NUMBERS,
    check_value,
    checkpoint_of,
    class_names,
    console,
    model_card,
    path_of,
    plain,
    shown,
)
from stgcn_lightning.files.archives import read_checkpoint
from stgcn_lightning.files.reading import sha256
from stgcn_lightning.files.writing import write_atomically
from stgcn_lightning.graph import adjacency
from stgcn_lightning.models.stgcn import STGCN
from stgcn_lightning.skeleton import Skeleton

SUFFIXES = {"onnx": ".onnx", "safetensors": ".safetensors", "mmaction2": ".pth"}
PACKAGES = {
    "onnx": ("onnx", "onnxscript", "onnxruntime"),
    "safetensors": ("safetensors",),
    "mmaction2": (),
}
AXES = ["N clips", "M persons", "T frames", "V joints", "C channels"]
CHANNELS = {"2d": ["x", "y", "score"], "3d": ["x", "y", "z"]}
NORMALISE = {
    "2d": "(x - w/2) / (w/2) and (y - h/2) / (h/2), picture of w x h pixels; the score as it is",
    "3d": "frames without the first person are dropped; the first person's joint normalise.centre "
    "in the first frame goes to the origin; then the line between the joints normalise.body is "
    "turned to +z and after it the one between normalise.shoulders to +x",
    "none": "the coordinates as they are",
}
STREAM = {
    "joint": "the joints",
    "bone": "each joint minus its bone parent (skeleton.bone_parents)",
    "joint_motion": "the next frame minus this one, zero in the last frame",
    "bone_motion": "each joint minus its bone parent (skeleton.bone_parents), and of these the "
    "next frame minus this one, zero in the last frame",
}
MEAN_SCORE = "; the score is the mean of the two"


def export(cfg: DictConfig) -> None:
    """Write a checkpoint in another format, with its sidecar, and print what was checked."""
    if cfg.format is None:
        raise BadInput(f"say what to export to: format={', '.join(SUFFIXES)}")
    if cfg.format not in SUFFIXES:
        raise BadInput(f"there is no format {cfg.format}: {nearest(str(cfg.format), [*SUFFIXES])}")
    missing = [name for name in PACKAGES[cfg.format] if find_spec(name) is None]
    if missing:
        raise BadInput(
            f"format={cfg.format} needs {', '.join(missing)}: pip install 'stgcn_lightning[export]'"
        )
    if not cfg.checkpoint:
        raise BadInput("say which weights to export: checkpoint=FILE")
    checkpoint = checkpoint_of(cfg)
    model, card = rebuild(cfg, checkpoint)
    suffix = SUFFIXES[cfg.format]
    name = f"{card['benchmark']}_{card['stream']}{suffix}"
    out = path_of("out", cfg.out) if cfg.out else Path(cfg.run_dir) / name
    sidecar = out.with_suffix(".json")
    refuse_out(out, sidecar, suffix)
    with write_atomically(sidecar) as about, write_atomically(out) as file:
        proof = WRITERS[cfg.format](model, card, file)
        content = describe(cfg.format, out, checkpoint, card) | proof
        about.write(json.dumps(content, indent=2).encode())
        about.flush()
    console.print(
        f"{cfg.format}: {shown(out)} ({out.stat().st_size / 1e6:.2f} MB), sidecar {shown(sidecar)}"
    )


def rebuild(cfg: DictConfig, checkpoint: Path) -> tuple[STGCN, dict[str, Any]]:
    """The model in a checkpoint, and its card, or one made of what the configuration says.

    Raises:
        BadInput: the file is no checkpoint, the configuration contradicts its card, or there is no
            card and the configuration does not say enough.
    """
    state, card = read_weights(checkpoint)
    known = settings_of(card, checkpoint) if card else plain(cfg.reference)
    whole: Any = OmegaConf.merge(OmegaConf.create(known), OmegaConf.create(said(cfg)))
    for key in ("skeleton", "benchmark.name", "stream.name"):
        if OmegaConf.select(whole, key) is None:
            raise BadInput(
                f"{checkpoint} does not say what it was trained on ({key}): add experiment=NAME, "
                "or benchmark=NAME stream=NAME"
            )
    for key in (*CHOICES, *NUMBERS):
        if OmegaConf.select(whole, key) is not None:
            check_value(whole, key)
    check_stream(whole.stream.name)
    if whole.benchmark.normalise not in MODES:
        raise BadInput(
            f"benchmark.normalise={whole.benchmark.normalise} is none of {', '.join(MODES)}"
        )
    skeleton = Skeleton.from_dict(plain(whole.skeleton))
    ours = model_card(whole, skeleton, class_names(whole.benchmark.classes))
    refuse_other_card(card or card_of(checkpoint), ours, checkpoint)
    # clips are the user's to choose; all else is what the weights were trained with
    card = ours | card | {key: ours[key] for key in ("clip_frames", "test_clips", "persons")}
    model = STGCN(
        adjacency(skeleton, whole.model.graph),
        len(card["classes"]),
        base_channels=whole.model.base_channels,
    )
    load(model, state, checkpoint)
    return model.eval(), card


def settings_of(card: dict[str, Any], checkpoint: Path) -> dict[str, Any]:
    """A card as the configuration that it was made from."""
    try:
        benchmark = {"name": card["benchmark"], "classes": card["classes"]}
        benchmark |= {key: card[key] for key in ("dimension", "normalise")}
        return {
            "model": card["model"],
            "skeleton": card["skeleton"],
            "stream": {"name": card["stream"]},
            "benchmark": benchmark,
            "data": {key: card[key] for key in ("clip_frames", "test_clips", "persons")}
            | {"holdout_subjects": card.get("held_out_subjects")},
        }
    except (KeyError, TypeError) as error:
        raise BadInput(f"{checkpoint} has a card without {error}: train it again") from None


def said(cfg: DictConfig) -> dict[str, Any]:
    """What the user said about the checkpoint: everything in the groups that is not null."""
    groups = {name: plain(cfg[name]) for name in ("model", "benchmark", "stream", "data")}
    found = {
        name: {key: value for key, value in group.items() if value is not None}
        for name, group in groups.items()
    }
    return found | ({"skeleton": plain(cfg.skeleton)} if cfg.skeleton else {})


def refuse_out(out: Path, sidecar: Path, suffix: str) -> None:
    """Refuse a place that another program would not understand or that is taken."""
    if out.suffix != suffix:
        raise BadInput(f"out={out} must end in {suffix}")
    for file in (out, sidecar):  # two formats of one name would share a sidecar
        if file.exists():
            raise BadInput(f"{file} exists already: remove it or choose another name, out=FILE")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"cannot write {out}: {error.strerror}; choose another folder") from None


def describe(name: str, out: Path, checkpoint: Path, card: dict[str, Any]) -> dict[str, Any]:
    """The sidecar: everything that preparing inputs and reading outputs takes."""
    stream = STREAM[card["stream"]]
    scored = card["stream"] != "joint" and card["dimension"] == "2d"
    V = len(card["skeleton"]["joints"])
    return {
        "format": name,
        "file": out.name,
        **card,
        "version": version("stgcn_lightning"),
        "input": {
            "name": INPUT,
            "type": "float32",
            "axes": AXES,
            "shape": ["N", card["persons"], card["clip_frames"], V, 3],
            "channels": CHANNELS[card["dimension"]],
            "absent_person": "all zero",
        },
        "prepare": {
            "1 normalise": NORMALISE[card["normalise"]],
            "2 stream": stream + (MEAN_SCORE if scored else ""),
            "3 sample": f"{card['test_clips']} clips of {card['clip_frames']} frames, each frame "
            "from another of as many equal parts of the sequence; a shorter one goes round",
        },
        "output": {
            "name": OUTPUT,
            "axes": ["N clips", "classes"],
            "scores": "softmax, averaged over clips",
        },
        "checkpoint": {"file": checkpoint.name, "sha256": sha256(checkpoint)},
    }


def write_onnx(model: STGCN, card: dict[str, Any], file: BinaryIO) -> dict[str, Any]:
    """Write the ONNX file if onnxruntime agrees with PyTorch about it."""
    content = to_onnx(model)
    cases = parity(model, content, card["persons"])
    for case in cases:
        console.print("{clips:>2} clips of {frames:>3} frames: {difference:.1e}".format(**case))
    worst = max(cases, key=lambda case: (not agrees(case), case["difference"]))
    if not agrees(worst):
        raise BadInput(
            f"nothing was exported: onnxruntime's logits differ from PyTorch's by "
            f"{worst['difference']:.2g} for {worst['clips']} clips of {worst['frames']} frames, "
            f"where {TOLERANCE:g} is allowed; use format=safetensors, or other versions of torch "
            "and onnxruntime"
        )
    file.write(content)
    return {"opset": OPSET, "parity": {"tolerance": TOLERANCE, "cases": cases}}


def write_safetensors(model: STGCN, card: dict[str, Any], file: BinaryIO) -> dict[str, Any]:
    """Write our names, with the card as metadata."""
    state = model.state_dict()
    file.write(safetensors_bytes(state, card))
    file.flush()
    return same(state, read_safetensors(file.name)[0])


def write_mmaction2(model: STGCN, card: dict[str, Any], file: BinaryIO) -> dict[str, Any]:
    """Write the names and shapes of MMAction2, in the form of MMEngine's checkpoints."""
    state = model.state_dict()
    meta = {
        "dataset_meta": {"classes": card["classes"]},
        "experiment_name": f"{card['benchmark']}_{card['stream']}",
        "stgcn_lightning_version": version("stgcn_lightning"),
    }
    content = io.BytesIO()  # torch names the records of a file after its temporary name
    torch.save({"meta": meta, "state_dict": OrderedDict(to_reference(state))}, content)
    file.write(content.getvalue())
    file.flush()
    return same(state, from_reference(read_checkpoint(file.name)["state_dict"]))


def same(state: dict[str, Tensor], again: dict[str, Tensor]) -> dict[str, Any]:
    """The proof for a file that holds weights: what is read back is what was written."""
    for name, value in state.items():
        if again[name].dtype != value.dtype or not torch.equal(again[name], value):
            raise BadInput(
                f"nothing was exported: `{name}` came back different from the file; it holds NaN, "
                "or the disk is damaged"
            )
    return {"parity": {"equal_tensors": len(state)}}


WRITERS: dict[str, Callable[[STGCN, dict[str, Any], BinaryIO], dict[str, Any]]] = {
    "onnx": write_onnx,
    "safetensors": write_safetensors,
    "mmaction2": write_mmaction2,
}
