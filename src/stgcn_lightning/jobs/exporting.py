"""Giving a checkpoint to other programs, with a sidecar that says how to prepare their input."""

import io
import json
from collections import OrderedDict
from collections.abc import Callable, Mapping
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from stgcn_lightning.checkpoints.agreement import refuse_other_card
from stgcn_lightning.checkpoints.card import Card
from stgcn_lightning.checkpoints.classes import unnamed
from stgcn_lightning.checkpoints.names import from_reference, ours_alone, to_pyskl, to_reference
from stgcn_lightning.checkpoints.onnx import OPSET, TOLERANCE, agrees, parity, to_onnx
from stgcn_lightning.checkpoints.onnx_continual import continual_step, step_parity, step_to_onnx
from stgcn_lightning.checkpoints.safetensors import read_safetensors, safetensors_bytes
from stgcn_lightning.checkpoints.weights import load, read_weights, refuse_other_size
from stgcn_lightning.checkpoints.zoo import card_of
from stgcn_lightning.data.names import MODES
from stgcn_lightning.data.streams import check_stream
from stgcn_lightning.errors import BadInput, nearest
from stgcn_lightning.files.archives import read_checkpoint
from stgcn_lightning.files.writing import file_name, write_atomically
from stgcn_lightning.jobs.backbones import build_model
from stgcn_lightning.jobs.cards import model_card
from stgcn_lightning.jobs.classes import class_names
from stgcn_lightning.jobs.fetching import checkpoint_of
from stgcn_lightning.jobs.leading import described_as_published, described_by
from stgcn_lightning.jobs.sidecar import describe, describe_step, known_stream
from stgcn_lightning.models.backbone import Backbone
from stgcn_lightning.settings.compose import filled, merged, trained
from stgcn_lightning.settings.doors import ExportSettings, Trained
from stgcn_lightning.settings.fields import path_of
from stgcn_lightning.terminal import console, shown

SUFFIXES = {
    "onnx": ".onnx",
    "onnx_continual": ".onnx",
    "safetensors": ".safetensors",
    "mmaction2": ".pth",
    "pyskl": ".pth",
}
NOT_IN_MMACTION2 = ("dgstgcn", "protogcn")
PACKAGES = {
    "onnx": ("onnx", "onnxscript", "onnxruntime"),
    "onnx_continual": ("onnx", "onnxscript", "onnxruntime"),
    "safetensors": ("safetensors",),
    "mmaction2": (),
    "pyskl": (),
}


def export(settings: ExportSettings) -> None:
    """Write a checkpoint in another format, with its sidecar, and print what was checked.

    Raises:
        BadInput: there is no such format, or a package for it is missing; the checkpoint cannot be
            used; the file is there already or cannot be written; or what was written differs from
            the model.
    """
    form = settings.format
    if form is None:
        raise BadInput(f"say what to export to: format={', '.join(SUFFIXES)}")
    if form not in SUFFIXES:
        raise BadInput(f"there is no format {form}: {nearest(str(form), [*SUFFIXES])}")
    missing = [name for name in PACKAGES[form] if find_spec(name) is None]
    if missing:
        raise BadInput(
            f"format={form} needs {', '.join(missing)}: pip install 'stgcn_lightning[export]'"
        )
    if not settings.checkpoint:
        raise BadInput("say which weights to export: checkpoint=FILE")
    family = settings.given["model"].get("name")
    checkpoint = checkpoint_of(settings.checkpoint, settings.downloads, family)
    model, card = rebuild(settings, checkpoint)
    suffix = SUFFIXES[form]
    name = file_name(f"{card['benchmark']}_{card['stream']}") + suffix
    out = path_of("out", settings.out) if settings.out else settings.run_dir / name
    sidecar = out.with_suffix(".json")
    refuse_out(out, sidecar, suffix)
    try:
        with write_atomically(sidecar) as about, write_atomically(out) as file:
            proof = WRITERS[form](model, card, file)
            content = describe(form, out, checkpoint, card, stream_text(settings, card)) | proof
            about.write(json.dumps(content, indent=2).encode())
            about.flush()
    except BadInput:
        out.unlink(missing_ok=True)  # it was not there before, and is of no use alone
        raise
    console.print(
        f"{form}: {shown(out)} ({out.stat().st_size / 1e6:.2f} MB), sidecar {shown(sidecar)}"
    )


