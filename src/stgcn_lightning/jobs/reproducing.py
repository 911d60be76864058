"""A whole benchmark: its streams trained (or given), tested, fused, beside the published row.

Everything lies in one folder, and what is in it is not computed again: `<stream>/seed_<n>` holds
what `train` writes, and is finished once it holds scores.
"""

import json
from collections import Counter
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.table import Table

from stgcn_lightning import ranks
from stgcn_lightning.checkpoints.agreement import HOW
from stgcn_lightning.checkpoints.zoo import ZOO, elsewhere, zoo_entry
from stgcn_lightning.data.names import FOUR_STREAMS, STREAMS
from stgcn_lightning.errors import BadInput
from stgcn_lightning.evaluation.figures import figures_of
from stgcn_lightning.evaluation.fusion import PRESETS, fuse
from stgcn_lightning.evaluation.published import (
    Published,
    published_figures,
    published_rows,
    recipe_of,
    source_texts,
)
from stgcn_lightning.evaluation.reproduction import Row, rows_of, to_json, to_markdown, to_table
from stgcn_lightning.evaluation.scores import Scores, read_scores, write_scores
from stgcn_lightning.files.writing import write_atomically
from stgcn_lightning.jobs.fetching import checkpoint_of
from stgcn_lightning.jobs.figures import write_figures
from stgcn_lightning.jobs.keeping import keep_settings, settings_that_count
from stgcn_lightning.jobs.leading import law_of_checkpoint
from stgcn_lightning.jobs.testing import test
from stgcn_lightning.jobs.training import train
from stgcn_lightning.jobs.watching import dashboards_of, runs_of, watching
from stgcn_lightning.settings.doors import ReproduceSettings
from stgcn_lightning.settings.frozen import thawed
from stgcn_lightning.settings.groups import Model
from stgcn_lightning.terminal import console, shown

SETTINGS = "settings.json"
COUNTING: dict[str, tuple[str, ...]] = {  # groups whose keys make a setting; empty: all of them
    "model": (),
    "data": (
        "clip_frames", "test_clips", "test_sampling", "persons", "missing", "max_frames",
        "frame_order",
    ),
    "benchmark": ("normalise",),
    "recipe": (),
}  # fmt: skip


def reproduce(settings: ReproduceSettings) -> dict[str, float]:
    """Fill the folder, print and write the table; returns the fusions' top-1 for a sweep.

    Raises:
        BadInput: debug=fast is set; there is no split to test; seeds, streams or checkpoints are
            none of what they may be; the folder was begun with other settings; or a stream cannot
            be trained or tested.
    """
    if settings.debug == "fast":
        raise BadInput("debug=fast tests parts of the split: use it with train or test")
    if settings.benchmark.val_split is None:
        raise BadInput("reproduce tests benchmark.val_split, which is null: give it a split")
    folder = settings.run_dir
    seeds, checkpoints = seeds_of(settings), checkpoints_of(settings)
    folder.mkdir(parents=True, exist_ok=True)
    if ranks.global_rank() == 0:
        keep_settings(folder / SETTINGS, settings_that_count(settings, checkpoints))
    differing = differing_from_published(settings, list(checkpoints))
    say_setting(settings, differing)
    runs: dict[str, list[Scores]] = {}
    for stream in checkpoints:
        runs[stream] = [scores_of_run(settings, stream, n, checkpoints[stream]) for n in seeds]
    for preset, weights in PRESETS.items():
        if set(weights) <= set(checkpoints):
            runs[preset] = [
                fuse({stream: runs[stream][i] for stream in weights}, weights)
                for i in range(len(seeds))
            ]
            if ranks.global_rank() == 0:
                for seed, fused in zip(seeds, runs[preset], strict=True):
                    out = folder / preset / f"seed_{seed}" / "scores.npz"
                    write_scores(out, fused)
                    known = known_figures(settings, preset, fused)
                    write_figures(out, fused, figures_of(fused), known)

    name = settings.benchmark.name
    known = {run: known_figures(settings, run, scores[0]) for run, scores in runs.items()}
    rows = rows_of(runs, known)
    if ranks.global_rank() == 0:
        facts = {
            **models_of(settings, list(checkpoints)),
            "samples": len(next(iter(runs.values()))[0].labels),
            "seeds": seeds,
        }
        report(settings, rows, facts, differing)
        linked = runs_of(
            {
                f"{stream}_seed{seed}": scores
                for stream in checkpoints
                for seed, scores in zip(seeds, runs[stream], strict=True)
            }
        )
        title = f"{name}_reproduction"
        with watching(settings, "fuse", name=title, streams=linked) as loggers:
            for dashboard in dashboards_of(loggers):
                dashboard.show_fusion(rows, linked)
    return {row.name: row.interval.top1 for row in rows if row.name in PRESETS}


