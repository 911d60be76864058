"""A disk that refuses everything from any moment on: one sentence, nothing lost, and the same end.

`full_disk` counts what a door writes and refuses it from the n-th write on; the tests begin a door
for n of all writes of that door. Afterwards the disk takes writes again and the door is opened once
more: it ends with what it ends with on a disk that was never full.
"""

import csv
import errno
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from full_disk import run
from own_tables import two_classes

from stgcn_lightning.evaluation.scores import read_scores, write_scores

SIZES = [
    "benchmark.synthetic.train_samples=24",
    "benchmark.synthetic.val_samples=12",
    "data.store_dir=store",
]
SMALL = [*SIZES, "trainer=cpu", "data.clip_frames=8", "data.test_clips=2", "data.batch_size=4"]
TRAIN = [
    *SMALL,
    "model.base_channels=4",
    "recipe.epochs=2",
    "recipe.train_passes_per_epoch=1",
    "recipe.dropout=0.5",
    "callbacks.last.every_n_steps=2",
    "trainer.log_every_n_steps=1",
    "hydra.run.dir=run",
    "test_after=true",
    "resume=auto",
]
BEST = "checkpoint=run/checkpoints/best.ckpt"
STREAMS = "streams={joint: run/scores.npz, bone: bone.npz}"
SUFFIXES = {"safetensors": "safetensors", "mmaction2": "pth", "pyskl": "pth", "onnx": "onnx"}
# door, arguments, and what is left then
JOBS = {
    "a store": ("prepare", [*SIZES, "data.store_dir=another"], "another/*/*.*"),
    "recordings": ("prepare", ["data=clips", "out=own", "data.store_dir=another"], "own/*/*.*"),
    "scores": ("test", [*SMALL, BEST, "hydra.run.dir=tested"], "tested/*.*"),
    "a test dump": ("test", [*SMALL, BEST, "scores=other.pkl", "hydra.run.dir=tested"], "*.pkl"),
    "a fusion": (
        "fuse",
        [STREAMS, "preset=two_stream", "hydra.run.dir=fused"],
        "fused/*.*",
    ),
    "answers": ("predict", [BEST, "source=store/SOURCE", "split=val", "out=answers.csv"], "*.csv"),
    "charts": (
        "predict",
        [BEST, "source=store/SOURCE", "split=val", "chart=true", "window=8", "hydra.run.dir=seen"],
        "seen/*.svg",
    ),
    "a page": ("inspect", ["source=run", "out=page.html"], "page.html"),
    **{
        f"an export to {form}": (
            "export",
            [BEST, f"format={form}", f"out=exported.{suffix}", "hydra.run.dir=exported"],
            "exported.*",
        )
        for form, suffix in SUFFIXES.items()
    },
}
EVER_OTHER = (
    ".json",
    ".html",
    ".yaml",
    ".csv",
    ".pth",
    ".pkl",
)  # they hold a time, a place or a speed


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a run that nothing disturbed, and how often that run wrote."""
    folder = tmp_path_factory.mktemp("trained") / "work"
    ended = run(folder, "train", *TRAIN)
    assert ended.status == 0, ended.err
    two_classes(folder / "clips")
    scores = read_scores(folder / "run/scores.npz")
    write_scores(folder / "bone.npz", replace(scores, meta=scores.meta | {"stream": "bone"}))
    return folder, ended.writes


@pytest.fixture(scope="module")
def ended_well(trained, tmp_path_factory):
    """Of a name in `JOBS`: the folder in which nothing disturbed it, and how often it wrote."""
    known = {}

    def undisturbed(name):
        if name not in known:
            folder = tmp_path_factory.mktemp("well") / "work"
            known[name] = folder, opened(name, trained, folder)
            assert known[name][1].status == 0, known[name][1].err
        return known[name]

    return undisturbed


def opened(name, trained, folder, **fault):
    """Open the door of a job where a training was."""
    if not folder.exists():
        shutil.copytree(trained[0], folder)
    door, arguments, _ = JOBS[name]
    source = next(folder.glob("store/*.pkl")).name
    return run(folder, door, *(one.replace("SOURCE", source) for one in arguments), **fault)


def files_in(folder):
    return {
        path.relative_to(folder): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith(".lock")
    }


def refused_in_a_sentence(ended):
    assert ended.status == 2, (ended.status, ended.out, ended.err)
    assert "Traceback" not in ended.err
    last = ended.err.strip().splitlines()[-1]
    assert any(word in last for word in ("no space left", "cannot be", "cannot write")), last
    assert "free some" in last or "choose another" in last


def weights_of(folder):
    return torch.load(folder / "run/checkpoints/last.ckpt", weights_only=True)


def logged_in(folder):
    with (folder / "run/metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    speed = ("train/clips_per_second", "train/data_wait", "memory/process_gb")
    return [{k: v for k, v in row.items() if v and k not in speed} for row in rows]


def full_in_training(trained, folder, write, code=errno.ENOSPC):
    """The disk of a training is full from a write on; then it is not, and the run goes on."""
    ended = run(folder, "train", *TRAIN, fails_from=write, code=code)
    if ended.status:
        refused_in_a_sentence(ended)
    else:  # a page alone is lost, and that is said
        assert "no test_report.html: no space left" in ended.out
    assert not list(folder.rglob("*.tmp"))
    kept = [torch.load(one, weights_only=True) for one in folder.glob("run/checkpoints/*.ckpt")]
    again = run(folder, "train", *TRAIN)
    assert again.status == 0, again.err
    ours, theirs = weights_of(folder), weights_of(trained[0])
    for name, value in theirs["state_dict"].items():
        assert torch.equal(ours["state_dict"][name], value), name
    assert torch.equal(ours["ranks"][0]["generator"], theirs["ranks"][0]["generator"])
    rows, expected = logged_in(folder), logged_in(trained[0])
    assert [row for row in rows if row not in expected] == []
    # the rows of the step before a checkpoint are logged after it (docs/interruptions.md)
    missing = [row for row in expected if row not in rows and row.keys() - {"step"}]
    resumed = max((one["global_step"] for one in kept), default=0)
    assert {int(row["step"]) for row in missing} <= {resumed - 1}, missing
    scores = [np.load(one / "run/scores.npz")["scores"] for one in (folder, trained[0])]
    np.testing.assert_array_equal(*scores)


@pytest.mark.parametrize("part", [0.37, 0.62, 0.9])
def test_a_run_whose_disk_was_full_ends_as_if_it_had_not_been(trained, tmp_path, part):
    full_in_training(trained, tmp_path / "work", round(part * trained[1]))


@pytest.mark.slow
@pytest.mark.parametrize("part", range(8))
def test_a_run_survives_a_disk_that_is_full_at_any_write(trained, tmp_path, part):
    full_in_training(trained, tmp_path / "work", 1 + part * trained[1] // 8)


@pytest.mark.slow
@pytest.mark.parametrize("code", [errno.EROFS, errno.EDQUOT, errno.EIO, errno.EFBIG])
def test_a_run_survives_a_disk_that_refuses_otherwise(trained, tmp_path, code):
    full_in_training(trained, tmp_path / "work", round(0.55 * trained[1]), code)


def full_in_job(name, trained, ended_well, folder, write):
    shutil.copytree(trained[0], folder)
    well, before = files_in(ended_well(name)[0]), files_in(folder)
    ended = opened(name, trained, folder, fails_from=write)
    refused_in_a_sentence(ended)
    after = files_in(folder)
    assert {path: after.get(path) for path in before} == before
    assert not [path for path in after if path.name.endswith(".tmp")]
    new = {path: content for path, content in after.items() if path not in before}
    for path, content in new.items():  # what is there is whole
        if path.suffix not in EVER_OTHER and path.match(JOBS[name][2]):
            assert content == well[path], path
    for path in new:  # no picture is replaced: a folder is new each time
        if path.suffix == ".svg":
            (folder / path).unlink()
    again = opened(name, trained, folder)
    assert again.status == 0, again.err
    expected = {p.name: p for p in well if p.match(JOBS[name][2])}
    there = {path.name: path for path in files_in(folder) if path.match(JOBS[name][2])}
    assert there.keys() == expected.keys() != set()
    for path in expected.values():
        if path.suffix not in EVER_OTHER:
            assert (folder / there[path.name]).read_bytes() == well[path], path


@pytest.mark.parametrize("name", [one for one in JOBS if "onnx" not in one])  # it takes long
def test_a_door_whose_disk_was_full_does_as_well_the_next_time(name, trained, ended_well, tmp_path):
    writes = ended_well(name)[1].writes
    full_in_job(name, trained, ended_well, tmp_path / "work", max(1, round(0.8 * writes)))


@pytest.mark.slow
@pytest.mark.parametrize("name", JOBS)
def test_a_door_survives_a_disk_that_is_full_at_any_write(name, trained, ended_well, tmp_path):
    writes = ended_well(name)[1].writes
    numbers = sorted({1 + part * writes // 3 for part in range(3)})
    for number in numbers:
        full_in_job(name, trained, ended_well, tmp_path / f"{number}", number)
    print(f"{name}: {len(numbers)} of {writes} writes")
