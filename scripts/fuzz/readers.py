"""The readers that are tried: what each begins with, how it is called, and which files it is."""

import hashlib
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

import seeds
import seeds_of_recordings
import torch
from mutators import mutated
from seeds import SPEC, Seed

from stgcn_lightning.checkpoints.weights import load_model, read_weights
from stgcn_lightning.data.store import Store, open_or_build
from stgcn_lightning.errors import BadInput
from stgcn_lightning.evaluation.scores import NoLabels, read_scores
from stgcn_lightning.jobs.classes import class_names
from stgcn_lightning.jobs.inspection.recognising import kind_at
from stgcn_lightning.shipped import benchmark_tables, skeleton_named, skeletons
from stgcn_lightning.sources.annotations import loaded
from stgcn_lightning.sources.formats import FORMATS, read_recordings
from stgcn_lightning.sources.labels import entries_of_table
from stgcn_lightning.sources.live_lines import frame_of
from stgcn_lightning.sources.mapping import mapped
from stgcn_lightning.sources.mmaction2 import read_annotations
from stgcn_lightning.sources.ntu import read_sample
from stgcn_lightning.sources.own_skeletons import stated_skeleton
from stgcn_lightning.sources.recordings import READING, Reading

COCO = skeleton_named("coco17")
MOST_MUTATED = 1 << 22  # bytes of an input


@dataclass(frozen=True)
class Reader:
    """A reader under attack.

    Attributes:
        seeds: makes the files that mutators begin with.
        read: what is called, of the path of an input.
        modules: files below src/stgcn_lightning whose lines are counted.
    """

    seeds: Callable[[], list[Seed]]
    read: Callable[[Path], object]
    modules: tuple[str, ...]


def input_of(found: list[Seed], name: str, seed: int, number: int) -> Seed:
    """Files that depend on nothing but these arguments: a seed with one file changed."""
    digest = hashlib.sha256(f"{name}:{seed}:{number}".encode()).digest()
    rng = Random(int.from_bytes(digest, "little"))
    begun = rng.choice(found)
    changed = rng.choice([*begun.files])
    others = list(rng.choice(found).files.values())
    content = mutated(rng, changed, begun.files[changed], others)[:MOST_MUTATED]
    files = begun.files | {changed: content}
    if len(files) > 2 and rng.random() < 0.05:
        del files[rng.choice([one for one in files if one != begun.opened])]
    return Seed(files, begun.opened)


def chance(path: Path, choices: int) -> int:
    """A number below `choices` that depends on an input alone."""
    files = [path] if path.is_file() else sorted(one for one in path.rglob("*") if one.is_file())
    return sum(zlib.crc32(one.read_bytes()) for one in files) % choices


def _annotations(path: Path) -> None:
    read_annotations(path)
    for _ in loaded(read_annotations(path, in_place=True).samples):
        pass


def _store(path: Path) -> None:
    store = open_or_build(path, SPEC, path.parent / "stores")
    rows = len(store.frames)
    if rows != 1 + int((store.num_frames * store.num_persons).sum()):
        raise AssertionError(f"a store of {rows} rows")


def _scores(path: Path) -> None:
    read_scores(path, apply_softmax=chance(path, 2) == 1)


def _dump(path: Path) -> None:
    way = chance(path, 3)
    try:
        read_scores(path, apply_softmax=way == 2, beside=seeds.SCORES if way else None)
    except NoLabels as error:
        raise BadInput(str(error)) from error


def _skeleton_file(path: Path) -> None:
    read_sample(path)


def _live(path: Path) -> None:
    dimension = ("2d", "3d")[chance(path, 2)]
    frame_of(path.read_bytes(), "line 1", COCO, READING, dimension)


def damaged_store(path: Path) -> None:
    """Open a store of which a file was changed, and compare it with what it was.

    Raises:
        AssertionError: it is opened and is another store: damage that nobody sees.
    """
    annotations = path / "x.pkl"
    annotations.write_bytes(seeds.STORED)
    whole = open_or_build(annotations, SPEC, path / "stores")
    was = _contents(whole)
    for file in (path / "store").iterdir():
        there = whole.folder / file.name
        there.write_bytes(file.read_bytes())
    for file in list(whole.folder.iterdir()):
        if not (path / "store" / file.name).exists():
            file.unlink()
    if _contents(open_or_build(annotations, SPEC, path / "stores", verify=True)) != was:
        raise AssertionError("a damaged store is opened as another one")


def _contents(store: Store) -> tuple[object, ...]:
    columns = (store.first_row, store.num_frames, store.num_persons, store.labels)
    splits = {name: numbers.tolist() for name, numbers in store.splits.items()}
    frames = store.frames.numpy().tobytes()
    return (*(one.tolist() for one in columns), store.ids.tolist(), splits, frames)


