"""What the package ships besides code: the configuration, and the skeletons in it."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stgcn_lightning.errors import BadInput, brief, nearest
from stgcn_lightning.skeleton import Skeleton

PACKAGE = Path(__file__).parent
MOST_LETTERS = 1 << 19  # of a file, which YAML takes a second to read; the largest of ours has 1e4
# the wheel carries conf/ inside the package, a checkout has it at its top
CONF = PACKAGE / "conf" if (PACKAGE / "conf").exists() else PACKAGE.parents[1] / "conf"


def skeleton_named(name: str) -> Skeleton:
    """A skeleton of conf/skeleton.

    Raises:
        BadInput: there is none of this name.

    Example:
        >>> skeleton_named("coco17").num_joints
        17
    """
    import yaml

    known = sorted(file.stem for file in (CONF / "skeleton").glob("*.yaml"))
    if name not in known:
        raise BadInput(f"there is no skeleton {name}: {nearest(name, known)}")
    return Skeleton.from_dict(yaml.safe_load((CONF / "skeleton" / f"{name}.yaml").read_text()))


def skeletons(conf: Path = CONF) -> list[Skeleton]:
    """All skeletons of a folder of configuration, by their names; of conf/skeleton, unless given.

    Raises:
        BadInput: one of them is damaged.
    """
    return [Skeleton.from_dict(_table(file)) for file in sorted((conf / "skeleton").glob("*.yaml"))]


@dataclass(frozen=True)
class BenchmarkTable:
    """What a file of a group `benchmark` says, read without composing a configuration.

    Attributes:
        skeleton: name of the skeleton that it chooses.
        classes: their names.
        synthetic: it makes its own annotations.
        file: name of the published annotations; empty where there are none.
    """

    name: str
    skeleton: str
    dimension: str
    normalise: str
    train_split: str
    val_split: str | None
    classes: list[str]
    synthetic: bool
    file: str

    @property
    def usual_splits(self) -> bool:
        """Whether its splits are called as those of many data sets."""
        return {self.train_split, self.val_split} <= {"train", "val", "test"}


def benchmark_tables(conf: Path = CONF) -> list[BenchmarkTable]:
    """All benchmarks of a folder of configuration, by their names; the shipped ones, unless given.

    Raises:
        BadInput: one of them is damaged.
    """
    return [_benchmark(file) for file in sorted((conf / "benchmark").glob("[!_]*.yaml"))]


def _benchmark(file: Path) -> BenchmarkTable:
    table = _table(file)
    try:
        first = list(table.get("defaults", []))
        chosen = [one for one in first if isinstance(one, dict)]
        skeleton = next((v for one in chosen for k, v in one.items() if "skeleton" in str(k)), "")
        named = [one for one in first if isinstance(one, str) and one != "_self_"]
        for shared in dict.fromkeys(named):  # each is read once
            if "/" in shared:  # a file of another folder
                raise ValueError(f"its defaults name {shared}")
            table = _table(file.with_name(f"{shared}.yaml")) | table
        classes = table["classes"]
        if isinstance(classes, str):  # ${first:60,${._ntu_classes}}
            some = re.search(r"first:(\d+)", classes)
            classes = table["_ntu_classes"][: int(some[1]) if some else None]
        return BenchmarkTable(
            *(_text(table["name"]), _text(skeleton)),
            *(_text(table["dimension"]), _text(table["normalise"])),
            _text(table["train_split"]),
            None if table["val_split"] is None else _text(table["val_split"]),
            [_text(name) for name in classes],
            bool(table.get("synthetic")),
            _text(table.get("download", "")).rsplit("/", 1)[-1],
        )
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, BadInput):
            raise
        raise BadInput(f"{file} is no benchmark ({error}): make it again") from None


def _text(value: Any) -> str:
    """Text as YAML reads it, also of a number; aliases can make a list larger than any memory."""
    if isinstance(value, list | dict | set):
        raise TypeError(f"it has {brief(value)} where a text belongs")
    return str(value)


def _table(file: Path) -> dict[str, Any]:
    import yaml

    try:
        with file.open(encoding="utf-8") as opened:
            text = opened.read(MOST_LETTERS + 1)
        if len(text) > MOST_LETTERS:
            raise ValueError(f"it has more than {MOST_LETTERS:,} letters")
        found = yaml.safe_load(text)
        if not isinstance(found, dict):
            raise ValueError("it is no table")
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        said = " ".join(str(error).split())
        raise BadInput(f"{file} cannot be read ({said}): correct it") from None
    return found
