"""Going on with a run that was interrupted: from which checkpoint, and with what was logged."""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.loggers import CSVLogger

from stgcn_lightning.callbacks.lightning_private import continue_columns, place_of
from stgcn_lightning.checkpoints.agreement import refuse_other_card
from stgcn_lightning.checkpoints.safetensors import is_safetensors
from stgcn_lightning.checkpoints.weights import refuse_diverged, weights_in
from stgcn_lightning.errors import BadInput
from stgcn_lightning.files.archives import read_checkpoint
from stgcn_lightning.files.writing import write_atomically
from stgcn_lightning.jobs.continuing import changes, refuse_other_run, refuse_within_epoch
from stgcn_lightning.jobs.run_files import whole_and_torn
from stgcn_lightning.settings.fields import path_of
from stgcn_lightning.terminal import console, shown


@dataclass(frozen=True)
class Resumption:
    """What a run goes on from.

    Attributes:
        file: the checkpoint.
        content: what it holds.
        card: its card.
    """

    file: Path
    content: dict[str, Any]
    card: dict[str, Any]

    @property
    def place(self) -> tuple[int, int]:
        """Epoch and batch that the run goes on with."""
        return place_of(self.content)


def resume_from(
    resume: str | None, run: Path, card: dict[str, Any], recipe: Mapping[str, Any]
) -> Resumption | None:
    """What to go on from: ``auto`` takes the run directory's last checkpoint, if there is one.

    Prints what differs from before and is used from now on.

    Args:
        resume: the key of that name.
        run: the run directory.
        card: of this run's checkpoints.
        recipe: parameters of the optimisation, and the dropout.

    Raises:
        BadInput: it is absent, no checkpoint of this package, or of another run than this.
    """
    if resume is None:
        return None
    if resume == "auto":
        for unfinished in (run / "checkpoints").glob(".*.tmp"):  # a killed process was writing it
            unfinished.unlink(missing_ok=True)
        last = newest_whole(run)
    else:
        last = _last_of(path_of("resume", resume))
    if last is None:
        console.print(f"nothing to resume in {shown(run)}: starting anew")
        return None
    if is_safetensors(last):
        raise BadInput(f"{last} is no run of this package: start from it with checkpoint={last}")
    content = read_checkpoint(last)
    state, saved = weights_in(content, last)
    if not saved or "loops" not in content:
        raise BadInput(f"{last} is no run of this package: start from it with checkpoint={last}")
    refuse_diverged(state, last)
    refuse_other_card(saved, card, last)
    refuse_other_run(saved, card, last)
    refuse_within_epoch(content, saved, card, last)
    console.print(f"resuming from {shown(last)}")
    if place_of(content)[0] < card["run"]["epochs"]:  # else nothing is trained with them
        for line in changes(content, saved, card, recipe, last):
            console.print(line)
    return Resumption(last, content, saved)


def _last_of(path: Path) -> Path:
    """The checkpoint at `path`, or the last one of the run directory there."""
    if not path.is_dir():
        return path
    last = newest_whole(path.parent if path.name == "checkpoints" else path)
    if last is None:
        raise BadInput(f"{shown(path)} is no folder of a run with a last.ckpt to resume")
    return last


def newest_whole(run: Path) -> Path | None:
    """The checkpoint with the most steps that can be read to its end, or none if there is none.

    Raises:
        BadInput: there are some, and all are torn.
    """
    whole, torn = whole_and_torn(run)
    for path in torn:
        console.print(f"{shown(path)} is torn: it is left out")
    if torn and not whole:
        raise BadInput(
            f"all checkpoints in {shown(run / 'checkpoints')} are torn: hydra.run.dir=NEW starts "
            "anew"
        )
    return max(whole, key=lambda path: whole[path], default=None)


def keep_metrics(run: Path, trainer: lightning.Trainer, steps: int) -> None:
    """Go on with an earlier process's metrics.csv, which Lightning's logger would delete.

    Rows of later steps are dropped: these steps are taken again.
    """
    metrics, aside = run / "metrics.csv", run / "metrics_before_resume.csv"
    loggers = [one for one in trainer.loggers if isinstance(one, CSVLogger)]
    if not loggers or not (metrics.exists() or aside.exists()) or not trainer.is_global_zero:
        return
    if not aside.exists():  # else a process was killed here
        metrics.replace(aside)
    with aside.open(newline="") as file:
        reader = csv.DictReader(file)
        names = list(reader.fieldnames or [])
        # a row that was torn by a kill lacks its last columns
        rows = [row for row in reader if None not in row.values() and int(row["step"]) < steps]
    writer = loggers[0].experiment
    text = io.StringIO()
    table = csv.DictWriter(text, names)
    table.writeheader()
    table.writerows(rows)
    with write_atomically(metrics) as file:
        file.write(text.getvalue().encode())
    continue_columns(writer, names)
    aside.unlink()
