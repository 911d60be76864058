"""The soak notices what grows, what is left behind and what changes."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soak
from helpers import LEGACY
from soaking import processes, trends
from soaking.rounds import Doors, SoakError

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/smaps_rollup").exists(), reason="processes are looked at in /proc"
)
HOURS = np.linspace(0, 2, 200)
LEAKING = """
import os, sys, tempfile
kept, leak = [], sys.argv[1]
for _ in sys.stdin:
    filled = b"x" * (1 << 20)
    with tempfile.NamedTemporaryFile(delete=leak != "entries") as file:
        file.write(filled)
        if leak == "memory":
            kept.append(bytearray(filled))
        if leak == "files":
            kept.append(os.dup(file.fileno()))
    print(flush=True)
"""


def noise(size):
    return np.random.default_rng(0).normal(0, size, len(HOURS))


@pytest.mark.parametrize(
    ("series", "verdict"),
    [
        (500 + noise(20), "flat"),
        (500 + 30 * HOURS + noise(20), "grows"),
        (500 + 3 * HOURS + noise(1), "flat"),  # less than the bound
        (500 + noise(500), "open"),
        (30 + np.floor(3 * HOURS), "flat"),
        (30 + np.floor(20 * HOURS), "grows"),
    ],
)
def test_a_trend_is_told_from_noise(series, verdict):
    found = trends.trend(HOURS, series, bound=10)
    assert found.verdict == verdict, found
    assert found.low <= found.slope <= found.high


def test_the_beginning_does_not_count():
    series = np.minimum(500 + 60 * HOURS, 560) + noise(1)
    assert trends.trend(HOURS, series, bound=10, beginning=1).verdict == "flat"
    assert trends.trend(HOURS, series, bound=10).verdict == "grows"


def test_few_points_decide_nothing():
    assert trends.trend(range(4), range(4), bound=0.1).verdict == "open"
    assert trends.trend([], [], bound=0.1).verdict == "open"


@pytest.mark.parametrize("leak", ["memory", "files", "entries", "none"])
def test_a_planted_leak_grows_and_nothing_else_does(leak, tmp_path):
    """One megabyte, open file or temporary file a minute, in a process that is looked at."""
    mark, samples = f"{tmp_path}:", []
    process = subprocess.Popen(
        [sys.executable, "-c", LEAKING, leak],
        env={**os.environ, processes.MARK: mark, "TMPDIR": str(tmp_path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with process:
        for minute in range(40):
            process.stdin.write(b"\n")
            process.stdin.flush()
            process.stdout.readline()
            held = processes.held(processes.marked(mark))
            entries, _ = processes.contents(tmp_path)
            samples.append(
                {"who": "answers", "session": 1, "hours": minute / 60, "disk": 0}
                | {"entries": entries, "memory": held.memory, "files": held.files}
                | {"threads": held.threads, "processes": held.processes}
            )
    found = {what: one.verdict for (who, what), one in soak.judged(samples).items()
             if who == "answers"}  # fmt: skip
    assert found == dict.fromkeys(soak.HOUR, "flat") | ({} if leak == "none" else {leak: "grows"})


def test_a_child_that_outlives_its_parent_is_found(tmp_path):
    doors = Doors(tmp_path, f"{tmp_path}:round", os.environ, lambda: None)
    orphan = "import subprocess; subprocess.Popen(['sleep', '60'], start_new_session=True)"
    env = doors.env
    subprocess.run([sys.executable, "-c", orphan], env=env, check=True)
    try:
        until = time.monotonic() + 10
        while not processes.marked(f"{tmp_path}:") and time.monotonic() < until:
            time.sleep(0.01)  # for a moment a program that has just begun shows no environment
        (left,) = processes.left_over(f"{tmp_path}:", patience=0.2)
        assert left.endswith("(sleep 60)")
    finally:
        processes.end(f"{tmp_path}:")
    assert not processes.left_over(f"{tmp_path}:", patience=0)


def test_a_door_that_fails_is_quoted(tmp_path, monkeypatch):
    monkeypatch.setattr("soaking.rounds.TICK", 0.01)  # a fast machine refuses it within 0.5 s
    looks = []
    doors = Doors(tmp_path, f"{tmp_path}:round", os.environ, lambda: looks.append(1))
    with pytest.raises(SoakError, match=r"test ended with status 2.*there is no key nonsense"):
        doors.run("test", "test", "nonsense=1")
    assert looks
    assert doors.most["test"].memory > 5e6


def test_what_a_writer_left_is_unfinished(tmp_path):
    left = [".last.ckpt.0a1b.tmp", "next.ckpt", "s-1.building/frames.bin", "s-1.old/ids.npy"]
    for name in [*left, "last.ckpt", "best.ckpt", ".lock", "s-1/frames.bin"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = [".last.ckpt.0a1b.tmp", "next.ckpt", "s-1.building", "s-1.old"]
    assert processes.unfinished(tmp_path) == found


def test_shared_memory_of_others_and_of_the_living_does_not_count(tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "SHARED_MEMORY", tmp_path)
    now = time.time()
    ours, gone = os.getpid(), 1 << 22  # above the greatest number
    for name in (f"torch_{ours}_1_0", f"torch_{gone}_1_0", "psm_1", "sem.mp-a", "tmp_of_others"):
        (tmp_path / name).touch()
    (tmp_path / "psm_2").touch()
    os.utime(tmp_path / "psm_2", (now - 60, now - 60))
    assert processes.shared_memory(now - 30) == 3


@pytest.fixture
def alone(monkeypatch):
    """A soak whose rounds do nothing, beside nothing."""
    monkeypatch.setattr(soak.Soak, "live", lambda *_: None)
    monkeypatch.setattr(soak, "used", lambda doors: {})

    def trained(doors, number):
        doors.most["train"] = processes.Held(1, 1, 1, 1)
        (doors.folder / "whole" / "checkpoints").mkdir(parents=True)
        (doors.folder / "whole" / "checkpoints" / "best.ckpt").touch()
        return {"train": "the same"}

    monkeypatch.setattr(soak, "trained", trained)
    return trained


def test_a_soak_goes_on_where_it_was(alone, tmp_path, capsys):
    for rounds in (1, 2):
        assert soak.main(["--folder", str(tmp_path), "--hours", "0"]) == 0
        content = json.loads((tmp_path / "soak.json").read_text())
        assert (content["state"]["rounds"], content["state"]["sessions"]) == (rounds, rounds)
        assert [one["round"] for one in content["samples"] if one["who"] == "round"] == [
            *range(rounds)
        ]
    assert (tmp_path / "soak.png").stat().st_size > 10_000
    assert not capsys.readouterr().err


def test_what_a_killed_soak_left_is_ended_first(alone, tmp_path, capsys):
    env = {**os.environ, processes.MARK: f"{tmp_path}:answers"}
    with (tmp_path / "samples.jsonl").open("w") as file:
        more = dict.fromkeys(("memory", "files", "threads"), 1)
        file.write(json.dumps({"who": "soak", "session": 1, "hours": 3} | more) + "\n")
    with subprocess.Popen(["sleep", "60"], env=env) as left:
        assert soak.main(["--folder", str(tmp_path), "--hours", "0"]) == 1
        said = capsys.readouterr().err
        assert f"{left.pid} (sleep 60); end them first" in said
        assert left.poll() is None
        left.kill()
    assert soak.main(["--folder", str(tmp_path), "--hours", "2"]) == 0  # it took longer before
    assert json.loads((tmp_path / "state.json").read_text())["hours"] > 3


def test_what_grows_ends_with_a_sentence(alone, tmp_path, capsys):
    grown = {"who": "training", "session": 1, "threads": 3, "processes": 3, "entries": 3, "disk": 3}
    with (tmp_path / "samples.jsonl").open("w") as file:
        for minute in range(60):
            more = {"hours": minute / 60, "files": 30, "memory": 3e8 + 1e6 * minute}
            file.write(json.dumps(grown | more) + "\n")
    assert soak.main(["--folder", str(tmp_path), "--hours", "0"]) == 1
    assert capsys.readouterr().err == "soak: training memory: this grows by more than the bound\n"


def test_other_scores_than_in_the_first_round_are_rot(alone, tmp_path, capsys, monkeypatch):
    assert soak.main(["--folder", str(tmp_path), "--hours", "0"]) == 0
    monkeypatch.setattr(soak, "trained", lambda *given: alone(*given) | {"train": "others"})
    assert soak.main(["--folder", str(tmp_path), "--hours", "0"]) == 1
    assert "round 1 has other results than the first: train;" in capsys.readouterr().err
    assert (tmp_path / "round").exists()


@pytest.mark.slow
def test_a_round_of_real_command_lines_leaves_nothing(tmp_path, monkeypatch, capsys):
    """Trained, killed, resumed, told to end and resumed, beside a training and a predictor."""
    monkeypatch.setattr(soak, "used", lambda doors: {})  # the other doors would take a minute more
    monkeypatch.setattr(soak, "INTERVAL", 0.5)
    monkeypatch.setattr(soak, "BEGINNING", {"hours": 9, "round": 1})  # memory fills in a minute
    shutil.copyfile(LEGACY / "version_0_1_0_finished.ckpt", tmp_path / "model.ckpt")
    assert soak.main(["--folder", str(tmp_path), "--hours", "0"]) == 0, capsys.readouterr().err
    content = json.loads((tmp_path / "soak.json").read_text())
    assert content["state"]["rounds"] == 1
    (tried,) = (one for one in content["samples"] if one["who"] == "round")
    assert tried["temporary"] <= 1  # an empty folder, torch's own
    assert not list((tmp_path / "tmp").rglob("pymp-*"))
    assert tried["memory"] > 50e6
    living = {one["who"] for one in content["samples"] if one["memory"] > 50e6}
    assert living >= {"training", "answers"}
    assert json.loads((tmp_path / "answers" / "status.json").read_text())["recordings"] > 0
    assert "is saved up to step" in (tmp_path / "training" / "printed.txt").read_text()
