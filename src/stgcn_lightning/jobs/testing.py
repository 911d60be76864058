"""Testing a checkpoint, and the table and scores that result."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightning
import numpy as np
import torch
from lightning.pytorch.loggers import Logger
from rich.table import Table
from torch import Tensor

from stgcn_lightning import ranks
from stgcn_lightning.checkpoints.agreement import refuse_other_card
from stgcn_lightning.checkpoints.card import Card
from stgcn_lightning.checkpoints.classes import mapped, unnamed
from stgcn_lightning.checkpoints.weights import load, read_weights, refuse_other_size
from stgcn_lightning.checkpoints.zoo import ZOO, card_of, zoo_entry
from stgcn_lightning.distributed import wait_for_all
from stgcn_lightning.errors import BadInput
from stgcn_lightning.evaluation.figures import NAMES, figures_of
from stgcn_lightning.evaluation.scores import Scores, refuse_not_finite, write_scores
from stgcn_lightning.files.reading import sha256
from stgcn_lightning.jobs.answers import Answers, print_classes
from stgcn_lightning.jobs.building import Built, build
from stgcn_lightning.jobs.cards import model_card
from stgcn_lightning.jobs.classes import class_names
from stgcn_lightning.jobs.fetching import checkpoint_of
from stgcn_lightning.jobs.figures import scores_path, write_figures
from stgcn_lightning.jobs.leading import led, say_what_led
from stgcn_lightning.jobs.reporting import published_for, report_test
from stgcn_lightning.jobs.sidecar import card_beside
from stgcn_lightning.jobs.trainers import build_tester, passing_on_ctrl_c
from stgcn_lightning.jobs.watching import dashboards_of, run_of, watching
from stgcn_lightning.recognizer import Recognizer
from stgcn_lightning.report.pages import Figure
from stgcn_lightning.settings.doors import TestSettings
from stgcn_lightning.terminal import console, shown

if TYPE_CHECKING:  # it imports wandb, which takes a second
    from stgcn_lightning.callbacks.dashboard import RunLogger


def test(settings: TestSettings) -> None:
    """Test a checkpoint with `data.test_clips` clips, write the scores and print the table.

    Raises:
        BadInput: the checkpoint is not named, cannot be read, or contradicts what is tested; the
            annotations cannot be used; a score is no number; or the scores cannot be written.
    """
    if not settings.checkpoint:
        raise BadInput("say which weights to test: checkpoint=FILE or checkpoint=zoo:NAME")
    lightning.seed_everything(settings.seed, workers=True, verbose=False)
    refuse_other_zoo(settings, settings.checkpoint)
    checkpoint = checkpoint_of(
        settings.checkpoint, settings.downloads, settings.given["model"].get("name")
    )
    out = scores_path(settings.scores, settings.run_dir, checkpoint)
    state, table = read_weights(checkpoint, console.print)
    table = table or card_beside(checkpoint)
    card = Card.from_dict(table, checkpoint) if table else None
    settings = led(settings, card, checkpoint)
    held_out = held_out_of(settings, card, checkpoint)
    state, table = agreeing(settings, state, table or card_of(checkpoint), checkpoint)
    if card or not table:
        say_what_led(settings, card, checkpoint)
    built = build(
        settings,
        split=settings.split,
        subjects=held_out,
        training=False,
        any_split=not {"name", "val_split"} & settings.given["benchmark"].keys(),
    )
    load(built.model, state, checkpoint)
    built = replace(built, classes=named_classes(built.classes, table, checkpoint))
    with watching(settings, "test", trained_by=run_of(checkpoint), run=built.run.card()) as loggers:
        run_test(built, checkpoint, out, loggers)


def agreeing(
    settings: TestSettings, state: dict[str, Tensor], card: dict[str, Any], checkpoint: Path
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Weights and card for the classes that are tested.

    Raises:
        BadInput: what is tested contradicts the card, or the weights do.
    """
    classes = class_names(settings.benchmark.classes)
    if settings.classes == "mapped":
        state = mapped(state, card.get("classes", []), classes, checkpoint)
        card = card | {"classes": classes}
    refuse_other_card(card, model_card(settings, classes), checkpoint)
    if settings.model.target is None:
        refuse_other_size(settings.model.name, settings.model.options, state, checkpoint)
    return state, card


def named_classes(ours: list[str], card: Mapping[str, Any], checkpoint: Path) -> list[str]:
    """The names of classes that agree, from the side that knows them; which is said."""
    theirs = card.get("classes", ours)
    if theirs == ours:
        return ours
    if unnamed(ours):
        console.print(
            f"benchmark.classes is a number: classes are named as {shown(checkpoint)} does"
        )
        return theirs
    console.print(f"{shown(checkpoint)} knows no class names: benchmark.classes gives them")
    return ours


def held_out_of(
    settings: TestSettings, card: Card | None, checkpoint: Path
) -> tuple[str, ...] | None:
    """The subjects that ``split=holdout`` tests; None for any other split.

    Raises:
        BadInput: the checkpoint was trained without holding any out.
    """
    if settings.split != "holdout":
        return None
    if card is None or not card.held_out_subjects:
        raise BadInput(
            f"{checkpoint} was trained without holding subjects out: there is no split=holdout "
            "unless it is trained with data.holdout_subjects=0.1"
        )
    return card.held_out_subjects


