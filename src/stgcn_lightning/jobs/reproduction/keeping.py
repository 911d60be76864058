"""The settings of a reproduction, kept in its folder: it cannot be continued with other ones."""

import json
from pathlib import Path
from typing import Any

from stgcn_lightning.errors import BadInput
from stgcn_lightning.files.reading import sha256
from stgcn_lightning.files.writing import write_atomically
from stgcn_lightning.settings.doors import ReproduceSettings
from stgcn_lightning.settings.fields import path_of
from stgcn_lightning.settings.frozen import thawed
from stgcn_lightning.terminal import shown

ELSEWHERE = ("workers", "store_dir")  # of `data`: they change no figure


def settings_that_count(
    settings: ReproduceSettings, checkpoints: dict[str, Path | None]
) -> dict[str, Any]:
    """Everything that a figure depends on, but for the seed."""
    given = settings.benchmark.annotations
    annotations = path_of("benchmark.annotations", given) if given else Path()
    groups = ("benchmark", "skeleton", "data", "model", "recipe")
    kept = {name: thawed(settings.composed[name]) for name in groups}
    kept["data"] = {key: v for key, v in kept["data"].items() if key not in ELSEWHERE}
    return kept | {
        "precision": settings.trainer.precision,
        "annotations": annotations.is_file() and sha256(annotations),
        "checkpoints": {
            stream: file and sha256(file) for stream, file in checkpoints.items() if file
        },
    }


def keep_settings(file: Path, settings: dict[str, Any]) -> None:
    """Write the settings down; refuse to continue what was begun with other settings.

    Raises:
        BadInput: it was begun with others, or the file of these is damaged.
    """
    text = json.dumps(settings, indent=2, default=str)
    done = [*file.parent.glob("*/seed_*/scores.npz"), *file.parent.glob("*/seed_*/*/*.ckpt")]
    if not file.exists() or not done:
        with write_atomically(file) as out:
            out.write(text.encode())
        return
    try:
        before, now = flat(json.loads(file.read_text())), flat(json.loads(text))
    except ValueError as error:
        raise BadInput(
            f"{shown(file)} is damaged: delete it if the settings are those it was begun with, or "
            "start anew with hydra.run.dir=NEW"
        ) from error
    differing = sorted(key for key in before | now if before.get(key) != now.get(key))
    if differing:
        key = differing[0]
        raise BadInput(
            f"{shown(file.parent)} was begun with {key}={before.get(key)}, not {now.get(key)}: go "
            "on with the same settings, or start anew with hydra.run.dir=NEW"
        )


def flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as one level with dotted keys."""
    found: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[prefix + key] = value
    return found
