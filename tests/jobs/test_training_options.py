"""What people expect of a training: each option in a small run, and what is said of it."""

import json
import re

import pytest
from omegaconf import OmegaConf

from stgcn_lightning.errors import BadInput
from stgcn_lightning.files.archives import read_checkpoint
from stgcn_lightning.jobs import training
from stgcn_lightning.jobs.introducing import say_embedded
from stgcn_lightning.launching.composing import composed
from stgcn_lightning.optimisation import cosine
from stgcn_lightning.settings.compose import settings_of

pytestmark = pytest.mark.usefixtures("shallow")
TINY = [
    "trainer=cpu", "benchmark.synthetic.train_samples=26", "benchmark.synthetic.val_samples=12",
    "model.base_channels=4", "data.clip_frames=8", "data.batch_size=4", "data.test_clips=2",
    "recipe.epochs=3", "recipe.train_passes_per_epoch=1",
]  # fmt: skip


@pytest.fixture
def train(tmp_path, capsys):
    """Train in the folder `run`: (overrides) -> what is printed."""

    def begin(*overrides, run="run"):
        folder = f"run_dir={tmp_path / run}"
        stores = f"data.store_dir={tmp_path / 'stores'}"
        training.train(settings_of("train", composed("train", *TINY, stores, folder, *overrides)))
        return capsys.readouterr().out

    return begin


def last(tmp_path, run="run"):
    return read_checkpoint(tmp_path / run / "checkpoints" / "last.ckpt")


def test_a_training_on_made_up_data_says_so_and_what_else_could_be_trained(train):
    lines = train("recipe.epochs=1").splitlines()
    assert lines[0] == (
        "benchmark=synthetic: made-up actions, which this package draws itself, 26 samples to "
        "train on and 12 to validate on: 26 clips in all"
    )
    assert lines[1].startswith("your own recordings: python -m stgcn_lightning.prepare data=FOLDER")
    assert "experiment=quickstart" not in lines[1]


def test_a_training_that_is_tried_out_announces_what_it_takes_of_it(train):
    out = train("debug=fast")
    assert "12 to validate on: two batches of everything" in out
    assert "steps    1 epoch of 1 pass, 2 x 4 clips per epoch" in out


def test_a_training_without_an_experiment_says_how_long_it_is_before_it_computes(capsys):
    say_embedded(settings_of("train", composed("train", "run_dir=run")))
    out = capsys.readouterr().out
    assert "1,200 samples to train on and 400 to validate on: 96,000 clips in all" in out
    assert out.rstrip().endswith("a first try with 7,200 clips: experiment=quickstart")
    say_embedded(settings_of("train", composed("train", "run_dir=run", "experiment=quickstart")))
    assert ": 7,200 clips in all" in capsys.readouterr().out
    say_embedded(settings_of("train", composed("train", "run_dir=run", "benchmark=ntu60_xsub_2d")))
    assert capsys.readouterr().out == ""


def test_accumulated_steps_have_the_rate_of_their_clips_and_are_counted(train, tmp_path):
    out = train("recipe.accumulate=4", "trainer.log_every_n_steps=1")
    assert "lr 0.1 -> 0.0125 (batch 128 -> 16 = 4 x 4 accumulated)" in out
    assert "steps    3 epochs of 1 pass, 2 x 16 clips per epoch" in out
    state = last(tmp_path)
    assert state["global_step"] == 6
    assert state["stgcn_lightning"]["run"]["accumulated"] == 4
    rows = (tmp_path / "run" / "metrics.csv").read_text().splitlines()
    column = rows[0].split(",").index("train/loss")
    assert sum(bool(row.split(",")[column]) for row in rows[1:]) == 6
    page = (tmp_path / "run" / "train_report.html").read_text()
    assert "batches accumulated for a step" in page


def test_several_accumulated_batches_that_exceed_an_epoch_are_said(train):
    out = train("recipe.accumulate=40", "recipe.epochs=1")
    assert "an epoch, and lr is meant for 160: recipe.accumulate=6 fits" in out


