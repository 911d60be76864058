"""How long a user waits for `--help`, `--cfg job`, a misspelt key, and `import stgcn_lightning`.

    python scripts/bench/startup.py [--against SRC] [--rounds 7]

`--against SRC` is the folder `src` of another checkout, whose commands run in turn with those of
this one. Figures are medians of whole processes.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from common import take_turns

OURS = Path(__file__).parents[2] / "src"
COMMANDS = {
    "train --help": ["-m", "stgcn_lightning.train", "--help"],
    "train --cfg job": ["-m", "stgcn_lightning.train", "--cfg", "job"],
    "train, a misspelt key": ["-m", "stgcn_lightning.train", "recipe.epoch=1"],
    "fuse --help": ["-m", "stgcn_lightning.fuse", "--help"],
    "import stgcn_lightning": ["-c", "import stgcn_lightning"],
    "python alone": ["-c", "pass"],
}


def main() -> None:
    arguments = argparse.ArgumentParser(description="Time the start of the doors.")
    arguments.add_argument("--against", type=Path, help="`src` of another checkout")
    arguments.add_argument("--rounds", type=int, default=7)
    choice = arguments.parse_args()
    sides = {"ours": OURS} | ({"other": choice.against} if choice.against else {})
    print(f"{'':24}" + "".join(f"{side:>8} (s)" for side in sides) + "   ratio")
    with tempfile.TemporaryDirectory() as folder:
        for name, command in COMMANDS.items():
            jobs = {side: starting(command, source, folder) for side, source in sides.items()}
            times = take_turns(jobs, choice.rounds)
            took = {side: statistics.median(times[side]) for side in sides}
            line = f"{name:24}" + "".join(f"{seconds:12.2f}" for seconds in took.values())
            if choice.against:
                line += f"  {took['other'] / took['ours']:6.1f}"
            print(line, flush=True)


def starting(command: list[str], source: Path, folder: str):
    """A whole process that runs the package in `source`."""
    environment = os.environ | {"PYTHONPATH": str(source.resolve())}

    def run() -> None:
        subprocess.run(
            [sys.executable, *command],
            cwd=folder,
            env=environment,
            capture_output=True,
            check=False,
        )

    return run


if __name__ == "__main__":
    main()
