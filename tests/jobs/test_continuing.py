"""What a resumed run uses, refuses or leaves: every row of the table in docs/interruptions.md."""

import csv
import re
import shutil
from dataclasses import replace

import pytest
import torch
import yaml
from helpers import CHECKOUT, three_stages
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from stgcn_lightning import ranks
from stgcn_lightning.callbacks.lightning_private import place_of
from stgcn_lightning.errors import BadInput
from stgcn_lightning.files.archives import read_checkpoint
from stgcn_lightning.jobs import training
from stgcn_lightning.jobs.continuing import rate_line
from stgcn_lightning.launching.composing import composed
from stgcn_lightning.optimisation import cosine
from stgcn_lightning.settings.compose import settings_of
from stgcn_lightning.sources.mmaction2 import write_annotations
from stgcn_lightning.sources.synthetic import synthetic_annotations

PAGE = (CHECKOUT / "docs" / "interruptions.md").read_text()
ROWS = re.findall(r"^\| `([^`]+)=([^`]+)` \| (\w+) \| (\w+) \|", PAGE, re.MULTILINE)
AS = {  # what a line calls a setting that follows from several keys
    "recipe.lr": "lr", "recipe.base_lr": "lr", "recipe.scale_lr": "lr",
    "recipe.reference_batch": "lr", "trainer.devices": "1",
    "data.batch_size": "a global batch of",
}  # fmt: skip
OF = {"recipe.betas": "run_of_adamw"}  # rows of another run
STEPS = 3  # of an epoch


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of two epochs: (its configuration, checkpoint after the first, one within it)."""
    return two_epochs(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def run_of_adamw(tmp_path_factory):
    """The same with another optimizer."""
    return two_epochs(tmp_path_factory.mktemp("adamw"), "recipe.optimizer=adamw")


def two_epochs(folder, *more):
    annotations = synthetic_annotations("2d", train_samples=12, val_samples=4, seed=0)
    write_annotations(folder / "annotations.pkl", annotations)
    moved = [replace(one, keypoint=one.keypoint * 1.1) for one in annotations.samples]
    write_annotations(folder / "other.pkl", replace(annotations, samples=moved))
    cfg = composed(
        "train", "trainer=cpu", "benchmark.synthetic=null", f"run_dir={folder}/run",
        f"benchmark.annotations={folder}/annotations.pkl", f"data.store_dir={folder}/stores",
        "model.base_channels=4", "data.clip_frames=8", "data.batch_size=4", "recipe.epochs=2",
        "recipe.train_passes_per_epoch=1", "callbacks.last.every_n_steps=2",
        "callbacks.last.keep=9", "trainer.log_every_n_steps=1",
        "callbacks=[default,early_stopping]", *more,
    )  # fmt: skip
    (folder / "other.txt").write_text("\n".join(reversed(cfg.benchmark.classes)))
    with three_stages():
        training.train(settings_of("train", cfg))
    files = {
        place_of(read_checkpoint(file)): file for file in folder.glob("run/checkpoints/step*.ckpt")
    }
    return cfg, files[1, 0], files[0, 2]


def given_anew(cfg, folder, resume, **values):
    """The settings of a run in `folder` that goes on from a checkpoint with other values."""
    cfg = cfg.copy()
    for key, value in {"run_dir": str(folder), "resume": str(resume), **values}.items():
        OmegaConf.update(cfg, key, value, force_add=True)
    return settings_of("train", cfg)


@pytest.mark.parametrize("where", ["after an epoch", "within an epoch"])
@pytest.mark.parametrize(
    ("key", "value", "after", "within"), ROWS, ids=[f"{key}={value}" for key, value, *_ in ROWS]
)
def test_each_row_of_the_table(
    request, tmp_path, monkeypatch, capsys, shallow, where, key, value, after, within
):
    cfg, at_end, inside = request.getfixturevalue(OF.get(key, "run"))
    capsys.readouterr()  # of the run that is gone on from
    happens, file = (after, at_end) if where == "after an epoch" else (within, inside)
    value = yaml.safe_load(value)
    if isinstance(value, str) and value.startswith("other") and key != "checkpoint":
        value = str(at_end.parents[2] / value)
    if key == "trainer.devices":
        monkeypatch.setattr(ranks, "world_size", lambda: value)
    begun = []
    monkeypatch.setattr(training, "fit", lambda *arguments: begun.append(arguments) or {})
    settings = given_anew(cfg, tmp_path, file, **{key: value})
    if happens == "refuses":
        with pytest.raises(BadInput) as refused:
            training.train(settings)
        sentence = str(refused.value)
        if "keeps" in sentence or "within an epoch" in sentence:
            assert AS.get(key, key).split(".")[-1].split("_split")[0] in sentence
        assert not begun
        return
    training.train(settings)
    assert begun
    lines = capsys.readouterr().out.splitlines()
    changed = [line for line in lines if "->" in line]
    if happens == "uses":
        assert any(line.startswith(f"{AS.get(key, key)} ") for line in changed), lines
        assert all(f" from step {STEPS if file is at_end else 2} on" in line for line in changed)
    else:
        assert not changed
        assert any("left aside" in line for line in lines) == (happens == "stays")


def test_a_refusal_within_an_epoch_names_the_checkpoint_at_the_end_of_one(run, tmp_path, shallow):
    cfg, at_end, inside = run
    copied = shutil.copy(inside, tmp_path / "last.ckpt")
    with pytest.raises(BadInput, match=r"a global batch of 4, not 2: end the epoch with 4$"):
        training.train(given_anew(cfg, tmp_path / "new", copied, **{"data.batch_size": 2}))
    shutil.copy(at_end, tmp_path / "best.ckpt")
    with pytest.raises(BadInput, match=r"with 4, or go on .* resume=\S+/best\.ckpt$"):
        training.train(given_anew(cfg, tmp_path / "new", copied, **{"data.batch_size": 2}))


def test_a_folder_of_a_run_resumes_its_last_checkpoint(run, tmp_path, shallow, monkeypatch, capsys):
    cfg, at_end, _ = run
    begun = []
    monkeypatch.setattr(training, "fit", lambda *arguments: begun.append(arguments[3]) or {})
    for folder in (at_end.parent, at_end.parents[1]):
        training.train(given_anew(cfg, tmp_path / "new", folder, **{"recipe.epochs": 3}))
    assert [last.file.name for last in begun] == ["last.ckpt"] * 2
    with pytest.raises(BadInput, match=r"is no folder of a run with a last\.ckpt"):
        training.train(given_anew(cfg, tmp_path / "new", tmp_path))


@pytest.mark.parametrize("epochs", [1, 2])
def test_a_run_that_is_finished_names_no_settings_as_used(
    run, tmp_path, shallow, capsys, monkeypatch, epochs
):
    cfg, at_end, _ = run
    monkeypatch.setattr(training, "fit", None)
    anew = {"recipe.epochs": epochs, "recipe.lr": 0.5}
    training.train(given_anew(cfg, tmp_path, at_end.parent, **anew))
    printed = capsys.readouterr().out
    assert "the run is finished: 2 epochs done" in printed
    assert "from step" not in printed


def test_the_table_names_every_key_that_is_compared():
    assert len(ROWS) > 30
    assert {after for _, _, after, _ in ROWS} == {"uses", "refuses", "silently", "stays"}


def rates(folder):
    with (folder / "metrics.csv").open() as file:
        return [float(row["lr"]) for row in csv.DictReader(file) if row["lr"]]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"recipe.epochs": 4}, [cosine(step, 12) for step in range(3, 12)]),
        ({"recipe.lr": 0.32}, [102.4 * cosine(step, 6) for step in range(3, 6)]),
        # steps of another size: the cosine goes on at half of the epochs
        (
            {"data.batch_size": 2},
            [0.5 * cosine(step, 12) for step in range(6, 12)],
        ),
    ],
    ids=["epochs", "lr", "batch"],
)
def test_the_rate_that_is_printed_is_used(run, tmp_path, shallow, capsys, values, expected):
    cfg, at_end, _ = run
    more = {"recipe.momentum": 0.5, "recipe.weight_decay": 0.125, "recipe.nesterov": False}
    training.train(given_anew(cfg, tmp_path, at_end, **values, **more))
    expected = [0.1 * 4 / 128 * share for share in expected]
    assert rates(tmp_path) == pytest.approx(expected)
    printed = re.search(r"step 3 goes on with lr (\S+?)(,|$)", capsys.readouterr().out, re.M)
    assert float(printed[1]) == pytest.approx(expected[0], rel=1e-3)
    (group,) = read_checkpoint(tmp_path / "checkpoints" / "last.ckpt")["optimizer_states"][0][
        "param_groups"
    ]
    assert (group["momentum"], group["weight_decay"], group["nesterov"]) == (0.5, 0.125, False)


def test_a_finished_run_goes_on_without_a_step_of_rate_0(run, tmp_path, shallow, capsys):
    cfg, at_end, _ = run
    last = at_end.with_name("last.ckpt")
    training.train(given_anew(cfg, tmp_path, last, **{"recipe.epochs": 4}))
    lr = 0.1 * 4 / 128
    assert rates(tmp_path) == pytest.approx([lr * cosine(step, 12) for step in range(6, 12)])
    out = capsys.readouterr().out
    assert "recipe.epochs 2 -> 4 from step 6 on" in out
    assert f"step 6 goes on with lr {lr / 2:.4g}, after {lr * cosine(5, 6):.4g} of step 5" in out


def test_the_best_checkpoint_is_gone_on_from_as_from_an_epoch_s_end(run, tmp_path, shallow):
    cfg, at_end, _ = run
    best = at_end.with_name("best.ckpt")
    done, batch = place_of(read_checkpoint(best))
    assert batch == 0
    training.train(given_anew(cfg, tmp_path, best, **{"recipe.epochs": 3}))
    assert len(rates(tmp_path)) == (3 - done) * STEPS
    assert read_checkpoint(tmp_path / "checkpoints" / "last.ckpt")["global_step"] == 3 * STEPS


@pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty")
def test_a_run_directory_that_was_moved_keeps_its_best_checkpoint(run, tmp_path, shallow, capsys):
    cfg, at_end, _ = run
    shutil.copytree(at_end.parents[1], tmp_path / "moved")
    training.train(given_anew(cfg, tmp_path / "moved", "auto", **{"recipe.epochs": 3}))
    states = read_checkpoint(tmp_path / "moved/checkpoints/last.ckpt")["callbacks"]
    (best,) = (state for name, state in states.items() if name.startswith("ModelCheckpoint"))
    (before,) = (
        state
        for name, state in read_checkpoint(at_end.with_name("last.ckpt"))["callbacks"].items()
        if name.startswith("ModelCheckpoint")
    )
    assert best["best_model_score"] >= before["best_model_score"]
    assert best["best_model_path"] == str(tmp_path / "moved/checkpoints/best.ckpt")
    assert "found anew" not in capsys.readouterr().out
    training.train(given_anew(cfg, tmp_path / "other", at_end, **{"recipe.epochs": 3}))
    assert f"stays {at_end.with_name('best.ckpt')}" in capsys.readouterr().out
    assert (tmp_path / "other/checkpoints/best.ckpt").exists()


def test_weights_alone_are_no_run(run, tmp_path, shallow):
    cfg, at_end, _ = run
    content = read_checkpoint(at_end)
    kept = {key: content[key] for key in ("state_dict", "stgcn_lightning", "global_step")}
    torch.save(kept, tmp_path / "weights.ckpt")
    with pytest.raises(BadInput, match=r"start from it with checkpoint="):
        training.train(given_anew(cfg, tmp_path / "new", tmp_path / "weights.ckpt"))


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 50), st.integers(1, 50), st.data())
def test_the_line_of_the_rate_never_says_zero(epochs, more, before, now, data):
    """Whatever the steps of an epoch were and are."""
    done = data.draw(st.integers(1, epochs))
    loops = {
        "epoch_progress": {"current": {"started": done, "processed": done}},
        "epoch_loop.batch_progress": {"current": {"processed": before}, "is_last_batch": True},
    }
    content = {
        "loops": {"fit_loop": loops},
        "global_step": done * before,
        "lr_schedulers": [{"last_epoch": done * before}],
        "optimizer_states": [{"param_groups": [{"initial_lr": 0.1}]}],
    }
    card = {"run": {"lr": 0.1, "epochs": epochs + more}}
    line = rate_line(content, {"run": {"epochs": epochs}}, card, now)
    rate = float(re.search(r"goes on with lr ([^ ,]+)", line)[1])
    assert rate == pytest.approx(0.1 * cosine(done, epochs + more), rel=1e-3)
    assert rate > 0
