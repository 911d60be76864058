"""The comparison of the grid, as a stand-in for W&B's server receives it."""

import json
import os
import subprocess
import sys

import pytest
from helpers import CHECKOUT
from wandb_standin import StandIn, run_node

pytest.importorskip("wandb_workspaces", reason="the extra `wandb` is not installed")


@pytest.fixture
def stand_in():
    with StandIn() as running:
        yield running


@pytest.fixture
def dashboard(stand_in, tmp_path):
    """Run the script: (arguments) -> what it printed."""

    def run(*arguments):
        done = subprocess.run(
            [sys.executable, CHECKOUT / "scripts" / "wandb_dashboard.py", *arguments],
            env={
                **os.environ,
                "WANDB_BASE_URL": stand_in.address,
                "WANDB_API_KEY": "0" * 40,
                "no_proxy": "127.0.0.1",
                "HOME": str(tmp_path),
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.mark.slow
def test_the_grid_is_compared_with_what_was_published(stand_in, dashboard):
    def trained(seed, top1, job="train", name=None, **config):
        config["stream"] = {"name": "bone"}
        name = name or f"bone_seed{seed}"
        return run_node(name, "ntu60_xsub_2d", job, config, {"test/top1": top1})

    summary = {"two_stream/top1": 0.9250, "two_stream/published": 0.9212}
    stand_in.runs = [
        trained(0, 0.91),
        trained(1, 0.92),
        # neither another sample of the figure: the same weights again, another split, a part
        trained(1, 0.92, "test", "again", trained_by={"id": "bone_seed1"}),
        trained(1, 0.99, "test", "train_split", split="xsub_train"),
        trained(2, 0.50, "train", "fast", debug="fast"),
        run_node("fused", "ntu60_xsub_2d", "fuse", {}, summary),
        run_node("untested", "ntu60_xsub_2d", "train", {"stream": {"name": "joint"}}, {}),
    ]
    address = dashboard().strip().splitlines()[-1]
    assert address.startswith(f"{stand_in.address}/me/stgcn_lightning/reports/")
    asked = dict(stand_in.asked)["Runs"]
    assert (asked["entity"], asked["project"]) == ("me", "stgcn_lightning")
    assert json.loads(asked["filters"]) == {"state": "finished"}
    (report,) = stand_in.reports.values()
    assert report["displayName"] == "ST-GCN beside the published figures"
    assert report["type"] == "runs"
    spec = json.loads(report["spec"])
    table = next(block["content"] for block in spec["blocks"] if block["type"] == "markdown-block")
    lines = table.splitlines()
    assert len(lines) == 2 + 4 * 6
    assert "| ntu60_xsub_2d | bone | 91.50 ± 0.71 | 2 | 91.69 | -0.19 |" in lines
    assert "| ntu60_xsub_2d | two_stream | 92.50 | 1 | 92.12 | +0.38 |" in lines
    assert "| ntu60_xsub_2d | joint |  | 0 | 88.95 |  |" in lines

    grids = [block for block in spec["blocks"] if block["type"] == "panel-grid"]
    assert len(grids) == 2 * 4
    for grid, jobs, drawn in (
        (grids[0], ["train", "test"], {"test/top1", "val/top1", "train/loss", "lr"}),
        (grids[1], "fuse", {"two_stream/top1", "four_stream/top1"}),
    ):
        (runs,) = grid["metadata"]["runSets"]
        wanted = {one["key"]["name"]: one["value"] for one in runs["filters"]["filters"]}
        assert wanted == {"group": "ntu60_xsub_2d", "jobType": jobs}
        panels = grid["metadata"]["panelBankSectionConfig"]["panels"]
        assert drawn <= {key for panel in panels for key in panel["config"]["metrics"]}
    (by,) = grids[0]["metadata"]["runSets"][0]["grouping"]
    assert by == {"section": "config", "name": "stream.value.name"}

    stand_in.runs = [trained(0, 0.93)]
    assert address in dashboard("--update", address, "--benchmarks", "ntu60_xsub_2d")
    (report,) = stand_in.reports.values()
    assert "| ntu60_xsub_2d | bone | 93.00 | 1 | 91.69 | +1.31 |" in report["spec"]
    assert "ntu120" not in report["spec"]
