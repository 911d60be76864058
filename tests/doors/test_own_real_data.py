"""J-HMDB and MSR Action3D, brought in from a file a recording: bit by bit the annotations they are.

So a training on them reaches the figures of docs/results.md by construction.
"""

import numpy as np
import pytest
from helpers import shared
from own_tables import write_recordings

from stgcn_lightning.shipped import CONF
from stgcn_lightning.sources.mmaction2 import read_annotations

SETS = {
    "jhmdb14_split1": ("data/jhmdb14_2d.pkl", ["reading.unit=pixels", "normalise=none"]),
    "msr_action3d_xsub": ("data/msr_action3d.pkl", ["reading.unit=metres"]),
}


@pytest.mark.slow
@pytest.mark.parametrize("form", ["npz", "csv"])
@pytest.mark.parametrize("benchmark", SETS)
def test_recordings_of_real_data_become_their_annotations(door, tmp_path, benchmark, form):
    from omegaconf import OmegaConf

    file, keys = SETS[benchmark]
    published = OmegaConf.load(CONF / "benchmark" / f"{benchmark}.yaml")
    (skeleton,) = published.defaults[1].values()
    splits, classes = [published.train_split, published.val_split], list(published.classes)
    original = read_annotations(shared(file))
    table = write_recordings(tmp_path / "files", original, classes, splits, form=form)
    keys = [*keys, f"reading.skeleton={skeleton}", f"class_order=[{','.join(classes)}]"]
    status, _, err = door("prepare", f"data={table}", "name=real", *keys)
    assert status == 0, err

    made = read_annotations("prepared/real/annotations.pkl")
    for name in splits:
        assert sorted(made.splits[name]) == sorted(original.splits[name])
    assert [sample.id for sample in made.samples] == [sample.id for sample in original.samples]
    for ours, theirs in zip(made.samples, original.samples, strict=True):
        assert ours.label == theirs.label
        np.testing.assert_array_equal(ours.keypoint, theirs.keypoint)
        assert ours.keypoint.dtype == theirs.keypoint.dtype
        if theirs.score is not None:
            np.testing.assert_array_equal(ours.score, theirs.score)
    own = OmegaConf.load("prepared/real/benchmark/real.yaml")
    for key in ("dimension", "normalise", "train_split", "val_split", "classes"):
        assert own[key] == published[key]