def rebuild(settings: ExportSettings, checkpoint: Path) -> tuple[Backbone, dict[str, Any]]:
    """The model in a checkpoint, and its card, or one made of what the configuration says.

    Raises:
        BadInput: the file is no checkpoint, the configuration contradicts its card, or there is no
            card and the configuration does not say enough.
    """
    state, card = read_weights(checkpoint, console.print)
    if card:
        known = described_by(Card.from_dict(card, checkpoint))
    else:
        published = described_as_published(checkpoint, settings.benchmark_named)
        data = merged(settings.reference.get("data", {}), published.get("data", {}))
        known = {**settings.reference, **published, "data": data}
    whole = filled(known, settings.given)
    refuse_unknown(whole, checkpoint)
    what = trained(whole)
    refuse_other_names(what)
    classes = class_names(what.benchmark.classes)
    ours = model_card(what, classes)
    # clips are the user's to choose; all else is what the weights were trained with
    chosen = {key: ours[key] for key in ("clip_frames", "test_clips", "test_sampling", "persons")}
    refuse_other_card((card or card_of(checkpoint)) | chosen, ours, checkpoint)
    named = {} if unnamed(ours["classes"]) else {"classes": classes}
    card = ours | card | chosen | named
    if what.model.target is None:
        refuse_other_size(what.model.name, what.model.options, state, checkpoint)
    model = build_model(what.model, what.skeleton, len(card["classes"]), persons=what.data.persons)
    load(model, state, checkpoint)
    return model.eval(), card


def refuse_unknown(whole: Mapping[str, Any], checkpoint: Path) -> None:
    """Refuse a checkpoint of which neither its card nor the user says what it was trained on.

    Raises:
        BadInput: with the first key that is missing.
    """
    for group, key in (("skeleton", ""), ("benchmark", "name"), ("stream", "name")):
        value = whole.get(group)
        if key and isinstance(value, Mapping):
            value = value.get(key)
        if value is None:
            raise BadInput(
                f"{checkpoint} does not say what it was trained on ({f'{group}.{key}'.strip('.')}):"
                " add experiment=NAME, or benchmark=NAME stream=NAME"
            )


def stream_text(settings: ExportSettings, card: Mapping[str, Any]) -> str:
    """How a sidecar says what makes the stream of a checkpoint."""
    said = dict(settings.given["stream"])
    if "_target_" not in said:
        return known_stream(card["stream"], card["dimension"])
    options = [f"{key}={value!r}" for key, value in said.items() if key not in ("name", "_target_")]
    return f"{said['_target_']}({', '.join(['joints', 'sequences', *options])}), not in this file"


def refuse_other_names(what: Trained) -> None:
    """Refuse a stream and a normalisation that there are not.

    Raises:
        BadInput: with the names that there are.
    """
    if what.stream.target is None:
        check_stream(what.stream.name)
    if what.benchmark.normalise not in MODES:
        raise BadInput(
            f"benchmark.normalise={what.benchmark.normalise} is none of {', '.join(MODES)}"
        )


def refuse_out(out: Path, sidecar: Path, suffix: str) -> None:
    """Refuse a place that another program would not understand or that is taken.

    Raises:
        BadInput: the name does not end in `suffix`, one of the files is there already, or their
            folder cannot be made.
    """
    if out.suffix != suffix:
        raise BadInput(f"out={out} must end in {suffix}")
    for file in (out, sidecar):  # two formats of one name would share a sidecar
        if file.exists():
            raise BadInput(f"{file} exists already: remove it or choose another name, out=FILE")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"cannot write {out}: {error.strerror}; choose another folder") from None


def write_onnx(model: Backbone, card: dict[str, Any], file: BinaryIO) -> dict[str, Any]:
    """Write the ONNX file if onnxruntime agrees with PyTorch about it."""
    content = to_onnx(model)
    cases = parity(model, content, card["persons"])
    for case in cases:
        console.print("{clips:>2} clips of {frames:>3} frames: {difference:.1e}".format(**case))
    proved(cases, "{clips} clips of {frames} frames")
    file.write(content)
    return {"opset": OPSET, "parity": {"tolerance": TOLERANCE, "cases": cases}}


