"""Small files that each reader takes as they are, made here: what the mutators begin with."""

import io
import json
import pickle
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from stgcn_lightning.checkpoints.safetensors import safetensors_bytes
from stgcn_lightning.data.spec import StoreSpec
from stgcn_lightning.data.store import open_or_build
from stgcn_lightning.evaluation.scores import Scores, write_scores
from stgcn_lightning.files.dumps import write_test_dump
from stgcn_lightning.models import registry
from stgcn_lightning.shipped import CONF, skeleton_named
from stgcn_lightning.skeleton import Skeleton

SPEC = StoreSpec(skeleton_named("coco17"), "2d", normalise="2d", classes=3)


@dataclass(frozen=True)
class Seed:
    """Files that are read together.

    Attributes:
        files: name -> content; one of them is mutated.
        opened: name of the file or folder that the reader is given; empty: the folder of all.
    """

    files: dict[str, bytes]
    opened: str = ""


def one(name: str, content: bytes | str) -> Seed:
    """A file alone."""
    return Seed({name: content.encode() if isinstance(content, str) else content}, name)


def written(name: str, write: Callable[[Path], object]) -> Seed:
    """A file that `write` makes."""
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder, name))
        return one(name, Path(folder, name).read_bytes())


def numbers(*shape: int, scale: float = 1.0) -> np.ndarray:
    """Numbers that look alike in every run, of which no two neighbours are the same."""
    return np.sin(np.arange(np.prod(shape, dtype=int)) + 1).reshape(shape) * scale + scale


def records(samples: int, dtype: Any = np.float16) -> dict[str, Any]:
    """Annotations as MMAction2 and PYSKL have them."""
    ids = [f"s{i}" for i in range(samples)]
    found: list[dict[str, Any]] = [
        {
            "frame_dir": id,
            "label": i % 3,
            "img_shape": (200, 300),
            "original_shape": (200, 300),
            "total_frames": 3,
            "keypoint": numbers(1 + i % 2, 3, 17, 2, scale=40 + i).astype(dtype),
            "keypoint_score": np.full((1 + i % 2, 3, 17), 0.5, dtype),
        }
        for i, id in enumerate(ids)
    ]
    half = samples // 2
    return {"split": {"train": ids[:half], "val": ids[half:]}, "annotations": found}


def annotations() -> list[Seed]:
    """Of all protocols, in memory orders and types that occur, as one table or a list."""
    plain, listed = records(2), records(2, np.float32)["annotations"]
    listed[0]["keypoint"] = np.asfortranarray(listed[0]["keypoint"])
    listed[1]["label"], listed[1]["keypoint_score"] = np.int64(1), None
    masked = records(1, np.float64)
    masked["annotations"][0]["keypoint"] = np.ma.array(
        masked["annotations"][0]["keypoint"], mask=False
    )
    made = [
        *(one("x.pkl", pickle.dumps(plain, protocol)) for protocol in range(6)),
        *(one("x.pkl", pickle.dumps(listed, protocol)) for protocol in (2, 4)),
        one("x.pkl", pickle.dumps(masked, 4)),
    ]
    return [*made, *apart()]


def apart() -> list[Seed]:
    """Key points that lie in another file, skeleton after skeleton, as PYSKL has Kinetics-400."""
    record = {
        "frame_dir": "v_0", "label": 0, "img_shape": (256, 340), "original_shape": (256, 340),
        "total_frames": 3, "raw_file": "k400/part_0.pkl",
        "frame_inds": np.array([0, 0, 1, 2], np.int16),
        "box_score": np.full(4, 0.9, np.float16), "valid": {0.5: 3, 0.9: 3},
    }  # fmt: skip
    held = {"v_0": {"keypoint": numbers(4, 17, 3, scale=40).astype(np.float16)}}
    table = {"split": {"train": ["v_0"], "val": ["v_0"]}, "annotations": [record]}
    files = {"x.pkl": pickle.dumps(table, 4), "part_0.pkl": pickle.dumps(held, 4)}
    return [Seed(files, "x.pkl")]


