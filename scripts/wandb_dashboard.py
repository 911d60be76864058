"""Builds a W&B report that compares the runs of a grid: streams, fusions, published figures.

    pip install "stgcn_lightning[wandb]"
    python scripts/wandb_dashboard.py --entity TEAM --project stgcn_lightning

It reads what `train`, `test`, `fuse` and `reproduce` logged to W&B (logger=[csv,wandb]) and prints
the address of the report. With --update ADDRESS it updates that report.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterable, Mapping
from statistics import mean, stdev
from typing import Any

import wandb
import wandb_workspaces.reports.v2.interface as wr
from wandb.errors import UsageError

from stgcn_lightning.data.names import STREAMS
from stgcn_lightning.evaluation.fusion import PRESETS
from stgcn_lightning.evaluation.published import published_top1

# the 16 cells that MMAction2 publishes are the four streams of these
GRID = ("ntu60_xsub_2d", "ntu60_xsub_3d", "ntu120_xsub_2d", "ntu120_xsub_3d")
TITLE = "ST-GCN beside the published figures"
ROWS = (*STREAMS, *PRESETS)
CURVES = ("val/top1", "train/loss", "val/loss", "lr", "train/clips_per_second", "train/data_wait")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--entity", help="a team or user; default: that of the account")
    parser.add_argument("--project", default="stgcn_lightning")
    parser.add_argument("--benchmarks", nargs="+", default=GRID, metavar="NAME")
    parser.add_argument("--model", default="stgcn", help="its figures are shown: stgcn, stgcnpp")
    parser.add_argument("--update", metavar="ADDRESS", help="address of a report to be updated")
    asked = parser.parse_args()
    try:
        api = wandb.Api()
    except UsageError as error:
        parser.error(f"no W&B account is set up ({error}): set WANDB_API_KEY, or run wandb login")
    entity = str(asked.entity or api.default_entity)
    runs = api.runs(f"{entity}/{asked.project}", {"state": "finished"}, lazy=False)
    found = accuracies(runs)
    report: Any = (
        wr.Report.from_url(asked.update)
        if asked.update
        else wr.Report(title=TITLE, project=asked.project, entity=entity)
    )
    report.description = "Top-1 on the evaluation split, 10 clips per sample."
    report.blocks = blocks(asked.benchmarks, asked.model, found, entity, asked.project)
    report.save()
    print(report.url)


def accuracies(runs: Iterable[Any]) -> dict[tuple[str, str], dict[str, float]]:
    """(benchmark, stream or fusion) -> training run -> test top-1, in [0, 1].

    Tests of a part of the evaluation split, or of another split, do not count.
    """
    found: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)
    for run in runs:
        summary: Mapping[str, Any] = run.summary_metrics
        if run.config.get("split") or run.config.get("debug") == "fast":
            continue
        trained_by = run.config.get("trained_by") or {"id": run.id}
        if run.job_type == "fuse":
            tested = {name: f"{name}/top1" for name in PRESETS}
        else:
            tested = {run.config["stream"]["name"]: "test/top1"}
        for name, key in tested.items():
            if key in summary:
                found[run.group, name][trained_by["id"]] = summary[key]
    return found


def blocks(
    benchmarks: Iterable[str],
    model: str,
    found: Mapping[tuple[str, str], Mapping[str, float]],
    entity: str,
    project: str,
) -> list[Any]:
    """The report: one table of everything, then curves and bars of each benchmark."""
    table = [
        "| benchmark | | top-1 | runs | published | difference |",
        "|---|---|---:|---:|---:|---:|",
        *(
            row(benchmark, name, model, [*found.get((benchmark, name), {}).values()])
            for benchmark in benchmarks
            for name in ROWS
            if (benchmark, name) in found or published_top1(model, benchmark, name)
        ),
    ]
    made: list[Any] = [
        wr.H1("Top-1 in %, and the published one"),
        wr.MarkdownBlock("\n".join(table)),
    ]
    for benchmark in benchmarks:
        group = f"Metric('Group') == '{benchmark}'"
        streams = wr.Runset(
            entity=entity,
            project=project,
            name="streams",
            filters=f"{group} and Metric('JobType') in ['train', 'test']",
            groupby=["config.stream.name"],
        )
        fused = wr.Runset(
            entity=entity,
            project=project,
            name="fused",
            filters=f"{group} and Metric('JobType') == 'fuse'",
        )
        made += [
            wr.H1(benchmark),
            wr.PanelGrid(
                runsets=[streams],
                panels=[
                    wr.BarPlot(title="test top-1", metrics=["test/top1"]),
                    *(wr.LinePlot(x="trainer/global_step", y=[key], title=key) for key in CURVES),
                ],
            ),
            wr.PanelGrid(
                runsets=[fused],
                panels=[
                    wr.BarPlot(title="fused top-1", metrics=[f"{name}/top1" for name in PRESETS])
                ],
            ),
        ]
    return made


def row(benchmark: str, name: str, model: str, ours: list[float]) -> str:
    """A line of the table; mean and standard deviation where several runs were tested."""
    published = published_top1(model, benchmark, name)
    cells = ["", "0", "" if published is None else f"{published.top1:.2f}", ""]
    if ours:
        cells[0] = f"{100 * mean(ours):.2f}"
        if len(ours) > 1:
            cells[0] += f" ± {100 * stdev(ours):.2f}"
        cells[1] = str(len(ours))
        if published is not None:
            cells[3] = f"{100 * mean(ours) - published.top1:+.2f}"
    return f"| {benchmark} | {name} | {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
