"""A whole benchmark: four streams trained (or given), tested, fused, set beside the published row.

Everything lies in one folder, and what is there is not done again: `<stream>/seed_<n>` holds what
`train` writes, and is finished once it holds scores.
"""

import json
from contextlib import nullcontext
from importlib.metadata import version
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from omegaconf import DictConfig, OmegaConf, open_dict
from rich.table import Table

from stgcn_lightning import ranks
from stgcn_lightning.checkpoints.zoo import published
from stgcn_lightning.data.streams import STREAMS
from stgcn_lightning.errors import BadInput
from stgcn_lightning.evaluation.fusion import PRESETS, fuse
from stgcn_lightning.evaluation.published import published_top1
from stgcn_lightning.evaluation.reproduction import Row, rows_of, to_json, to_markdown, to_table
from stgcn_lightning.evaluation.scores import Scores, read_scores, write_scores
from stgcn_lightning.experiment import check_values, checkpoint_of, console, plain, shown
from stgcn_lightning.files.reading import sha256
from stgcn_lightning.files.writing import write_atomically
from stgcn_lightning.jobs.testing import test
from stgcn_lightning.jobs.training import train
from stgcn_lightning.jobs.watching import dashboards_of, runs_of, watching

SETTINGS = "settings.json"
ELSEWHERE = ("workers", "store_dir")  # of `data`: they change no figure


def reproduce(cfg: DictConfig) -> dict[str, float]:
    """Fill the folder, print and write the table; returns the fusions' top-1 for a sweep."""
    check_values(cfg)
    if cfg.debug == "fast":
        raise BadInput("debug=fast tests parts of the split: use it with train or test")
    folder = Path(cfg.run_dir)
    seeds, checkpoints = seeds_of(cfg), checkpoints_of(cfg)
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock", timeout=0)
    try:
        with lock if ranks.global_rank() == 0 else nullcontext():  # it holds it for all ranks
            return reproduce_in(cfg, folder, seeds, checkpoints)
    except Timeout as error:
        raise BadInput(
            f"another process is at work in {shown(folder)}: wait for it, or set hydra.run.dir=NEW"
        ) from error


def reproduce_in(
    cfg: DictConfig, folder: Path, seeds: list[int], checkpoints: dict[str, Path | None]
) -> dict[str, float]:
    """The work of `reproduce`, alone in its folder."""
    if ranks.global_rank() == 0:
        keep_settings(folder / SETTINGS, settings_of(cfg, checkpoints))
    runs: dict[str, list[Scores]] = {}
    for stream in checkpoints:
        runs[stream] = [scores_of_run(cfg, folder, stream, n, checkpoints[stream]) for n in seeds]
    for preset, weights in PRESETS.items():
        if set(weights) <= set(checkpoints):
            runs[preset] = [
                fuse({stream: runs[stream][i] for stream in weights}, weights)
                for i in range(len(seeds))
            ]
            if ranks.global_rank() == 0:
                for seed, fused in zip(seeds, runs[preset], strict=True):
                    write_scores(folder / preset / f"seed_{seed}" / "scores.npz", fused)

    name = cfg.benchmark.name
    figures = {run: published_top1(cfg.model.name, name, run) for run in runs}
    classes = len(next(iter(runs.values()))[0].classes)
    known = {run: p if p and p.classes == classes else None for run, p in figures.items()}
    rows = rows_of(runs, known)
    if ranks.global_rank() == 0:
        report(cfg, folder, rows, seeds, samples=len(next(iter(runs.values()))[0].labels))
        linked = runs_of(
            {
                f"{stream}_seed{seed}": scores
                for stream in checkpoints
                for seed, scores in zip(seeds, runs[stream], strict=True)
            }
        )
        with watching(cfg, "fuse", name=f"{name}_reproduction", streams=linked) as loggers:
            for dashboard in dashboards_of(loggers):
                dashboard.show_fusion(rows, linked)
    return {row.name: row.interval.top1 for row in rows if row.name in PRESETS}


