"""Looking at any file or folder of this package's world: what it is, and what will hurt."""

import importlib
import json
from collections.abc import Callable

from stgcn_lightning.errors import BadInput
from stgcn_lightning.jobs.inspection.asked import Asked
from stgcn_lightning.jobs.inspection.inspected import Inspected
from stgcn_lightning.jobs.inspection.printing import print_inspected
from stgcn_lightning.jobs.inspection.recognising import kind_at
from stgcn_lightning.settings.doors import InspectSettings
from stgcn_lightning.settings.fields import path_of
from stgcn_lightning.sources.recordings import Reading
from stgcn_lightning.terminal import console, shown

# kind -> module:function, imported when such a thing is looked at: some take seconds to import
INSPECTORS = {
    "annotations": "stgcn_lightning.jobs.inspection.annotations:inspect",
    "recordings": "stgcn_lightning.jobs.inspection.recordings:inspect",
    "store": "stgcn_lightning.jobs.inspection.stores:inspect",
    "stores": "stgcn_lightning.jobs.inspection.stores:inspect_several",
    "checkpoint": "stgcn_lightning.jobs.inspection.checkpoints:inspect",
    "scores": "stgcn_lightning.jobs.inspection.scores:inspect",
    "run": "stgcn_lightning.jobs.inspection.runs:inspect",
    "sweep": "stgcn_lightning.jobs.inspection.runs:inspect_sweep",
    "onnx": "stgcn_lightning.jobs.inspection.models:inspect",
    "sidecar": "stgcn_lightning.jobs.inspection.models:inspect_sidecar",
}


def inspect(settings: InspectSettings) -> None:
    """Look at `source`, and say what was found as text, JSON or a page.

    Raises:
        BadInput: the source is not there, broken, or nothing that can be looked at.
    """
    found = inspected(settings)
    if settings.format == "json":
        print(json.dumps(found.plain(), indent=2))
        return
    print_inspected(found, console)


def inspected(settings: InspectSettings) -> Inspected:
    """What `source` is and holds."""
    if settings.source is None:
        raise BadInput("say what to look at: source=PATH, or skeleton=NAME to draw a skeleton")
    path = path_of("source", settings.source)
    if not path.exists():
        raise BadInput(f"there is no file or folder {path}; check the path")
    kind, why = kind_at(path, settings.reading.format)
    asked = Asked(
        path=path,
        source=str(shown(path)),
        why=why,
        reading=Reading(**vars(settings.reading)),
        skeleton=settings.skeleton,
        subject=settings.subject,
    )
    module, _, function = INSPECTORS[kind].partition(":")
    inspector: Callable[[Asked], Inspected] = getattr(importlib.import_module(module), function)
    return inspector(asked)
