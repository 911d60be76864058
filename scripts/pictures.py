"""Make the pictures of the predict door in docs/images again, from the embedded data.

python scripts/pictures.py                        # trains two narrow models first, three minutes
python scripts/pictures.py --joint RUN --bone RUN # with models of experiment=quickstart
python scripts/pictures.py --recordings FOLDER    # only the recordings of docs/predict.md

The recordings are of persons whom the models have not seen; three actions of one of them follow
each other in walk_and_sit.npz.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from stgcn_lightning.sources.annotations import Sample
from stgcn_lightning.sources.synthetic import synthetic_annotations
from stgcn_lightning.sources.synthetic_actions import ACTIONS

IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"
SEED = 7  # that of no experiment: other samples than those of the training
NAMES = list(ACTIONS)
HIPS = (11, 12)


def main() -> None:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    arguments.add_argument("--joint", type=Path, help="run of the joint stream")
    arguments.add_argument("--bone", type=Path, help="run of the bone stream")
    arguments.add_argument("--recordings", type=Path, help="write the recordings, no pictures")
    given = arguments.parse_args()
    if given.recordings is not None:
        write_recordings(given.recordings)
        return
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        write_recordings(folder)
        runs = {name: getattr(given, name) or trained(name, folder) for name in ("joint", "bone")}
        checkpoints = f"checkpoint={{joint: {runs['joint']}, bone: {runs['bone']}}}"
        draw("answer.gif", checkpoints, folder / "offer.npz", "animate", "width=360")
        for name, theme in {"timeline.png": "light", "timeline_dark.png": "dark"}.items():
            windows = ("window=60", "stride=10", "width=700", f"theme={theme}")
            draw(name, checkpoints, folder / "walk_and_sit.npz", "chart", *windows)


def trained(stream: str, folder: Path) -> Path:
    """A model of the quickstart."""
    run = folder / f"run_{stream}"
    door(
        "train", "experiment=quickstart", f"stream={stream}", "trainer=cpu", f"hydra.run.dir={run}"
    )
    return run


def draw(name: str, checkpoints: str, source: Path, key: str, *more: str) -> None:
    """Write a picture again."""
    (IMAGES / name).unlink(missing_ok=True)
    run = f"hydra.run.dir={source.parent / name}"
    door("predict", checkpoints, f"source={source}", f"{key}={IMAGES / name}", run, *more)


def door(name: str, *arguments: str) -> None:
    subprocess.run([sys.executable, "-m", f"stgcn_lightning.{name}", *arguments], check=True)


def write_recordings(folder: Path) -> None:
    """Recordings in this package's own form, without labels."""
    folder.mkdir(parents=True, exist_ok=True)
    samples = synthetic_annotations("2d", 1200, 12, seed=SEED).samples
    write(folder / "walk_and_sit.npz", joined(of_one_person(samples, WALK_AND_SIT)))
    pair = next(sample for sample in samples if len(sample.keypoint) == 2)
    write(folder / "offer.npz", pair)


WALK_AND_SIT = ("walk_forwards", "sit_down", "raise_arms")


def of_one_person(samples: list[Sample], actions: tuple[str, ...]) -> list[Sample]:
    """The first samples of these actions by one person before one camera, of those with most."""
    found: dict[str, dict[str, Sample]] = {}
    for sample in samples:
        if sample.label is not None and NAMES[sample.label] in actions:
            found.setdefault(sample.id[:12], {}).setdefault(NAMES[sample.label], sample)
    whole = next(one for one in found.values() if len(one) == len(actions))
    return [whole[name] for name in actions]


def joined(samples: list[Sample]) -> Sample:
    """Samples one after the other, each where the one before has left the hips."""
    first = samples[0]
    parts = [first.keypoint.astype(np.float32)]
    for sample in samples[1:]:
        step = parts[-1][0, -1, HIPS].mean(0) - sample.keypoint[0, 0, HIPS].mean(0)
        parts.append(sample.keypoint.astype(np.float32) + step)
    scores = np.concatenate([np.asarray(sample.score) for sample in samples], 1)
    return Sample("joined", None, np.concatenate(parts, 1), scores, first.img_shape)


def write(path: Path, sample: Sample) -> None:
    shape = np.array(sample.img_shape)
    more = {"img_shape": shape, "fps": 30.0, "skeleton": "coco17", "unit": "pixels"}
    np.savez(path, keypoint=sample.keypoint, score=np.asarray(sample.score), **more)


if __name__ == "__main__":
    main()