def _recordings(name: str) -> Callable[[Path], None]:
    ways = (  # the first is also mapped to another skeleton
        Reading(format=name),
        Reading(),
        Reading(format=name, unit="metres", y="up", fps=30),
        Reading(format=name, least_score=0.3, persons=1, img_shape=(480, 640), gap=1),
        Reading(format=name, skeleton="hand21"),
    )

    def read(path: Path) -> None:
        reading = ways[chance(path, len(ways))]
        for one in read_recordings(path, reading):
            one.sample()
            if one.edges:
                stated_skeleton(one, "own")
            if reading is ways[0]:
                mapped(one, COCO)

    return read


PICKLES = (
    "files/unpickling.py", "files/taking.py", "files/instructions.py", "files/pickles.py",
    "files/arrays.py", "files/kinds.py",
)  # fmt: skip
ARCHIVES = (
    "files/archives.py", "files/tensors.py", "files/unpickling.py", "files/taking.py",
    "files/instructions.py",
)  # fmt: skip
STORE = ("data/store.py", "data/building.py", "data/checks.py", "data/ids.py", "files/placed.py")
WEIGHTS = ("checkpoints/weights.py", "checkpoints/contents.py", "checkpoints/card.py")
FORMS = {"json": "own_json"}  # formats whose seeds have another name
SHARED = {  # files that a format shares with others
    "npz": ("sources/own_form.py", "files/numpy_files.py"),
    "json": ("sources/own_form.py", "sources/json_text.py"),
    "annotations": PICKLES[:4],
    "h36m": ("files/numpy_files.py",),
    "deeplabcut": ("sources/hdf5_files.py",),
    "sleap": ("sources/hdf5_files.py",),
    "mediapipe": ("sources/csv_tables.py",),
    "mediapipe_json": ("sources/mediapipe.py",),
    "mediapipe_numpy": ("files/numpy_files.py",),
    "openpose": ("sources/frame_files.py", "sources/linking.py", "sources/settling.py"),
    "mmpose": ("sources/detections.py",),
    "csv": ("sources/csv_tables.py", "sources/wide_tables.py"),
}

READERS = {
    "annotations": Reader(
        seeds.annotations,
        _annotations,
        (*PICKLES, "sources/mmaction2.py", "sources/frame_lists.py"),
    ),
    "store": Reader(seeds.annotations, _store, STORE),
    "checkpoint": Reader(
        seeds.checkpoints, lambda path: read_weights(path), (*ARCHIVES, *WEIGHTS[1:])
    ),
    "model": Reader(
        lambda: seeds.checkpoints()[:2], lambda path: load_model(path), (*WEIGHTS, "skeleton.py")
    ),
    "safetensors": Reader(
        seeds.safetensors,
        lambda path: read_weights(path),
        ("checkpoints/safetensors.py", *WEIGHTS[1:]),
    ),
    "safetensors_model": Reader(
        lambda: seeds.safetensors()[:1], lambda path: load_model(path), (*WEIGHTS, "skeleton.py")
    ),
    "scores": Reader(seeds.scores, _scores, ("evaluation/scores.py", "files/numpy_files.py")),
    "dump": Reader(
        seeds.dumps,
        _dump,
        (*PICKLES, "evaluation/foreign_scores.py", "files/dumps.py", "files/tensors.py"),
    ),
    "skeleton_file": Reader(seeds.skeleton_files, _skeleton_file, ("sources/ntu.py",)),
    "skeleton_yaml": Reader(
        lambda: seeds.configuration("skeleton"), lambda path: skeletons(path), ("skeleton.py",)
    ),
    "benchmark_yaml": Reader(
        lambda: seeds.configuration("benchmark"),
        lambda path: benchmark_tables(path),
        ("shipped.py",),
    ),
    "classes": Reader(seeds.class_files, lambda path: class_names(str(path)), ("jobs/classes.py",)),
    "stored": Reader(seeds.stores, damaged_store, ("data/parts.py", "data/store.py")),
    "labels": Reader(
        seeds_of_recordings.labels, lambda path: entries_of_table(path), ("sources/labels.py",)
    ),
    "live": Reader(seeds.lines, _live, ("sources/live_lines.py", "sources/json_text.py")),
    **{
        f"of_{name}": Reader(
            getattr(seeds_of_recordings, FORMS.get(name, name)),
            _recordings(name),
            (f"sources/{known.module}.py", *SHARED.get(name, ())),
        )
        for name, known in FORMATS.items()
    },
    "recognising": Reader(
        lambda: (
            [
                seed
                for name in FORMATS
                for seed in getattr(seeds_of_recordings, FORMS.get(name, name))()
            ]
            + [
                *seeds.scores(),
                *seeds.dumps()[:3],
                *seeds.checkpoints()[3:],
                *seeds.safetensors()[1:],
            ]
        ),
        lambda path: kind_at(path, "auto"),
        ("jobs/inspection/recognising.py", "files/kinds.py"),
    ),
}

torch.set_num_threads(1)
