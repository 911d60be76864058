"""The library as a Python user imports it."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import CHECKOUT, LEGACY

import stgcn_lightning as sl


@pytest.mark.parametrize("name", sl.__all__)
def test_every_name_is_there_and_documented(name):
    assert getattr(sl, name).__doc__
    assert name in dir(sl)


def test_all_names_have_a_home():
    assert sorted(sl.__all__) == sorted(sl._HOMES)
    assert all(name in str(sl.__doc__) for name in sl.__all__)


def test_other_names_are_refused():
    with pytest.raises(AttributeError, match="no attribute STGCM"):
        sl.STGCM  # noqa: B018


def test_importing_the_package_imports_nothing_heavy():
    code = "import sys, stgcn_lightning; print(*{m.split('.')[0] for m in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"torch", "numpy", "lightning", "hydra", "omegaconf", "wandb", "rich", "yaml"}
    assert not heavy & set(done.stdout.split())


def test_a_network_is_made_of_a_shipped_skeleton():
    import torch

    skeleton = sl.skeleton_named("coco17")
    model = sl.STGCN(sl.adjacency(skeleton, "stgcn_spatial"), 60, base_channels=4)
    clips = torch.zeros(1, 2, 20, skeleton.num_joints, 3)
    assert model(clips).shape == sl.Engine(model)(clips).shape == (1, 60)


def test_a_skeleton_that_is_not_shipped_is_refused_with_the_nearest():
    with pytest.raises(sl.BadInput, match="coco17"):
        sl.skeleton_named("coco71")


def test_the_readme_s_code_runs(tmp_path, monkeypatch, capsys):
    text = (CHECKOUT / "README.md").read_text()
    first, code = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    monkeypatch.chdir(tmp_path)
    shutil.copy(LEGACY / "version_0_1_0_finished.ckpt", "best.ckpt")
    Path("runs/demo/checkpoints").mkdir(parents=True)
    shutil.copy("best.ckpt", "runs/demo/checkpoints")
    for name in ("joint.npz", "bone.npz"):
        shutil.copy(LEGACY / "version_0_1_0_scores.npz", name)
    np.save("keypoints.npy", np.random.default_rng(0).uniform(0, 1000, (2, 50, 17, 3)))
    frame = {"keypoints": np.load("keypoints.npy")[0, 0]}
    exec(first, frame)
    assert frame["label"] is None  # a window is not full
    found = {}
    exec(code, found)
    assert capsys.readouterr().out.strip() in found["model"].classes
    assert found["recognizer"].model.classify.out_features == len(found["model"].classes)
    assert found["engine"].model is found["network"]
