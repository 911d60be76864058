"""Lightning's trainer and its callbacks: which of their arguments and classes work here.

``+trainer.NAME=VALUE`` is open to every argument of `lightning.Trainer`. An argument that a key of
this package rules, or that cannot be right here, is refused with the remedy.
"""

import os
from collections.abc import Mapping
from typing import Any, NoReturn

from stgcn_lightning.errors import BadInput, nearest
from stgcn_lightning.settings.objects import Object, objects
from stgcn_lightning.terminal import shown_value

LIGHTNING = ("lightning.Trainer", "lightning.pytorch.Trainer")
KNOWN = ("lightning.", "stgcn_lightning.")  # modules of which we know what they log
FROM_ENVIRONMENT = "PL_TRAINER_"  # prefix of variables that Lightning takes for arguments
SHORTER = (
    "debug=fast takes two batches of everything, and a smaller data set is a split of the "
    "annotations, benchmark.train_split=NAME benchmark.val_split=NAME"
)

# arguments of `lightning.Trainer` that work
OPEN = {
    "accelerator", "strategy", "devices", "num_nodes", "precision", "log_every_n_steps",
    "num_sanity_val_steps", "enable_model_summary", "gradient_clip_val", "gradient_clip_algorithm",
    "deterministic", "benchmark", "inference_mode", "profiler", "detect_anomaly",
    "enable_autolog_hparams", "check_val_every_n_epoch",
}  # fmt: skip
# those that do not: what to do instead
REFUSED = {
    "logger": "logger=[csv,wandb,tensorboard] chooses the loggers",
    "callbacks": "+callbacks.NAME._target_=MODULE.CLASS adds a callback",
    "fast_dev_run": "debug=fast takes two batches of everything",
    "max_epochs": "recipe.epochs is the number of epochs",
    "min_epochs": "recipe.epochs is the number of epochs",
    "max_steps": "recipe.epochs and recipe.train_passes_per_epoch say how long a run is",
    "min_steps": "recipe.epochs and recipe.train_passes_per_epoch say how long a run is",
    "max_time": "`timeout --signal=TERM 2h COMMAND` ends a run that saves first, and resume=auto "
    "goes on with it",
    "limit_train_batches": SHORTER,
    "limit_val_batches": SHORTER,
    "limit_test_batches": SHORTER,
    "limit_predict_batches": "no door of this package predicts with the trainer",
    "overfit_batches": SHORTER,
    "val_check_interval": "a validation is at the end of an epoch; "
    "recipe.train_passes_per_epoch=1 and more recipe.epochs validate more often",
    "enable_checkpointing": "callbacks.best=null callbacks.last=null keep no checkpoints",
    "enable_progress_bar": "bars are drawn on a terminal, and nowhere else",
    "accumulate_grad_batches": "recipe.accumulate=8 makes a step of eight batches, and scales the "
    "learning rate",
    "use_distributed_sampler": "the samples are divided among the ranks already",
    "barebones": "logger=[] callbacks=[] leave out what it leaves out",
    "plugins": "trainer.precision chooses the numbers, and trainer=ddp how devices train together",
    "sync_batchnorm": "it would count an absent person once, however many are absent; the recipe's "
    "norms are local to a device",
    "reload_dataloaders_every_n_epochs": "every epoch draws new clips already",
    "default_root_dir": "hydra.run.dir is the run directory",
    "model_registry": "checkpoints are kept in the run directory",
}
HARMLESS = ("use_distributed_sampler", "sync_batchnorm")  # where they are false

# weights of 16 bits throughout, bf16-true, are not among them: their small steps round to nothing
PRECISIONS = (
    "32-true",
    "bf16-mixed",
    "16-mixed",
    "64-true",
    32,
    "32",
    64,
    "64",
    16,
    "16",
    "bf16",
    None,
)
# what a number among the arguments may be: kind in words, least; null is none of it
NUMBERS = {
    "check_val_every_n_epoch": (int, "a whole number of at least 1", 1),
    "log_every_n_steps": (int, "a whole number of at least 0", 0),
    "gradient_clip_val": (int | float, "a number of at least 0", 0),
}
METRICS = ["train/loss", "train/top1"] + [
    f"{part}/{figure}"
    for part in ("val", "holdout")
    for figure in ("loss", "top1", "top5", "mean_class_accuracy")
]
SEVERAL = (
    "trainer=ddp or trainer=ddp_cpu trains on several devices, "
    "+trainer.strategy.KEY=VALUE sets an argument of Lightning's DDPStrategy"
)

AVERAGES = (
    "checkpoints would hold running statistics of other weights than its averages; fuse the scores "
    "of several seeds instead"
)
SPOILING = {  # class of a callback -> what it spoils, and the remedy
    "StochasticWeightAveraging": "it replaces the schedule of the learning rate; fuse the scores "
    "of several seeds instead",
    "WeightAveraging": AVERAGES,
    "EMAWeightAveraging": AVERAGES,
    "GradientAccumulationScheduler": REFUSED["accumulate_grad_batches"],
    "BatchSizeFinder": "the learning rate follows data.batch_size: set that",
    "LearningRateFinder": "scripts/search.py looks for a learning rate",
    "BackboneFinetuning": "recipe.freeze=backbone checkpoint=FILE trains the head alone, and "
    "checkpoint=FILE everything",
    "ModelPruning": "it renames the weights, which a test could not load",
    "Timer": REFUSED["max_time"],
    "TQDMProgressBar": REFUSED["enable_progress_bar"],
    "RichProgressBar": REFUSED["enable_progress_bar"],
}


