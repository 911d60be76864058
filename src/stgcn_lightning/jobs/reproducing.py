"""A whole benchmark: its streams trained (or given), tested, fused, beside the published row.

Everything lies in one folder, and what is in it is not computed again: `<stream>/seed_<n>` holds
what `train` writes, and is finished once it holds scores.
"""

from pathlib import Path

from stgcn_lightning import ranks
from stgcn_lightning.errors import BadInput
from stgcn_lightning.evaluation.figures import figures_of
from stgcn_lightning.evaluation.fusion import PRESETS, fuse
from stgcn_lightning.evaluation.published import Published, published_figures
from stgcn_lightning.evaluation.reproduction import rows_of
from stgcn_lightning.evaluation.scores import Scores, read_scores, write_scores
from stgcn_lightning.jobs.figures import write_figures
from stgcn_lightning.jobs.reproduction.asked import checkpoints_of, seeds_of
from stgcn_lightning.jobs.reproduction.keeping import keep_settings, settings_that_count
from stgcn_lightning.jobs.reproduction.setting import (
    composed_for,
    differing_from_published,
    models_of,
    say_setting,
)
from stgcn_lightning.jobs.reproduction.table import report
from stgcn_lightning.jobs.testing import test
from stgcn_lightning.jobs.training import train
from stgcn_lightning.jobs.watching import dashboards_of, runs_of, watching
from stgcn_lightning.settings.doors import ReproduceSettings
from stgcn_lightning.terminal import console, shown

SETTINGS = "settings.json"


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
    composed = composed_for(settings, list(checkpoints))
    differing = differing_from_published(settings, composed)
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
            **models_of(composed),
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
