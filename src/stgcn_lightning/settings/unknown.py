"""Keys that nothing would use, refused with the nearest names, wherever they come from.

Arguments of classes stay open (trainer, logger, callbacks, and what is the user's own: a backbone,
a stream, a source), and so do keys that begin with an underscore.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from stgcn_lightning.errors import BadInput, nearest
from stgcn_lightning.models.registry import OURS
from stgcn_lightning.settings import fields
from stgcn_lightning.settings.backbones import BACKBONE_OPTIONS
from stgcn_lightning.settings.groups import Model
from stgcn_lightning.terminal import shown_value

SWEEP = ("devices_per_job",)
SIZES = (  # arguments of sources.synthetic.synthetic_annotations
    "train_samples", "val_samples", "seed", "train_subjects", "val_subjects", "min_frames",
    "max_frames", "noise",
)  # fmt: skip


def refuse_unknown(
    classes: Iterable[type], plain: Mapping[str, Any], besides: Collection[str]
) -> None:
    """Refuse the keys of a configuration that no door knows.

    Args:
        classes: dataclasses whose fields are the keys of the door.
        plain: its configuration.
        besides: further keys of the highest level that are known.

    Raises:
        BadInput: with the nearest names.
    """
    for cls in classes:
        fields.refuse_unknown(cls, plain, besides=besides)
    benchmark = plain.get("benchmark")
    sizes = benchmark.get("synthetic") if isinstance(benchmark, Mapping) else None
    refuse_others("sweep", plain.get("sweep"), SWEEP)
    refuse_others("benchmark.synthetic", sizes, SIZES)
    model = plain.get("model")
    if isinstance(model, Mapping) and model.get("name") in OURS and "_target_" not in model:
        own = [one.key or name for name, one in fields.statements(Model).items() if not one.rest]
        refuse_others("model", model, [*own, *BACKBONE_OPTIONS])


def refuse_others(group: str, keys: object, known: Collection[str]) -> None:
    """Refuse keys of a group that are not among those that are `known`.

    Raises:
        BadInput: with the nearest names.
    """
    for key, value in keys.items() if isinstance(keys, Mapping) else ():
        if key not in known and not str(key).startswith("_"):
            near = nearest(f"{group}.{key}", [f"{group}.{one}" for one in known])
            raise BadInput(f"there is no key {group}.{key} ({shown_value(value)}): {near}")