def known_figures(settings: ReproduceSettings, run: str, scores: Scores) -> tuple[Published, ...]:
    """The published figures of a stream or fusion, if they are of the same classes."""
    known = published_figures(settings.model.name, settings.benchmark.name, run)
    return tuple(one for one in known if one.classes == len(scores.classes))


def scores_of_run(
    settings: ReproduceSettings, stream: str, seed: int, checkpoint: Path | None
) -> Scores:
    """Scores of one stream and seed, from its run directory or made now.

    Raises:
        BadInput: those that are there were made with other settings, or the stream cannot be
            trained or tested.
    """
    run = settings.run_dir / stream / f"seed_{seed}"
    scores = run / "scores.npz"
    if scores.exists():
        found = read_scores(scores)
        expected = {
            "benchmark": settings.benchmark.name,
            "split": settings.benchmark.val_split,
            "stream": stream,
            "test_clips": settings.data.test_clips,
        }
        for key, value in expected.items():
            if found.meta.get(key) != value:
                raise BadInput(
                    f"{shown(scores)} was made with {key} {found.meta.get(key)}, not {value}: "
                    "delete it to have it made again"
                )
        console.print(f"{stream}, seed {seed}: done, {shown(scores)}")
        return found
    console.print()
    console.print(f"{stream}, seed {seed}:")
    part = {"stream.name": stream, "seed": seed, "run_dir": str(run)}
    if checkpoint is None:
        train(settings.part("train", part | {"resume": "auto", "test_after": True}))
    else:
        tested = {"checkpoint": str(checkpoint), "split": None, "scores": str(scores)}
        test(settings.part("test", part | tested))
    return read_scores(scores)


def models_of(settings: ReproduceSettings, streams: Sequence[str]) -> dict[str, Any]:
    """The model of all streams, and what it is of one of them alone, as by ProtoGCN's recipe."""
    models = {
        stream: thawed(settings.part("reproduce", {"stream.name": stream}).composed["model"])
        for stream in streams
    }
    first = models[streams[0]]
    own = [key for key in first if any(one[key] != first[key] for one in models.values())]
    found: dict[str, Any] = {"model": {key: first[key] for key in first if key not in own}}
    if own:
        found["model_of_stream"] = {
            stream: {key: one[key] for key in own} for stream, one in models.items()
        }
    return found


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


def differing_from_published(settings: ReproduceSettings, streams: Sequence[str]) -> str:
    """Settings other than those that the figures to compare with were made with; empty if none is.

    Of a published checkpoint nothing but what tests it counts. What differs for some of the streams
    alone is followed by these.
    """
    model, benchmark = settings.model.name, settings.benchmark.name
    if benchmark not in published_rows().get(model, {}):
        return ""
    differing: dict[str, list[str]] = {}
    for stream in streams:
        chosen = settings.part("reproduce", {"stream.name": stream}).composed
        known = settings.published(recipe_of(model, benchmark), stream)
        law = law_of_checkpoint(thawed(settings.checkpoints), model, benchmark, stream)
        known["data"]["test_sampling"] = law or known["data"]["test_sampling"]
        for group, keys in COUNTING.items():
            ours, theirs = thawed(chosen[group]), known[group]
            if group == "recipe" and settings.checkpoints:
                continue
            for key in keys or [one for one in theirs if one not in HOW and one[0] != "_"]:
                if ours.get(key) != theirs.get(key):
                    differing.setdefault(f"{group}.{key}={ours.get(key)}", []).append(stream)
    return ", ".join(
        text if len(some) == len(streams) else f"{text} of {' and '.join(some)}"
        for text, some in differing.items()
    )


