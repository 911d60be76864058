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


SITUATIONS: dict[str, Situation] = {}


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
        shutil.copytree(situation, work)
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
