"""The list of the published checkpoints, with what each of them costs and reached."""

import json
from typing import Any

from rich.table import Table

from stgcn_lightning.checkpoints.zoo import (
    ZOO,
    Entry,
    cost_of,
    shortest_name,
    zoo_entries,
)
from stgcn_lightning.errors import BadInput
from stgcn_lightning.evaluation.published import published_figures
from stgcn_lightning.settings.doors import ZooSettings
from stgcn_lightning.terminal import answer, console, refuse_lost

BYTES = 4  # of a number in float32


def list_zoo(settings: ZooSettings) -> None:
    """Print the checkpoints that are asked for, as a table or as JSON.

    Raises:
        BadInput: there is none.
    """
    text, chosen = settings.text or "", settings.chosen
    entries = [
        entry
        for entry in zoo_entries().values()
        if all(getattr(entry, group) == name for group, name in chosen.items())
        and text.lower() in entry.name.lower()
    ]
    if not entries:
        asked = [f"{group}={name}" for group, name in chosen.items()] + [f"text={text}"] * bool(
            text
        )
        raise BadInput(
            f"the zoo has no checkpoint of {', '.join(asked)}: leave "
            f"{'one of them' if len(asked) > 1 else 'it'} out to see what there is"
        )
    rows = [row_of(entry) for entry in entries]
    if settings.format == "json":
        places = settings.downloads.address, settings.downloads.pyskl
        for row, entry in zip(rows, entries, strict=True):
            row["address"] = entry.address(*places)
        answer(f"{json.dumps(rows, indent=2)}\n")
        return
    table = Table()
    for name in ("checkpoint=", "top-1"):
        table.add_column(name, justify="left" if "=" in name else "right", no_wrap=True)
    for name in ("parameters", "GMAC", "MB", "SHA-256"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("published by")
    for row in rows:
        table.add_row(
            row["name"],
            "" if row["top1"] is None else f"{row['top1']:.2f}",
            f"{row['parameters']:,}",
            f"{row['gmac']:.2f}",
            f"{row['bytes_of_weights'] / 1e6:.1f}",
            row["sha256"] or "-",
            row["published_by"],
        )
    console.print(table)
    console.print(
        f"{len(rows)} checkpoints. top-1 in %, as published; GMAC of a clip of two persons and 100 "
        "frames; MB of the parameters in float32, nobody publishes the sizes of the files; of the "
        "SHA-256 its first digits, PYSKL publishes none"
    )
    refuse_lost()


def row_of(entry: Entry) -> dict[str, Any]:
    """What is said of a checkpoint."""
    parameters, gmac = cost_of(entry)
    figures = published_figures(entry.model, entry.benchmark, entry.stream)
    return {
        "name": ZOO + shortest_name(entry),
        "model": entry.model,
        "practice": entry.practice or None,
        "benchmark": entry.benchmark,
        "stream": entry.stream,
        "published_by": entry.published_by,
        "top1": next((one.top1 for one in figures if one.source == entry.published_by), None),
        "parameters": parameters,
        "gmac": gmac,
        "bytes_of_weights": BYTES * parameters,
        "sha256": entry.sha256 or None,
    }