def scores_of_run(
    cfg: DictConfig, folder: Path, stream: str, seed: int, checkpoint: Path | None
) -> Scores:
    """Scores of one stream and seed, from its run directory or made now."""
    run = folder / stream / f"seed_{seed}"
    scores = run / "scores.npz"
    if scores.exists():
        found = read_scores(scores)
        expected = {
            "benchmark": cfg.benchmark.name,
            "split": cfg.benchmark.val_split,
            "stream": stream,
            "test_clips": cfg.data.test_clips,
        }
        for key, value in expected.items():
            if found.meta.get(key) != value:
                raise BadInput(
                    f"{shown(scores)} was made with {key} {found.meta.get(key)}, not {value}: "
                    "delete it to have it made again"
                )
        console.print(f"{stream}, seed {seed}: done, {shown(scores)}")
        return found
    console.print(f"\n{stream}, seed {seed}:")
    part = cfg.copy()
    with open_dict(part):
        part.stream.name, part.seed, part.run_dir = stream, seed, str(run)
        part.resume, part.test_after = "auto", True
        part.split, part.scores = None, str(scores)
        part.checkpoint = None if checkpoint is None else str(checkpoint)
    if checkpoint is None:
        train(part)
    else:
        test(part)
    return read_scores(scores)


def report(cfg: DictConfig, folder: Path, rows: list[Row], seeds: list[int], samples: int) -> None:
    """Print the table and write it as Markdown and JSON."""
    title = f"{cfg.benchmark.name}, {cfg.model.name}, {cfg.data.test_clips} clips"
    table = Table(title=title)
    columns, cells = to_table(rows)
    for column in columns:
        table.add_column(column, justify="right" if column else "left", no_wrap=True)
    for line in cells:
        table.add_row(*line)
    console.print(table)

    source = next((row.published.source for row in rows if row.published), None)
    facts = {
        "benchmark": cfg.benchmark.name,
        "model": plain(cfg.model),
        "samples": samples,
        "test_clips": cfg.data.test_clips,
        "seeds": seeds,
        "published_by": source,
        "version": version("stgcn_lightning"),
    }
    some = ", ".join(map(str, seeds))
    notes = [
        f"top-1 in % on the {samples} samples of {cfg.benchmark.val_split}; "
        + (f"seed {seeds[0]}" if len(seeds) == 1 else f"mean ± deviation of seeds {some}"),
        "interval: bootstrap over the samples",
        f"two_stream = {weights_text('two_stream')}; four_stream = {weights_text('four_stream')}",
        f"{cfg.model.base_channels} base channels, clips of {cfg.data.clip_frames} frames, "
        f"{cfg.recipe.epochs} epochs of {cfg.recipe.train_passes_per_epoch} passes",
    ]
    if source:
        notes.append(f"published by {source}; reproduced: the published figure is in our interval")
    if others := differing_from_published(cfg, rows):
        notes.append(f"not the published setting ({others}): the difference says little")
    put_aside(folder, seeds)
    for name, text in {
        "reproduction.md": to_markdown(title, rows, notes),
        "reproduction.json": to_json(rows, facts),
    }.items():
        with write_atomically(folder / name) as file:
            file.write(text.encode())
        console.print(f"table: {shown(folder / name)}")


def differing_from_published(cfg: DictConfig, rows: list[Row]) -> str:
    """Settings other than the published ones, where figures are compared; else empty."""
    if not any(row.published for row in rows):
        return ""
    trained = {} if cfg.checkpoints else {"recipe.epochs": 16, "recipe.train_passes_per_epoch": 5}
    wanted = {"model.base_channels": 64, "data.clip_frames": 100, "data.test_clips": 10, **trained}
    chosen = {key: OmegaConf.select(cfg, key) for key in wanted}
    return ", ".join(f"{key}={chosen[key]}" for key in wanted if chosen[key] != wanted[key])


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


