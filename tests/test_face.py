"""The library as a Python user imports it."""

import re
import shutil
import subprocess
import sys

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


def test_the_example_of_the_readme_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(LEGACY / "version_0_1_0_finished.ckpt", "best.ckpt")
    for stream in ("joint", "bone"):
        shutil.copy(LEGACY / "version_0_1_0_scores.npz", f"{stream}.npz")
    (example,) = re.findall(r"```python\n(.*?)```", (CHECKOUT / "README.md").read_text(), re.S)
    names: dict = {}
    exec(example, names)
    assert names["scores"].shape == (12,)
    assert names["fused"].labels.shape == (12,)