def test_adamw_has_its_own_rate_and_says_its_numbers(train, tmp_path):
    out = train("recipe.optimizer=adamw", "trainer.gradient_clip_val=0.5", "recipe.epochs=1")
    assert "lr 0.001 -> 3.125e-05 (batch 128 -> 4)" in out
    assert (
        "recipe   AdamW, betas 0.9 and 0.999, weight decay 0.01, gradients clipped at a norm of 0.5"
        in out
    )
    assert last(tmp_path)["hyper_parameters"]["optimizer"] == "adamw"
    assert set(last(tmp_path)["optimizer_states"][0]["state"][0]) == {
        "step",
        "exp_avg",
        "exp_avg_sq",
    }


def test_random_changes_of_bodies_are_said(train):
    out = train("recipe.flip=0.5", "recipe.drop_limb=0.25", "recipe.epochs=1")
    assert "weight decay 0.0005, bodies changed at random (flip 0.5, drop_limb 0.25)" in out
    assert "bodies changed" not in train("recipe.epochs=1", run="plain")


def test_balanced_classes_are_weighted_and_drawn(train, tmp_path):
    out = train("recipe.class_weights=balanced", "recipe.sampling=balanced", "recipe.epochs=1")
    assert re.search(
        r"^class weights 0\.7\d+ \(.*, 3 samples\) to 1\.\d+ \(.*, 2 samples\)", out, re.M
    )
    assert "every class drawn equally often" in out
    assert "a rare class counts twice: it is drawn more often, and weighs more" in out
    weights = last(tmp_path)["hyper_parameters"]["class_weights"]
    assert len(weights) == 12


@pytest.mark.filterwarnings("ignore:Found .* module.s. in eval mode at the start of training")
@pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty")
def test_a_frozen_backbone_needs_weights_and_trains_the_head(train, tmp_path):
    with pytest.raises(BadInput, match=r"would keep random weights as they are: add checkpoint="):
        train("recipe.freeze=backbone")
    train("recipe.epochs=1", run="first")
    first = tmp_path / "first" / "checkpoints" / "last.ckpt"
    frozen = ["recipe.freeze=backbone", "recipe.epochs=2"]
    out = train(*frozen, f"checkpoint={first}")
    assert re.search(r"^108 of [\d,]+ parameters are trained, those of the head; the", out, re.M)
    before, after = read_checkpoint(first)["state_dict"], last(tmp_path)["state_dict"]
    moved = {name for name in after if name[:5] == "model" and not after[name].equal(before[name])}
    assert moved == {"model.classify.weight", "model.classify.bias"}
    # a run that is resumed has weights already, and keeps them frozen
    again = train(*frozen[:1], "recipe.epochs=3", "resume=auto")
    assert "108 of" in again
    for name, value in last(tmp_path)["state_dict"].items():
        assert value.equal(before[name]) or name in moved or name[:5] != "model"


STOPPING = ["callbacks=[default,early_stopping]", "recipe.lr=0", "recipe.epochs=9"]


@pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty")
def test_a_run_ends_when_its_accuracy_no_longer_rises(train, tmp_path):
    out = train(*STOPPING, "callbacks.early_stopping.patience=2", "test_after=true")
    said = r"and no better in 2 validations since: the run ends after epoch 3; resume=auto with a"
    assert re.search(said, out)
    assert "epoch 3/9" in out
    assert "epoch 4/9" not in out
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["samples"] == 12
    resumed = train(*STOPPING, "callbacks.early_stopping.patience=2", "resume=auto")
    assert "the run ended early: 3 epochs done" in resumed
    assert "epoch 4/9" not in resumed
    resumed = train(*STOPPING, "callbacks.early_stopping.patience=3", "resume=auto")
    assert "callbacks.early_stopping.patience 2 -> 3 from step" in resumed
    assert "the run ends after epoch 4" in resumed


def test_the_cosine_is_that_of_all_epochs_although_a_run_may_end_before(train, tmp_path):
    train("callbacks=[default,early_stopping]", "recipe.lr=1e-9", "recipe.epochs=4",
        "callbacks.early_stopping.patience=1")  # fmt: skip
    state = last(tmp_path)
    done = state["global_step"] // 7
    assert done < 4
    lr = state["optimizer_states"][0]["param_groups"][0]["lr"]
    assert lr == pytest.approx(1e-9 * cosine(state["global_step"], 28))


