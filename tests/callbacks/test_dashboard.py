"""What W&B is told, read back from the files of runs that were kept offline."""

import json
import re
import sys
from pathlib import Path

import pytest
from wandb_files import OfflineRun

from stgcn_lightning.evaluation.scores import read_scores
from stgcn_lightning.launching.doors import open_door

TINY = [
    "trainer=cpu",
    "logger=[csv,wandb]",
    "benchmark.synthetic.train_samples=40",
    "benchmark.synthetic.val_samples=20",
    "model.base_channels=4",
    "data.clip_frames=12",
    "data.test_clips=2",
    "recipe.epochs=1",
    "recipe.train_passes_per_epoch=1",
]
KEY = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def door(monkeypatch, capfd, tmp_path):
    """Open a door in this process, where nobody has an account: everything that it prints."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("WANDB_API_KEY", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)

    def run(name, *arguments, status=0):
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *map(str, arguments)])
        left_with = 0
        try:
            open_door(name)
        except SystemExit as end:
            left_with = end.code
        told = "".join(capfd.readouterr())
        assert left_with == status, told
        return told

    return run


def runs_in(folder):
    """The runs of a run directory, the oldest first."""
    return [OfflineRun(path) for path in sorted(Path(folder).glob("wandb/offline-run-*"))]


def test_a_run_kept_offline_holds_what_a_person_wants_to_see(door, monkeypatch):
    # a key is there, in both places, but the run is wanted offline
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    other = KEY[::-1]
    Path("netrc").write_text(f"machine api.wandb.ai\n  login user\n  password {other}\n")
    out = door(
        "train", *TINY, "hydra.run.dir=run", "test_after=true",
        "logger=[csv,wandb,tensorboard]", "logger.wandb.offline=true",
        "logger.wandb.tags=[mine]", "logger.wandb.watched=gradients", "logger.wandb.watch_every=1",
    )  # fmt: skip
    (run,) = runs_in("run")
    assert (run.run.project, run.run.job_type) == ("stgcn_lightning", "train")
    assert run.run.run_group == "synthetic"
    assert run.run.display_name == "synthetic_joint_seed0"
    assert list(run.run.tags) == ["mine", "stgcn", "2d", "joint"]
    assert run.config["recipe"]["base_lr"] == 0.1
    assert run.config["run_dir"].endswith("/run")  # resolved
    assert re.match(r"\d+\.\d+\.\d+", run.config["code"])
    assert set(run.history) >= {
        "train/loss", "train/top1", "val/loss", "val/top1", "lr", "trainer/global_step",
        "train/clips_per_second", "train/data_wait", "memory/process_gb",
    }  # fmt: skip
    assert 0 < run.history["train/data_wait"][0] < 1
    assert 0.05 < run.history["memory/process_gb"][0] < 50
    assert any(name.startswith("gradients/") for name in run.history)

    scores = read_scores(Path("run/scores.npz"))
    right = (scores.scores.argmax(1) == scores.labels).mean()
    assert run.summary["test/top1"] == pytest.approx(right)
    assert scores.meta["wandb_run"]["id"] == run.run.run_id
    files = Path("run/wandb/latest-run/files")
    table = json.loads((files / run.summary["test/classes/path"]).read_text())
    assert table["columns"][:3] == ["class", "samples", "right"]
    assert sum(row[1] for row in table["data"]) == 20
    assert sum(row[2] for row in table["data"]) == round(20 * right)
    confused = json.loads((files / run.summary["test/confusions/path"]).read_text())["data"]
    assert sum(row[2] for row in confused) == 20 - round(20 * right)
    for page in ("train/report", "test/report"):
        written = Path("run", f"{page.replace('/', '_')}.html").read_text()
        assert (files / run.summary[f"{page}/path"]).read_text() == written
    assert '<svg id="matrix"' in (files / run.summary["test/confusion_matrix/path"]).read_text()
    movies = [files / movie["path"] for movie in run.summary["test/worst_errors/html"]]
    assert len(movies) == min(12, 20 - round(20 * right))
    assert all(movie.read_text().count("<canvas") == 1 for movie in movies)
    assert set(run.files) >= {str(movie.relative_to(files)) for movie in movies}
    assert run.status == 0

    (folder,) = Path("run/wandb").glob("offline-run-*")
    assert f"W&B: wandb sync {folder}" in out
    assert out.count("offline,") == 1
    assert list(Path("run/tensorboard").glob("events*"))
    for secret in (KEY, other):
        assert secret not in out
        for file in Path("run").rglob("*"):
            assert not file.is_file() or secret.encode() not in file.read_bytes(), file


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty")
def test_runs_of_a_sweep_are_apart_resume_as_themselves_and_are_found_by_the_fusion(door):
    out = door(
        "train", *TINY, "-m", "stream=joint,bone", "test_after=true", "hydra.sweep.dir=sweep"
    )
    jobs = [runs_in(f"sweep/{name}") for name in ("0_synthetic_joint", "1_synthetic_bone")]
    assert [len(runs) for runs in jobs] == [1, 1]
    (joint,), (bone,) = jobs
    assert joint.run.run_id != bone.run.run_id
    assert "sweep" in joint.run.tags
    assert joint.config["sweep"] == bone.config["sweep"] == "sweep"
    assert (joint.config["stream"]["name"], bone.config["stream"]["name"]) == ("joint", "bone")
    assert out.count("W&B: wandb sync") == 2

    again = [
        "stream=joint",
        "hydra.run.dir=sweep/0_synthetic_joint",
        "resume=auto",
        "recipe.epochs=2",
    ]
    out = door("train", *TINY, *again)
    first, second = runs_in("sweep/0_synthetic_joint")
    assert second.run.run_id == first.run.run_id == joint.run.run_id
    assert max(second.history["trainer/global_step"]) > max(first.history["trainer/global_step"])
    assert len(re.search(r"W&B: wandb sync (.*)", out)[1].split()) == 2

    files = "joint: sweep/0_synthetic_joint/scores.npz, bone: sweep/1_synthetic_bone/scores.npz"
    streams = f"streams={{{files}}}"
    door("fuse", streams, "preset=two_stream", "logger=wandb", "hydra.run.dir=fused")
    (fused,) = runs_in("fused")
    assert (fused.run.job_type, fused.run.run_group) == ("fuse", "synthetic")
    assert fused.run.display_name == "synthetic_two_stream"
    assert fused.config["streams"]["joint"]["id"] == joint.run.run_id
    assert fused.summary["bone/run"] == bone.run.run_id
    scores = read_scores(Path("fused/scores.npz"))
    right = (scores.scores.argmax(1) == scores.labels).mean()
    assert fused.summary["two_stream/top1"] == pytest.approx(right)

    checkpoint = "checkpoint=sweep/1_synthetic_bone/checkpoints/best.ckpt"
    door("test", *TINY, "stream=bone", checkpoint, "hydra.run.dir=tested")
    (tested,) = runs_in("tested")
    assert tested.run.job_type == "test"
    assert tested.config["trained_by"]["id"] == bone.run.run_id


def test_a_run_that_fails_says_so_to_wandb(door):
    door("train", *TINY, "recipe.lr=1e30", "hydra.run.dir=run", status=2)
    (run,) = runs_in("run")
    assert run.status == 2


def test_what_cannot_be_watched_is_one_sentence(door):
    out = door("train", *TINY, "logger.wandb.watched=weights", status=2)
    assert "logger.wandb.watched=weights is none of null, gradients, parameters, all" in out
