"""The folder that `prepare data=FOLDER` writes: annotations, and configuration that trains on them.

OUT/annotations.pkl, OUT/benchmark/NAME.yaml, OUT/experiment/NAME.yaml, OUT/skeleton/NAME.yaml for a
skeleton that does not ship, and OUT/prepared.json: of what it was made. A file that its user has
changed is kept.
"""

import hashlib
import json
import math
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from stgcn_lightning.errors import BadInput
from stgcn_lightning.files.writing import write_atomically
from stgcn_lightning.settings.doors import PrepareSettings
from stgcn_lightning.settings.fields import path_of
from stgcn_lightning.settings.frozen import thawed
from stgcn_lightning.shipped import CONF
from stgcn_lightning.sources.annotations import Annotations, Sample
from stgcn_lightning.sources.mmaction2 import write_annotations
from stgcn_lightning.terminal import console, shown

RECORD = "prepared.json"
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
FEW, SOME = 200, 1000  # recordings to train on, below which a model is narrow
CLIPS = 1200  # to learn from at least, measured on 32 recordings (docs/own_data.md)
PASSES = (20, 80)  # through the recordings, at least and at most; the reference has 80
EPOCHS = 5


def chosen_name(path: Path, given: str | None) -> str:
    """The name of a benchmark: the user's, or that of the folder or table, cleaned.

    Raises:
        BadInput: it cannot be one, or a benchmark that ships has it.
    """
    if given is not None and not NAME.fullmatch(given):
        raise BadInput(f"name={given} must be letters, digits and _, and begin with no digit")
    plain = unicodedata.normalize("NFKD", path.resolve().stem).encode("ascii", "ignore").decode()
    name = given or re.sub(r"\W+", "_", plain).strip("_").lower()
    name = f"data_{name}".rstrip("_") if not NAME.fullmatch(name) else name
    for group, one in (("benchmark", "a benchmark"), ("experiment", "an experiment")):
        if (CONF / group / f"{name}.yaml").exists():
            raise BadInput(
                f"the name {name} is taken by {one} that ships: choose another, name=NAME"
            )
    return name


