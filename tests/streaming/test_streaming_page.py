"""The page on streaming says what is so."""

import re
import shutil

import numpy as np
from helpers import CHECKOUT, LEGACY

PAGE = (CHECKOUT / "docs" / "streaming.md").read_text()


def test_the_page_s_code_runs(tmp_path, monkeypatch, capsys):
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    monkeypatch.chdir(tmp_path)
    shutil.copy(LEGACY / "version_0_1_0_finished.ckpt", "best.ckpt")
    np.save("keypoints.npy", np.random.default_rng(0).uniform(0, 400, (90, 17, 3)))
    found = {}
    exec(code, found)
    one, several = capsys.readouterr().out.splitlines()
    assert one.split()[0] in found["predictor"].classes
    assert one.endswith(str(89 / 30))
    assert "'anna'" in several
    assert "None" not in several


def test_the_page_names_all_options():
    from dataclasses import fields

    from stgcn_lightning.streaming.options import StreamOptions

    for field in fields(StreamOptions):
        assert f"`{field.name}`" in PAGE or f"{field.name}=" in PAGE, field.name
