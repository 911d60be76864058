"""Looking at any file or folder of this package's world: what it is, and what will hurt."""

import importlib
import json
from collections.abc import Callable
from pathlib import Path

from stgcn_lightning.errors import BadInput
from stgcn_lightning.files.writing import write_atomically
from stgcn_lightning.jobs.inspection.asked import Asked
from stgcn_lightning.jobs.inspection.bodies import inspect_skeleton
from stgcn_lightning.jobs.inspection.inspected import Inspected, measured
from stgcn_lightning.jobs.inspection.printing import print_inspected
from stgcn_lightning.jobs.inspection.recognising import kind_at
from stgcn_lightning.settings.doors import InspectSettings
from stgcn_lightning.settings.fields import path_of
from stgcn_lightning.sources.recordings import Reading
from stgcn_lightning.terminal import answer, complain, console, refuse_lost, shown

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
LARGE = 300_000_000  # bytes of a file from which on its reading is announced: seconds, or minutes


def inspect(settings: InspectSettings) -> None:
    """Look at `source`, and say what was found as text, JSON or a page.

    Raises:
        BadInput: the source is not there, broken, or nothing that can be looked at.
    """
    out = out_of(settings)
    found = inspected(settings)
    if settings.format == "json":
        answer(f"{json.dumps(found.plain(), indent=2)}\n")
    else:
        print_inspected(found, console)
        refuse_lost()
    if out is None:
        return
    # imported where a page is written: its imports take seconds
    from stgcn_lightning.jobs.inspection.paging import page_of
    from stgcn_lightning.report.inspection import render_drawing, render_inspection

    drawing = found.drawing if out.suffix == ".svg" else None
    text = render_drawing(drawing) if drawing else render_inspection(page_of(found))
    with write_atomically(out) as file:
        file.write(text.encode())
    if settings.format == "text":
        console.print(f"{'drawing' if drawing else 'page'}: {shown(out)}")


def out_of(settings: InspectSettings) -> Path | None:
    """The file that is written; None: none.

    Raises:
        BadInput: it is no page, and no drawing of a skeleton, or would replace what is looked at.
    """
    if settings.out is None:
        return None
    out = path_of("out", settings.out)
    suffixes = (".html",) if settings.source is not None else (".html", ".svg")
    if out.suffix not in suffixes:
        raise BadInput(f"out={settings.out} must end in {' or '.join(suffixes)}")
    if not out.parent.is_dir():
        raise BadInput(f"out={settings.out} lies in no folder that there is: make {out.parent}")
    if (
        settings.source is not None
        and out.resolve() == path_of("source", settings.source).resolve()
    ):
        raise BadInput(f"out={settings.out} would replace what is looked at: choose another name")
    return out


def inspected(settings: InspectSettings) -> Inspected:
    """What `source` is and holds, or a skeleton.

    Raises:
        BadInput: the source is not there, broken, or nothing that can be looked at.
    """
    if settings.source is None:
        if settings.skeleton is None:
            raise BadInput("say what to look at: source=PATH, or skeleton=NAME to draw a skeleton")
        return inspect_skeleton(settings.skeleton)
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
    if path.is_file() and path.stat().st_size > LARGE:
        size = measured(path.stat().st_size, "bytes")
        complain(f"reading {shown(path)}, {size}, once: this takes a while")
    module, _, function = INSPECTORS[kind].partition(":")
    inspector: Callable[[Asked], Inspected] = getattr(importlib.import_module(module), function)
    return inspector(asked)
