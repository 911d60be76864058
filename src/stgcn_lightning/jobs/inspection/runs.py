"""Inspecting the folder of a run, or of a sweep: how far it came, and how it goes on."""

import errno
import fcntl
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import yaml

from stgcn_lightning.callbacks.lightning_private import place_of
from stgcn_lightning.checkpoints.weights import first_not_finite, weights_in
from stgcn_lightning.data.plausible import Finding
from stgcn_lightning.errors import BadInput
from stgcn_lightning.evaluation.scores import read_scores
from stgcn_lightning.files.archives import read_checkpoint
from stgcn_lightning.jobs.folders import LOCK
from stgcn_lightning.jobs.inspection.asked import Asked
from stgcn_lightning.jobs.inspection.checkpoints import described
from stgcn_lightning.jobs.inspection.inspected import (
    Command,
    Inspected,
    Rows,
    plain_value,
    typed,
)
from stgcn_lightning.jobs.run_files import logged, whole_and_torn
from stgcn_lightning.jobs.sweep_results import ended_in, figure_names, reached

MOST_YAML = 1 << 20  # bytes of a configuration
FLAG = "command-line"  # what Hydra calls the origin of --config-dir
RUNNING, FINISHED, INTERRUPTED = "running", "finished", "interrupted"
BEST_IS_LEAST = ("loss",)


def inspect(asked: Asked) -> Inspected:
    """Settings, state and curves of a run."""
    run = asked.path
    hydra = read_yaml(run / ".hydra" / "hydra.yaml")
    door = str(_within(hydra, "hydra", "job", "config_name") or "train")
    overrides = overrides_of(run)
    whole, torn = whole_and_torn(run)
    findings = [
        Finding(f"{path.name} is torn", "", "it is left out when the run is resumed")
        for path in torn
    ]
    faults: list[str] = []
    facts: dict[str, Any] = {"door": door, "overrides": overrides}
    commands: list[Command] = []
    facts["state"] = RUNNING if held(run) else "begun" if door == "train" else "ended"
    if whole:
        last = max(whole, key=lambda path: whole[path])
        more, fault = _progress(last)
        if more.get("epochs_in_all") is None:  # the card of an earlier version
            config = read_yaml(run / ".hydra" / "config.yaml")
            more["epochs_in_all"] = plain_value(_within(config, "recipe", "epochs"))
        facts |= more
        done, epochs = more.get("epochs_done"), more.get("epochs_in_all")
        if facts["state"] != RUNNING and isinstance(done, int) and isinstance(epochs, int):
            facts["state"] = FINISHED if done >= epochs else INTERRUPTED
        if fault:
            faults.append(fault)
    elif door == "train" and facts["state"] != RUNNING:
        findings.append(Finding("it has no checkpoint", "", "start it again"))
    tables = [_curves(run), _parts(run)]
    if (run / "scores.npz").is_file():
        facts |= _tested(run / "scores.npz", findings)
    if facts["state"] == INTERRUPTED:
        findings.append(
            Finding(
                f"it was interrupted after {facts['epochs_done']} of {facts['epochs_in_all']} "
                "epochs",
                "",
                "resume it",
            )
        )
        commands.append(
            Command("go on with it", resumed(asked.source, overrides, folders_of(hydra)))
        )
    elif (run / "checkpoints" / "best.ckpt").is_file():
        commands.append(
            Command(
                "look at its checkpoint", typed("inspect", source=f"{asked.source}/checkpoints")
            )
        )
        commands.append(
            Command(
                "have it answer for a recording",
                typed("predict", checkpoint=asked.source, source="FILE"),
            )
        )
    pages = sorted(str(page.relative_to(run)) for page in run.glob("*.html"))
    return Inspected(
        source=asked.source,
        kind="run",
        why=asked.why,
        facts=facts | {"pages": pages},
        faults=faults,
        findings=findings,
        tables=[table for table in tables if table.rows],
        commands=commands,
    )


def inspect_sweep(asked: Asked) -> Inspected:
    """The jobs of a sweep, and what they reached.

    Raises:
        BadInput: a result is damaged.
    """
    runs = ended_in(asked.path)
    try:
        rows = reached(runs) if runs else []
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(
            f"a result of the sweep {asked.path} is damaged ({error}): delete that result.json"
        ) from None
    names = figure_names(rows)
    failed = sum(bool(row.failed) for row in rows)
    begun = sorted(file.parents[1] for file in asked.path.glob("*/.hydra/config.yaml"))
    unfinished = [run for run in begun if run not in runs]
    running = [run.name for run in unfinished if held(run)]
    findings: list[Finding] = []
    if failed:
        findings.append(
            Finding(
                f"{failed} of {len(runs)} jobs failed", "", "their last lines stand in the table"
            )
        )
    if lost := [run.name for run in unfinished if run.name not in running]:
        findings.append(
            Finding(
                f"{len(lost)} jobs have ended without a result",
                lost[0],
                "look at the run, inspect source=RUN says how it is resumed",
            )
        )
    columns = ("job", *names, "failure")
    table = [(row.title, *(row.figures.get(name) for name in names), row.failed) for row in rows]
    return Inspected(
        source=asked.source,
        kind="sweep",
        why=asked.why,
        facts={"jobs_ended": len(runs), "jobs_failed": failed, "jobs_running": running},
        findings=findings,
        tables=[Rows("jobs", columns, table)],
        commands=[
            Command("print the table again", f"python -m stgcn_lightning.sweeps {asked.source}")
        ],
    )