def seeds_of(cfg: DictConfig) -> list[int]:
    """The seeds to train with."""
    seeds = plain(cfg.seeds)
    if seeds is None:
        return [cfg.seed]
    if (
        not isinstance(seeds, list)
        or not seeds
        or len(set(seeds)) < len(seeds)
        or not all(type(seed) is int and 0 <= seed < 2**32 for seed in seeds)
    ):
        raise BadInput(f"seeds={seeds} are no list of different whole numbers: seeds=[0,1,2]")
    if cfg.checkpoints is not None and len(seeds) > 1:
        raise BadInput("checkpoints are tested once: leave seeds away")
    return seeds


def checkpoints_of(cfg: DictConfig) -> dict[str, Path | None]:
    """The streams, each with the checkpoint to test, or None where it is to be trained."""
    given: Any = plain(cfg.checkpoints)
    if cfg.checkpoint:
        raise BadInput("reproduce wants one per stream: checkpoints='{joint: FILE, bone: FILE}'")
    if given is None:
        return dict.fromkeys(STREAMS)
    if given == "zoo" and f"{cfg.benchmark.name}_{STREAMS[0]}" not in published():
        raise BadInput(
            f"MMAction2 publishes no checkpoints for {cfg.benchmark.name}: leave checkpoints away "
            "to train, or give checkpoints='{joint: FILE, bone: FILE}'"
        )
    if given == "zoo":
        given = {stream: f"zoo:{cfg.benchmark.name}_{stream}" for stream in STREAMS}
    if not isinstance(given, dict) or not given:
        raise BadInput(
            f"checkpoints={given} is neither zoo nor a mapping: "
            "checkpoints='{joint: FILE, bone: FILE}'"
        )
    for stream in given:
        if stream not in STREAMS:
            raise BadInput(f"checkpoints: {stream} is none of the streams {', '.join(STREAMS)}")
    found: dict[str, Path | None] = {}
    for stream in STREAMS:
        if stream in given:
            path = checkpoint_of(cfg, f"checkpoints.{stream}", given[stream])
            if not path.exists():
                raise BadInput(f"there is no checkpoint {path}")
            found[stream] = path
    return found


def settings_of(cfg: DictConfig, checkpoints: dict[str, Path | None]) -> dict[str, Any]:
    """Everything that a figure depends on, but for the seed."""
    annotations = Path(cfg.benchmark.annotations or "").expanduser()
    data = {key: value for key, value in plain(cfg.data).items() if key not in ELSEWHERE}
    return {
        "benchmark": plain(cfg.benchmark),
        "skeleton": plain(cfg.skeleton),
        "data": data,
        "model": plain(cfg.model),
        "recipe": plain(cfg.recipe),
        "precision": cfg.trainer.precision,
        "annotations": annotations.is_file() and sha256(annotations),
        "checkpoints": {
            stream: file and sha256(file) for stream, file in checkpoints.items() if file
        },
    }


def keep_settings(file: Path, settings: dict[str, Any]) -> None:
    """Write the settings down; refuse to go on where something was done with others."""
    text = json.dumps(settings, indent=2, default=str)
    done = [*file.parent.glob("*/seed_*/scores.npz"), *file.parent.glob("*/seed_*/*/*.ckpt")]
    if not file.exists() or not done:
        with write_atomically(file) as out:
            out.write(text.encode())
        return
    try:
        before, now = flat(json.loads(file.read_text())), flat(json.loads(text))
    except ValueError as error:
        raise BadInput(
            f"{shown(file)} is damaged: delete it if the settings are those it was begun with, or "
            "start afresh with hydra.run.dir=NEW"
        ) from error
    differing = sorted(key for key in before | now if before.get(key) != now.get(key))
    if differing:
        key = differing[0]
        raise BadInput(
            f"{shown(file.parent)} was begun with {key}={before.get(key)}, not {now.get(key)}: go "
            "on with the same settings, or start afresh with hydra.run.dir=NEW"
        )


def flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as one level with dotted keys."""
    found: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[prefix + key] = value
    return found