def write_onnx_continual(model: Backbone, card: dict[str, Any], file: BinaryIO) -> dict[str, Any]:
    """Write one step of the continual form if onnxruntime agrees with PyTorch step by step."""
    step = continual_step(model, card)
    content = step_to_onnx(step)
    cases = step_parity(model, step, content)
    for case in cases:
        console.print("{persons} persons, {frames} frames: {difference:.1e}".format(**case))
    proved(cases, "{persons} persons in {frames} frames")
    file.write(content)
    parity = {"tolerance": TOLERANCE, "cases": cases}
    return describe_step(step, card) | {"opset": OPSET, "parity": parity}


def proved(cases: list[dict[str, float]], what: str) -> None:
    """Refuse to export what onnxruntime computes otherwise; `what` names a case.

    Raises:
        BadInput: with the case that differs most.
    """
    worst = max(cases, key=lambda case: (not agrees(case), case["difference"]))
    if not agrees(worst):
        raise BadInput(
            f"nothing was exported: onnxruntime's logits differ from PyTorch's by "
            f"{worst['difference']:.2g} for {what.format(**worst)}, "
            f"where {TOLERANCE:g} is allowed; use format=safetensors, or other versions of torch "
            "and onnxruntime"
        )


def write_safetensors(model: Backbone, card: dict[str, Any], file: BinaryIO) -> dict[str, Any]:
    """Write our names, with the card as metadata."""
    state = model.state_dict()
    file.write(safetensors_bytes(state, card))
    file.flush()
    return same(state, read_safetensors(file.name)[0])


def write_mmaction2(model: Backbone, card: dict[str, Any], file: BinaryIO) -> dict[str, Any]:
    """Write the names and shapes of MMAction2, in the form of MMEngine's checkpoints."""
    family = card["model"]["name"]
    if family in NOT_IN_MMACTION2:
        console.print(f"MMAction2 has no {family}: format=pyskl writes the names that PYSKL loads")
    return write_reference(model, card, file, to_reference(type(model), model.state_dict()))


def write_pyskl(model: Backbone, card: dict[str, Any], file: BinaryIO) -> dict[str, Any]:
    """Write the names and shapes of PYSKL, which calls the head otherwise than MMAction2."""
    theirs = to_pyskl(to_reference(type(model), model.state_dict()))
    return write_reference(model, card, file, theirs)


def write_reference(
    model: Backbone, card: dict[str, Any], file: BinaryIO, theirs: Mapping[str, Tensor]
) -> dict[str, Any]:
    """Write weights by foreign names, and read them back."""
    own = ours_alone(type(model))
    state = {name: value for name, value in model.state_dict().items() if name not in own}
    meta = {
        "dataset_meta": {"classes": card["classes"]},
        "experiment_name": f"{card['benchmark']}_{card['stream']}",
        "stgcn_lightning_version": version("stgcn_lightning"),
    }
    content = io.BytesIO()  # torch names the records of a file after its temporary name
    torch.save({"meta": meta, "state_dict": OrderedDict(theirs)}, content)
    file.write(content.getvalue())
    file.flush()
    return same(state, from_reference(type(model), read_checkpoint(file.name)["state_dict"]))


def same(state: dict[str, Tensor], again: dict[str, Tensor]) -> dict[str, Any]:
    """The proof for a file that holds weights: what is read back is what was written.

    Raises:
        BadInput: a tensor is read back otherwise than it was written.
    """
    for name, value in state.items():
        if again[name].dtype != value.dtype or not torch.equal(again[name], value):
            raise BadInput(
                f"nothing was exported: `{name}` came back different from the file: the "
                "disk is damaged, choose another folder"
            )
    return {"parity": {"equal_tensors": len(state)}}


WRITERS: dict[str, Callable[[Backbone, dict[str, Any], BinaryIO], dict[str, Any]]] = {
    "onnx": write_onnx,
    "onnx_continual": write_onnx_continual,
    "safetensors": write_safetensors,
    "mmaction2": write_mmaction2,
    "pyskl": write_pyskl,
}
