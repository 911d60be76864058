"""What of Lightning's trainer is open, and what is refused with the remedy."""

import inspect

import lightning
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stgcn_lightning.errors import BadInput
from stgcn_lightning.settings.trainer import (
    OPEN,
    PRECISIONS,
    REFUSED,
    SPOILING,
    Trainer,
    working_callbacks,
)

TRAINER = {"_target_": "lightning.Trainer"}
CALLBACKS = "lightning.pytorch.callbacks."


def trainer(**options):
    return Trainer.read("trainer", TRAINER | options)


def test_every_argument_of_lightning_s_trainer_is_either_open_or_refused():
    arguments = set(inspect.signature(lightning.Trainer).parameters)
    assert arguments == OPEN | REFUSED.keys()
    assert not OPEN & REFUSED.keys()


@pytest.mark.parametrize("name", sorted(REFUSED))
@pytest.mark.parametrize("value", [3, 0.5, True, "x"])
def test_an_argument_that_another_key_rules_is_refused_with_that_key(name, value):
    with pytest.raises(BadInput) as refused:
        trainer(**{name: value})
    assert str(refused.value).startswith(f"trainer.{name}=")
    assert str(refused.value).endswith(REFUSED[name])


@given(st.from_regex(r"[a-z_]{1,20}", fullmatch=True))
def test_an_argument_that_lightning_does_not_have_is_refused_for_its_own_trainer_alone(name):
    if name in OPEN | REFUSED.keys():
        return
    with pytest.raises(BadInput, match=rf"lightning\.Trainer has no argument trainer\.{name}: "):
        trainer(**{name: 1})
    assert Trainer.read("trainer", {"_target_": "mine.Trainer", name: 1}).get(name) == 1


def test_a_misspelt_argument_is_answered_with_the_nearest():
    with pytest.raises(BadInput, match=r"did you mean trainer\.gradient_clip_val"):
        trainer(gradient_clip=1)


@pytest.mark.parametrize("value", PRECISIONS)
def test_precisions_of_lightning_are_open(value):
    assert trainer(precision=value).precision == value


@pytest.mark.parametrize("value", ["16-bit", "bf16-true", True, 8, 32.0])
def test_other_precisions_are_refused(value):
    with pytest.raises(BadInput, match=r"trainer\.precision=.* is none of 32-true, bf16-mixed"):
        trainer(precision=value)


@pytest.mark.parametrize(
    "strategy",
    [
        "ddp", "ddp_spawn", "ddp_fork", "ddp_notebook", "fsdp", "deepspeed_stage_2", "dp", None, 1,
        {"_target_": "lightning.pytorch.strategies.FSDPStrategy"},
        {"_target_": "lightning.pytorch.strategies.DDPStrategy"},
        {"_target_": "stgcn_lightning.callbacks.ddp.DDP", "start_method": "spawn"},
    ],
)  # fmt: skip
def test_strategies_that_cannot_work_are_refused(strategy):
    with pytest.raises(BadInput, match=r"^trainer\.strategy.* here: trainer=ddp or"):
        trainer(strategy=strategy)


@pytest.mark.parametrize(
    "strategy",
    [
        "auto",
        {"_target_": "stgcn_lightning.callbacks.ddp.DDP", "static_graph": True},
        {"_target_": "mine.Strategy"},
    ],
)
def test_other_strategies_are_open(strategy):
    assert trainer(strategy=strategy).for_several is (strategy != "auto")


def test_what_the_environment_would_change_in_silence_is_refused(monkeypatch):
    monkeypatch.setenv("PL_TRAINER_MAX_EPOCHS", "3")
    with pytest.raises(BadInput, match=r"PL_TRAINER_MAX_EPOCHS .*: unset it"):
        trainer()
    monkeypatch.delenv("PL_TRAINER_MAX_EPOCHS")
    monkeypatch.setenv("PL_TRAINER_DEVICES", "3")
    assert trainer(devices=1).get("devices") == 1  # what is given goes before the environment


