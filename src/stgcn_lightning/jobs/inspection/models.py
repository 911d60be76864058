"""Inspecting a model that was exported: an ONNX file, or the JSON beside it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stgcn_lightning.data.plausible import Finding
from stgcn_lightning.files.reading import sha256
from stgcn_lightning.jobs.inspection.asked import Asked
from stgcn_lightning.jobs.inspection.inspected import Command, Inspected, Rows, plain_value, typed
from stgcn_lightning.jobs.inspection.recognising import sidecar_in
from stgcn_lightning.terminal import shown

SHOWN = (
    "format", "file", "benchmark", "stream", "dimension", "normalise", "clip_frames",
    "test_clips", "persons", "version", "input", "prepare", "output", "checkpoint",
)  # fmt: skip


def inspect(asked: Asked) -> Inspected:
    """An ONNX model, by the sidecar beside it."""
    path = asked.path
    beside = path.with_suffix(".json")
    card = sidecar_in(beside) if beside.is_file() else None
    facts = {"bytes": path.stat().st_size, "sha256": sha256(path)}
    findings: list[Finding] = []
    if card is None or card.get("file") != path.name:
        findings.append(
            Finding(
                f"there is no {beside.name} beside it, which says how to prepare its input",
                "",
                "copy that file as well, or export the model again",
            )
        )
        card = {}
    return Inspected(
        source=asked.source,
        kind="onnx",
        why=asked.why,
        facts=facts | _facts(card),
        findings=findings,
        tables=_tables(card),
    )


def inspect_sidecar(asked: Asked) -> Inspected:
    """The JSON that the export door writes beside a model."""
    card = sidecar_in(asked.path) or {}
    file = asked.path.with_name(Path(str(card.get("file"))).name)
    findings: list[Finding] = []
    if not file.is_file():
        findings.append(Finding(f"there is no {file.name} beside it", "", "copy that file as well"))
    return Inspected(
        source=asked.source,
        kind="sidecar",
        why=asked.why,
        facts=_facts(card),
        findings=findings,
        tables=_tables(card),
        commands=[
            Command("look at the model", typed("inspect", source=str(shown(file))))
        ] * file.is_file(),
    )  # fmt: skip


def _facts(card: Mapping[str, Any]) -> dict[str, Any]:
    model, skeleton = (card.get(key) for key in ("model", "skeleton"))
    named = {
        "model": model.get("name") if isinstance(model, Mapping) else None,
        "skeleton": skeleton.get("name") if isinstance(skeleton, Mapping) else None,
    }
    return {key: plain_value(one) for key, one in named.items()} | {
        key: plain_value(card[key]) for key in SHOWN if key in card
    }


def _tables(card: Mapping[str, Any]) -> list[Rows]:
    classes = card.get("classes")
    names = [str(name) for name in classes] if isinstance(classes, list) else []
    return [Rows("classes", ("label", "class"), [*enumerate(names)])] if names else []
