"""Inspecting scores: those of the test door, and the pickles of other projects' tests.

Axes: B samples.
"""

from pathlib import Path
from typing import Any

import numpy as np

from stgcn_lightning.data.plausible import Finding
from stgcn_lightning.errors import BadInput
from stgcn_lightning.evaluation.figures import figures_of
from stgcn_lightning.evaluation.foreign_scores import read_table
from stgcn_lightning.evaluation.intervals import top1_interval
from stgcn_lightning.evaluation.scores import NoLabels, Scores, read_scores
from stgcn_lightning.evaluation.statistics import class_rows, confused_rows
from stgcn_lightning.jobs.inspection.asked import Asked
from stgcn_lightning.jobs.inspection.inspected import (
    Command,
    Histogram,
    Inspected,
    Rows,
    plain_value,
)

BINS = 10  # of the confidence
CONFUSED = 20  # pairs of classes that are listed
SURE = 0.05  # difference of mean confidence and accuracy from which on it is remarked


def inspect(asked: Asked) -> Inspected:
    """What was answered, how often rightly, and how sure."""
    findings: list[Finding] = []
    try:
        scores = _read(asked.path, findings)
    except NoLabels as error:
        return _unlabelled_dump(asked, error)
    B, classes = scores.scores.shape
    sure = scores.scores.max(1)
    facts: dict[str, Any] = {"samples": B, "classes": classes}
    facts |= {str(key): plain_value(value) for key, value in scores.meta.items()}
    facts["named_samples"] = scores.ids is not None
    facts["mean_confidence"] = round(float(sure.mean()), 4)
    tables: list[Rows] = []
    names = [f"{i / BINS:.1f} to {(i + 1) / BINS:.1f}" for i in range(BINS)]
    counts = np.bincount(np.minimum((sure * BINS).astype(int), BINS - 1), minlength=BINS)
    histograms = [Histogram("confidence", "samples", names, counts.tolist())]
    if scores.labelled:
        facts |= _accuracy(scores)
        facts["expected_calibration_error"] = round(calibration_error(scores), 4)
        findings += _findings(scores, float(sure.mean()))
        tables = [_by_class(scores), _confused(scores)]
    else:
        findings.append(
            Finding("the samples have no labels", "", "there are classes, but no accuracies")
        )
    if "partial" in scores.meta:
        findings.append(
            Finding(f"they are partial, {scores.meta['partial']}", "", "test without debug=fast")
        )
    return Inspected(
        source=asked.source,
        kind="scores",
        why=asked.why,
        facts=facts,
        findings=findings,
        tables=tables,
        histograms=histograms,
        commands=_next(asked.source, scores),
    )


def calibration_error(scores: Scores) -> float:
    """Mean distance of confidence and accuracy over bins of equal width, weighted by samples.

    Source:
        Naeini et al., AAAI 2015; Guo et al., "On calibration of modern neural networks", ICML 2017.
    """
    sure = scores.scores.max(1).astype(np.float64)
    bins = np.minimum((sure * BINS).astype(int), BINS - 1)
    gap = np.bincount(bins, sure - scores.hits, minlength=BINS)
    return float(np.abs(gap).sum() / len(sure))


def _read(path: Path, findings: list[Finding]) -> Scores:
    """The scores in a file; logits are turned into scores, and that is said."""
    try:
        return read_scores(path)
    except NoLabels:
        raise
    except BadInput as error:
        if "holds logits" not in str(error):
            raise
        findings.append(
            Finding(
                "it holds logits, rows that do not sum to 1",
                "",
                "fuse them with apply_softmax=true, or apply_softmax=[NAME] of some streams",
            )
        )
        return read_scores(path, apply_softmax=True)


def _unlabelled_dump(asked: Asked, error: NoLabels) -> Inspected:
    """A pickle that does not say the true classes."""
    table = read_table(asked.path)
    B, classes = table.values.shape
    finding = Finding(
        f"there are no {error.lacks}",
        "",
        "fuse it beside a file of the same samples that has them, or with annotations=FILE "
        "split=NAME",
    )
    return Inspected(
        source=asked.source,
        kind="scores",
        why=asked.why,
        facts={
            "samples": B,
            "classes": classes,
            "named_samples": table.named,
            "rows_sum_to_1": bool(np.allclose(table.values.sum(1), 1, atol=1e-3)),
        },
        findings=[finding],
        commands=[_fused(asked.source)],
    )


def _accuracy(scores: Scores) -> dict[str, Any]:
    interval = top1_interval(scores)
    figures = {name: round(value, 4) for name, value in figures_of(scores).items()}
    return figures | {"top1_interval": [round(interval.low, 4), round(interval.high, 4)]}


def _findings(scores: Scores, sure: float) -> list[Finding]:
    findings: list[Finding] = []
    top1 = float(scores.hits.mean())
    if abs(sure - top1) > SURE:
        too = "too sure" if sure > top1 else "not sure enough"
        findings.append(
            Finding(
                f"the answers are {too}: mean confidence {100 * sure:.1f} %, right "
                f"{100 * top1:.1f} %",
                "",
                "take scores for an order of the classes, and not for probabilities",
            )
        )
    answered = np.bincount(scores.answers, minlength=len(scores.classes))
    if answered.max() == len(scores.answers) > 1:
        name = scores.classes[answered.argmax()]
        findings.append(
            Finding(
                f"every answer is {str(name)!r}", "", "look at the training: nothing is learned"
            )
        )
    return findings


def _by_class(scores: Scores) -> Rows:
    rows = sorted(class_rows(scores), key=lambda row: row.accuracy)
    columns = ("class", "samples", "right", "accuracy", "most often taken for", "times")
    return Rows(
        "classes, the worst first",
        columns,
        [
            (one.name, one.samples, one.right, round(one.accuracy, 4), one.taken_for, one.times)
            for one in rows
        ],
    )


def _confused(scores: Scores) -> Rows:
    columns = ("true class", "answer", "samples", "share", "the other way")
    rows = [
        (one.true, one.answer, one.samples, round(one.share, 4), one.other_way)
        for one in confused_rows(scores)[:CONFUSED]
    ]
    return Rows("most confused classes", columns, rows)


def _next(source: str, scores: Scores) -> list[Command]:
    return [_fused(source, str(scores.meta.get("stream", "joint")))]


def _fused(source: str, stream: str = "joint") -> Command:
    other = "bone" if stream != "bone" else "joint"
    files = f"{{{stream}: {source}, {other}: FILE}}"
    return Command(
        "fuse them with another stream", f"python -m stgcn_lightning.fuse streams='{files}'"
    )