def held(folder: Path) -> bool:
    """Whether a process is at work in a run directory (`jobs.folders.hold`)."""
    try:
        with (folder / LOCK).open("r+") as file:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno in (errno.EACCES, errno.EAGAIN) and (folder / LOCK).exists()
    return False


def read_yaml(path: Path) -> Any:
    """A small YAML file of a run; None where it is not there or none."""
    try:
        if path.stat().st_size > MOST_YAML:
            return None
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError, RecursionError):
        return None


def overrides_of(run: Path) -> list[str]:
    """What was given on the command line of a run."""
    found = read_yaml(run / ".hydra" / "overrides.yaml")
    return [str(one) for one in cast("list[object]", found)] if isinstance(found, list) else []


def resumed(source: str, overrides: list[str], folders: Sequence[str]) -> str:
    """The command that goes on with a run.

    Args:
        source: its folder.
        overrides: what it was begun with, in Hydra's grammar.
        folders: of configuration of the user's own.
    """
    ours = ("hydra.run.dir", "resume")
    kept = [one for one in overrides if one.split("=", 1)[0].lstrip("+") not in ours]
    flags = [f"--config-dir={folder}" for folder in folders]
    words = [shlex.quote(one) for one in (*flags, *kept)]
    return typed("train", *words, hydra__run__dir=source, resume="auto")


def folders_of(hydra: Any) -> list[str]:
    """Folders of configuration that were given on the command line of a run."""
    sources = _within(hydra, "hydra", "runtime", "config_sources")
    if not isinstance(sources, list):
        return []
    found = [one for one in cast("list[object]", sources) if isinstance(one, dict)]
    return [str(_within(one, "path")) for one in found if _within(one, "provider") == FLAG]


def _within(tree: Any, *path: str) -> Any:
    for name in path:
        tree = tree.get(name) if isinstance(tree, dict) else None  # pyright: ignore
    return tree  # pyright: ignore


def _progress(last: Path) -> tuple[dict[str, Any], str | None]:
    """How far the run came, and what it is, by its last checkpoint."""
    content = read_checkpoint(last)
    try:
        state, card = weights_in(content, last)
    except BadInput as error:
        return {}, str(error)
    facts = described(card, state, None)
    try:
        run: dict[str, Any] = dict(card.get("run") or {})
        facts["epochs_done"], facts["batches_into_the_next"] = place_of(content)
        facts["epochs_in_all"] = plain_value(run.get("epochs"))
        facts["step"] = plain_value(content.get("global_step"))
        facts["learning_rate_of_the_first_step"] = plain_value(run.get("lr"))
        facts["global_batch"] = plain_value(run.get("global_batch"))
        facts["parameters"] = plain_value(run.get("parameters"))
    except (KeyError, TypeError, ValueError):
        return facts, f"{last} is no checkpoint of a run: train again"
    fault = None
    if name := first_not_finite(state):
        fault = (
            f"{last} holds NaN or infinity in `{name}`: its training diverged; give an earlier "
            "checkpoint, or train again with a lower recipe.lr"
        )
    return facts, fault


def _curves(run: Path) -> Rows:
    """First, best and last value of each metric."""
    rows: list[tuple[Any, ...]] = []
    for name, (steps, values) in logged(run).items():
        if name == "epoch":
            continue
        finite = values[np.isfinite(values)]
        best = None
        if len(finite) and "/" in name:
            best = finite.min() if name.endswith(BEST_IS_LEAST) else finite.max()
        first, last = (round(float(values[i]), 5) for i in (0, -1))
        gaps = len(values) - len(finite)
        rows.append((name, first, best and round(float(best), 5), last, int(steps[-1]), gaps))
    columns = ("metric", "first", "best", "last", "last step", "NaN or infinite")
    return Rows("curves", columns, sorted(rows))


def _parts(run: Path) -> Rows:
    """The runs of a reproduction, stream by stream."""
    rows: list[tuple[Any, ...]] = []
    for part in sorted(run.glob("*/seed_*")):
        scored = (part / "scores.npz").is_file()
        trained = any((part / "checkpoints").glob("*.ckpt"))
        state = "tested" if scored else "trained in part" if trained else "begun"
        rows.append((str(part.relative_to(run)), state))
    return Rows("parts", ("part", "state"), rows)


def _tested(path: Path, findings: list[Finding]) -> dict[str, Any]:
    try:
        scores = read_scores(path)
    except BadInput as error:
        findings.append(Finding("scores.npz cannot be used", "", str(error)))
        return {}
    if not scores.labelled:
        return {"tested_samples": len(scores.labels)}
    return {
        "tested_samples": len(scores.labels),
        "test_top1": round(float(scores.hits.mean()), 4),
        "test_clips": plain_value(scores.meta.get("test_clips")),
    }
