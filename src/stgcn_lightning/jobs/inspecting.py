"""Looking at any file or folder of this package's world: what it is, and what will hurt."""

import json

from stgcn_lightning.errors import BadInput
from stgcn_lightning.jobs.inspection.annotations import Asked, inspect_annotations
from stgcn_lightning.jobs.inspection.inspected import Inspected
from stgcn_lightning.jobs.inspection.printing import print_inspected
from stgcn_lightning.jobs.inspection.recognising import SUFFIXES, kind_at
from stgcn_lightning.jobs.inspection.recordings import inspect_recordings
from stgcn_lightning.settings.doors import InspectSettings
from stgcn_lightning.settings.fields import path_of
from stgcn_lightning.shipped import skeletons
from stgcn_lightning.sources.formats import read_recordings
from stgcn_lightning.sources.mmaction2 import read_annotations
from stgcn_lightning.sources.recordings import Reading
from stgcn_lightning.terminal import console, shown


def inspect(settings: InspectSettings) -> None:
    """Look at `source`, and say what was found as text, JSON or a page.

    Raises:
        BadInput: the source is not there, broken, or nothing that can be looked at.
    """
    found = inspected(settings)
    if settings.format == "json":
        print(json.dumps(found.plain(), indent=2, default=str))
        return
    print_inspected(found, console)


def inspected(settings: InspectSettings) -> Inspected:
    """What `source` is and holds."""
    if settings.source is None:
        raise BadInput("say what to look at: source=PATH, or skeleton=NAME to draw a skeleton")
    path = path_of("source", settings.source)
    if not path.exists():
        raise BadInput(f"there is no file or folder {path}; check the path")
    given = settings.skeleton is not None
    known = [settings.skeleton] if settings.skeleton else skeletons()
    asked = Asked(known, given, settings.subject)
    source = str(shown(path))
    kind, why = kind_at(path, settings.reading.format)
    if kind == "annotations":
        file = path
        if path.is_dir():
            file = next(one for one in path.iterdir() if one.suffix in SUFFIXES)
            source = str(shown(file))
        return inspect_annotations(source, read_annotations(file), why, asked)
    if kind == "recordings":
        reading = Reading(**vars(settings.reading))
        return inspect_recordings(source, path, read_recordings(path, reading), why, asked)
    raise BadInput(f"{path} is {kind}")
