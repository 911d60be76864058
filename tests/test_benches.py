"""The benches that cannot be run here in earnest run at all."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import CHECKOUT, LEGACY


@pytest.mark.slow
def test_the_gpu_bench_runs_in_a_small_size_on_a_cpu():
    size = "--device cpu --quick --steps 1 --rounds 1 --modes eager --batches 16"
    what = "--models stgcn msg3d --precisions float32 tf32"
    done = subprocess.run(
        [sys.executable, "scripts/bench/gpu.py", *size.split(), *what.split()],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.returncode, done.stderr
    for part in ("clips/s", "floor", "backward", " min"):
        assert part in done.stdout
    for family in ("stgcn", "msg3d"):
        for precision in ("float32", "tf32"):
            assert f"{family}, {precision}: ten-clip test of 16,487 samples " in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("bench", ["train_step.py", "test_clips.py"])
def test_a_bench_races_the_plain_model(bench):
    size = {"train_step.py": ["--batch", "1"], "test_clips.py": ["--samples", "1"]}[bench]
    done = subprocess.run(
        [sys.executable, f"scripts/bench/{bench}", *size, "--rounds=1", "--dimensions=2d"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.returncode, done.stderr
    assert "plain" in done.stdout
    assert "2d all two persons" in done.stdout


@pytest.mark.slow
def test_the_bench_of_streams_times_both_ways():
    size = "--threads 1 --people 2 --windows 1 --frames 8"
    done = subprocess.run(
        [sys.executable, "scripts/bench/streaming.py", *size.split()],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.returncode, done.stderr
    assert "| windowed | 2 | 1 |" in done.stdout
    assert "| continual, every 4th | 2 | 1 |" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("bench", "size", "words"),
    [
        (
            "agreement.py",
            "--limit 3",
            "recordings, speed 1\nabout the same frames: the same",
        ),
        ("agreement.py", "--limit 2 --repeat", "at the same moment: the same label"),
        ("edges.py", "--people 2 --moments 2 --windows 24", "| 24 | "),
    ],
)
def test_two_ways_of_streaming_are_compared(bench, size, words):
    checkpoint = LEGACY / "version_0_1_0_finished.ckpt"
    done = subprocess.run(
        [sys.executable, f"scripts/bench/{bench}", checkpoint, *size.split()],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.returncode, done.stderr
    assert words in done.stdout


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="memory is read in /proc")
@pytest.mark.parametrize("dimension", ["2d", "3d"])
def test_the_bench_of_preparing_says_time_and_memory(dimension):
    size = ["--samples=60", f"--dimensions={dimension}", "--protocols", "2", "4"]
    done = subprocess.run(
        [sys.executable, "scripts/bench/prepare.py", *size],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.returncode, done.stderr
    _, *lines = done.stdout.splitlines()
    assert len(lines) == 2
    for protocol, line in zip((2, 4), lines, strict=True):
        figures = re.fullmatch(
            rf"{dimension}, protocol {protocol}, this version: 0\.00 GB -> 0\.00 GB "
            r"in (\d+\.\d) s, at most (\d+) MB",
            line,
        )
        assert figures, line
        assert float(figures[1]) > 0
        assert int(figures[2]) > 50
