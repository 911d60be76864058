"""Whether situations that users met end right: with what is right, or refused in one sentence.

    python scripts/reliability.py FOLDER [NAME ...]

FOLDER holds a folder for each situation, with a script `cmd.sh` that makes its input and runs the
commands with `$PY`. Each is copied and run; what it prints is compared with what `SITUATIONS` says
is right. The table is the one in docs/reliability.md; the status is 1 if one ends otherwise.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

NEVER = ("Traceback", "_InertType")  # in no situation
LIMIT = 600  # seconds of a situation on a busy machine


@dataclass(frozen=True)
class Situation:
    """What a user does, and what must and must not be printed (regular expressions)."""

    about: str
    right: tuple[str, ...]
    wrong: tuple[str, ...] = ()


SITUATIONS = {
    "accumulate_grad_batches": Situation(
        "gradients summed over several batches",
        (r"accumulate_grad_batches=4 is not taken here.*recipe\.accumulate=8",),
        (r"loss 0\.27",),
    ),
    "ambiguous_value": Situation(
        "several values without `-m`, or without brackets",
        (r"seed=0,1,2 is a sweep: add -m", r"logger=\[wandb,csv\]"),
    ),
    "chdir_and_home": Situation(
        "`hydra.job.chdir=true`; no home directory",
        (r"XDG_CACHE_HOME or downloads\.folder=FOLDER", r"^epoch 1/1: loss"),
        (r"no annotation file",),
    ),
    "checkpoint_shapes": Situation(
        "seven forms of a checkpoint",
        (
            r"whole\.pth holds a whole model.*model\.state_dict",
            *[
                rf"\[{name}\]\n(.*\n)*?scores:"
                for name in ("modelkey", "nobackbone", "half", "bare")
            ],
            r"old_stgcn\.pth holds weights of the ST-GCN of st-gcn, mmskeleton",
            r"mmaction_0x\.pth holds weights of the ST-GCN of st-gcn, mmskeleton or MMAction2 0\.x",
        ),
        (r"another graph",),
    ),
    "classes_file_not_utf8": Situation(
        "a class file in another encoding",
        (r"labels\.txt is not UTF-8 text: save it as UTF-8", r"^rc 2"),
    ),
    "img_shape_width_height": Situation(
        "width and height of the picture exchanged",
        (r"outside the picture.*give img_shape as \(height, width\)", r"^rc 2"),
    ),
    "keypoints_already_scaled": Situation(
        "key points that are scaled already",
        (r"scaled to \[0, 1\].*benchmark\.normalise=none", r"^rc 2"),
    ),
    "labels_from_1": Situation(
        "labels that count from 1",
        (r"labels run from 1 to 3.*subtract 1",),
        (r"on_bad_sample=drop", r"samples are dropped"),
    ),
    "missing_joints_nan": Situation(
        "joints that were not found, as NaN",
        (r"data\.missing=interpolate or data\.missing=zero",),
    ),
    "nan_validation_report": Situation(
        "a training that diverges",
        (r"val loss after step 2 .epoch 1, learning rate 750. is nan; lower recipe\.lr", r"^rc 2"),
    ),
    "no_validation_split": Situation(
        "annotations without a validation split",
        (r"no split 'val'.*benchmark\.val_split=null", r"last\.ckpt is kept", r"^rc 0"),
    ),
    "overfit_batches": Situation(
        "arguments of Lightning that cannot work here",
        (r"overfit_batches=1 is not taken here: debug=fast",),
        (r"TypeError",),
    ),
    "own_pickle_called_hostile": Situation(
        "five pickles of other kinds of arrays, paths and dictionaries",
        (r"samples, 17 joints",),
        (r"source you trust", r"refused"),
    ),
    "predict_unlabelled": Situation(
        "a recording without a label",
        (r"^vid000: \w+ [\d.]+ %", r"^rc 0"),
    ),
    "resume_more_epochs": Situation(
        "a finished run that gets more epochs",
        (r"^0\.05$", r"^0\.0146"),
        (r"^0\.0$",),
    ),
    "resume_new_lr": Situation(
        "a run that is resumed with another learning rate",
        (r"lr 0\.1 -> 0\.001 from step 4 on", r"^0\.0005$"),
        (r"^0\.0$", r"^0\.03"),
    ),
    "same_second_runs": Situation(
        "three runs that start in the same second",
        (r"run folders: 3 \(3 runs\)",),
    ),
    "scores_of_pyskl_and_ctrgcn": Situation(
        "score files of PYSKL and CTR-GCN",
        (r"ctrgcn\.pkl has no labels: taken from b, by id", r"pyskl\.pkl has no", r"fused"),
        (r"source you trust",),
    ),
    "split_ids_with_extension": Situation(
        "splits whose ids end in `.mp4`",
        (r"'vid000\.mp4' is the sample 'vid000'",),
    ),
    "test_after_without_best": Situation(
        "a test after a training without validation",
        (r"^scores: r/scores\.npz", r"^last\.ckpt"),
        (r"no file",),
    ),
    "test_other_class_names": Situation(
        "a test with the classes in another order",
        (r"calls class 0 'squat' but benchmark\.classes 'lunge'", r"^rc 2"),
        (r"worst classes",),
    ),
    "test_without_train_split": Situation(
        "a test of annotations without a training split",
        (r"top-1", r"^rc 0"),
    ),
    "wandb_mode_disabled": Situation(
        "`WANDB_MODE=disabled`",
        (r"W&B: disabled by WANDB_MODE, no run is kept",),
        (r"wandb sync", r"W&B: None", r"offline-run"),
    ),
    "yaml_syntax": Situation(
        "a fault in the user's own YAML file",
        (r"tiny\.yaml, line 6, is no YAML", r"^rc 2"),
    ),
}


def main() -> None:
    arguments = argparse.ArgumentParser(description="Run the situations of users.")
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("names", nargs="*")
    choice = arguments.parse_args()
    found = sorted(path.name for path in choice.folder.iterdir() if (path / "cmd.sh").exists())
    failed: list[str] = []
    print("| situation | ends | what is said |\n|---|---|---|")
    for name in choice.names or found:
        situation, printed = SITUATIONS[name], run(choice.folder / name)
        faults = faults_of(situation, printed)
        failed += [f"{name}: {fault}\n{printed}" for fault in faults]
        ends = "wrong" if faults else "right"
        print(f"| {situation.about} | {ends} | {said(situation, printed)} |", flush=True)
    for fault in failed:
        print(fault, file=sys.stderr)
    sys.exit(bool(failed))


def run(situation: Path) -> str:
    """What the commands of a situation print, on both streams."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder) / situation.name
        shutil.copytree(situation, work, copy_function=shutil.copyfile)
        work.chmod(0o755)
        done = subprocess.run(
            ["bash", str(work / "cmd.sh")],
            env=os.environ | {"PY": sys.executable},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LIMIT,
            check=False,
        )
        return done.stdout.replace(f"{work}/", "")


def faults_of(situation: Situation, printed: str) -> list[str]:
    """What is missing in the output, and what should not be there."""
    missing = [f"lacks {what!r}" for what in situation.right if not re.search(what, printed, re.M)]
    wrong = [what for what in (*situation.wrong, *NEVER) if re.search(what, printed, re.M)]
    return missing + [f"has {what!r}" for what in wrong]


def said(situation: Situation, printed: str) -> str:
    """The first line of the output that is asked for."""
    for line in printed.splitlines():
        if re.search(situation.right[0], line):
            return "`" + line.strip().replace("|", "\\|").replace("`", "'") + "`"
    return ""


if __name__ == "__main__":
    main()
