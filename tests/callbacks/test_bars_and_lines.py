"""Bars on a terminal, and lines everywhere."""

import io
import re
import sys
from types import SimpleNamespace

import pytest
import torch
from rich.console import Console

from stgcn_lightning.callbacks import bars, lines
from stgcn_lightning.callbacks.bars import Bars, fitting
from stgcn_lightning.launching.doors import open_door
from stgcn_lightning.terminal import console


def test_a_narrow_terminal_keeps_what_matters_most():
    figures = {"steps": "1/9", "loss": "loss 1.0", "train": "top-1 50.0 %", "left": "5 s left"}
    assert fitting(figures, 99) == "1/9  loss 1.0  top-1 50.0 %  5 s left"
    assert fitting(figures, 25) == "top-1 50.0 %  5 s left"
    assert fitting(figures, 12) == "5 s left"
    assert fitting(figures, 0) == ""


@pytest.mark.parametrize("terminal", [True, False])
def test_bars_are_for_terminals_and_lines_for_everybody(terminal, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    monkeypatch.setattr(console, "is_interactive", terminal)  # which it finds out once
    monkeypatch.setattr(console, "width", 120)  # a process of xdist has 80
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(bars, "PER_SECOND", 1e9)
    monkeypatch.setattr(lines, "MEASURED", 2)
    monkeypatch.setattr(sys, "argv", ["train", "trainer=cpu", "data.clip_frames=12",
        "benchmark.synthetic.train_samples=40", "benchmark.synthetic.val_samples=20",
        "model.base_channels=4", "recipe.epochs=2", "recipe.train_passes_per_epoch=2",
        "data.batch_size=10", "data.test_clips=2", "test_after=true",
        "hydra.run.dir=run"])  # fmt: skip
    open_door("train")
    out = capsys.readouterr().out
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", out)
    for said in (
        "training synthetic, joint stream\n",
        "samples  40 to train on, 20 to validate on\n",
        "steps    2 epochs of 2 passes, 8 x 10 clips per epoch\n",
        "device   1 x CPU, ",
        "run      run\n",
    ):
        assert said in plain
    assert re.search(r"\d+ clips/s over 2 steps: \d+ s to go, until \d\d:\d\d, and", plain)
    assert re.search(r"epoch 1/2: loss .*, val top-1 .* %, \d+ clips/s, \d+ s to go\n", plain)
    assert re.search(r"epoch 2/2: loss .*, val top-1 .* %, \d+ clips/s\n", plain)
    figures = r"loss \d\.\d+  top-1 \d+\.\d %  val \d+\.\d %  \d+ clips/s  \d+ s left"
    bar = rf"epoch 2/2 ━.*━ +\d/8  {figures}"
    assert bool(re.search(bar, plain)) is terminal
    assert ("validating ━" in plain) is terminal
    assert ("testing ━" in plain) is terminal
    assert ("\x1b" in out) is terminal
    if terminal:
        assert out.rindex("\x1b[?25h") > out.rindex("\x1b[?25l")  # the cursor is back


def test_a_run_that_is_resumed_within_an_epoch_has_its_bar(monkeypatch):
    monkeypatch.setattr(bars, "PER_SECOND", 1e9)
    shown = Bars(Console(file=io.StringIO(), force_terminal=True, width=120))
    trainer = SimpleNamespace(
        current_epoch=1, max_epochs=3, num_training_batches=8, world_size=1, global_step=13,
        progress_bar_metrics={}, accumulate_grad_batches=1,
    )  # fmt: skip
    shown.on_train_start(trainer, None)  # and no `on_train_epoch_start`: Lightning is within one
    batch = SimpleNamespace(labels=torch.zeros(4))
    outputs = {"batch_loss": torch.tensor(1.0), "top1": torch.tensor(0.5)}
    shown.on_train_batch_end(trainer, None, outputs, batch, 4)
    assert shown.progress.tasks[0].completed == 5
    assert "5/8" in shown.progress.tasks[0].fields["figures"]
    shown.on_train_end(trainer, None)


class Epoch:
    """What a trainer says at the end of an epoch."""

    current_epoch, max_epochs, world_size, num_training_batches, global_step = 0, 2, 2, 1, 1
    accumulate_grad_batches = 1

    def __init__(self, is_global_zero):
        self.is_global_zero, self.asked = is_global_zero, 0

    @property
    def callback_metrics(self):
        self.asked += 1
        return {"train/top1": torch.tensor(0.5), "val/top1": torch.tensor(0.25)}


def test_every_rank_takes_part_in_the_means_of_an_epoch_and_one_prints(capsys):
    other = Epoch(is_global_zero=False)
    lines.EpochLines().on_train_epoch_end(other, None)
    assert other.asked  # the others would wait for its part
    assert capsys.readouterr().out == ""


def test_a_line_holds_no_accuracy_of_an_earlier_epoch(capsys):
    printed, epoch = lines.EpochLines(), Epoch(is_global_zero=True)
    printed.clips = printed.seconds = 1
    printed.on_train_epoch_end(epoch, None)
    assert "train top-1 50.00 %, 2 clips/s" in capsys.readouterr().out
    printed.on_validation_end(epoch, None)
    printed.on_train_epoch_end(epoch, None)
    assert "train top-1 50.00 %, val top-1 25.00 %" in capsys.readouterr().out
