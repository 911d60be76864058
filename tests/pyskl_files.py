"""Annotations in exactly the forms in which PYSKL publishes them, of made-up bodies."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np

from stgcn_lightning.sources.synthetic import synthetic_annotations

THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9)
IMG_SHAPE = (256, 340)


def bodies(count: int, seed: int = 0) -> list[np.ndarray]:
    """Sequences (T, V, 3) of x, y, score, in a picture of `IMG_SHAPE`."""
    found = []
    for sample in synthetic_annotations("2d", count, 0, seed=seed, max_frames=40).samples:
        assert sample.score is not None
        assert sample.img_shape is not None
        scale = np.array(IMG_SHAPE[::-1]) / sample.img_shape[::-1]
        xy = sample.keypoint[0].astype(np.float32) * scale
        found.append(np.concatenate([xy, sample.score[0][..., None].clip(0, 1)], -1))
    return found


def about(number: int, label: int, frames: int) -> dict[str, Any]:
    """What every record holds."""
    shapes = {"img_shape": IMG_SHAPE, "original_shape": IMG_SHAPE}
    return {"frame_dir": f"v_{number:03}", "label": label, "total_frames": frames} | shapes


def write_dense(path: Path, classes: int, splits: tuple[str, str], persons: int = 4) -> Path:
    """Annotations as of FineGYM or UCF101: up to `persons` people, absent ones all zero."""
    records = []
    for i, body in enumerate(bodies(2 * classes)):
        M = 1 + i % persons
        people = np.stack([np.add(body, (9 * m, 0, 0)) for m in range(M)])
        people[1:, ::3] = 0
        records.append(
            about(i, i % classes, len(body))
            | {
                "keypoint": people[..., :2].astype(np.float16),
                "keypoint_score": people[..., 2].astype(np.float16),
            }
        )
    return _write(path, records, splits, classes)


def write_listed(
    folder: Path, classes: int, crowd: int = 3, raw: str = "data/k400/kpfiles/part_{}.pkl"
) -> Path:
    """Annotations as of Kinetics-400: an index, and two files of key points in `kpfiles`.

    Up to `crowd` people are in a frame, nobody in each fifth.
    """
    draw = np.random.default_rng(0)
    records, apart = [], [{}, {}]
    for i, body in enumerate(bodies(2 * classes)):
        frames, skeletons = [], []
        for t, pose in enumerate(body):
            for m in range(0 if t % 5 == 4 else 1 + (i + t) % crowd):
                frames.append(t)
                skeletons.append(np.add(pose, (9 * m, 0, 0)) * (1, 1, draw.uniform(0.5, 1)))
        record = about(i, i % classes, len(body))
        boxes = draw.uniform(0.5, 1, len(frames)).astype(np.float16)
        inds = np.array(frames, np.int16)
        apart[i % 2][record["frame_dir"]] = {"keypoint": np.array(skeletons, np.float16)}
        records.append(
            record
            | {
                "raw_file": raw.format(i % 2),
                "frame_inds": inds,
                "box_score": boxes,
                "valid": {at: len(np.unique(inds[boxes >= at])) for at in THRESHOLDS},
            }
        )
    (folder / "kpfiles").mkdir(parents=True, exist_ok=True)
    for number, held in enumerate(apart):
        (folder / "kpfiles" / f"part_{number}.pkl").write_bytes(pickle.dumps(held, 4))
    return _write(folder / "k400_hrnet.pkl", records, ("train", "val"), classes)


def _write(path: Path, records: list[dict[str, Any]], splits: tuple[str, str], half: int) -> Path:
    ids = [record["frame_dir"] for record in records]
    table = dict(zip(splits, (ids[:half], ids[half:]), strict=True))
    path.write_bytes(pickle.dumps({"split": table, "annotations": records}, 4))
    return path
