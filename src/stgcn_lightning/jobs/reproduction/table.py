"""The table of a reproduction: printed, as Markdown and as JSON."""

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.table import Table

from stgcn_lightning.evaluation.fusion import PRESETS
from stgcn_lightning.evaluation.published import source_texts
from stgcn_lightning.evaluation.reproduction import Row, to_json, to_markdown, to_table
from stgcn_lightning.files.writing import write_atomically
from stgcn_lightning.settings.doors import ReproduceSettings
from stgcn_lightning.settings.groups import Model
from stgcn_lightning.terminal import console, shown


def report(
    settings: ReproduceSettings, rows: list[Row], found: dict[str, Any], differing: str
) -> None:
    """Print the table and write it as Markdown and JSON."""
    folder, seeds, samples = settings.run_dir, found["seeds"], found["samples"]
    title = f"{settings.benchmark.name}, {settings.model.name}, {settings.data.test_clips} clips"
    table = Table(title=title)
    columns, cells = to_table(rows)
    for column in columns:
        table.add_column(column, justify="right" if column else "left", no_wrap=True)
    for line in cells:
        table.add_row(*line)
    console.print(table)

    known = [one for row in rows if row.published for one in (row.published, *row.others)]
    sources = [*dict.fromkeys(one.source for one in known)]
    facts = {
        "benchmark": settings.benchmark.name,
        **found,
        "test_clips": settings.data.test_clips,
        "published_by": next(iter(sources), None),
        "version": version("stgcn_lightning"),
    }
    some = ", ".join(map(str, seeds))
    notes = [
        f"top-1 in % on the {samples} samples of {settings.benchmark.val_split}; "
        + (f"seed {seeds[0]}" if len(seeds) == 1 else f"mean ± deviation of seeds {some}"),
        "interval: bootstrap over the samples",
        f"{width_of(settings.model)}clips of {settings.data.clip_frames} frames, "
        f"{settings.recipe.epochs} epochs of {settings.recipe.train_passes_per_epoch} passes",
    ]
    if fusions := [row.name for row in rows if row.name in PRESETS]:
        texts = [f"{name} = {weights_text(name)}" for name in fusions]
        notes.insert(2, "; ".join(texts))
    if sources:
        by = f"published by {sources[0]}"
        notes.append(f"{by}; reproduced: the published figure is in our interval")
        notes += [f"{source}: {source_texts()[source]}" for source in sources]
    if differing:
        notes.append(f"not the published setting ({differing}): the difference says little")
    put_aside(folder, seeds)
    for name, text in {
        "reproduction.md": to_markdown(title, rows, notes),
        "reproduction.json": to_json(rows, facts),
    }.items():
        with write_atomically(folder / name) as file:
            file.write(text.encode())
        console.print(f"table: {shown(folder / name)}")


def width_of(model: Model) -> str:
    """`64 base channels, `; empty for a backbone that has none."""
    width = model.options.get("base_channels")
    return "" if width is None else f"{width} base channels, "


def put_aside(folder: Path, seeds: list[int]) -> None:
    """Keep the tables of other seeds under names that say which."""
    try:
        others = json.loads((folder / "reproduction.json").read_text())["seeds"]
    except (OSError, ValueError, KeyError, TypeError):
        return
    if set(others) <= set(seeds):
        return
    for suffix in (".md", ".json"):
        name = f"reproduction_seeds_{'_'.join(map(str, others))}{suffix}"
        (folder / f"reproduction{suffix}").replace(folder / name)


def weights_text(preset: str) -> str:
    """E.g. joint:bone 1:1."""
    weights = PRESETS[preset]
    return f"{':'.join(weights)} {':'.join(f'{weight:g}' for weight in weights.values())}"
