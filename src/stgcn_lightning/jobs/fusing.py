"""Fusing the scores of several streams."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from stgcn_lightning.data.checks import split_ids
from stgcn_lightning.data.names import STREAMS
from stgcn_lightning.errors import BadInput
from stgcn_lightning.evaluation.figures import figures_of
from stgcn_lightning.evaluation.fusion import PRESETS, fuse, learned_weights, refuse_tuning_on
from stgcn_lightning.evaluation.intervals import compare, top1_interval
from stgcn_lightning.evaluation.matching import labelled_alike
from stgcn_lightning.evaluation.reproduction import Row
from stgcn_lightning.evaluation.scores import NoLabels, Scores, read_scores, write_scores
from stgcn_lightning.jobs.answers import print_classes
from stgcn_lightning.jobs.figures import scores_path, write_figures
from stgcn_lightning.settings.doors import FuseSettings
from stgcn_lightning.settings.fields import path_of
from stgcn_lightning.settings.frozen import thawed
from stgcn_lightning.sources.mmaction2 import read_annotations
from stgcn_lightning.terminal import console, shown


def fuse_scores(settings: FuseSettings) -> None:
    """Fuse the scores of several streams, write them and print each stream beside the fusion.

    Raises:
        BadInput: score files, annotations or weights are missing or cannot be used, the streams do
            not fit each other, or the scores cannot be written there.
    """
    if settings.split is not None and settings.annotations is None:
        raise BadInput(f"split={settings.split} is one of annotations: add annotations=FILE")
    paths = files_of("streams", settings.streams, "fuse")
    weights = stated_weights(settings, paths)
    inputs = [path_of(name, path) for name, path in paths.items()]
    out = scores_path(settings.scores, settings.run_dir, *inputs)
    streams = labelled_alike(read_streams(settings, paths))
    if weights is None:
        weights = learn_weights(settings, streams)
    fused = fuse(streams, weights)
    if fused.ids is None:
        fused = replace(fused, ids=np.array([str(i) for i in range(len(fused.labels))]))
    write_scores(out, fused)
    write_figures(out, fused, figures_of(fused))
    if not fused.labelled:
        console.print("the samples have no labels: their classes instead of accuracies")
        print_classes(fused)
        console.print(f"scores: {shown(out)}")
        return

    rows, fusion = list[Row](), settings.preset or "fused"
    table = Table()
    for column in ("", "weight", "top-1", "95 % interval", "top-5", "mean class"):
        table.add_column(column, justify="right" if column else "left")
    for name, scores in [*streams.items(), ("fused", fused)]:
        interval = top1_interval(scores)
        rows.append(Row(fusion if name == "fused" else name, (interval.top1,), interval, None))
        figures = figures_of(scores)
        table.add_row(
            name,
            "" if name == "fused" else f"{weights[name]:.3g}",
            f"{100 * interval.top1:.2f}",
            f"{100 * interval.low:.2f} - {100 * interval.high:.2f}",
            f"{100 * figures['top5']:.2f}",
            f"{100 * figures['mean_class_accuracy']:.2f}",
            style="bold" if name == "fused" else None,
        )
    console.print(table)
    console.print(against_best_stream(fused, streams))
    console.print(f"scores: {shown(out)}")
    if settings.logger:
        show_fusion(settings, rows, weights, streams, fused)


def show_fusion(
    settings: FuseSettings,
    rows: list[Row],
    weights: Mapping[str, float],
    streams: Mapping[str, Scores],
    fused: Scores,
) -> None:
    """Show a fusion, the last of the `rows`, on the dashboards beside the runs that it is of."""
    # it imports Lightning, which takes longer than a fusion
    from stgcn_lightning.jobs.watching import dashboards_of, runs_of, watching

    group, linked = fused.meta.get("benchmark", "fusion"), runs_of(streams)
    name = f"{group}_{rows[-1].name}"
    facts: dict[str, Any] = {"weights": weights, "streams": linked}
    with watching(settings, "fuse", group=group, name=name, **facts) as loggers:
        for dashboard in dashboards_of(loggers):
            dashboard.show_fusion(rows, linked)


def files_of(key: str, value: Any, purpose: str) -> dict[str, str]:
    """The score files that `value`, that of `key`, names.

    Raises:
        BadInput: it is no table of names and files, names one file twice, or names a folder.
    """
    paths = thawed(value)
    named = isinstance(paths, dict) and all(isinstance(path, str) for path in paths.values())
    if not named or not paths:
        raise BadInput(f"say what to {purpose}: {key}='{{joint: a.npz, bone: b.npz}}'")
    seen: dict[Path, str] = {}
    for name, path in paths.items():
        file = path_of(f"{key}.{name}", path)
        if (first := seen.setdefault(file.resolve(), name)) != name:
            raise BadInput(f"{first} and {name} are one file, {path}: name each file once")
        if file.is_dir():
            inside = file / "scores.npz"
            remedy = f"{name}: {inside}" if inside.is_file() else "the scores.npz of a test"
            raise BadInput(f"{name}={path} is a folder: give a file, {remedy}")
    return paths


def read_streams(settings: FuseSettings, paths: dict[str, str]) -> dict[str, Scores]:
    """The scores in these files.

    Raises:
        BadInput: a file cannot be used or holds the scores of another stream, or `apply_softmax` is
            none of what it may be.
    """
    logits = thawed(settings.apply_softmax)
    if isinstance(logits, bool):
        logits = list(paths) if logits else []
    if not isinstance(logits, list) or not set(logits) <= set(paths):
        raise BadInput(
            f"apply_softmax={thawed(settings.apply_softmax)} is neither true nor false nor some of "
            f"the streams {', '.join(paths)}"
        )
    streams = read_files(settings, paths, logits)
    for name, scores in streams.items():
        if name in STREAMS and scores.meta.get("stream", name) != name:
            raise BadInput(
                f"{name}={paths[name]} holds scores of the stream {scores.meta['stream']}: call it "
                "by that name"
            )
        if scores.ids is None:
            console.print(f"{name}: {paths[name]} holds no ids, samples are joined by order")
    return streams


def read_files(
    settings: FuseSettings, paths: dict[str, str], logits: list[str]
) -> dict[str, Scores]:
    """The scores in these files; those without labels have them from one that has.

    Raises:
        BadInput: one of them, or the annotations, cannot be used, or nothing says the true classes.
    """
    found: dict[str, Scores] = {}
    unlabelled: dict[str, NoLabels] = {}
    for name, path in paths.items():
        try:
            found[name] = read_scores(path_of(name, path), apply_softmax=name in logits)
        except NoLabels as error:
            unlabelled[name] = error
        except BadInput as error:
            raise BadInput(f"{name}: {error}") from None
    if not unlabelled:
        if settings.annotations is not None:
            console.print("the score files say the true classes: annotations are not needed")
        return found
    givers = found if settings.annotations is None else {"the annotations": truth_of(settings)}
    if not givers:
        raise BadInput(
            f"none of {', '.join(paths.values())} says the true classes: add annotations=FILE "
            "split=NAME, or a file of the same samples that says them, such as the scores.npz of "
            "the test door"
        )
    giver = next((one for one in givers if givers[one].ids is not None), next(iter(givers)))
    beside = givers[giver]
    for name, error in unlabelled.items():
        path = path_of(name, paths[name])
        found[name] = read_scores(path, apply_softmax=name in logits, beside=beside)
        how = "by id" if error.lacks == "labels" and beside.ids is not None else "by their order"
        if error.numbered:
            how = "by its numbers"
        console.print(f"{name}: {paths[name]} has no {error.lacks}: taken from {giver}, {how}")
    return {name: found[name] for name in paths}


def truth_of(settings: FuseSettings) -> Scores:
    """Samples of a split of annotations in test order, and their classes; no scores.

    Raises:
        BadInput: the annotations cannot be read, or `split` names none of theirs.
    """
    annotations = read_annotations(path_of("annotations", settings.annotations))
    if settings.split is None:
        raise BadInput(f"say which split was tested: split={', '.join(annotations.splits)}")
    ids = split_ids(annotations, str(settings.split))
    labels = {sample.id: sample.label for sample in annotations.samples}
    truth = np.array([labels[id] for id in ids], np.int64)
    return Scores(np.array(ids), truth, np.zeros((len(ids), 0), np.float32), np.array([], np.str_))


def stated_weights(settings: FuseSettings, paths: dict[str, str]) -> dict[str, float] | None:
    """What `preset` or `weights` say, equal ones if neither does; None: they are to be learned.

    Raises:
        BadInput: they cannot be used, or `tuning` is given though nothing is to be learned.
    """
    if settings.tuning is not None and settings.weights != "learned":
        raise BadInput("tuning scores serve weights=learned alone: add it, or leave out tuning")
    if settings.weights == "learned" and settings.preset is None:
        return None
    return weights_of(settings.preset, settings.weights, paths, ", or weights=learned")


def weights_of(
    preset: Any, stated: Any, streams: Collection[str], otherwise: str = ""
) -> dict[str, float]:
    """The weight of each stream by `preset` or `weights`; equal ones if neither is given.

    Args:
        preset: what the user gave as preset, or None.
        stated: what the user gave as weights, or None.
        streams: their names.
        otherwise: what weights may be besides numbers, for a sentence.

    Raises:
        BadInput: both are given, or one is none of what it may be.
    """
    weights = thawed(stated)
    if preset is not None and weights is not None:
        raise BadInput(f"preset={preset} already means weights: give one of the two")
    if preset is not None:
        if preset not in PRESETS:
            raise BadInput(f"preset={preset} is none of {', '.join(PRESETS)}")
        absent = [name for name in PRESETS[preset] if name not in streams]
        foreign = [name for name in streams if name not in PRESETS[preset]]
        remedies = [f"add {', '.join(absent)} by name"] * bool(absent)
        remedies += [f"leave out {', '.join(foreign)}"] * bool(foreign)
        if remedies:
            raise BadInput(
                f"preset={preset} is for the streams {', '.join(PRESETS[preset])}: "
                f"{' and '.join(remedies)}, or give weights='{{NAME: WEIGHT, ...}}'"
            )
        return PRESETS[preset]
    if weights is None:
        return dict.fromkeys(streams, 1.0)
    if not isinstance(weights, dict) or not all(
        isinstance(weight, int | float) and not isinstance(weight, bool)
        for weight in weights.values()
    ):
        raise BadInput(
            f"weights={weights} are no weights: weights='{{joint: 2, bone: 1}}'{otherwise}"
        )
    return weights


def learn_weights(settings: FuseSettings, streams: dict[str, Scores]) -> dict[str, float]:
    """Weights for `streams` from the scores of held-out training samples in `tuning`.

    Raises:
        BadInput: `tuning` is missing, of other streams or unreadable, or not of samples that the
            same checkpoints were trained without.
    """
    paths = files_of("tuning", settings.tuning, "learn the weights on")
    if set(paths) != set(streams):
        raise BadInput(f"tuning is given for {', '.join(paths)}, streams for {', '.join(streams)}")
    tuning = read_streams(settings, {name: paths[name] for name in streams})
    refuse_tuning_on(streams, tuning)
    samples = len(next(iter(tuning.values())).labels)
    console.print(f"weights learned on {samples} held-out training samples")
    return learned_weights(tuning)


def against_best_stream(fused: Scores, streams: dict[str, Scores]) -> str:
    """One line: is the fusion really better than its best stream?"""
    best = max(streams, key=lambda name: top1_interval(streams[name]).top1)
    ours = fused if streams[best].ids is not None else replace(fused, ids=None)
    gained, lost, p = compare(ours, streams[best])
    if p >= 0.05:
        verdict = "not distinguishable from"
    else:
        verdict = "better than" if gained > lost else "worse than"
    return (
        f"the fusion is {verdict} its best stream, {best}: {gained} samples right only when fused, "
        f"{lost} only in {best} (exact McNemar test, p = {p:.2g})"
    )