def refuse_other_zoo(settings: TestSettings, named: str) -> None:
    """Refuse a published checkpoint of another stream or dimension before it is downloaded.

    Raises:
        BadInput: with the experiment to set.
    """
    entry = zoo_entry(named.removeprefix(ZOO)) if named.startswith(ZOO) else None
    if entry:
        given = settings.given  # the rest is as the zoo's table says
        stream = given["stream"].get("name", entry.stream)
        dimension = given["benchmark"].get("dimension", entry.dimension)
        if (entry.stream, entry.dimension) != (stream, dimension):
            raise BadInput(
                f"{named} was trained on the stream {entry.stream} in {entry.dimension}, not on "
                f"{stream} in {dimension}: set experiment={entry.experiment}"
            )


def run_test(
    built: Built,
    checkpoint: Path,
    out: Path,
    loggers: Sequence[Logger],
    also: Sequence[Figure] = (),
) -> dict[str, float]:
    """Test the model, write scores to `out` and a report, print the table; returns the figures.

    Args:
        built: with the weights of `checkpoint`.
        checkpoint: file of the weights.
        out: file of the scores.
        loggers: what keeps a record.
        also: further rows of the report's headline.
    """
    dashboards = dashboards_of(loggers)
    runs = [dashboard.begin() for dashboard in dashboards]
    answers = answers_of(built, checkpoint)
    if ranks.global_rank() == 0:
        if runs:
            answers.scores.meta["wandb_run"] = runs[0]
        write_scores(out, answers.scores)
        write_figures(out, answers.scores, answers.figures, published_for(built, answers.scores))
        if answers.figures:
            show_test(built, answers, out, dashboards, also)
        else:
            console.print("the samples have no labels: their classes instead of accuracies")
            print_classes(answers.scores)
        console.print(f"scores: {shown(out)}")
    wait_for_all()  # the scores are there
    return answers.figures


def show_test(
    built: Built,
    answers: Answers,
    out: Path,
    dashboards: "Sequence[RunLogger]",
    also: Sequence[Figure],
) -> None:
    """Print the table of a test, and make its pages."""
    print_test(built, answers)
    if report := report_test(built, answers, out, also):
        tested, page = report
        published = published_for(built, answers.scores)
        for dashboard in dashboards:
            first = published[0].top1 if published else None
            dashboard.show_test(tested, answers.figures, first, page)


def answers_of(built: Built, checkpoint: Path) -> Answers:
    """What the model, with the weights of `checkpoint`, answers for the split that is tested.

    Raises:
        BadInput: it answers a sample with NaN or infinity.
        RuntimeError: other samples were scored than those of the split.
    """
    settings, data = built.settings, built.data
    recognizer = Recognizer(built.model, ids=data.store.ids, compile_mode=settings.model.compile)
    recognizer.engine.halving.say = console.print
    trainer = build_tester(settings)
    with passing_on_ctrl_c(trainer):
        trainer.test(recognizer, data, verbose=False)
    numbers, values = recognizer.test_scores()
    fast = settings.debug == "fast"
    if not fast and not torch.equal(numbers, data.test_numbers):
        raise RuntimeError(
            f"{len(numbers)} samples were scored, but the split has {len(data.test_numbers)}"
        )
    benchmark, held_out = settings.benchmark, tests_held_out(built)
    split = benchmark.train_split if held_out else built.run.split or benchmark.val_split
    scores = Scores(
        ids=np.asarray(data.store.ids[numbers.numpy()]),
        labels=data.store.labels[numbers].numpy(),
        scores=values.numpy(),
        classes=np.array(built.classes),
        meta={
            "benchmark": benchmark.name,
            "split": split,
            "held_out": held_out,
            "stream": settings.stream.name,
            "test_clips": settings.data.test_clips,
            "checkpoint_sha256": sha256(checkpoint),
            "version": version("stgcn_lightning"),
        }
        | ({"partial": f"{len(numbers)} of {len(data.test_numbers)} samples"} if fast else {}),
    )
    refuse_not_finite(str(checkpoint), scores)
    return Answers(scores, numbers, figures_of(scores))


def tests_held_out(built: Built) -> bool:
    """Whether the samples tested are held out of the training split."""
    split = built.run.split or built.settings.benchmark.val_split
    return split in ("holdout", None)


def print_test(built: Built, answers: Answers) -> None:
    """The table that `test` ends with."""
    settings, scores = built.settings, answers.scores
    benchmark, stream = settings.benchmark.name, settings.stream.name
    title = f"{benchmark} {stream}, {settings.data.test_clips} clips"
    split = ""
    if built.run.split or scores.meta["held_out"]:
        of = "held out of " if scores.meta["held_out"] else ""
        split = f", {of}{scores.meta['split']}, not the evaluation split"
    table = Table(title=title + split)
    table.add_column("")
    table.add_column("%", justify="right")
    for name, title in NAMES.items():
        table.add_row(title, f"{100 * answers.figures[name]:.2f}")
    for place, published in enumerate(published_for(built, scores)):
        table.add_row(f"published top-1 ({published.source})", f"{published.top1:.2f}")
        if place == 0:
            table.add_row("difference", f"{100 * answers.figures['top1'] - published.top1:+.2f}")
    console.print(table)

    hits = scores.scores.argmax(1) == scores.labels
    present = np.unique(scores.labels)
    recall = np.array([hits[scores.labels == label].mean() for label in present])
    worst = [f"{scores.classes[present[i]]} {100 * recall[i]:.0f} %" for i in recall.argsort()[:5]]
    console.print(f"worst classes: {', '.join(worst)}")
    console.print(f"{len(scores.labels)} samples, {built.run.cost_line}")
    if "partial" in scores.meta:
        console.print(f"partial scores: {scores.meta['partial']}, because of debug=fast")