@dataclass(frozen=True)
class OwnFiles:
    """The files of one benchmark of the user's own.

    Attributes:
        source: folder or table that it is made of.
        out: folder that they are written to.
        name: of the benchmark.
        written: file below `out` -> SHA-256 of what was written there before.
    """

    source: Path
    out: Path
    name: str
    written: dict[str, str]

    @classmethod
    def claimed(cls, source: Path, out: Any, name: str) -> "OwnFiles":
        """The files in `out`, which is new, or was made of `source` before.

        Args:
            source: folder or table of recordings.
            out: folder; None is ``prepared/NAME``.
            name: of the benchmark.

        Raises:
            BadInput: the folder holds something else.
        """
        folder = Path("prepared") / name if out is None else path_of("out", out)
        try:
            record = json.loads((folder / RECORD).read_text())
            made_of, before = str(record["made_of"]), dict(record["written"])
        except (OSError, ValueError, KeyError, TypeError):
            made_of, before = "", {}
            if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
                raise BadInput(
                    f"{shown(folder)} holds something else: choose a new folder, out=FOLDER"
                ) from None
        if made_of and made_of != str(source.resolve()):
            raise BadInput(
                f"{shown(folder)} was made of {made_of}: choose another folder, out=FOLDER, or "
                "remove it"
            )
        return cls(source, folder, name, before)

    @property
    def annotations(self) -> Path:
        """Where the annotations are."""
        return self.out / "annotations.pkl"

    def command(self) -> str:
        """What trains on them."""
        folder = _quoted(self.out)
        return f"python -m stgcn_lightning.train --config-dir {folder} experiment={self.name}"

    def write(self, annotations: Annotations, settings: PrepareSettings) -> None:
        """Write all files.

        Args:
            annotations: of all recordings.
            settings: with the benchmark and the skeleton that were made.

        Raises:
            BadInput: they cannot be written.
        """
        try:
            for folder in ("benchmark", "experiment", "skeleton"):
                (self.out / folder).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadInput(
                f"cannot write {shown(self.out)}: {error.strerror}; choose another folder, "
                "out=FOLDER"
            ) from None
        self._record()  # a process that is stopped here may begin again
        write_annotations(self.annotations, annotations)
        skeleton, benchmark = settings.skeleton, settings.benchmark
        if not (CONF / "skeleton" / f"{skeleton.name}.yaml").exists():
            self._keep_or_write(f"skeleton/{skeleton.name}.yaml", "", skeleton.to_dict())
        trained = {*annotations.splits[benchmark.train_split]}
        train = [sample for sample in annotations.samples if sample.id in trained]
        self._keep_or_write(
            f"benchmark/{self.name}.yaml",
            f"# Made of {self.source} by `prepare`: {len(annotations.samples)} samples.",
            {
                "defaults": ["_self_", {"override /skeleton@_global_.skeleton": skeleton.name}],
                "name": self.name,
                "annotations": benchmark.annotations,
                "source": "mmaction2",
                "dimension": benchmark.dimension,
                "normalise": benchmark.normalise,
                "train_split": benchmark.train_split,
                "val_split": benchmark.val_split,
                "subject": benchmark.subject,
                "classes": thawed(benchmark.classes),
                "reading": thawed(benchmark.reading),
            },
        )
        self._keep_or_write(
            f"experiment/{self.name}.yaml",
            f"# @package _global_\n# A training on {len(train)} recordings: change what you like.\n"
            f"# {self.command()}",
            {"defaults": [{"override /benchmark": self.name}]} | _experiment(train, settings),
        )
        self._record()

    def _record(self) -> None:
        """Keep of what the folder is made, and what its user has not changed."""
        record = {"made_of": str(self.source.resolve()), "written": self.written}
        with write_atomically(self.out / RECORD) as file:
            file.write(json.dumps(record, indent=2).encode())

    def _keep_or_write(self, name: str, head: str, table: dict[str, Any]) -> None:
        """Write a YAML file, unless its user has changed it since."""
        path = self.out / name
        text = yaml.safe_dump(table, sort_keys=False, allow_unicode=True, default_flow_style=None)
        content = f"{head}\n{text}".lstrip().encode()
        if path.exists() and _digest(path.read_bytes()) != self.written.get(name):
            console.print(
                f"{shown(path)} was changed by hand and is kept: remove it to have it made"
            )
            return
        with write_atomically(path) as file:
            file.write(content)
        self.written[name] = _digest(content)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _quoted(path: Path) -> str:
    text = str(path)
    return text if re.fullmatch(r"[\w./~-]+", text) else "'" + text.replace("'", "'\\''") + "'"


def _experiment(train: list[Sample], settings: PrepareSettings) -> dict[str, Any]:
    """A training that suits the number and length of the recordings to train on.

    The shipped recipe is for thousands of recordings: of a few tens, its 80 passes are too few
    steps, and its width takes 16 times the time for nothing.
    """
    count = len(train)
    median = float(np.median([sample.keypoint.shape[1] for sample in train]))
    passes = min(max(CLIPS / count, PASSES[0]), PASSES[1])
    alone = all(sample.keypoint.shape[0] == 1 for sample in train)
    data = settings.data
    return {
        "data": {
            "clip_frames": int(min(max(median * 2 / 3, 16), 64)) if count < FEW else 100,
            "persons": 1 if alone else 2,
            "batch_size": 8 if count < FEW else 16,
            "store_dir": data.store_dir,
            "missing": data.missing,
            "on_bad_sample": data.on_bad_sample,
        },
        "model": {"base_channels": 16 if count < FEW else 32 if count < SOME else 64},
        "recipe": {
            "epochs": EPOCHS,
            "train_passes_per_epoch": math.ceil(passes / EPOCHS),
            "lr": 0.05 if count < FEW else 0.025,
        },
    }
