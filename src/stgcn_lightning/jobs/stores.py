"""The data set of a benchmark: class names, annotations and their store."""

from collections.abc import Callable
from contextlib import suppress
from inspect import signature
from pathlib import Path
from typing import Any

from stgcn_lightning.data.overlaps import judge_splits
from stgcn_lightning.data.store import Store, StoreSpec, open_or_build
from stgcn_lightning.errors import BadInput, nearest
from stgcn_lightning.files.downloads import fetch
from stgcn_lightning.files.reading import sha256
from stgcn_lightning.jobs.classes import class_names
from stgcn_lightning.jobs.fetching import downloads_of
from stgcn_lightning.jobs.store_progress import StoreProgress
from stgcn_lightning.settings.doors import Common
from stgcn_lightning.settings.fields import path_of
from stgcn_lightning.settings.frozen import thawed
from stgcn_lightning.settings.groups import Benchmark
from stgcn_lightning.settings.objects import imported
from stgcn_lightning.sources.frame_lists import KeyPointsApart
from stgcn_lightning.sources.keeping import CROWD
from stgcn_lightning.sources.registry import Source, own_source, source_named
from stgcn_lightning.sources.synthetic import synthetic_annotations, synthetic_file
from stgcn_lightning.terminal import console, shown

MOST = 1 << 36  # bytes of annotations; the largest that are published have 6e9


def open_store_of(
    settings: Common, *, download: bool = False, explain: bool = False, verify: bool = False
) -> Store:
    """The store of the benchmark's annotations, built (or synthesised) first if need be.

    With `download`, annotations that are neither there nor in a store are fetched if the benchmark
    says where they are published; not under another name, which is more likely misspelt. With
    `explain`, what may be wrong with the data is printed with examples and remedies. With `verify`,
    all frames are compared with what was written, and the store is built again if some differ.

    Raises:
        BadInput: there are no annotations, or they cannot be used.
    """
    benchmark = settings.benchmark
    root = path_of("data.store_dir", settings.data.store_dir)
    annotations = annotations_of(benchmark, root)
    spec = StoreSpec(
        skeleton=settings.skeleton,
        dimension=benchmark.dimension,
        normalise=benchmark.normalise,
        classes=len(class_names(benchmark.classes)),
        on_bad_sample=settings.data.on_bad_sample,
        source=source_of(benchmark, settings.data.persons),
        missing=settings.data.missing,
        max_frames=settings.data.max_frames,
    )
    watch = StoreProgress(annotations, always=explain)
    try:
        with watch:
            store = open_or_build(annotations, spec, root, watch, verify=verify)
    except FileNotFoundError as error:
        source = benchmark.download
        if not download or not source or Path(source).name != annotations.name:
            command = f"python -m stgcn_lightning.prepare benchmark={benchmark.name}"
            remedy = f"{command} downloads the published one, or set" if source else "set"
            raise BadInput(
                f"there is no annotation file {annotations}: {remedy} benchmark.annotations=FILE"
                + from_raw(benchmark)
            ) from error
        downloads = downloads_of(settings.downloads)
        fetch(source, annotations, looked_at(spec), downloads, console, most=MOST)
        console.print(f"its SHA-256 is {sha256(annotations)}; none is published to compare it with")
        with watch:
            store = open_or_build(annotations, spec, root, watch)
    print_left_out(store)
    print_findings(store, benchmark, explain)
    return store


def looked_at(spec: StoreSpec) -> Callable[[Path], object]:
    """What tells whether a downloaded file holds annotations, without holding them itself."""

    def look(path: Path) -> None:
        with suppress(KeyPointsApart):  # which are fetched by hand
            spec.source.annotations(path, lambda _: None)

    return look


