"""Going on with a run that was interrupted: from which checkpoint, and with what was logged."""

import csv
import io
from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.loggers import CSVLogger

from stgcn_lightning.callbacks.checkpoint_files import EARLIER, LAST, NEXT
from stgcn_lightning.callbacks.lightning_private import continue_columns, place_of
from stgcn_lightning.checkpoints.weights import read_weights, refuse_diverged, refuse_other_card
from stgcn_lightning.errors import BadInput
from stgcn_lightning.files.archives import read_checkpoint
from stgcn_lightning.files.writing import write_atomically
from stgcn_lightning.settings.fields import path_of
from stgcn_lightning.terminal import console, shown


def position(checkpoint: Path) -> tuple[int, int]:
    """Epoch and batch that a run goes on with after a checkpoint of this package."""
    return place_of(read_checkpoint(checkpoint))


def resume_from(resume: str | None, run: Path, card: dict[str, Any]) -> Path | None:
    """The checkpoint to go on from: ``auto`` takes the run directory's last, if there is one.

    Args:
        resume: the key of that name.
        run: the run directory.
        card: of this run's checkpoints.

    Raises:
        BadInput: it is absent, no checkpoint of this package, or of another stream or model.
    """
    if resume is None:
        return None
    last = newest_whole(run) if resume == "auto" else path_of("resume", resume)
    if last is None:
        console.print(f"nothing to resume in {shown(run)}: starting anew")
        return None
    state, saved = read_weights(last)
    if not saved:
        raise BadInput(f"{last} is no run of this package: start from it with checkpoint={last}")
    refuse_diverged(state, last)
    refuse_other_card(saved, card, last)
    if saved.get("held_out_subjects") != card["held_out_subjects"]:
        raise BadInput(
            f"{last} was trained with data.holdout_subjects={saved.get('held_out_subjects')}, not "
            f"{card['held_out_subjects']}: a run that is resumed keeps them"
        )
    if position(last)[1]:
        for key, value in card["order"].items():
            before = saved.get("order", {}).get(key)
            if before != value:
                raise BadInput(
                    f"{shown(last)} lies within an epoch begun with {key} {before}, not {value}: a "
                    "run that is resumed there keeps it"
                )
    console.print(f"resuming from {shown(last)}")
    return last


def newest_whole(run: Path) -> Path | None:
    """The checkpoint with the most steps that can be read to its end, or none if there is none.

    Raises:
        BadInput: there are some, and all are torn.
    """
    folder = run / "checkpoints"
    for unfinished in folder.glob(".*.tmp"):  # a killed process was writing it
        unfinished.unlink(missing_ok=True)
    torn: list[Path] = []
    whole: dict[Path, int] = {}
    for path in (folder / LAST, folder / NEXT, *sorted(folder.glob(EARLIER))):
        if path.exists():
            try:
                whole[path] = read_checkpoint(path)["global_step"]
            except BadInput:
                torn.append(path)
    for path in torn:
        console.print(f"{shown(path)} is torn: it is left out")
    if torn and not whole:
        raise BadInput(
            f"all checkpoints in {shown(folder)} are torn: hydra.run.dir=NEW starts anew"
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
