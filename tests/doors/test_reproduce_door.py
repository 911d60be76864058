"""A whole benchmark through its front door."""

import json
import random
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from forked import held_by_another
from forked import run as run_forked
from small_runs import TINY, refused

from stgcn_lightning.evaluation.scores import read_scores
from stgcn_lightning.jobs import reproducing


def test_a_reproduction_trains_fuses_and_does_nothing_twice(door, monkeypatch):
    arguments = ["benchmark=synthetic", *TINY, "recipe.epochs=1"]
    status, out, err = door("reproduce", *arguments, "seeds=[0,1]")
    assert status == 0, err
    folder = Path("runs/reproduce/synthetic")
    found = json.loads((folder / "reproduction.json").read_text())
    assert [row["name"] for row in found["rows"]] == [
        "joint", "bone", "joint_motion", "bone_motion", "two_stream", "four_stream"
    ]  # fmt: skip
    for row in found["rows"]:
        runs = [read_scores(folder / row["name"] / f"seed_{n}" / "scores.npz") for n in (0, 1)]
        top1 = [(run.scores.argmax(1) == run.labels).mean() for run in runs]
        assert row["seeds"] == pytest.approx(top1)
        assert row["top1"] == pytest.approx(np.mean(top1))
    markdown = (folder / "reproduction.md").read_text()
    assert "joint:joint_motion:bone:bone_motion 2:1:2:1" in markdown

    def never(cfg):
        raise AssertionError("trained again")

    train = reproducing.train
    monkeypatch.setattr(reproducing, "train", never)
    status, out, err = door("reproduce", *arguments, "seeds=[0,1]")
    assert status == 0, err
    assert out.count("done, ") == 8
    assert (folder / "reproduction.md").read_text() == markdown
    refused(
        door("reproduce", *arguments, "recipe.lr=0.2"),
        "recipe.lr=0.1, not 0.2",
        "hydra.run.dir=NEW",
    )

    shutil.copy(folder / "bone/seed_0/scores.npz", folder / "joint/seed_1/scores.npz")
    refused(
        door("reproduce", *arguments, "seeds=[0,1]"),
        "joint/seed_1/scores.npz was made with stream bone, not joint",
        "delete it",
    )
    assert door("reproduce", *arguments, "seeds=[0]")[0] == 0
    assert (folder / "reproduction_seeds_0_1.md").read_text() == markdown
    refused(door("reproduce", *arguments, "streams=[joint,bones]"), "bones is none of the streams")
    refused(door("reproduce", *arguments, "streams=[bone,bone]"), "streams=[joint,bone]")
    monkeypatch.setattr(reproducing, "train", train)
    six = "streams=[joint,bone,k_bone,joint_motion,bone_motion,k_bone_motion]"
    status, out, err = door("reproduce", *arguments, "seeds=[0]", six)
    assert status == 0, err
    assert out.count("done, ") == 4
    (*_, last) = json.loads((folder / "reproduction.json").read_text())["rows"]
    assert last["name"] == "six_stream"
    markdown = (folder / "reproduction.md").read_text()
    assert "joint:bone:k_bone:joint_motion:bone_motion:k_bone_motion 2:2:2:1:1:1" in markdown
    with held_by_another(folder):
        refused(door("reproduce", *arguments), "another process is at work")
    (folder / "settings.json").write_text("{")
    refused(door("reproduce", *arguments), "settings.json is damaged")

    checkpoint = folder / "joint/seed_0/checkpoints/best.ckpt"
    given = [*arguments, f"checkpoints={{joint: {checkpoint}}}", "hydra.run.dir=given"]
    status, out, err = door("reproduce", *given)
    assert status == 0, err
    refused(door("reproduce", *given, "streams=[joint]"), "leave out streams")
    (row,) = json.loads(Path("given/reproduction.json").read_text())["rows"]
    assert row["top1"] == found["rows"][0]["seeds"][0]


@pytest.mark.slow
def test_a_reproduction_killed_at_three_moments_ends_with_the_same_table(tmp_path):
    arguments = ["benchmark=synthetic", *TINY, "benchmark.synthetic.train_samples=200"]

    def reproduce(name, seconds=None):
        folders = [f"hydra.run.dir={tmp_path / name}", f"data.store_dir={tmp_path / 'stores'}"]
        started = time.monotonic()
        ended = run_forked(tmp_path, "reproduce", *arguments, *folders, kill_after=seconds)
        return ended.returncode, ended.stdout, time.monotonic() - started

    run_forked(tmp_path, "train", "--help")  # the fork server has imported everything
    status, whole, seconds = reproduce("whole")
    assert status == 0
    assert whole.count("epoch 2/2") == 4
    rng = random.Random(0)
    killed = [reproduce("killed", rng.uniform(0.35, 0.6) * seconds) for _ in range(3)]
    status, last, _ = reproduce("killed")
    assert status == 0
    assert any(status == -signal.SIGKILL for status, _, _ in killed)
    tables = [(tmp_path / name / "reproduction.md").read_text() for name in ("whole", "killed")]
    assert tables[0] == tables[1]
    for stream in ("joint", "bone", "joint_motion", "bone_motion"):
        scores = [tmp_path / name / stream / "seed_0/scores.npz" for name in ("whole", "killed")]
        with np.load(scores[0]) as a, np.load(scores[1]) as b:
            np.testing.assert_array_equal(a["scores"], b["scores"])
    # a stream that had its scores was never begun again
    everything = "".join(out for _, out, _ in killed) + last
    assert everything.count("epoch 2/2") <= 4 + len(killed)


def test_a_start_that_failed_does_not_bind_the_folder(door):
    missing = ["benchmark=jhmdb14_split1", "trainer=cpu", "hydra.run.dir=run"]
    refused(door("reproduce", *missing), "say where the annotations")
    refused(
        door("reproduce", *missing, "benchmark.annotations=absent.pkl"), "no annotation file absent"
    )