def annotations_of(benchmark: Benchmark, root: Path) -> Path:
    """The file of a benchmark's annotations; those of the embedded data set are made in `root`.

    Raises:
        BadInput: there is none, or a file is given for a data set that is made.
    """
    if benchmark.synthetic and benchmark.annotations:
        raise BadInput(
            f"benchmark.synthetic makes annotations, and {benchmark.annotations} is given as well: "
            f"choose the benchmark that {benchmark.annotations} belongs to, benchmark=NAME, and "
            "no experiment on made-up data (experiment=quickstart)"
        )
    if benchmark.synthetic:
        return synthesise(benchmark, root)
    if not benchmark.annotations:
        raise BadInput(
            f"say where the annotations of {benchmark.name} are: benchmark.annotations=FILE"
            + from_raw(benchmark)
        )
    return path_of("benchmark.annotations", benchmark.annotations)


def print_left_out(store: Store) -> None:
    """Say which samples and persons the store does not hold, and which it found otherwise."""
    for line in store.renamed:
        console.print(line)
    if store.persons_cut:
        console.print(f"{store.persons_cut} samples hold more than two persons: two are kept")
    if store.dropped:
        total = len(store.ids) + len(store.dropped)
        console.print(f"{len(store.dropped)} of {total} samples are dropped:")
        for line in store.dropped[:5]:
            console.print(f"  {line}")
        if len(store.dropped) > 5:
            console.print(f"  all of them are listed in {shown(store.folder / 'manifest.json')}")


def print_findings(store: Store, benchmark: Benchmark, explain: bool) -> None:
    """Say what may be wrong with the annotations and with the benchmark's two splits."""
    findings = list(store.findings)
    train, val = benchmark.train_split, benchmark.val_split
    if train in store.splits and val in store.splits:
        classes = class_names(benchmark.classes)
        findings += judge_splits(store.divided(), train, val, classes, benchmark.subject)
    if not explain and findings:
        found = "; ".join(finding.what for finding in findings)
        console.print(f"look at the data: {found} (the prepare door gives examples and remedies)")
    if explain:
        for finding in findings:
            console.print(f"look at the data: {finding}")


def from_raw(benchmark: Benchmark) -> str:
    """Another way to get a benchmark's annotations: the end of a sentence; empty for most."""
    if not benchmark.skeleton_files:
        return ""
    return ", or make it from NTU RGB+D's .skeleton files with the prepare door, raw=DIR"


def synthesise(benchmark: Benchmark, root: Path) -> Path:
    """Write the embedded data set's annotations under `root`, once.

    Raises:
        BadInput: `benchmark.synthetic` is no table of sizes that there are, one of them is out of
            its range, or the file cannot be written.
    """
    size = thawed(benchmark.synthetic)
    if not isinstance(size, dict):
        raise BadInput(
            f"benchmark.synthetic={size} is no table of sizes: "
            "set benchmark.synthetic.train_samples and benchmark.synthetic.val_samples"
        )
    known = [name for name in signature(synthetic_annotations).parameters if name != "dimension"]
    for name, value in size.items():
        if name not in known:
            raise BadInput(f"there is no key benchmark.synthetic.{name}: {nearest(name, known)}")
        if isinstance(value, bool) or not isinstance(value, int):
            raise BadInput(f"benchmark.synthetic.{name}={value} must be a whole number")
    return synthetic_file(benchmark.dimension, root, console.print, **size)


def source_of(benchmark: Benchmark, persons: int) -> Source:
    """The reader of the benchmark's annotations: of this package, or the user's own.

    Args:
        benchmark: which says what it is called, and its options.
        persons: of a clip.

    Raises:
        BadInput: there is none of that name, or it has no such options, or keeps fewer persons.
    """
    source = thawed(benchmark.source)
    options: dict[str, Any] = source if isinstance(source, dict) else {"name": source}
    if "_target_" in options:
        make = imported("benchmark.source._target_", options.pop("_target_"))
        return own_source(make, **options)
    found = source_named(str(options.pop("name", None) or "mmaction2"), **options)
    kept = options.get("persons", persons)
    if kept < persons:
        raise BadInput(
            f"data.persons={persons} are more than the {kept} of a frame that "
            f"benchmark.source.persons={kept} keeps: set data.persons={kept}, or that to "
            f"{persons} ({CROWD} at most)"
        )
    return found
