"""What the environment says: W&B's mode, no home directory, and where relative paths belong."""

import os
import pwd
from pathlib import Path

import pytest

from stgcn_lightning.errors import BadInput
from stgcn_lightning.jobs.fetching import checkpoint_of, downloads_of
from stgcn_lightning.jobs.stores import annotations_of
from stgcn_lightning.jobs.watching import loggers_of
from stgcn_lightning.launching.composing import composed
from stgcn_lightning.launching.resolvers import cache_folder, no_wandb_account
from stgcn_lightning.settings.compose import settings_of


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    """A process without HOME and without an entry in the list of users, as in a container."""

    def unknown(_):
        raise KeyError

    monkeypatch.chdir(tmp_path)
    for name in ("HOME", "XDG_CACHE_HOME", "WANDB_MODE", "WANDB_API_KEY", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)


def settings(door, *overrides):
    return settings_of(door, composed(door, f"run_dir={Path.cwd() / 'run'}", *overrides))


def test_without_a_home_all_works_that_needs_none(nowhere):
    train = settings("train", "logger=[csv,wandb]")
    assert train.logger["wandb"].get("offline") is True
    assert checkpoint_of("a.ckpt", train.downloads, "stgcn") == Path("a.ckpt")
    chosen = settings("train", "benchmark=ntu60_xsub_2d", "downloads.folder=here")
    assert annotations_of(chosen.benchmark, Path("stores")) == Path("here/ntu60_2d.pkl")
    assert downloads_of(chosen.downloads).folder == Path("here")


def test_without_a_home_what_needs_one_names_the_keys(nowhere, monkeypatch):
    asked = settings("train", "benchmark=ntu60_xsub_2d", "logger=wandb")
    for need in (
        lambda: annotations_of(asked.benchmark, Path("stores")),
        lambda: downloads_of(asked.downloads),
    ):
        with pytest.raises(BadInput, match=r"XDG_CACHE_HOME or downloads\.folder=FOLDER"):
            need()
    with pytest.raises(BadInput, match="W&B needs a home directory"):
        loggers_of(asked)
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert cache_folder() == "/cache/stgcn_lightning"


@pytest.mark.parametrize("account", [True, False])
@pytest.mark.parametrize(
    ("mode", "offline"),
    [("offline", True), ("dryrun", True), ("online", False), ("disabled", False), (None, None)],
)
def test_the_mode_of_w_and_b_is_obeyed_with_and_without_an_account(
    monkeypatch, tmp_path, account, mode, offline
):
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    for name, value in {"WANDB_API_KEY": "a" * 40 if account else None, "WANDB_MODE": mode}.items():
        monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name, raising=False)
    assert no_wandb_account() is (not account if offline is None else offline)


@pytest.mark.parametrize("offline", ["true", "false"])
def test_a_mode_of_disabled_leaves_the_logger_out_and_nothing_behind(
    monkeypatch, tmp_path, capsys, offline
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "disabled")
    asked = settings("fuse", "logger=[csv,wandb]", f"logger.wandb.offline={offline}")
    assert [type(one).__name__ for one in loggers_of(asked)] == ["MetricsFile"]
    assert capsys.readouterr().out == "W&B: disabled by WANDB_MODE, no run is kept\n"
    assert not list(tmp_path.rglob("wandb*"))
    monkeypatch.setenv("WANDB_MODE", "of")
    with pytest.raises(BadInput, match="WANDB_MODE=of of the environment is none of online, offl"):
        loggers_of(asked)


def test_an_empty_mode_of_w_and_b_is_none(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "")
    (logger,) = loggers_of(settings("train", "logger=wandb", "logger.wandb.offline=true"))
    assert logger.settings["mode"] == "offline"
    assert "WANDB_MODE" not in os.environ  # W&B would refuse it with its own traceback


def test_names_that_the_environment_gives_w_and_b_are_used(monkeypatch, tmp_path):
    named = {"WANDB_PROJECT": "mine", "WANDB_NAME": "first", "WANDB_RUN_GROUP": "all"}
    for name, value in named.items():
        monkeypatch.setenv(name, value)
    chosen = settings("train", "logger=wandb").logger["wandb"]
    assert [chosen.get(key) for key in ("project", "name", "group")] == [*named.values()]
    assert (
        settings("train", "logger=wandb", "logger.wandb.project=x").logger["wandb"].get("project")
        == "x"
    )
