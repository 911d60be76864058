"""Print docs/keys.md: every key of every door, as the fields of the settings document it.

python scripts/keys.py > docs/keys.md
"""

from collections.abc import Iterable, Iterator
from typing import Any

from omegaconf import DictConfig, OmegaConf

from stgcn_lightning.launching.composing import CONF, composed
from stgcn_lightning.settings.compose import keys_of
from stgcn_lightning.settings.doors import DOORS
from stgcn_lightning.settings.fields import Row
from stgcn_lightning.settings.trainer import OPEN, REFUSED, SPOILING
from stgcn_lightning.terminal import shown_value

HEAD = """# All keys

`key=value` on the command line of a door sets a key; `--help` and `--cfg job` print a door's keys
with their values. This page is made by `python scripts/keys.py` from the fields of `settings/`.
Defaults are those without `experiment=`; another choice of a group sets other values.
What is not given is taken by `test`, and where it says `???` by `export`, from the checkpoint
([data.md](data.md#the-card-leads)).
"""
FOOT = """## Sweeps and run directories

| key | meaning |
|---|---|
| `sweep.devices_per_job` | with `-m`: devices of each job, and as many jobs at a time as fit; null: one job after the other |
| `hydra.run.dir` | run directory |
| `hydra.sweep.dir`, `hydra.sweep.subdir` | folder of a sweep, and in it the run directory of each job |
| `hydra.job.chdir` | changes nothing: relative paths belong to the folder in which the command was given |
| `hydra/launcher` | what runs the jobs of a sweep: `processes`, `submitit_slurm`, `submitit_local` ([sweeps.md](sweeps.md)) |
"""  # noqa: E501
GROUPS = (
    "experiment", "benchmark", "stream", "skeleton", "data", "model", "recipe", "trainer", "logger",
    "callbacks",
)  # fmt: skip
SHARED = ("train", "test", "prepare", "reproduce")
OBJECTS = ("trainer", "callbacks", "logger")  # groups whose keys are arguments of classes
EMPTY = '""'
LONGEST = 60  # letters of a default


def main() -> None:
    """Print the page."""
    rows = {door: keys_of(door, composed(door)) for door in DOORS}
    everywhere = set.intersection(*({row.key for row in rows[door]} for door in SHARED))
    common = [row for row in rows["train"] if row.key in everywhere]
    parts = [HEAD, groups(), f"## {', '.join(SHARED)}\n\n{table(common)}"]
    for door in DOORS:
        own = [row for row in rows[door] if door not in SHARED or row.key not in everywhere]
        if own:
            also = " (besides the keys above)" if door in SHARED else ""
            parts.append(f"## {door}{also}\n\n{table(own)}")
    for file in sorted((CONF / "model").glob("[!_]*.yaml")):
        known = {row.key for row in rows["train"]}
        own = [
            row
            for row in keys_of("train", composed("train", f"model={file.stem}"))
            if row.key not in known
        ]
        if own:
            parts.append(f"## model={file.stem}, wherever it is trained\n\n{table(own)}")
    print("\n".join([*parts, objects(), FOOT]), end="")


def groups() -> str:
    """The groups and the names that each of them has."""
    common = OmegaConf.load(CONF / "_common.yaml")
    assert isinstance(common, DictConfig)
    entries = [entry for entry in common.defaults if isinstance(entry, DictConfig)]
    chosen = {key: name for entry in entries for key, name in entry.items()}
    lines = ["## Groups: NAME=FILE\n", "| group | names | default |", "|---|---|---|"]
    for group in GROUPS:
        names = sorted(file.stem for file in (CONF / group).glob("[!_]*.yaml"))
        text = ", ".join(names) if len(names) < 20 else f"{len(names)}, in conf/{group}"
        default = "csv" if group == "logger" else chosen.get(group) or ""
        lines.append(f"| `{group}` | {text} | {default} |")
    return "\n".join(lines) + "\n"


def table(rows: Iterable[Row]) -> str:
    """Rows as Markdown."""
    lines = ["| key | meaning | values | default |", "|---|---|---|---|"]
    for row in rows:
        meaning = f"{row.meaning}, in {row.unit}" if row.unit == "seconds" else row.meaning
        lines.append(f"| `{row.key}` | {cell(meaning)} | {cell(row.allowed)} | {default(row)} |")
    return "\n".join(lines) + "\n"


def objects() -> str:
    """The keys below those that name classes, with their values."""
    cfg: Any = OmegaConf.to_container(
        composed("train", "logger=[csv,wandb,tensorboard]", "trainer=ddp")
    )
    lines = [
        f"## {', '.join(OBJECTS)}: arguments of classes\n",
        "The documentation of the class that `_target_` names explains the other arguments.",
        "Defaults are those of `trainer=ddp` and `logger=[csv,wandb,tensorboard]`.\n",
        "A key that is not below is added with a plus sign: `+trainer.detect_anomaly=true`,",
        "`+callbacks.use._target_=lightning.pytorch.callbacks.DeviceStatsMonitor`, and likewise",
        "the options of a stream, model or source of your own. Everywhere else an unknown key is",
        "refused, in a YAML file of yours, too; a name that begins with an underscore is yours.\n",
        "| key | default |",
        "|---|---|",
    ]
    for group in OBJECTS:
        lines += [
            f"| `{key}` | `{cell(shown_value(value) or EMPTY)}` |"
            for key, value in flat(cfg[group], group)
        ]
    open_ones = ", ".join(f"`{name}`" for name in sorted(OPEN))
    lines += [f"\nOf Lightning's trainer these arguments are open: {open_ones}. The others:\n"]
    lines += ["| not taken | instead |", "|---|---|"]
    lines += [f"| `trainer.{name}` | {cell(remedy)} |" for name, remedy in REFUSED.items()]
    lines += [f"| callback `{name}` | {cell(remedy)} |" for name, remedy in SPOILING.items()]
    return "\n".join(lines) + "\n"


def flat(tree: dict[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    """Dotted keys and values of nested dictionaries."""
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}.{key}")
        else:
            yield f"{prefix}.{key}", value


def default(row: Row) -> str:
    """The default as code; empty where it is a group of keys or too long."""
    fits = len(row.default) <= LONGEST and not row.default.startswith("{")
    return f"`{cell(row.default)}`" if fits else ""


def cell(text: str) -> str:
    """Text that does not end a cell of a table."""
    return text.replace("|", "\\|")


if __name__ == "__main__":
    main()