class Trainer(Object):
    """Arguments of `lightning.Trainer`, or of another class that takes them."""

    @classmethod
    def read(cls, key: str, value: Any) -> "Trainer":
        """The trainer that a configuration has at `key`.

        Raises:
            BadInput: an argument is unknown, is ruled by another key, or cannot be right here.
        """
        trainer = super().read(key, value)
        refuse_arguments(key, trainer.options)
        refuse_numbers(key, trainer.options)
        refuse_strategy(f"{key}.strategy", trainer.get("strategy", "auto"))
        one = trainer.precision
        if not any(one == known and type(one) is type(known) for known in PRECISIONS):
            names = ", ".join(map(str, PRECISIONS[:4]))
            raise BadInput(f"{key}.precision={shown_value(one)} is none of {names}")
        if trainer.get("gradient_clip_val") and str(one).startswith("16"):
            raise BadInput(
                f"{key}.gradient_clip_val cannot clip the scaled gradients of {key}.precision="
                f"{one}: set {key}.precision=bf16-mixed"
            )
        return trainer

    @property
    def for_several(self) -> bool:
        """Whether several devices can train together: a strategy is chosen."""
        return self.get("strategy", "auto") != "auto"

    @property
    def precision(self) -> Any:
        """Type of the numbers, such as 32-true or bf16-mixed."""
        return self.get("precision")

    @property
    def log_every_n_steps(self) -> int:
        """Steps between two lines of the log; Lightning's own default is 50."""
        return self.get("log_every_n_steps", 50)


def refuse_arguments(key: str, options: Mapping[str, Any]) -> None:
    """Refuse arguments of a trainer that another key rules, and unknown ones of Lightning's.

    Raises:
        BadInput: with the remedy.
    """
    for name, value in options.items():
        if name in REFUSED and not (name in HARMLESS and value is False):
            _refuse(f"{key}.{name}={shown_value(value)} is not taken", REFUSED[name])
        if options["_target_"] in LIGHTNING and name not in OPEN | REFUSED.keys() | {"_target_"}:
            known = [f"{key}.{one}" for one in sorted(OPEN)]
            raise BadInput(
                f"lightning.Trainer has no argument {key}.{name}: {nearest(f'{key}.{name}', known)}"
            )
    for variable in os.environ:
        name = variable.removeprefix(FROM_ENVIRONMENT).lower()
        if variable.startswith(FROM_ENVIRONMENT) and name not in options:
            raise BadInput(
                f"{variable} of the environment is not taken: unset it, and set +{key}.{name}=VALUE"
            )


def refuse_numbers(key: str, options: Mapping[str, Any]) -> None:
    """Refuse numbers that Lightning would ignore, or fail on when an epoch ends.

    Raises:
        BadInput: with what they may be.
    """
    for name, (kind, allowed, least) in NUMBERS.items():
        value = options.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, kind) or not value >= least:
            raise BadInput(f"{key}.{name}={shown_value(value)} must be {allowed}, or null")
    if options.get("gradient_clip_algorithm") and not options.get("gradient_clip_val"):
        raise BadInput(
            f"{key}.gradient_clip_algorithm clips nothing by itself: +{key}.gradient_clip_val="
            "VALUE says from where"
        )


def refuse_strategy(key: str, value: Any) -> None:
    """Refuse a strategy with which the ranks of this package cannot train.

    Raises:
        BadInput: with the ones that can.
    """
    if value == "auto":
        return
    if not isinstance(value, Mapping):
        _refuse(f"{key}={shown_value(value)} is not taken", SEVERAL)
    module, _, name = str(value.get("_target_")).rpartition(".")
    if module.startswith("lightning."):
        _refuse(f"{key}={name} is not taken", SEVERAL)
    if value.get("start_method", "popen") != "popen":
        _refuse(f"{key}.start_method={value['start_method']} is not taken", SEVERAL)


def working_callbacks(key: str, value: Any) -> Mapping[str, Object]:
    """The callbacks of a training by their names, without those that are null.

    Raises:
        BadInput: one of them is a callback of Lightning's that cannot work here, or monitors what
            nothing logs, or ending early is all that there is.
    """
    found = objects(key, value)
    if list(found) == ["early_stopping"]:
        _refuse(
            f"{key}=early_stopping alone, which would keep no checkpoint, is not taken",
            f"{key}=[default,early_stopping] adds it to the others",
        )
    ours = all(one.options["_target_"].startswith(KNOWN) for one in found.values())
    for name, one in found.items():
        module, _, kind = one.options["_target_"].rpartition(".")
        if module.startswith("lightning.") and kind in SPOILING:
            _refuse(f"{key}.{name}: {kind} cannot be used", SPOILING[kind])
        monitor = one.get("monitor")
        if ours and monitor is not None and monitor not in METRICS:  # another may log more metrics
            raise BadInput(
                f"{key}.{name}.monitor={shown_value(monitor)} is logged by nothing: "
                f"{nearest(str(monitor), METRICS)}"
            )
        if f"{module}.".startswith(KNOWN) and monitor in METRICS:
            _refuse_direction(f"{key}.{name}", str(monitor), one.get("mode"))
    return found


def _refuse_direction(key: str, monitor: str, mode: Any) -> None:
    """Refuse to select, or to stop, by a loss that is high or an accuracy that is low."""
    right = "min" if monitor.endswith("/loss") else "max"
    if (mode or "min") in ("min", "max") and (mode or "min") != right:  # min is Lightning's default
        better = "lower" if right == "min" else "higher"
        plus = "" if mode else "+"
        raise BadInput(
            f"{key}.monitor={monitor} is better the {better} it is: set {plus}{key}.mode={right}"
        )


def _refuse(what: str, remedy: str) -> NoReturn:
    raise BadInput(f"{what} here: {remedy}")