def small_model() -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Weights, and the card that is kept with them."""
    torch.manual_seed(0)
    table = {
        "name": "chain", "joints": ["a", "b", "c", "d", "e"], "graph_centre": 0,
        "edges": [[1, 0], [2, 1], [3, 2], [4, 3]], "bone_parents": [0, 0, 1, 2, 3],
        "left_right": [[1, 2]], "normalise": {"centre": 0, "body": [0, 1], "shoulders": [1, 2]},
    }  # fmt: skip
    options = {"base_channels": 1}
    graph = registry.graph_of("stgcn", Skeleton.from_dict(table), "stgcn_spatial")
    model = registry.build("stgcn", graph, 3, **options)
    card = {
        "version": "0.1.0",
        "model": {"name": "stgcn", "graph": "stgcn_spatial", **options},
        "skeleton": table,
        "classes": ["walk", "run", "sit"],
        "stream": "joint",
        "benchmark": "tiny",
        "dimension": "2d",
        "normalise": "2d",
        "missing": "error",
        "clip_frames": 8,
        "test_clips": 2,
        "test_sampling": "mmaction2",
        "persons": 2,
        "held_out_subjects": ["anna"],
        "order": {"seed": 0},
        "run": {"epochs": 2},
        "training": {
            "benchmark.train_split": "train",
            "benchmark.val_split": "val",
            "benchmark.synthetic": {"train_samples": 4},
            "data.frame_order": None,
        },
    }
    return model.state_dict(), card


def saved(content: Any, **options: Any) -> bytes:
    """What `torch.save` writes."""
    file = io.BytesIO()
    torch.save(content, file, **options)
    return file.getvalue()


def checkpoints() -> list[Seed]:
    """Ours, bare weights and other types of tensors, in both of torch's formats."""
    state, card = small_model()
    prefixed = {f"model.{name}": value for name, value in state.items()}
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], 0.1, momentum=0.9)
    ours = {
        "state_dict": prefixed, "epoch": 1, "global_step": 2, "loops": {}, "callbacks": {},
        "optimizer_states": [optimiser.state_dict()], "stgcn_lightning": card,
    }  # fmt: skip
    few = {
        "half": torch.ones(3, 2, dtype=torch.float16).T, "byte": torch.ones(4, dtype=torch.uint8),
        "brain": torch.ones(2, dtype=torch.bfloat16), "size": torch.Size([2]),
        "parameter": torch.nn.Parameter(torch.ones(2)), "device": torch.device("cpu"),
        "eighth": torch.ones(2).to(torch.float8_e4m3fn), "weights": {"a": torch.ones(1)},
    }  # fmt: skip
    return [
        one("x.ckpt", saved(ours)),
        one("x.ckpt", saved(ours, _use_new_zipfile_serialization=False)),
        one("x.pth", saved({"state_dict": {k: v.half() for k, v in state.items()}})),
        one("x.pth", saved(few)),
        one("x.pth", saved(few, _use_new_zipfile_serialization=False)),
    ]


def safetensors() -> list[Seed]:
    """A model of ours, and tensors of somebody else."""
    state, card = small_model()
    others = {"a": torch.arange(6.0).view(2, 3), "n": torch.tensor(3)}
    return [
        one("x.safetensors", safetensors_bytes(state, card)),
        one("x.safetensors", safetensors_bytes(others, {})),
    ]


SCORES = Scores(
    np.array(["a", "b"]),
    np.array([0, 1]),
    np.array([[0.75, 0.25], [0.25, 0.75]], np.float32),
    np.array(["sit", "fall"]),
    {"stream": "joint"},
)


def scores() -> list[Seed]:
    """Ours, stored and compressed."""
    ours = written("x.npz", lambda path: write_scores(path, SCORES))
    with np.load(io.BytesIO(ours.files["x.npz"])) as content:
        table = {name: content[name] for name in content.files}
    packed = io.BytesIO()
    np.savez_compressed(packed, **table)
    return [ours, one("x.npz", packed.getvalue())]


