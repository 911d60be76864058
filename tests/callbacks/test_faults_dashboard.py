"""W&B that cannot be reached, or ends in mid-run: the training goes on, and it is said once."""

import os
import re
import threading
import time
from functools import partial

import psutil
import pytest
import torch
from faulty_run import FIRST, Ended, at_step
from wandb_files import records
from wandb_standin import StandIn

from stgcn_lightning.callbacks import dashboard

TRAIN = [*FIRST, "logger=[csv,wandb]", "test_after=true", "data.test_clips=2"]
KEY = "0123456789abcdef0123456789abcdef01234567"


def trained(folder, fault, *arguments):
    """What a training prints that has such a W&B; all that it leaves without W&B is there."""
    ended = Ended(folder / "work", "train", [*TRAIN, *arguments], partial(alone, folder, fault))
    assert ended.status == 0, (ended.out, ended.err)
    assert "Traceback" not in ended.err
    run = folder / "work/run"
    assert torch.load(run / "checkpoints/last.ckpt", weights_only=True)["global_step"] == 18
    assert (run / "scores.npz").exists()
    assert (run / "test_report.html").exists()
    assert (run / "metrics.csv").read_text().count("\n") > 36
    return ended.out + ended.err, run / "wandb"


def alone(folder, fault):
    """Nobody has an account here, and no other process of W&B is asked."""
    for name in [one for one in os.environ if one.startswith("WANDB")]:
        del os.environ[name]
    os.environ |= {"NETRC": str(folder / "netrc"), "HOME": str(folder / "home")}
    fault()


class Broken:
    """A run of W&B that can no longer be told anything."""

    def __getattr__(self, name):
        raise ConnectionResetError("Connection lost")


def gone():
    dashboards = []
    begin = dashboard.RunLogger._begin

    def noted(self):
        begin(self)
        dashboards.append(self)

    def lose(*_):
        dashboards[0].run.finish()
        dashboards[0].run = Broken()

    dashboard.RunLogger._begin = noted
    at_step(4, lose)


def test_a_dashboard_that_fails_is_said_once_and_costs_nothing(tmp_path):
    out, kept = trained(tmp_path, gone)
    assert out.count("W&B fails (ConnectionResetError: Connection lost)") == 1
    assert list(kept.glob("offline-run-*/run-*.wandb"))


def killed():
    def kill(*_):
        for one in psutil.Process().children(recursive=True):
            if "wandb" in one.name():
                one.kill()

    at_step(4, kill)


@pytest.mark.slow
@pytest.mark.parametrize("watched", ["null", "gradients"])
def test_a_process_of_wandb_that_is_killed_costs_nothing(tmp_path, watched):
    watching = [f"logger.wandb.watched={watched}", "logger.wandb.watch_every=1"]
    out, kept = trained(tmp_path, killed, *watching)
    assert out.count("W&B fails (") == 1
    (run,) = kept.glob("offline-run-*/run-*.wandb")
    records(run)  # as far as it goes


def unreachable(address):
    os.environ |= {"WANDB_API_KEY": KEY, "WANDB_BASE_URL": address, "no_proxy": "127.0.0.1"}
    os.environ["WANDB_INIT_TIMEOUT"] = "2"  # of W&B: 90 seconds


def test_a_server_that_cannot_be_reached_leaves_the_run_offline(tmp_path):
    out, kept = trained(tmp_path, partial(unreachable, "http://127.0.0.1:9"))
    assert out.count("W&B cannot be reached (") == 1
    (run,) = kept.glob("offline-run-*")
    assert f"W&B: wandb sync run/wandb/{run.name}" in out


class Online(StandIn):
    """A server that also begins runs."""

    def answer(self, request):
        name = re.search(r"(?:query|mutation)\s+(\w+)", request["query"])[1]
        project = {"id": "7", "name": "p", "entity": {"id": "1", "name": "me"}}
        if name == "RunResumeStatus":  # there is none of this id
            return {"data": {"model": {**project, "bucket": None}}}
        if name != "UpsertBucket":
            return super().answer(request)
        unknown = dict.fromkeys(["description", "config", "sweepName"])
        about = {"name": request["variables"].get("name"), "displayName": "run"}
        bucket = {"id": "x", "historyLineCount": 0, "project": project} | unknown | about
        return {"data": {"upsertBucket": {"bucket": bucket, "inserted": True}}}


def lost(address, stop):
    unreachable(address)
    os.environ["WANDB_INIT_TIMEOUT"] = "60"
    dashboard.FINISHING = 3.0
    at_step(4, lambda *_: stop.touch())
    at_step(5, lambda *_: time.sleep(1))


@pytest.mark.slow
def test_a_server_that_is_lost_in_mid_run_costs_nothing_and_the_job_ends(tmp_path):
    stop = tmp_path / "stop"
    with Online() as server:

        def end():
            while not stop.exists():
                time.sleep(0.05)
            server.http.shutdown()
            server.http.server_close()

        thread = threading.Thread(target=end, daemon=True)
        thread.start()
        out, kept = trained(tmp_path, partial(lost, server.address, stop))
        thread.join()
    # when W&B notices depends on what it asks its server for
    assert out.count("W&B fails (") + out.count("Timed out finishing run") == 1
    (run,) = kept.glob("run-*/run-*.wandb")
    assert len(records(run)) > 12  # for `wandb sync`
