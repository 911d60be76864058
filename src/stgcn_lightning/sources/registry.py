"""What reads the annotation file of a benchmark: `benchmark.source` in the configuration.

A reader is any function ``read(path) -> Annotations``:

- `path` is what ``benchmark.annotations`` names, a file or a folder;
- the result holds `annotations.Sample`s and the splits by name; nothing in it needs to be checked,
  normalised, cut or padded, which happens later (`data.checks`, `data.store`);
- a `BadInput` that it raises is shown to the user as one sentence.

Readers of this package have a name (`SOURCES`): ``mmaction2``, which has options for skeletons that
lie one after the other (`keeping.Keeping`)::

    source:
      name: mmaction2
      box_score: 0.5

or a format of key-point files (`formats`), or ``auto``, which recognises it: their recordings have
no labels, and all are in a split called ``all``. A reader of your own is a function in a module of
your own, which the benchmark's file names::

    source:
      _target_: my_project.reading.read_csv  # read_csv(path) -> Annotations
      separator: ";"                         # further keys are its keyword arguments

Importing this file imports neither numpy nor torch.
"""

import hashlib
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from stgcn_lightning.errors import BadInput, nearest
from stgcn_lightning.sources.formats import FORMATS
from stgcn_lightning.sources.keeping import Keeping

if TYPE_CHECKING:
    from stgcn_lightning.sources.annotations import Annotations

SOURCES = ("mmaction2", "auto", *FORMATS)
RECORDINGS = "1"  # of what `formats` and `settling` make of files


@dataclass(frozen=True)
class Source:
    """A reader with a name.

    Attributes:
        name: becomes part of a store's identity: stores of different sources are different stores.
        read: see the head of this file.
        version: a store is built again when it changes.
        read_in_place: the same, with arrays that may stay in the file; it is told a function that
            takes how many bytes of it have been looked at. None: the reader knows no such way.
    """

    name: str
    read: "Callable[[Path], Annotations]"
    version: str = ""
    read_in_place: "Callable[[Path, Callable[[int], object]], Annotations] | None" = None

    def annotations(self, path: Path, seen: Callable[[int], object] | None = None) -> "Annotations":
        """What the reader returns for `path`.

        Args:
            path: what it reads.
            seen: arrays may stay in the file; it is told how many bytes have been looked at.

        Raises:
            BadInput: the file cannot be used, or the reader returns something else.
        """
        from stgcn_lightning.sources.annotations import Annotations

        in_place = self.read_in_place if seen else None
        found = cast(object, in_place(path, seen) if in_place and seen else self.read(path))
        if not isinstance(found, Annotations):
            raise BadInput(
                f"the source {self.name} returns a {type(found).__name__} for {path}; return "
                "stgcn_lightning.sources.annotations.Annotations"
            )
        return found


def source_named(name: str, **options: Any) -> Source:
    """The reader of this package that has this name.

    Args:
        name: one of `SOURCES`.
        options: of ``mmaction2``, see `keeping.Keeping`; no other reader has any.

    Raises:
        BadInput: there is none, or it has no such options.
    """
    if name not in SOURCES:
        raise BadInput(
            f"benchmark.source={name}: {nearest(name, SOURCES)} A function of your own is named "
            "with benchmark.source._target_=MODULE.FUNCTION"
        )
    known = [field.name for field in fields(Keeping)] if name == "mmaction2" else []
    for option in options:
        if option not in known:
            remedy = nearest(option, known) if known else f"the source {name} has no options"
            raise BadInput(f"there is no key benchmark.source.{option}: {remedy}")
    if name != "mmaction2":
        return Source(name, partial(_read_recordings, name), RECORDINGS)
    if not options:
        return Source(name, _read_mmaction2, read_in_place=_place_mmaction2)
    keeping = Keeping(**options)
    read, place = (partial(one, keeping=keeping) for one in (_read_mmaction2, _place_mmaction2))
    return Source(_called(name, asdict(keeping)), read, read_in_place=place)


def own_source(read: "Callable[..., Annotations]", **options: Any) -> Source:
    """A reader of the user's own.

    Its name says which function it is and with which options it is called; its version changes with
    the file that the function is written in.

    Args:
        read: ``read(path, **options) -> Annotations``; a function, not a lambda.
        options: keyword arguments, plain values.
    """
    name = _called(f"{read.__module__}.{read.__qualname__}", options)
    file = getattr(sys.modules.get(read.__module__), "__file__", None)  # a notebook has none
    written = Path(file).read_bytes() if file else b""
    version = hashlib.sha256(written).hexdigest()[:16]
    return Source(name, partial(read, **options) if options else read, version)


def _called(name: str, options: dict[str, Any]) -> str:
    """A reader's name with its options."""
    stated = ", ".join(f"{key}={value!r}" for key, value in sorted(options.items()))
    return f"{name}({stated})" if stated else name


def _read_mmaction2(path: Path, keeping: Keeping | None = None) -> "Annotations":
    from stgcn_lightning.sources.mmaction2 import read_annotations

    return read_annotations(path, keeping=keeping)


def _place_mmaction2(
    path: Path, seen: Callable[[int], object], keeping: Keeping | None = None
) -> "Annotations":
    from stgcn_lightning.sources.mmaction2 import read_annotations

    return read_annotations(path, in_place=True, seen=seen, keeping=keeping)


def _read_recordings(format: str, path: Path) -> "Annotations":
    from stgcn_lightning.sources.annotations import Annotations
    from stgcn_lightning.sources.formats import read_recordings
    from stgcn_lightning.sources.recordings import Reading

    samples = [one.sample() for one in read_recordings(path, Reading(format=format))]
    return Annotations(samples, {"all": [sample.id for sample in samples]})