def say_setting(settings: ReproduceSettings, differing: str) -> None:
    """Say before anything is trained whether it is as it was published."""
    model, benchmark = settings.model.name, settings.benchmark.name
    if benchmark not in published_rows().get(model, {}):
        return
    recipe = recipe_of(model, benchmark)
    known = f"the one with which {model} was published on {benchmark} (recipe={recipe})"
    console.print(f"setting: not {known}: {differing}" if differing else f"setting: {known}")


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


def seeds_of(settings: ReproduceSettings) -> list[int]:
    """The seeds to train with.

    Raises:
        BadInput: they are no list of different whole numbers, or several for checkpoints.
    """
    seeds = thawed(settings.seeds)
    if seeds is None:
        return [settings.seed]
    if (
        not isinstance(seeds, list)
        or not seeds
        or len(set(seeds)) < len(seeds)
        or not all(type(seed) is int and 0 <= seed < 2**32 for seed in seeds)
    ):
        raise BadInput(f"seeds={seeds} are no list of different whole numbers: seeds=[0,1,2]")
    if settings.checkpoints is not None and len(seeds) > 1:
        raise BadInput("checkpoints are tested once: leave out seeds")
    return seeds


def streams_of(settings: ReproduceSettings) -> list[str]:
    """The streams to train, in the order in which tables show them.

    Raises:
        BadInput: they are no list of different streams of `STREAMS`.
    """
    streams: Any = thawed(settings.streams)
    if streams is None:
        return list(FOUR_STREAMS)
    if not isinstance(streams, list) or not streams or len(set(map(str, streams))) < len(streams):
        raise BadInput(f"streams={streams} is no list of different streams: streams=[joint,bone]")
    for stream in streams:
        if stream not in STREAMS:
            raise BadInput(f"streams: {stream} is none of the streams {', '.join(STREAMS)}")
    return [stream for stream in STREAMS if stream in streams]


def checkpoints_of(settings: ReproduceSettings) -> dict[str, Path | None]:
    """The streams, each with the checkpoint to test, or None where it is to be trained.

    Raises:
        BadInput: they are neither zoo nor a table of streams with a file each, a file cannot be
            had, `checkpoint` is given, or `streams` beside such a table.
    """
    given: Any = thawed(settings.checkpoints)
    if settings.checkpoint:
        raise BadInput("reproduce wants one per stream: checkpoints='{joint: FILE, bone: FILE}'")
    streams = streams_of(settings)
    if given is None:
        return dict.fromkeys(streams)
    if given == "zoo":
        given = of_the_zoo(settings, streams)
    elif settings.streams is not None:
        raise BadInput("checkpoints names its streams: leave out streams")
    if not isinstance(given, dict) or not given:
        raise BadInput(
            f"checkpoints={given} is neither zoo nor a mapping: "
            "checkpoints='{joint: FILE, bone: FILE}'"
        )
    for stream, path in given.items():
        if stream not in STREAMS:
            raise BadInput(f"checkpoints: {stream} is none of the streams {', '.join(STREAMS)}")
        if not isinstance(path, str) or not path:
            raise BadInput(
                f"checkpoints.{stream}={path} is no path: give one file or folder for each stream"
            )
    file, times = Counter(given.values()).most_common(1)[0]
    if times > 1:
        raise BadInput(f"checkpoints={given} has {file} {times} times: give each stream its own")
    found: dict[str, Path | None] = {}
    for stream in STREAMS:
        if stream in given:
            path = checkpoint_of(
                given[stream], settings.downloads, settings.model.name, f"checkpoints.{stream}"
            )
            if not path.exists():
                raise BadInput(f"there is no checkpoint {path}")
            found[stream] = path
    return found


def of_the_zoo(settings: ReproduceSettings, streams: Sequence[str]) -> dict[str, str]:
    """Names of the published checkpoints of a model and benchmark, by stream.

    Raises:
        BadInput: the zoo lacks one of them.
    """
    model, benchmark = settings.model.name, settings.benchmark.name
    names = {stream: f"{model}/{benchmark}_{stream}" for stream in streams}
    if absent := [stream for stream, name in names.items() if zoo_entry(name) is None]:
        by_hand = elsewhere(model)
        raise BadInput(
            f"the zoo has no checkpoints for {benchmark} of {model}, stream {absent[0]}: leave "
            "out checkpoints to train, or give checkpoints='{joint: FILE, bone: FILE}'"
            + (f" ({by_hand})" if by_hand else "")
        )
    return {stream: ZOO + name for stream, name in names.items()}
