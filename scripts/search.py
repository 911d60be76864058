"""Search the recipe's hyper-parameters with Optuna (pip install "stgcn_lightning[search]").

    python scripts/search.py --trials 30 experiment=ntu60_xsub_2d_bone [overrides]

Every trial is a training of its own, in `FOLDER/trial_N`. The search maximises the accuracy on a
tenth of the training subjects, which are held out: NTU's "val" split is its test set, and must not
choose the recipe. The study is kept in `FOLDER/study.db`: a search started again continues.
"""

import argparse
import csv
import subprocess
import sys
from pathlib import Path

import optuna

MONITOR = "holdout/top1"


def main() -> None:
    arguments = argparse.ArgumentParser(description="Search the recipe's hyper-parameters.")
    arguments.add_argument("--trials", type=int, default=30, help="earlier ones included")
    arguments.add_argument("--folder", type=Path, default=Path("runs/search"))
    arguments.add_argument("--seed", type=int, default=0, help="seed of the search")
    arguments.add_argument("overrides", nargs="*", help="overrides of the training: key=value")
    choice = arguments.parse_intermixed_args()
    if choice.trials < 1:
        arguments.error(f"--trials={choice.trials} must be at least 1")
    overrides: list[str] = choice.overrides
    choice.folder.mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(
        study_name="recipe",
        storage=f"sqlite:///{choice.folder.resolve()}/study.db",
        sampler=optuna.samplers.TPESampler(seed=choice.seed),
        direction="maximize",
        load_if_exists=True,
    )
    before = study.user_attrs.get("overrides", overrides)
    if before != overrides:
        arguments.error(
            f"{choice.folder} holds a search with {' '.join(before) or 'no overrides'}: give "
            "the same ones, or another --folder"
        )
    study.set_user_attr("overrides", overrides)
    finished = optuna.trial.TrialState.COMPLETE
    while sum(trial.state == finished for trial in study.trials) < choice.trials:
        trial = study.ask()
        status = train(trial, choice.folder / f"trial_{trial.number}", overrides)
        if status:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
            print(f"trial {trial.number} ended with status {status}: the search stops here")
            sys.exit(status)
        value = best(choice.folder / f"trial_{trial.number}" / "metrics.csv")
        study.tell(trial, value)
        print(f"trial {trial.number}: {MONITOR} {100 * value:.2f} %, {settings(trial)}", flush=True)
    winner = study.best_trial
    print(
        f"best of {choice.trials}: trial {winner.number}, {MONITOR} {100 * study.best_value:.2f} %"
    )
    print(f"python -m stgcn_lightning.train {' '.join(overrides)} {settings(winner)}")


def train(trial: optuna.Trial, folder: Path, overrides: list[str]) -> int:
    """Train with the values that the trial suggests; returns the exit status."""
    trial.suggest_float("recipe.lr", 0.01, 0.4, log=True)
    trial.suggest_float("recipe.weight_decay", 1e-5, 5e-3, log=True)
    trial.suggest_float("recipe.label_smoothing", 0.0, 0.2)
    trial.suggest_float("recipe.dropout", 0.0, 0.5)
    command = [sys.executable, "-m", "stgcn_lightning.train", "data.holdout_subjects=0.1"]
    command += [*overrides, *settings(trial).split(), f"hydra.run.dir={folder}"]
    return subprocess.run(command, check=False).returncode


def settings(trial: optuna.Trial | optuna.trial.FrozenTrial) -> str:
    """A trial's values as overrides."""
    return " ".join(f"{name}={value:.4g}" for name, value in trial.params.items())


def best(metrics: Path) -> float:
    """The best epoch's accuracy."""
    with metrics.open() as file:
        return max(float(row[MONITOR]) for row in csv.DictReader(file) if row.get(MONITOR))


if __name__ == "__main__":
    main()
