"""Inspecting a checkpoint: ours, or one of MMAction2 or PYSKL."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from stgcn_lightning.callbacks.lightning_private import place_of
from stgcn_lightning.checkpoints.classes import unnamed
from stgcn_lightning.checkpoints.names import family_of_ours
from stgcn_lightning.checkpoints.safetensors import is_safetensors, read_safetensors
from stgcn_lightning.checkpoints.weights import (
    CARD,
    HEAD,
    checkpoint_in,
    load,
    model_of,
    refuse_diverged,
    weights_in,
)
from stgcn_lightning.checkpoints.zoo import card_of
from stgcn_lightning.data.plausible import Finding
from stgcn_lightning.errors import BadInput
from stgcn_lightning.evaluation.published import published_figures
from stgcn_lightning.evaluation.scores import read_scores
from stgcn_lightning.files.archives import read_checkpoint
from stgcn_lightning.files.reading import sha256
from stgcn_lightning.jobs.inspection.asked import Asked
from stgcn_lightning.jobs.inspection.inspected import (
    Command,
    Inspected,
    Rows,
    plain_value,
    typed,
)
from stgcn_lightning.jobs.sidecar import card_beside
from stgcn_lightning.models import registry
from stgcn_lightning.models.backbone import Backbone
from stgcn_lightning.models.cost import count_macs, count_parameters
from stgcn_lightning.shipped import benchmark_tables
from stgcn_lightning.terminal import shown

FRAMES, PERSONS = 100, 2  # of a clip where the card does not say it
STATED = (  # what is shown of a card, in this order
    "benchmark", "stream", "dimension", "normalise", "missing", "clip_frames", "test_clips",
    "persons", "held_out_subjects", "version",
)  # fmt: skip


def inspect(asked: Asked) -> Inspected:
    """What a checkpoint says about itself, what it costs, and whether it can be used."""
    remarks: list[str] = []
    path = checkpoint_in(asked.path, remarks.append)
    content = contents(path)
    state, card = weights_in(content, path, remarks.append)
    own = bool(card)
    card = card or card_of(path) or card_beside(path)
    faults: list[str] = []
    model = None
    try:
        refuse_diverged(state, path)
        model = model_of(card, state, path) if "model" in card else model_like(state)
        if model is not None and "model" in card:
            load(model, state, path)
    except BadInput as error:
        faults.append(str(error))
    facts = (
        described(card, state, model)
        | progress(content)
        | {
            "top1": accuracies(path, content) or None,
            "sha256": sha256(path),
            "bytes": path.stat().st_size,
        }
    )
    if published := _published(card, facts["model"], len(state[HEAD])):
        facts["published_top1"] = published
    names = [str(name) for name in card.get("classes", [])] if own or "classes" in card else []
    return Inspected(
        source=asked.source,
        kind="checkpoint",
        why=asked.why,
        facts=facts,
        faults=faults,
        findings=_findings(card, names),
        remarks=remarks,
        tables=[Rows("classes", ("label", "class"), [*enumerate(names)])],
        commands=[] if faults else _next(str(shown(path)), card),
    )


def contents(path: Path) -> dict[str, Any]:
    """What a file of weights holds, as a torch checkpoint of ours has it."""
    if is_safetensors(path):
        state, card = read_safetensors(path)
        return {"state_dict": state, CARD: card}
    return read_checkpoint(path)


def model_like(state: Mapping[str, Tensor]) -> Backbone | None:
    """A model that weights without a card fit; None where its graph is not among them."""
    family = family_of_ours(state)
    named = (value for name, value in state.items() if name.endswith("adjacency"))
    graphs = [value for value in named if value.ndim == 3]
    if family is None or not graphs:
        return None
    options = family.options_of(state)
    return registry.build(registry.name_of(family), graphs[0], len(state[HEAD]), **options)


def described(
    card: Mapping[str, Any], state: Mapping[str, Tensor], model: Backbone | None
) -> dict[str, Any]:
    """What the card states, and what the model costs."""
    family = family_of_ours(state)
    named = card.get("model")
    settings = dict(named) if isinstance(named, Mapping) else {}
    body = card.get("skeleton")
    skeleton = body if isinstance(body, Mapping) else {}
    facts: dict[str, Any] = {
        "model": settings.get("name") or (registry.name_of(family) if family else None),
        "model_settings": {k: v for k, v in settings.items() if k != "name"} or None,
        "classes": len(state[HEAD]),
        "skeleton": skeleton.get("name"),
        "joints": model.joints if model else len(skeleton.get("joints", [])) or None,
    }
    facts |= {key: card.get(key) for key in STATED}
    if model is not None:
        frames, persons = (
            value if isinstance(value, int) and 0 < value <= 100_000 else usual
            for value, usual in (
                (card.get("clip_frames"), FRAMES),
                (card.get("persons"), PERSONS),
            )
        )
        facts["parameters"] = count_parameters(model)
        facts["gmac_of_a_clip"] = round(count_macs(model, frames, persons) / 1e9, 4)
    precisions = {str(v.dtype).removeprefix("torch.") for v in state.values()}
    return {key: plain_value(value) for key, value in facts.items()} | {
        "numbers": sum(value.numel() for value in state.values()),
        "dtype": ", ".join(sorted(precisions)),
    }


def progress(content: Mapping[str, Any]) -> dict[str, Any]:
    """How far the training had come."""
    if "loops" not in content:
        return {}
    try:
        epoch, batch = place_of(content)
    except (KeyError, TypeError):
        return {}
    run = dict(content.get(CARD) or {}).get("run") or {}
    return {
        "epochs_done": epoch,
        "epochs_in_all": plain_value(dict(run).get("epochs")),
        "batches_into_the_next": batch,
        "step": plain_value(content.get("global_step")),
    }


def accuracies(path: Path, content: Mapping[str, Any]) -> dict[str, float]:
    """Top-1 in [0, 1] as far as it is known: of the validation when saved, of a test beside it."""
    found: dict[str, float] = {}
    for state in dict(content.get("callbacks") or {}).values():
        score = state.get("current_score") if isinstance(state, Mapping) else None
        if isinstance(score, Tensor) and score.numel() == 1 and "top1" in str(state.get("monitor")):
            found[str(state["monitor"])] = round(float(score), 4)
    scores = path.parents[1] / "scores.npz" if len(path.parents) > 1 else path
    if scores.is_file() and scores != path:
        try:
            tested = read_scores(scores)
            if tested.labelled and tested.meta.get("checkpoint_sha256") == sha256(path):
                clips = tested.meta.get("test_clips")
                found[f"test, {clips} clips"] = round(float(tested.hits.mean()), 4)
        except BadInput:
            pass  # what is wrong with scores is not asked here
    return found


def _published(card: Mapping[str, Any], model: str, classes: int) -> str | None:
    names = card.get("benchmark"), card.get("stream")
    known = published_figures(model, str(names[0]), str(names[1])) if all(names) else ()
    said = [f"{one.top1:.2f} % ({one.source})" for one in known if one.classes == classes]
    return ", ".join(said) or None


def _findings(card: Mapping[str, Any], names: list[str]) -> list[Finding]:
    if "stream" not in card:
        return [
            Finding(
                "the file does not say what it was trained on",
                "",
                "test it with the experiment that it belongs to, experiment=NAME, or export it with"
                " experiment=NAME format=safetensors, which adds that",
            )
        ]
    if names and unnamed(names):
        return [
            Finding(
                "its classes have no names but their numbers",
                "",
                "take care that the order of benchmark.classes is that of the training",
            )
        ]
    return []


def _next(file: str, card: Mapping[str, Any]) -> list[Command]:
    keys: dict[str, Any] = {"checkpoint": file}
    benchmark = card.get("benchmark")
    shipped = next((one for one in benchmark_tables() if one.name == benchmark), None)
    if shipped:
        keys |= {"benchmark": benchmark, "stream": card.get("stream")}
    if not (shipped and shipped.synthetic):
        keys["benchmark__annotations"] = "FILE"
    commands: list[Command] = []
    if "stream" in card:
        commands.append(Command("test it", typed("test", **keys)))
    if "classes" in card:
        ask = typed("predict", checkpoint=file, source="FILE")
        commands.append(Command("have it answer for a recording", ask))
        commands.append(
            Command("give it to other programs", typed("export", checkpoint=file, format="onnx"))
        )
    return commands
