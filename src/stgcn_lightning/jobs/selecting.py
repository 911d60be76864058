"""What each way of choosing a checkpoint gives, where training subjects are held out to choose."""

from collections.abc import Mapping

from rich.table import Table

from stgcn_lightning.checkpoints.weights import load, read_weights
from stgcn_lightning.jobs.building import Built
from stgcn_lightning.jobs.testing import answers_of
from stgcn_lightning.report.pages import Figure
from stgcn_lightning.terminal import console

SELECTED_BY = {  # checkpoint -> what chose it, where subjects are held out
    "last": "nothing: the last epoch",
    "best_on_val": "the test split itself (optimistic)",
    "best": "held-out training subjects (honest)",
}


def selected_otherwise(built: Built) -> dict[str, float]:
    """Test accuracy of the checkpoints that held-out subjects did not select."""
    figures: dict[str, float] = {}
    for name in SELECTED_BY:
        if name != "best":
            checkpoint = built.run.folder / "checkpoints" / f"{name}.ckpt"
            load(built.model, read_weights(checkpoint)[0], checkpoint)
            figures[name] = answers_of(built, checkpoint).figures["top1"]
    return figures


def headline_rows(figures: Mapping[str, float]) -> list[Figure]:
    """The same accuracies as rows of a report."""
    return [
        Figure(f"top-1, selected by {SELECTED_BY[name]}", f"{100 * top1:.2f} %")
        for name, top1 in figures.items()
    ]


def print_selections(figures: Mapping[str, float], clips: int) -> None:
    """Set side by side what each way of choosing a checkpoint gives, tested with `clips`."""
    table = Table(title=f"which epoch to report, {clips} clips")
    table.add_column("selected by")
    table.add_column("top-1", justify="right")
    for name, title in SELECTED_BY.items():
        table.add_row(title, f"{100 * figures[name]:.2f}")
    console.print(table)
