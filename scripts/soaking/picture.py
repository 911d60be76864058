"""The picture of a soak: what long-living processes hold over hours, and what rounds leave."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

COLOURS = {"training": "#2a6f97", "answers": "#c1666b", "soak": "#888888"}
NAMES = {
    "training": "a training",
    "answers": "a process that answers",
    "soak": "the soak itself",
}
LIVING = {"memory": ("memory, MB", 1e6), "files": ("open files", 1), "threads": ("threads", 1)}
ROUNDS = {
    "memory": ("memory of a command, MB", 1e6),
    "disk": ("disk of a round, MB", 1e6),
    "temporary": ("temporary files left", 1),
}


def draw(samples: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw samples of the processes, and those of rounds."""
    import matplotlib as mpl

    mpl.use("agg")
    import matplotlib.pyplot as plt
    from matplotlib.ticker import MaxNLocator

    figure, panels = plt.subplots(2, 3, figsize=(10, 5), layout="constrained")
    for panel, (what, (title, unit)) in zip(panels[0], LIVING.items(), strict=True):
        for who, colour in COLOURS.items():
            mine = [one for one in samples if one["who"] == who]
            hours = [one["hours"] for one in mine]
            values = [one[what] / unit for one in mine]
            panel.plot(hours, values, color=colour, linewidth=1, label=NAMES[who])
        panel.set(xlabel="hours", ylabel=title)
    panels[0, 0].legend(frameon=False, fontsize=8)
    rounds = [one for one in samples if one["who"] == "round"]
    for panel, (what, (title, unit)) in zip(panels[1], ROUNDS.items(), strict=True):
        numbers = [one["round"] for one in rounds]
        panel.plot(numbers, [one[what] / unit for one in rounds], "o-", color="#2a6f97", ms=3)
        panel.set(xlabel="round", ylabel=title, xlim=(-0.5, max(numbers, default=0) + 0.5))
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    for panel in panels.flat:
        panel.set_ylim(0, max(1, 1.15 * panel.get_ylim()[1]))
        panel.grid(color="#dddddd", linewidth=0.6)
        panel.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=200)
    plt.close(figure)