def test_held_out_subjects_are_what_a_run_ends_by():
    cfg = composed("train", *TINY, "run_dir=run", "callbacks=[default,early_stopping]")
    OmegaConf.update(cfg, "data.holdout_subjects", 0.5)
    stop = training.stopping_of(settings_of("train", cfg))
    assert stop
    assert stop.get("monitor") == "holdout/top1"
    OmegaConf.update(cfg, "benchmark.val_split", None)
    stop = training.stopping_of(settings_of("train", cfg))
    assert stop
    assert stop.get("monitor") == "val/top1"  # that of the subjects held out
    OmegaConf.update(cfg, "data.holdout_subjects", None)
    with pytest.raises(BadInput, match=r"no val/top1 to go by, since no epoch is validated"):
        training.stopping_of(settings_of("train", cfg))


@pytest.mark.parametrize(
    ("key", "value"), [("patience", 0), ("patience", 1.5), ("min_delta", -1), ("min_delta", True)]
)
def test_a_patience_that_is_none_is_refused(key, value):
    cfg = composed("train", "run_dir=run", "callbacks=[default,early_stopping]")
    OmegaConf.update(cfg, f"callbacks.early_stopping.{key}", value)
    with pytest.raises(BadInput, match=rf"^callbacks\.early_stopping\.{key}={value} must be"):
        training.stopping_of(settings_of("train", cfg)).make()


def test_a_run_is_ended_by_figures_of_validations_alone():
    stop = "callbacks.early_stopping"
    cfg = composed("train", "run_dir=run", "callbacks=[default,early_stopping]")
    OmegaConf.update(cfg, f"{stop}.monitor", "train/top1")
    with pytest.raises(BadInput, match=rf"{stop}.monitor=train/top1 is of the training, and"):
        training.stopping_of(settings_of("train", cfg)).make()


@pytest.mark.parametrize("name", ["best", "early_stopping"])
@pytest.mark.parametrize(
    "overrides", [[], ["data.holdout_subjects=0.2", "benchmark.val_split=null"]]
)
def test_figures_of_samples_that_are_not_held_out_apart_are_refused(name, overrides):
    chosen = ["callbacks=[default,early_stopping]", f"callbacks.{name}.monitor=holdout/top1"]
    settings = settings_of("train", composed("train", "run_dir=run", *chosen, *overrides))
    with pytest.raises(BadInput, match=rf"set callbacks\.{name}\.monitor=val/top1$"):
        training.callbacks_of(settings)


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("recipe.optimizer=adam", "recipe.optimizer=adam is none of sgd, adamw"),
        ("recipe.betas=[0.9,0.99]", r"recipe\.betas=\[0\.9, 0\.99\] is of adamw: leave it out, or"),
        ("recipe.momentum=null", "recipe.momentum=null: sgd needs it"),
        ("recipe.class_weights=balance", "recipe.class_weights=balance is neither balanced, nor"),
        ("recipe.class_weights=[1,-1]", "is neither balanced, nor a list of numbers of at least 0"),
        ("recipe.class_weights={sit: true}", "is neither balanced, nor a list of numbers"),
        ("recipe.sampling=even", "recipe.sampling=even is none of uniform, balanced"),
        ("recipe.freeze=head", "recipe.freeze=head is none of null, backbone"),
        ("recipe.accumulate=0", "recipe.accumulate=0 must be a whole number of at least 1"),
        ("data.max_frames=0", "data.max_frames=0 must be a whole number of at least 1"),
    ],
)  # fmt: skip
def test_what_an_option_does_not_allow_is_refused(override, sentence):
    with pytest.raises(BadInput, match=sentence):
        settings_of("train", composed("train", "run_dir=run", override))


def test_a_class_that_would_weigh_nothing_is_refused_by_its_name(train):
    with pytest.raises(BadInput, match="gives 0 to sit_down, which has samples"):
        train("recipe.class_weights={sit_down: 0}")


def test_what_is_of_sgd_is_refused_with_adamw():
    adamw = ["run_dir=run", "recipe.optimizer=adamw"]
    with pytest.raises(BadInput, match=r"recipe\.nesterov=false is of sgd: leave it out, or set"):
        settings_of("train", composed("train", *adamw, "recipe.nesterov=false"))
    with pytest.raises(BadInput, match=r"recipe\.betas=\[1, 0\.5\] must be two numbers"):
        settings_of("train", composed("train", *adamw, "recipe.betas=[1,0.5]"))