@pytest.mark.parametrize("name", sorted(SPOILING))
def test_callbacks_of_lightning_that_spoil_a_run_are_refused(name):
    assert hasattr(lightning.pytorch.callbacks, name)
    callback = {"_target_": f"lightning.pytorch.callbacks.{name}"}
    with pytest.raises(BadInput) as refused:
        working_callbacks("callbacks", {"mine": callback})
    assert str(refused.value).startswith(f"callbacks.mine: {name} cannot be used here: ")


def test_clipping_scaled_gradients_is_refused():
    with pytest.raises(BadInput, match=r"set trainer\.precision=bf16-mixed"):
        trainer(precision="16-mixed", gradient_clip_val=1)
    assert trainer(precision="bf16-mixed", gradient_clip_val=1).get("gradient_clip_val") == 1


def test_a_metric_that_nothing_logs_is_refused_before_the_training():
    stop = {"_target_": "lightning.pytorch.callbacks.EarlyStopping", "monitor": "val_loss"}
    with pytest.raises(
        BadInput, match=r"callbacks.stop.monitor=val_loss .*: did you mean val/loss"
    ):
        working_callbacks("callbacks", {"stop": stop})
    working_callbacks("callbacks", {"stop": stop, "mine": {"_target_": "mine.LogsValLoss"}})


def test_ending_early_alone_would_keep_no_checkpoint_and_is_refused():
    stop = {"_target_": f"{CALLBACKS}EarlyStopping", "monitor": "val/top1", "mode": "max"}
    with pytest.raises(BadInput, match=r"callbacks=\[default,early_stopping\] adds it"):
        working_callbacks("callbacks", {"early_stopping": stop})


def test_other_callbacks_are_open():
    stop = {"_target_": f"{CALLBACKS}EarlyStopping", "monitor": "val/top1", "mode": "max"}
    mine = {"_target_": "mine.Timer"}
    assert list(working_callbacks("callbacks", {"stop": stop, "mine": mine})) == ["stop", "mine"]


@pytest.mark.parametrize(
    "kind",
    [
        f"{CALLBACKS}EarlyStopping",
        f"{CALLBACKS}ModelCheckpoint",
        "stgcn_lightning.callbacks.early_stopping.EarlyStopping",
    ],
)
@pytest.mark.parametrize("part", ["val", "holdout", "train"])
@pytest.mark.parametrize("mode", ["min", "max", None])
@pytest.mark.parametrize(("figure", "right"), [("loss", "min"), ("top1", "max")])
def test_the_worst_is_not_taken_for_the_best(kind, part, mode, figure, right):
    one = {"_target_": kind, "monitor": f"{part}/{figure}", "mode": mode}
    if (mode or "min") == right:
        working_callbacks("callbacks", {"best": one})
        return
    with pytest.raises(BadInput, match=rf"better the .*callbacks\.best\.mode={right}$"):
        working_callbacks("callbacks", {"best": one})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("check_val_every_n_epoch", 0), ("check_val_every_n_epoch", -1),
        ("check_val_every_n_epoch", 1.5), ("check_val_every_n_epoch", True),
        ("log_every_n_steps", -3), ("log_every_n_steps", "x"),
        ("gradient_clip_val", -1), ("gradient_clip_val", "x"), ("gradient_clip_val", float("nan")),
    ],
)  # fmt: skip
def test_numbers_that_lightning_ignores_or_divides_by_are_refused(name, value):
    with pytest.raises(BadInput, match=rf"^trainer\.{name}=.* must be a"):
        trainer(**{name: value})
    trainer(**{name: 1})
    trainer(**{name: None})


def test_an_algorithm_that_clips_nothing_is_refused():
    with pytest.raises(BadInput, match=r"\+trainer\.gradient_clip_val=VALUE"):
        trainer(gradient_clip_algorithm="value")
    trainer(gradient_clip_algorithm="value", gradient_clip_val=0.5)
