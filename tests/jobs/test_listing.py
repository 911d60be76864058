"""The door that lists the published checkpoints."""

import json
import os
import re
import subprocess
import sys

import pytest
from helpers import CHECKOUT

from stgcn_lightning.errors import BadInput
from stgcn_lightning.jobs.listing import list_zoo
from stgcn_lightning.launching.composing import composed
from stgcn_lightning.settings.compose import settings_of


def listed(capsys, *overrides):
    list_zoo(settings_of("zoo", composed("zoo", "run_dir=.", *overrides)))
    return capsys.readouterr().out


def test_everything_is_listed_with_what_it_reached_and_costs(capsys):
    rows = json.loads(listed(capsys, "format=json"))
    assert len(rows) == len({row["address"] for row in rows}) == 244
    assert all(row["top1"] for row in rows)
    (row,) = [row for row in rows if row["name"] == "zoo:ntu60_xsub_2d_bone"]
    address = row.pop("address")
    assert address.endswith("_20221129-c4b44488.pth")
    assert row == {
        "name": "zoo:ntu60_xsub_2d_bone", "model": "stgcn", "practice": None,
        "benchmark": "ntu60_xsub_2d", "stream": "bone", "published_by": "MMAction2", "top1": 91.69,
        "parameters": 3088704, "gmac": 3.81, "bytes_of_weights": 12354816, "sha256": "c4b44488",
    }  # fmt: skip


def test_groups_and_a_text_choose_and_the_table_says_what_is_not_published(capsys):
    out = listed(capsys, "model=stgcnpp", "benchmark=ntu60_xsub_3d", "stream=joint")
    names = re.findall(r"zoo:\S+", out)
    assert names == [
        "zoo:stgcnpp/ntu60_xsub_3d_joint",
        "zoo:pyskl/stgcnpp/ntu60_xsub_3d_joint",
        "zoo:stgcnpp_strong/ntu60_xsub_3d_joint",
    ]
    assert "3 checkpoints. top-1 in %" in out
    assert "nobody publishes the sizes of the files" in out
    assert "MMAction2" in out
    assert "4e455ce3" in out
    assert len(json.loads(listed(capsys, "text=Vanilla", "format=json"))) == 16
    with pytest.raises(BadInput, match="no checkpoint of benchmark=synthetic, text=x: leave one"):
        listed(capsys, "benchmark=synthetic", "text=x")
    with pytest.raises(BadInput, match="the zoo has no checkpoint of model=protogcn: leave it out"):
        listed(capsys, "model=protogcn")


def test_the_list_is_printed_without_pytorch(tmp_path):
    door = [sys.executable, "-X", "importtime", "-m", "stgcn_lightning.zoo", "text=dgstgcn"]
    paths = os.pathsep.join([str(CHECKOUT / "src"), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        door, cwd=tmp_path, env=os.environ | {"PYTHONPATH": paths}, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert "16 checkpoints" in done.stdout
    assert not re.search(r"\| +(torch|lightning|numpy)\n", done.stderr)
    assert list(tmp_path.iterdir()) == []