def dumps() -> list[Seed]:
    """Test dumps of MMAction2, and scores of PYSKL and CTR-GCN."""
    rows = SCORES.scores
    older = [{"pred_scores": {"item": rows[0]}, "gt_labels": {"item": np.array([1])}}]
    named = {"a": rows[0], "b": rows[1]}
    numbered = {"test_0": rows[0], "test_1": rows[1]}
    tensors = [{"pred_score": torch.tensor(rows[0]), "gt_label": torch.tensor([1])}]
    contents = (list(rows), older, named, numbered, rows, tensors)
    return [
        written("x.pkl", lambda path: write_test_dump(path, rows, SCORES.labels)),
        *(one("x.pkl", pickle.dumps(content, 2)) for content in contents),
        *(one("x.pkl", pickle.dumps(content, 5)) for content in contents),
        one("x.pkl", saved(tensors)),
    ]


def class_files() -> list[Seed]:
    """Names, a line each."""
    texts = ("walk\nrun\nsit\n", "\ufeffdrink water\r\nstand up\r\n", "été\nlie down, slowly\n")
    return [one("x.txt", text) for text in texts]


def skeleton_files() -> list[Seed]:
    """NTU RGB+D's, of one body, two, and none."""

    def text(frames: int, bodies: int) -> str:
        lines = [f"{frames}"]
        for frame in range(frames):
            lines.append(f"{bodies}")
            for body in range(bodies):
                lines += [f"7205759403792{body} 0 1 1 1 1 0 0.02 0.05 2", "25"]
                lines += [
                    f"{x:.4f} {y:.4f} 3.{frame} 277.1 191.2 1036.2 519.8 -0.2 0.03 0.9 -0.02 2"
                    for x, y in numbers(25, 2)
                ]
        return "\r\n".join(lines) + "\r\n"

    names = ("S001C002P003R001A013", "S002C003P008R002A060")
    return [
        one(f"{name}.skeleton", text(frames, bodies))
        for name, (frames, bodies) in zip(names, ((2, 1), (12, 2)), strict=True)
    ] + [one(f"{names[0]}.skeleton", text(2, 0))]


def configuration(group: str) -> list[Seed]:
    """Files of a group of conf/, each in a folder of the group's name with what it includes."""
    shared = {
        f"{group}/{file.name}": file.read_bytes() for file in sorted((CONF / group).glob("_*.yaml"))
    }
    seeds: list[Seed] = []
    files = sorted((CONF / group).glob("[!_]*.yaml"), key=lambda file: file.stat().st_size)
    for file in files[:6]:  # YAML is read and written slowly
        table = yaml.safe_load(file.read_text())
        if isinstance(table.get("classes"), list):  # fewer bytes, which are mutated more often
            table["classes"] = table["classes"][:3]
            content = yaml.safe_dump(table, sort_keys=False)
        else:
            content = file.read_text()
        needed = {name: text for name, text in shared.items() if Path(name).stem in content}
        seeds.append(Seed({f"{group}/{file.name}": content.encode()} | needed))
    return seeds


def stores() -> list[Seed]:
    """The files of a small store, built of `STORED`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.pkl")
        path.write_bytes(STORED)
        store = open_or_build(path, SPEC, folder)
        files = {file.name: file.read_bytes() for file in store.folder.iterdir()}
    return [Seed({f"store/{name}": content for name, content in files.items()})]


STORED = pickle.dumps(records(4), 4)


def lines() -> list[Seed]:
    """Lines of persons who are followed live."""
    body = [[float(x), float(y), 0.5] for x, y in numbers(17, 2, scale=50)]
    persons: tuple[object, ...] = ({"anna": body, "ben": body}, [body, body], {})
    return [one("x.json", json.dumps({"persons": people})) for people in persons]
